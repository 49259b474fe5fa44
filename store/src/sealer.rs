//! The sealer: shortly after events are appended, it grows the Merkle tree and stores the root over
//! the log, so that altering the past can be detected. The leaves of recent appends are in memory;
//! older ones and those of other nodes are read.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jangbu_kernel::log::{LogError, SealedRoot};
use jangbu_kernel::part::Part;
use jangbu_kernel::ports::Clock;
use jangbu_kernel::time::{rfc3339, to_millis};
use jangbu_kernel::{Position, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ledger::Ledger;
use crate::merkle::{Hash, MerkleFrontier};

/// Options of a sealer.
#[derive(Clone, Copy, Debug)]
pub struct SealerOptions {
    /// How long new events may wait for their seal; the guarantee is one second.
    pub pause: Duration,
    /// Hashes that are read at once, 32 bytes each.
    pub page: usize,
    /// The pause after a failure, so that an unavailable store is not asked in a tight loop.
    pub retry: Duration,
    /// How often a lasting failure is logged again.
    pub tell_every: Duration,
}

impl Default for SealerOptions {
    fn default() -> Self {
        Self {
            pause: Duration::from_millis(500),
            page: 8_192,
            retry: Duration::from_secs(1),
            tell_every: Duration::from_secs(600),
        }
    }
}

/// Seals up to the present head, starting from the newest seal.
///
/// # Errors
/// When the store fails, or a stored frontier, hash or root does not fit.
pub async fn seal_to_head(log: &dyn Ledger, clock: &dyn Clock) -> Result<MerkleFrontier, LogError> {
    seal_in_pages(log, clock, SealerOptions::default().page).await
}

/// The same, reading `page` hashes at once.
///
/// # Errors
/// As [`seal_to_head`].
pub async fn seal_in_pages(log: &dyn Ledger, clock: &dyn Clock, page: usize) -> Result<MerkleFrontier, LogError> {
    let mut frontier = log.sealed_frontier().await?;
    grow_and_seal(log, clock, &mut frontier, page).await?;
    Ok(frontier)
}

/// Grows the frontier to the head and stores the root, if there are new events.
async fn grow_and_seal(
    log: &dyn Ledger,
    clock: &dyn Clock,
    frontier: &mut MerkleFrontier,
    page: usize,
) -> Result<(), LogError> {
    let page = page.max(1);
    let before = frontier.size();
    let mut grown = frontier.clone();
    // The last leaf that came from memory, and its position.
    let mut fresh: Option<(Position, Hash)> = None;
    loop {
        let leaves = log.fresh_leaf_hashes(grown.size(), page);
        if let Some(last) = leaves.last().copied() {
            leaves.into_iter().for_each(|leaf| grown.push(leaf));
            fresh = Some((grown.size(), last));
            continue;
        }
        // The only writer has all of it in memory, up to the end.
        if fresh.is_some() && log.exclusive() && grown.size() >= log.watch_head().current() {
            break;
        }
        let leaves = log.leaf_hashes(grown.size(), page).await?;
        let full = leaves.len() == page;
        leaves.into_iter().for_each(|leaf| grown.push(leaf));
        if !full {
            break;
        }
    }
    check_fresh(log, fresh).await?;
    if grown.size() > before {
        let root = SealedRoot { size: grown.size(), root: grown.root(), sealed_at: to_millis(clock.now()) };
        log.keep_seal(root, &grown).await?;
    }
    // Only now: after a failure the next round starts from what is certainly stored.
    *frontier = grown;
    Ok(())
}

/// A log with other writers may have gone back since this handle filled its memory. So the last
/// leaf from memory has to be the one that the log has at that position.
async fn check_fresh(log: &dyn Ledger, fresh: Option<(Position, Hash)>) -> Result<(), LogError> {
    let Some((position, leaf)) = fresh.filter(|_| !log.exclusive()) else { return Ok(()) };
    if log.hash_at(position).await? == Some(leaf) {
        return Ok(());
    }
    Err(LogError::Damaged(format!("the log holds another event at position {position} than was appended there")))
}

/// Why nothing is being sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealingFails {
    /// When it first failed, without a success since.
    pub since: Timestamp,
    /// The error message.
    pub reason: String,
}

/// The health of a sealer. Clones follow the same one.
#[derive(Clone, Debug)]
pub struct SealerHealth(watch::Receiver<Option<SealingFails>>);

