//! The sealer: a moment behind the head it grows the Merkle tree and keeps the
//! root of what is in the log, so that altering the past shows.

use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::log::{LogError, SealedRoot};
use jangbu_kernel::ports::Clock;
use jangbu_kernel::time::to_millis;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ledger::Ledger;
use crate::merkle::MerkleFrontier;

/// How long new events may wait for their seal; a second is promised.
const PAUSE: Duration = Duration::from_millis(500);
/// Hashes read at once, 32 bytes each.
const PAGE: usize = 8_192;
/// Wait after a failure, so that a store that is down is not asked in a loop.
const RETRY: Duration = Duration::from_secs(1);

/// Seals up to the present head, starting from the newest seal.
///
/// # Errors
/// When the store fails, or a stored frontier, hash or root does not fit.
pub async fn seal_to_head(log: &dyn Ledger, clock: &dyn Clock) -> Result<MerkleFrontier, LogError> {
    let mut frontier = log.sealed_frontier().await?;
    grow_and_seal(log, clock, &mut frontier).await?;
    Ok(frontier)
}

/// Grows the frontier to the head and keeps the root, if there is anything new.
async fn grow_and_seal(log: &dyn Ledger, clock: &dyn Clock, frontier: &mut MerkleFrontier) -> Result<(), LogError> {
    let before = frontier.size();
    let mut grown = frontier.clone();
    loop {
        let leaves = log.leaf_hashes(grown.size(), PAGE).await?;
        let full = leaves.len() == PAGE;
        leaves.into_iter().for_each(|leaf| grown.push(leaf));
        if !full {
            break;
        }
    }
    if grown.size() > before {
        let root = SealedRoot { size: grown.size(), root: grown.root(), sealed_at: to_millis(clock.now()) };
        log.keep_seal(root, &grown).await?;
    }
    // Only now: after a failure the next round starts from what is surely kept.
    *frontier = grown;
    Ok(())
}

/// A running sealer task. Several may run on one log: equal sizes have equal
/// roots by construction.
#[derive(Debug)]
pub struct Sealer {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Sealer {
    /// Starts the task.
    #[must_use]
    pub fn spawn(log: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(log, clock, stop.clone()));
        Self { stop, task }
    }

    /// Whether it has ended, although nobody stopped it: it has failed then.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Seals what is left and ends. Stop the writers first, close the store after.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the sealer ended badly");
        }
    }
}

async fn run(log: Arc<dyn Ledger>, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let mut head = log.watch_head();
    let mut frontier = None;
    loop {
        let stopping = stop.is_cancelled();
        let pause = match round(&*log, &*clock, &mut frontier).await {
            Ok(()) => PAUSE,
            Err(error) => {
                tracing::error!(%error, "the log could not be sealed");
                frontier = None;
                RETRY
            }
        };
        if stopping {
            return;
        }
        let next = async {
            tokio::time::sleep(pause).await;
            // After a failure there is something to seal even if the head stays.
            pause == RETRY || head.changed().await
        };
        tokio::select! {
            () = stop.cancelled() => {}
            open = next => if !open { return },
        }
    }
}

async fn round(log: &dyn Ledger, clock: &dyn Clock, kept: &mut Option<MerkleFrontier>) -> Result<(), LogError> {
    let frontier = match kept {
        Some(frontier) => frontier,
        None => kept.insert(log.sealed_frontier().await?),
    };
    grow_and_seal(log, clock, frontier).await
}
