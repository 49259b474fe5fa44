//! The loop: take, decide, commit, answer.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use jangbu_aggregates::{Facts, Policy, Scope};
use jangbu_kernel::log::{Append, AppendResult, EventLog, LogError, Receipt, ReceiptKey};
use jangbu_kernel::ports::World;
use jangbu_kernel::{Position, StreamId, Version};
use lru::LruCache;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::DeciderOptions;
use super::batch::{Batch, Job, Verdict};
use super::cache::Cache;
use super::follower::{self, News};
use crate::measure::{Figures, count};

/// Jobs that are taken out of the queue at a time: enough to fill a batch, but few enough that the
/// bound of the queue remains effective.
pub(super) const CHUNK: usize = 512;

/// The most unreadable streams that are remembered as logged.
const NAMED: usize = 1_024;

/// The log's results for a batch.
pub(super) struct Commit {
    pub results: Result<Vec<AppendResult>, LogError>,
    /// The log's versions of the streams to be checked, after the append.
    pub current: Result<Vec<Version>, LogError>,
    /// A head that covers the batch and everything it read; 0 if it is not needed.
    pub head: Result<Position, LogError>,
    /// When the append was started, and when it was answered.
    pub between: [Instant; 2],
}

impl Commit {
    /// For a batch that needed no request to the log, or had no answer.
    fn of_nothing(results: Result<Vec<AppendResult>, LogError>) -> Self {
        Self { results, current: Ok(Vec::new()), head: Ok(Position::ZERO), between: [Instant::now(); 2] }
    }
}

/// The data of the decider; only its task accesses it.
pub(super) struct Decider {
    /// The log, read through the decider's own connections if it has them.
    pub log: Arc<dyn EventLog>,
    pub exclusive: bool,
    pub world: World,
    pub options: DeciderOptions,
    pub facts: Facts,
    pub cache: Cache,
    pub receipts: LruCache<ReceiptKey, Receipt>,
    /// Keys of accepted but uncommitted appends, with the jobs that wait for their outcome.
    pub keys: HashMap<ReceiptKey, Vec<Job>>,
    /// Jobs that were taken out of the queue but not decided yet.
    pub pending: VecDeque<Job>,
    pub open: Batch,
    /// Unreadable streams that have been logged.
    pub named: LruCache<StreamId, ()>,
    /// The streams that the current decision has read.
    pub reads: Vec<StreamId>,
    pub figures: Arc<Figures>,
    requests: mpsc::Receiver<Job>,
    taken: Vec<Job>,
    drained: bool,
    others: Option<mpsc::Receiver<News>>,
    stop: CancellationToken,
}

impl Decider {
    pub fn new(
        log: Arc<dyn EventLog>,
        world: World,
        (policy, options): (Arc<Policy>, DeciderOptions),
        requests: mpsc::Receiver<Job>,
        figures: Arc<Figures>,
        stop: CancellationToken,
    ) -> Self {
        let exclusive = log.exclusive();
        let receipts = NonZeroUsize::new(options.receipt_capacity.max(2 * CHUNK)).unwrap_or(NonZeroUsize::MIN);
        Self {
            facts: Facts { now: world.clock.now(), policy, scope: Scope::Any },
            cache: Cache::new(options.cache_capacity),
            receipts: LruCache::new(receipts),
            keys: HashMap::new(),
            pending: VecDeque::new(),
            open: Batch::default(),
            named: LruCache::new(NonZeroUsize::new(NAMED).unwrap_or(NonZeroUsize::MIN)),
            reads: Vec::new(),
            figures,
            requests,
            taken: Vec::new(),
            drained: false,
            others: (!exclusive).then(|| follower::spawn(Arc::clone(&log), stop.clone())),
            stop,
            exclusive,
            log: log.for_deciding().unwrap_or(log),
            world,
            options,
        }
    }

    /// Runs until it is stopped, or every handle is gone, and everything it has taken is answered.
    pub async fn run(mut self) {
        loop {
            self.take_queued();
            self.hear_of_others();
            if !self.pending.is_empty() {
                self.decide_pending().await;
            }
            if !self.open.is_empty() {
                self.carry_out().await;
            } else if self.pending.is_empty() {
                if self.drained {
                    // Also if it was not stopped: the follower has nobody to report to any more.
                    self.stop.cancel();
                    return;
                }
                self.wait().await;
            }
        }
    }

