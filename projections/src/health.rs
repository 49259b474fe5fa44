//! What this process knows to be wrong with the read models.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// A projector that comes no further for so long is worth a word; before that it may only
/// have met a restart of the database.
const PATIENCE: Duration = Duration::from_secs(3);

/// Common to everybody who uses one set of read models.
#[derive(Debug, Default)]
pub(crate) struct Health(watch::Sender<State>);

#[derive(Debug, Default)]
struct State {
    /// What was found that cannot be read.
    damage: Option<String>,
    /// A projector of this process has yet to find out whether the views fit the log.
    unchecked: bool,
    /// Since when the projector of this process comes no further, and why.
    trouble: Option<(Instant, String)>,
}

impl Health {
    /// Something stored cannot be read. True when nobody knew.
    pub fn damaged(&self, what: &str) -> bool {
        self.0.send_if_modified(|state| {
            let new = state.damage.is_none();
            state.damage.get_or_insert_with(|| what.to_owned());
            new
        })
    }

    /// Everything was built anew.
    pub fn whole_again(&self) {
        self.0.send_modify(|state| state.damage = None);
    }

    /// What cannot be read, if anything.
    pub fn damage(&self) -> Option<String> {
        self.0.borrow().damage.clone()
    }

    /// Resolves when something cannot be read; says what.
    pub async fn until_damaged(&self) -> String {
        let mut watch = self.0.subscribe();
        let damage = watch.wait_for(|state| state.damage.is_some()).await.ok().and_then(|state| state.damage.clone());
        match damage {
            Some(damage) => damage,
            None => std::future::pending().await,
        }
    }

    /// Whether a projector has yet to look whether the views fit the log.
    pub fn set_unchecked(&self, unchecked: bool) {
        self.0.send_modify(|state| state.unchecked = unchecked);
    }

    /// The projector came no further.
    pub fn trouble(&self, what: &str) {
        self.0.send_modify(|state| {
            let since = state.trouble.take().map_or_else(Instant::now, |(since, _)| since);
            state.trouble = Some((since, what.to_owned()));
        });
    }

    /// The projector came further.
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
