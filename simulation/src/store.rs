//! The simulated store. Its content is a [`MemoryStore`]'s, which the store's contract suite tests
//! like the other engines; this adds failures and lost answers.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use jangbu_kernel::log::watch::{HeadWatch, WatchSource};
use jangbu_kernel::log::{
    Append, AppendResult, EventLog, LoadedStream, LogError, ReadFilter, Receipt, ReceiptKey, SealedRoot, Snapshot,
};
use jangbu_kernel::ports::{Checkpoints, Inbox, InboxMessage, Leases, ParkedProcess, ParkedProcesses};
use jangbu_kernel::{OrderId, Position, RecordedEvent, StreamId, Version};
use jangbu_store::MemoryStore;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::life::Life;
use crate::names::{Fault, Point};
use crate::sim::{AtWork, Sim};
use crate::witness::Witness;

/// The durable state, with its witness.
pub(crate) struct SimStore {
    pub sim: Arc<Sim>,
    pub truth: MemoryStore,
    pub witness: Witness,
    pub signal: Arc<Signal>,
}

/// Notifies watchers of a new head in the order in which they wait, because tokio's own watch wakes
/// its receivers in a random order.
#[derive(Default)]
pub(crate) struct Signal {
    head: AtomicU64,
    closed: AtomicBool,
    moved: Notify,
}

impl Signal {
    fn head(&self) -> Position {
        Position::new(self.head.load(Ordering::Relaxed))
    }

    fn advance(&self, head: Position) {
        if self.head.fetch_max(head.get(), Ordering::Relaxed) < head.get() {
            self.moved.notify_waiters();
        }
    }

    /// Ends all watchers.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.moved.notify_waiters();
    }
}

/// A watcher of the head.
struct Watcher {
    signal: Arc<Signal>,
    seen: Position,
}

impl WatchSource for Watcher {
    fn current(&mut self) -> Position {
        self.seen = self.signal.head();
        self.seen
    }

    fn changed(&mut self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async {
            loop {
                let mut moved = pin!(self.signal.moved.notified());
                // Registered before checking, so that no change in between is missed.
                moved.as_mut().enable();
                if self.signal.closed.load(Ordering::Relaxed) {
                    return false;
                }
                let head = self.signal.head();
                if head != self.seen {
                    self.seen = head;
                    return true;
                }
                moved.await;
            }
        })
    }
}

impl SimStore {
    pub fn new(sim: &Arc<Sim>, witness: Witness) -> Arc<Self> {
        Arc::new(Self { sim: Arc::clone(sim), truth: MemoryStore::new(), witness, signal: Arc::default() })
    }

    /// Commits a batch now, and shows it to the witness.
    pub fn commit(&self, batch: Vec<Append>) -> Result<Vec<AppendResult>, LogError> {
        // The memory engine never waits, so it is ready at the first poll.
        let Poll::Ready(results) = pin!(self.truth.append(batch)).poll(&mut Context::from_waker(Waker::noop())) else {
            return Err(LogError::Damaged("the memory engine waited".to_owned()));
        };
        for result in results.as_deref().unwrap_or_default() {
            match result {
                AppendResult::Appended { events } => {
                    events.iter().for_each(|event| self.witness.sees(&self.sim, event));
                }
                AppendResult::Conflict { stream, .. } => {
                    self.sim.tell("conflict", 0, || format!("conflict: {stream} was written by another"));
                }
                AppendResult::Duplicate { .. } => self.sim.reach(Point::ReceiptRace),
            }
        }
        let newest = results.iter().flatten().filter_map(|result| match result {
            AppendResult::Appended { events } => events.last().map(|event| event.position),
            AppendResult::Conflict { .. } | AppendResult::Duplicate { .. } => None,
        });
        if let Some(head) = newest.max() {
            self.signal.advance(head);
        }
        results
    }
}

/// A node's handle on the store.
pub(crate) struct NodeStore {
    pub store: Arc<SimStore>,
    pub life: Arc<Life>,
}

/// The outcome of an append.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    Normal,
    Fails,
    AnswerLost,
    RequestLost,
    Late,
}

impl NodeStore {
    fn sim(&self) -> &Sim {
        &self.life.sim
    }

