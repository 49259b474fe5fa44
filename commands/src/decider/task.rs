//! The loop: take, decide, commit, answer.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use jangbu_aggregates::{Facts, Policy, Scope};
use jangbu_kernel::StreamId;
use jangbu_kernel::log::{Append, AppendResult, EventLog, LogError, Receipt, ReceiptKey};
use jangbu_kernel::ports::World;
use lru::LruCache;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

use super::DeciderOptions;
use super::batch::{Batch, Job, Verdict};
use super::cache::Cache;
use super::follower::{self, News};
use crate::measure::{Figures, count};

/// Jobs that are taken out of the queue at a time: enough to fill a batch, few
/// enough that the queue's bound stays the bound.
pub(super) const CHUNK: usize = 512;

/// Unreadable streams that are remembered as named in the log.
const NAMED: usize = 1_024;

/// What the log said to a batch.
pub(super) struct Commit {
    pub results: Result<Vec<AppendResult>, LogError>,
    /// The log's versions of the streams to be checked, after the append.
    pub current: Result<Vec<u64>, LogError>,
    /// A head that covers the batch and all it looked at; 0 when nobody needs it.
    pub head: Result<u64, LogError>,
}

struct InFlight {
    batch: Batch,
    task: JoinHandle<Commit>,
}

/// The decider's own things; only its task touches them.
pub(super) struct Decider {
    /// The log by way of the decider's own reader.
    pub log: Arc<dyn EventLog>,
    pub exclusive: bool,
    pub world: World,
    pub options: DeciderOptions,
    pub facts: Facts,
    pub cache: Cache,
    pub receipts: LruCache<ReceiptKey, Receipt>,
    /// Keys of accepted but uncommitted appends, with the jobs that wait for their outcome.
    pub keys: HashMap<ReceiptKey, Vec<Job>>,
    /// Taken out of the queue, not yet decided.
    pub pending: VecDeque<Job>,
    pub open: Batch,
    /// The last batch that was answered.
    pub settled: u64,
    /// Streams that cannot be read and that the log was told of.
    pub named: LruCache<StreamId, ()>,
    /// What the decision under way has looked at.
    pub reads: Vec<StreamId>,
    pub figures: Arc<Figures>,
    in_flight: Option<InFlight>,
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
            open: Batch::numbered(1),
            settled: 0,
            named: LruCache::new(NonZeroUsize::new(NAMED).unwrap_or(NonZeroUsize::MIN)),
            reads: Vec::new(),
            figures,
            in_flight: None,
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

    /// Runs until it is stopped, or every handle is gone, and all that was taken is answered.
    pub async fn run(mut self) {
        loop {
            self.take_queued();
            self.hear_of_others();
            if !self.open.closed && !self.pending.is_empty() {
                self.decide_pending().await;
            }
            if self.in_flight.is_none() && !self.open.is_empty() {
                self.submit();
            } else if self.in_flight.as_ref().is_some_and(|flight| flight.task.is_finished())
                || self.open.closed
                || self.pending.is_empty()
            {
                if self.drained && self.in_flight.is_none() && self.pending.is_empty() {
                    // Also when nobody gave the order: the follower has nobody to tell any more.
                    self.stop.cancel();
                    return;
                }
                self.wait().await;
            }
        }
    }

    /// Waits for the first of: the batch in flight, another request, news of other
    /// writers, the order to stop.
    async fn wait(&mut self) {
        let may_take = !self.drained && !self.open.closed && self.pending.len() < CHUNK;
        let stopping = self.stop.is_cancelled();
        tokio::select! {
            biased;
            commit = finished(&mut self.in_flight) => self.landed(commit),
            () = self.stop.cancelled(), if !stopping || !self.requests.is_closed() => self.requests.close(),
            count = self.requests.recv_many(&mut self.taken, CHUNK), if may_take => {
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

    /// Sends the open batch on its way and opens the next one above it.
    fn submit(&mut self) {
        let next = Batch::numbered(self.open.number + 1);
        let mut batch = std::mem::replace(&mut self.open, next);
        self.prepare(&mut batch);
        let wants_head = batch.decided.iter().any(|decided| matches!(decided.verdict, Verdict::AlreadyDone { .. }));
        if batch.appends.is_empty() && batch.to_check.is_empty() && !wants_head {
            self.settle(batch, Commit { results: Ok(Vec::new()), current: Ok(Vec::new()), head: Ok(0) });
            return;
        }
        self.figures.batch_events.record(count(batch.events));
        let appends = std::mem::take(&mut batch.appends);
        let to_check = batch.to_check.iter().map(|(stream, _)| *stream).collect();
        // A task of its own: the batch is carried out whatever becomes of this one.
        let task =
            tokio::spawn(commit(Arc::clone(&self.log), appends, to_check, wants_head, Arc::clone(&self.figures)));
        self.in_flight = Some(InFlight { batch, task });
    }

    /// Notes what is only known now, before anything is decided on top: the versions
    /// that "no" and "already done" rest on, and states that are due for a snapshot.
    fn prepare(&mut self, batch: &mut Batch) {
        let others_write = !self.exclusive;
        for decided in batch.decided.iter().filter(|decided| others_write && !decided.verdict.is_accepted()) {
            for stream in &decided.rests_on {
                // A state that has left the cache meanwhile has no version: it will not match, and is read anew.
                let version = self.cache.version(*stream).unwrap_or(u64::MAX);
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

    fn landed(&mut self, commit: Result<Commit, JoinError>) {
        let Some(InFlight { batch, .. }) = self.in_flight.take() else { return };
        let commit = commit.unwrap_or_else(|error| Commit {
            results: Err(LogError::OutcomeUnknown(format!("the commit's task ended: {error}"))),
            current: Ok(Vec::new()),
            head: Ok(0),
        });
        self.settle(batch, commit);
    }
}

async fn finished(in_flight: &mut Option<InFlight>) -> Result<Commit, JoinError> {
    match in_flight {
        Some(flight) => (&mut flight.task).await,
        None => std::future::pending().await,
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
    figures.commit_seconds.record(begun.elapsed().as_secs_f64());
    if results.is_err() {
        return Commit { results, current: Ok(Vec::new()), head: Ok(0) };
    }
    let current = if to_check.is_empty() { Ok(Vec::new()) } else { log.versions(to_check).await };
    let head = if wants_head { log.head().await } else { Ok(0) };
    Commit { results, current, head }
}
