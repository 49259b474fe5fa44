//! What this process knows to be wrong with the read models.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// A projector that makes no progress for this long is reported; a shorter pause may only be a
/// restart of the database.
const PATIENCE: Duration = Duration::from_secs(3);

/// Shared by all users of one set of read models.
#[derive(Debug, Default)]
pub(crate) struct Health(watch::Sender<State>);

#[derive(Debug, Default)]
struct State {
    /// The stored data that was found to be unreadable.
    damage: Option<String>,
    /// Whether a projector of this process has yet to check that the views fit the log.
    unchecked: bool,
    /// Since when the projector of this process makes no progress, and why.
    trouble: Option<(Instant, String)>,
}

impl Health {
    /// Notes that stored data cannot be read. True if that was not known.
    pub fn damaged(&self, what: &str) -> bool {
        self.0.send_if_modified(|state| {
            let new = state.damage.is_none();
            state.damage.get_or_insert_with(|| what.to_owned());
            new
        })
    }

    /// Notes that everything was built anew.
    pub fn whole_again(&self) {
        self.0.send_modify(|state| state.damage = None);
    }

    /// What cannot be read, if anything.
    pub fn damage(&self) -> Option<String> {
        self.0.borrow().damage.clone()
    }

    /// Resolves when stored data cannot be read, with a description.
    pub async fn until_damaged(&self) -> String {
        let mut watch = self.0.subscribe();
        let damage = watch.wait_for(|state| state.damage.is_some()).await.ok().and_then(|state| state.damage.clone());
        match damage {
            Some(damage) => damage,
            None => std::future::pending().await,
        }
    }

    /// Sets whether a projector has yet to check that the views fit the log.
    pub fn set_unchecked(&self, unchecked: bool) {
        self.0.send_modify(|state| state.unchecked = unchecked);
    }

    /// Notes that the projector made no progress.
    pub fn trouble(&self, what: &str) {
        self.0.send_modify(|state| {
            let since = state.trouble.take().map_or_else(Instant::now, |(since, _)| since);
            state.trouble = Some((since, what.to_owned()));
        });
    }

    /// Notes that the projector made progress.
    pub fn well(&self) {
        self.0.send_if_modified(|state| state.trouble.take().is_some());
    }

    /// Why the views cannot be relied on, as far as this process knows.
    pub fn problem(&self) -> Option<String> {
        let state = self.0.borrow();
        if let Some(damage) = &state.damage {
            return Some(format!("damaged ({damage}): build them anew with `jangbu replay --from-scratch`"));
        }
        if state.unchecked {
            return Some("rebuilding: it is being looked whether they fit the log".to_owned());
        }
        let (since, what) = state.trouble.as_ref()?;
        (since.elapsed() >= PATIENCE).then(|| format!("they stand still: {what}"))
    }
}