    async fn wait(&self, most_ms: u64) {
        if self.sim().is_quick() {
            return;
        }
        let wait = self.sim().short(most_ms);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn course(&self) -> Course {
        let sim = self.sim();
        if sim.strikes(Fault::CommitFails) {
            Course::Fails
        } else if sim.strikes(Fault::CommitAnswerLost) {
            Course::AnswerLost
        } else if sim.strikes(Fault::CommitRequestLost) {
            Course::RequestLost
        } else if !self.life.exclusive && sim.strikes(Fault::CommitLate) {
            Course::Late
        } else {
            Course::Normal
        }
    }

    /// What precedes every read: a point at which the node may be killed, and a failure or a delay.
    async fn before_read(&self) -> Result<(), LogError> {
        self.life.moment().await;
        if self.sim().strikes(Fault::ReadFails) {
            return Err(unavailable());
        }
        if self.sim().strikes(Fault::ReadSlow) {
            self.wait(3_000).await;
            self.life.moment().await;
        }
        Ok(())
    }

    /// What follows it: the answer may be delayed, and be stale when it arrives.
    async fn after_read<T>(&self, read: T) -> T {
        if !self.sim().is_quick() && self.sim().dice(|dice| dice.permille(100)) {
            self.wait(2).await;
            self.life.moment().await;
        }
        read
    }

    fn lands_late(&self, batch: Vec<Append>) {
        let (store, wait) = (Arc::clone(&self.store), self.sim().dice(|dice| dice.millis(1, 4_000)));
        let at_work = AtWork::begin(&self.life.sim);
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            drop(at_work);
            if let Ok(results) = store.commit(batch)
                && results.iter().any(|result| matches!(result, AppendResult::Appended { .. }))
            {
                store.sim.reach(Point::LandedLate);
            }
        });
    }
}

fn unavailable() -> LogError {
    LogError::Unavailable("simulated".to_owned(), None)
}

fn unknown() -> LogError {
    LogError::OutcomeUnknown("simulated: the answer to the commit is lost".to_owned())
}

#[async_trait]
impl EventLog for NodeStore {
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<AppendResult>, LogError> {
        self.life.moment().await;
        let course = self.course();
        let ticket = self.life.set_out(batch);
        self.wait(if self.sim().strikes(Fault::CommitSlow) { 5_000 } else { 3 }).await;
        let Some(batch) = self.life.arrive(ticket) else { return std::future::pending().await };
        let answer = match course {
            Course::Fails => Err(unavailable()),
            Course::RequestLost => Err(unknown()),
            Course::Late => {
                self.lands_late(batch);
                Err(unknown())
            }
            Course::AnswerLost => self.store.commit(batch).and_then(|_| Err(unknown())),
            Course::Normal => self.store.commit(batch),
        };
        if let Ok(results) = &answer
            && results.iter().any(|result| matches!(result, AppendResult::Conflict { .. }))
        {
            self.sim().reach(Point::Conflict);
        }
        self.wait(1).await;
        self.life.moment().await;
        answer
    }

    fn exclusive(&self) -> bool {
        self.life.exclusive
    }

    async fn load(&self, streams: Vec<(StreamId, u16)>) -> Result<Vec<LoadedStream>, LogError> {
        self.before_read().await?;
        let loaded = self.store.truth.load(streams).await;
        if loaded.iter().flatten().any(|stream| stream.snapshot.is_some()) {
            self.sim().reach(Point::SnapshotUsed);
        }
        self.after_read(loaded).await
    }

    async fn read_stream(
        &self,
        stream: StreamId,
        from_version: Version,
        to_version: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        self.before_read().await?;
        let read = self.store.truth.read_stream(stream, from_version, to_version, limit).await;
        self.after_read(read).await
    }

    async fn read_all(
        &self,
        after: Position,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<(Vec<RecordedEvent>, Position), LogError> {
        self.before_read().await?;
        let read = self.store.truth.read_all(after, limit, filter).await;
        self.after_read(read).await
    }

    async fn versions(&self, streams: Vec<StreamId>) -> Result<Vec<Version>, LogError> {
        self.before_read().await?;
        let read = self.store.truth.versions(streams).await;
        self.after_read(read).await
    }

    async fn receipts(&self, keys: Vec<ReceiptKey>) -> Result<Vec<Option<Receipt>>, LogError> {
        self.before_read().await?;
        let read = self.store.truth.receipts(keys).await;
        self.after_read(read).await
    }

    async fn save_snapshots(&self, snapshots: Vec<Snapshot>) -> Result<(), LogError> {
        self.life.moment().await;
        self.store.truth.save_snapshots(snapshots).await
    }

    async fn head(&self) -> Result<Position, LogError> {
        self.before_read().await?;
        let read = self.store.truth.head().await;
        self.after_read(read).await
    }

    async fn identity(&self) -> Result<Uuid, LogError> {
        self.before_read().await?;
        self.store.truth.identity().await
    }

    async fn hash_at(&self, position: Position) -> Result<Option<[u8; 32]>, LogError> {
        self.before_read().await?;
        self.store.truth.hash_at(position).await
    }

    fn watch_head(&self) -> HeadWatch {
        let signal = Arc::clone(&self.store.signal);
        let seen = signal.head();
        HeadWatch::new(Box::new(Watcher { signal, seen }))
    }

    async fn sealed_roots(&self, after: Position, limit: usize) -> Result<Vec<SealedRoot>, LogError> {
        self.before_read().await?;
        self.store.truth.sealed_roots(after, limit).await
    }
}

#[async_trait]
impl Checkpoints for NodeStore {
    async fn checkpoint(&self, reader: &str) -> Result<Position, LogError> {
        self.before_read().await?;
        self.store.truth.checkpoint(reader).await
    }