impl SealerHealth {
    /// Ok if the newest attempt succeeded.
    ///
    /// # Errors
    /// One sentence for people: since when nothing has been sealed, and why.
    pub fn check(&self) -> Result<(), String> {
        let fails = self.0.borrow();
        let Some(SealingFails { since, reason }) = &*fails else { return Ok(()) };
        Err(format!("no event is sealed since {}: {reason}", rfc3339(*since)))
    }

    /// Why nothing is being sealed, if that is the case.
    #[must_use]
    pub fn fails(&self) -> Option<SealingFails> {
        self.0.borrow().clone()
    }
}

/// A running sealer task. Several may run on one log: equal sizes always have equal roots.
#[derive(Debug)]
pub struct Sealer {
    stop: CancellationToken,
    task: JoinHandle<()>,
    health: SealerHealth,
}

impl Sealer {
    /// Starts the task.
    #[must_use]
    pub fn spawn(log: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> Self {
        Self::spawn_with(log, clock, SealerOptions::default())
    }

    /// The same with options.
    #[must_use]
    pub fn spawn_with(log: Arc<dyn Ledger>, clock: Arc<dyn Clock>, options: SealerOptions) -> Self {
        let stop = CancellationToken::new();
        let (told, health) = watch::channel(None);
        let work = Work { log, clock, options, told, told_at: None, frontier: None };
        let task = tokio::spawn(work.run(stop.clone()));
        Self { stop, task, health: SealerHealth(health) }
    }

    /// Its health.
    #[must_use]
    pub fn health(&self) -> SealerHealth {
        self.health.clone()
    }

    /// Whether it has ended without being stopped, which means that it has failed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Seals what is left and ends. Stop the writers before it, and close the store after it.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the sealer ended badly");
        }
    }
}

#[async_trait]
impl Part for Sealer {
    fn name(&self) -> &'static str {
        "the sealer"
    }

    fn is_finished(&mut self) -> bool {
        Self::is_finished(self)
    }

    async fn stop(self: Box<Self>) {
        Self::stop(*self).await;
    }

    async fn abort(self: Box<Self>) {
        self.task.abort();
        // An aborted task returns an error, as intended.
        let _aborted = self.task.await;
    }
}

struct Work {
    log: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    options: SealerOptions,
    told: watch::Sender<Option<SealingFails>>,
    /// When the present failure was last logged.
    told_at: Option<Instant>,
    /// The frontier that is certainly stored; none if it has to be read.
    frontier: Option<MerkleFrontier>,
}

impl Work {
    async fn run(mut self, stop: CancellationToken) {
        let mut head = self.log.watch_head();
        loop {
            let stopping = stop.is_cancelled();
            let outcome = self.round().await;
            let failed = outcome.is_err();
            self.tell(outcome);
            if stopping {
                return;
            }
            let pause = if failed { self.options.retry } else { self.options.pause };
            let next = async {
                tokio::time::sleep(pause).await;
                // After a failure there is something to seal even if the head does not move.
                failed || head.changed().await
            };
            tokio::select! {
                () = stop.cancelled() => {}
                open = next => if !open { return },
            }
        }
    }

    async fn round(&mut self) -> Result<(), LogError> {
        let frontier = match self.frontier.take().filter(|_| self.log.exclusive()) {
            Some(frontier) => frontier,
            // Other nodes seal, too, and a database may go back: only what it has stored counts.
            None => self.log.sealed_frontier().await?,
        };
        grow_and_seal(&*self.log, &*self.clock, self.frontier.insert(frontier), self.options.page).await
    }

    /// Reports how the round went: always to the followers of the sealer's health; in the program's
    /// log when it begins to fail, at times while it goes on failing, and when it succeeds again.
    fn tell(&mut self, outcome: Result<(), LogError>) {
        let Err(error) = outcome else {
            if let Some(SealingFails { since, .. }) = self.told.send_replace(None) {
                self.told_at = None;
                tracing::info!(since = rfc3339(since), "the log is sealed again");
            }
            return;
        };
        self.frontier = None;
        metrics::counter!("jangbu_seal_failures_total").increment(1);
        let reason = error.to_string();
        if self.told_at.is_none_or(|told| told.elapsed() >= self.options.tell_every) {
            self.told_at = Some(Instant::now());
            tracing::error!(%error, "the log cannot be sealed: {reason}; it is tried again, and the audit shows what has no seal");
        }
        self.told.send_if_modified(|fails| match fails {
            Some(known) if known.reason == reason => false,
            Some(known) => {
                known.reason = reason;
                true
            }
            None => {
                *fails = Some(SealingFails { since: self.clock.now(), reason });
                true
            }
        });
    }
}