    /// Waits for the first of: a request, appends of other nodes, the signal to stop.
    async fn wait(&mut self) {
        tokio::select! {
            biased;
            () = self.stop.cancelled(), if !self.requests.is_closed() => self.requests.close(),
            count = self.requests.recv_many(&mut self.taken, CHUNK) => {
                self.drained = count == 0;
                self.pending.extend(self.taken.drain(..));
            }
            heard = hear(&mut self.others) => match heard {
                Some(events) => self.take_note(&events),
                None => self.others = None,
            },
        }
    }

    fn take_queued(&mut self) {
        while self.pending.len() < CHUNK {
            let Ok(job) = self.requests.try_recv() else { break };
            self.pending.push_back(job);
        }
        self.figures.queue_depth.set(count(self.requests.len()));
    }

    fn hear_of_others(&mut self) {
        while let Some(Ok(events)) = self.others.as_mut().map(mpsc::Receiver::try_recv) {
            self.take_note(&events);
        }
    }

    /// Commits the open batch and answers it.
    async fn carry_out(&mut self) {
        let mut batch = std::mem::take(&mut self.open);
        self.prepare(&mut batch);
        let wants_head = batch.decided.iter().any(|decided| matches!(decided.verdict, Verdict::AlreadyDone { .. }));
        if batch.appends.is_empty() && batch.to_check.is_empty() && !wants_head {
            return self.settle(batch, Commit::of_nothing(Ok(Vec::new())));
        }
        self.figures.batch_events.record(count(batch.events));
        let appends = std::mem::take(&mut batch.appends);
        let to_check = batch.to_check.iter().map(|(stream, _)| *stream).collect();
        // A separate task: the batch is carried out whatever happens to this one.
        let mut task =
            tokio::spawn(commit(Arc::clone(&self.log), appends, to_check, wants_head, Arc::clone(&self.figures)));
        let done = loop {
            tokio::select! {
                biased;
                done = &mut task => break done,
                () = self.stop.cancelled(), if !self.requests.is_closed() => self.requests.close(),
            }
        };
        let unknown = |error| LogError::OutcomeUnknown(format!("the commit's task ended: {error}"));
        let done = done.unwrap_or_else(|error| Commit::of_nothing(Err(unknown(error))));
        self.settle(batch, done);
    }

    /// Collects what is known only after the whole batch is decided: the versions that "no" and
    /// "already done" depend on, and the snapshots that are due.
    fn prepare(&mut self, batch: &mut Batch) {
        let others_write = !self.exclusive;
        for decided in batch.decided.iter().filter(|decided| others_write && !decided.verdict.is_accepted()) {
            for stream in &decided.rests_on {
                // A state that has left the cache has no version here: it does not match, and is
                // read again.
                let version = self.cache.version(*stream).unwrap_or(Version::MAX);
                batch.to_check.push((*stream, version));
            }
        }
        batch.to_check.sort_unstable();
        batch.to_check.dedup();
        for stream in batch.touched.keys() {
            if let Some(snapshot) = self.cache.snapshot_if_due(*stream, self.options.snapshot_every) {
                batch.snapshots.push(snapshot);
            }
        }
    }
}

async fn hear(others: &mut Option<mpsc::Receiver<News>>) -> Option<News> {
    match others {
        Some(others) => others.recv().await,
        None => std::future::pending().await,
    }
}

async fn commit(
    log: Arc<dyn EventLog>,
    appends: Vec<Append>,
    to_check: Vec<StreamId>,
    wants_head: bool,
    figures: Arc<Figures>,
) -> Commit {
    let begun = Instant::now();
    let results = if appends.is_empty() { Ok(Vec::new()) } else { log.append(appends).await };
    let between = [begun, Instant::now()];
    figures.commit_seconds.record(begun.elapsed().as_secs_f64());
    if results.is_err() {
        return Commit { results, current: Ok(Vec::new()), head: Ok(Position::ZERO), between };
    }
    let current = if to_check.is_empty() { Ok(Vec::new()) } else { log.versions(to_check).await };
    let head = if wants_head { log.head().await } else { Ok(Position::ZERO) };
    Commit { results, current, head, between }
}
