//! Checks whether writes succeed. Reads do not show that: a lock held by another process or a
//! failing disk stops every write and no read.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jangbu_api::DependencyCheck;
use jangbu_store::Store;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The shortest time between two attempts, however often readiness is asked for, because that needs
/// no login.
const TRIED_EVERY: Duration = Duration::from_secs(1);
/// A write that takes longer counts as failed, because no client would wait for it.
const WRITE_PATIENCE: Duration = Duration::from_millis(1_500);

/// The check of a store.
pub(super) fn of(store: &Arc<dyn Store>) -> DependencyCheck {
    let writes = WriteCheck { store: Arc::clone(store), last: Arc::default() };
    Arc::new(move || {
        let writes = writes.clone();
        async move { writes.look().await }.boxed()
    })
}

/// The time and result of the last attempt.
type Last = Option<(Instant, Result<(), String>)>;

#[derive(Clone)]
struct WriteCheck {
    store: Arc<dyn Store>,
    /// Locked during an attempt.
    last: Arc<Mutex<Last>>,
}

impl WriteCheck {
    async fn look(&self) -> Result<(), String> {
        let looked = tokio::time::timeout(WRITE_PATIENCE, self.ask()).await;
        looked.unwrap_or_else(|_| Err("writes do not get through: one is still waiting".to_owned()))
    }

    async fn ask(&self) -> Result<(), String> {
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if let Some((at, outcome)) = &*last
            && at.elapsed() < TRIED_EVERY
        {
            return outcome.clone();
        }
        let store = Arc::clone(&self.store);
        // A task of its own, so that an attempt continues when the caller that started it times
        // out.
        let tried = tokio::spawn(async move {
            let outcome = store.check_writes().await.map_err(|error| error.to_string());
            *last = Some((Instant::now(), outcome.clone()));
            outcome
        });
        tried.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}