    async fn advance(&self, reader: &str, position: Position) -> Result<(), LogError> {
        self.life.moment().await;
        if self.sim().strikes(Fault::CheckpointFails) {
            return Err(unavailable());
        }
        let written = self.store.truth.advance(reader, position).await;
        self.life.moment().await;
        if self.sim().strikes(Fault::CheckpointAnswerLost) {
            return Err(unknown());
        }
        written
    }
}

#[async_trait]
impl ParkedProcesses for NodeStore {
    async fn park(&self, process: ParkedProcess) -> Result<bool, LogError> {
        self.life.moment().await;
        self.store.truth.park(process).await
    }

    async fn parked(&self, after: Option<OrderId>, limit: usize) -> Result<Vec<ParkedProcess>, LogError> {
        self.life.moment().await;
        self.store.truth.parked(after, limit).await
    }

    async fn parked_among(&self, orders: Vec<OrderId>) -> Result<Vec<ParkedProcess>, LogError> {
        self.life.moment().await;
        self.store.truth.parked_among(orders).await
    }

    async fn parked_count(&self) -> Result<u64, LogError> {
        self.life.moment().await;
        self.store.truth.parked_count().await
    }

    async fn release(&self, order_id: OrderId) -> Result<(), LogError> {
        self.life.moment().await;
        self.store.truth.release(order_id).await
    }
}

#[async_trait]
impl Leases for NodeStore {
    async fn hold(&self, lease: &str, holder: Uuid, length: Duration) -> Result<bool, LogError> {
        self.life.moment().await;
        if self.sim().strikes(Fault::LeaseFails) {
            return Err(unavailable());
        }
        if self.sim().strikes(Fault::LeaseSlow) {
            // Longer than the lease lasts, so that another node may hold it by then.
            self.wait(3 * u64::try_from(length.as_millis()).unwrap_or(u64::MAX)).await;
            self.life.moment().await;
        }
        let held = self.store.truth.hold(lease, holder, length).await?;
        if self.life.note_lease(lease, held) {
            self.sim().reach(Point::LeaseLost);
        }
        self.life.moment().await;
        Ok(held)
    }

    async fn give_back(&self, lease: &str, holder: Uuid) -> Result<(), LogError> {
        self.life.moment().await;
        self.store.truth.give_back(lease, holder).await
    }
}

#[async_trait]
impl Inbox for NodeStore {
    async fn store(&self, message: InboxMessage) -> Result<bool, LogError> {
        self.life.moment().await;
        if self.sim().strikes(Fault::InboxFails) {
            return Err(unavailable());
        }
        self.wait(2).await;
        self.life.moment().await;
        let stored = self.store.truth.store(message).await;
        self.life.moment().await;
        if self.sim().strikes(Fault::InboxAnswerLost) {
            return Err(unknown());
        }
        stored
    }

    async fn pending(&self, limit: usize, max_attempts: u32) -> Result<Vec<InboxMessage>, LogError> {
        self.before_read().await?;
        self.store.truth.pending(limit, max_attempts).await
    }

    async fn mark_handled(&self, sequence: u64) -> Result<(), LogError> {
        self.life.moment().await;
        if self.sim().strikes(Fault::InboxFails) {
            return Err(unavailable());
        }
        self.store.truth.mark_handled(sequence).await
    }

    async fn mark_failed(&self, sequence: u64, reason: &str) -> Result<(), LogError> {
        self.life.moment().await;
        if self.sim().strikes(Fault::InboxFails) {
            return Err(unavailable());
        }
        self.store.truth.mark_failed(sequence, reason).await
    }
}
