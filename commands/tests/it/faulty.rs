//! A log that fails on request, counts, and can hold appends back.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jangbu_kernel::log::watch::HeadWatch;
use jangbu_kernel::log::{
    Append, AppendResult, EventLog, LoadedStream, LogError, ReadFilter, Receipt, ReceiptKey, SealedRoot, Snapshot,
};
use jangbu_kernel::{Position, RecordedEvent, StreamId, Version};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// The fault of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written.
    Fails,
    /// It is written, but the answer is lost.
    AnswerLost,
    /// Nothing is written, and the answer is lost.
    RequestLost,
}

pub struct FaultyLog {
    inner: Arc<dyn EventLog>,
    exclusive: bool,
    faults: Mutex<VecDeque<Option<Fault>>>,
    /// The sizes of the appended batches.
    pub batches: Mutex<Vec<usize>>,
    /// The loaded streams, whether a snapshot was used, and how many events came after it.
    pub loads: Mutex<Vec<(StreamId, bool, usize)>>,
    pub version_checks: AtomicUsize,
    /// The number of events that were read from streams.
    pub events_read: AtomicUsize,
    held: AtomicBool,
    gate: Semaphore,
    /// Appends that reached the log.
    pub reached: AtomicUsize,
    /// Damaged events, by stream and version.
    damage: Mutex<HashMap<(StreamId, Version), Damage>>,
}

/// The damage of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Its payload is cut off.
    Payload,
    /// It has a type that only a newer release knows.
    Type,
    /// It has a known type in a schema version that only a newer release knows.
    Version,
    /// It is missing.
    Missing,
}

impl FaultyLog {
    pub fn over(inner: Arc<dyn EventLog>) -> Arc<Self> {
        Self::make(inner, true)
    }

    /// A handle that is exclusive if the engine is.
    pub fn counting(inner: Arc<dyn EventLog>) -> Arc<Self> {
        let exclusive = inner.exclusive();
        Self::make(inner, exclusive)
    }

    /// A handle that expects other writers.
    pub fn shared(inner: Arc<dyn EventLog>) -> Arc<Self> {
        Self::make(inner, false)
    }

    fn make(inner: Arc<dyn EventLog>, exclusive: bool) -> Arc<Self> {
        Arc::new(Self {
            inner,
            exclusive,
            faults: Mutex::default(),
            batches: Mutex::default(),
            loads: Mutex::default(),
            version_checks: AtomicUsize::new(0),
            events_read: AtomicUsize::new(0),
            held: AtomicBool::new(false),
            gate: Semaphore::new(0),
            reached: AtomicUsize::new(0),
            damage: Mutex::default(),
        })
    }

    /// From now on an event reads as damaged.
    pub fn damage(&self, stream: StreamId, version: Version, damage: Damage) {
        self.damage.lock().unwrap().insert((stream, version), damage);
    }

    /// Removes all damage.
    pub fn mend(&self) {
        self.damage.lock().unwrap().clear();
    }

    fn as_left(&self, events: Vec<RecordedEvent>) -> Vec<RecordedEvent> {
        let damage = self.damage.lock().unwrap();
        let left = |mut event: RecordedEvent| {
            match damage.get(&(event.stream, event.version)) {
                None => {}
                Some(Damage::Payload) => event.payload.truncate(event.payload.len() / 2),
                Some(Damage::Type) => event.event_type.push_str("_again"),
                Some(Damage::Version) => event.schema_version = 99,
                Some(Damage::Missing) => return None,
            }
            Some(event)
        };
        events.into_iter().filter_map(left).collect()
    }

    pub fn will(&self, fault: Fault) {
        self.faults.lock().unwrap().push_back(Some(fault));
    }

    /// Plans faults that happen one after the other, each after some appends that succeed.
    pub fn fail_every(&self, appends: usize, faults: Vec<Fault>) {
        let mut planned = self.faults.lock().unwrap();
        for fault in faults {
            planned.extend(std::iter::repeat_n(None, appends - 1));
            planned.push_back(Some(fault));
        }
    }

    /// Holds back every append until it is let through.
    pub fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    /// Whether a stream was loaded: a command that reads it is decided directly after that.
    pub fn has_loaded(&self, stream: StreamId) -> bool {
        self.loads.lock().unwrap().iter().any(|(loaded, ..)| *loaded == stream)
    }

    /// Lets this many appends through and holds back the rest.
    pub fn hold_after(&self, appends: usize) {
        self.gate.add_permits(appends);
        self.hold();
    }

    /// Lets one append through.
    pub fn let_one_go(&self) {
        self.gate.add_permits(1);
    }

    /// Lets all appends through again.
    pub fn let_go(&self) {
        self.held.store(false, Ordering::SeqCst);
        self.gate.add_permits(1_000);
    }
}

#[async_trait]
impl EventLog for FaultyLog {
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<AppendResult>, LogError> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        if self.held.load(Ordering::SeqCst) {
            self.gate.acquire().await.unwrap().forget();
        }
        let fault = self.faults.lock().unwrap().pop_front().flatten();
        match fault {
            None => {
                self.batches.lock().unwrap().push(batch.len());
                self.inner.append(batch).await
            }
            Some(Fault::Fails) => Err(LogError::Unavailable("told to".to_owned(), None)),
            Some(Fault::RequestLost) => Err(LogError::OutcomeUnknown("told to".to_owned())),
            Some(Fault::AnswerLost) => {
                self.inner.append(batch).await?;
                Err(LogError::OutcomeUnknown("told to".to_owned()))
            }
        }
    }

    fn exclusive(&self) -> bool {
        self.exclusive
    }

    async fn load(&self, streams: Vec<(StreamId, u16)>) -> Result<Vec<LoadedStream>, LogError> {
        let mut loaded = self.inner.load(streams.clone()).await?;
        for stream in &mut loaded {
            stream.events = self.as_left(std::mem::take(&mut stream.events));
        }
        let events = loaded.iter().map(|loaded| loaded.events.len()).sum();
        self.events_read.fetch_add(events, Ordering::SeqCst);
        let seen = streams
            .iter()
            .zip(&loaded)
            .map(|((stream, _), loaded)| (*stream, loaded.snapshot.is_some(), loaded.events.len()));
        self.loads.lock().unwrap().extend(seen);
        Ok(loaded)
    }

    async fn read_stream(
        &self,
        stream: StreamId,
        from: Version,
        to: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let events = self.inner.read_stream(stream, from, to, limit).await?;
        self.events_read.fetch_add(events.len(), Ordering::SeqCst);
        Ok(self.as_left(events))
    }

    async fn read_all(
        &self,
        after: Position,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<(Vec<RecordedEvent>, Position), LogError> {
        let (events, read_to) = self.inner.read_all(after, limit, filter).await?;
        Ok((self.as_left(events), read_to))
    }

    async fn versions(&self, streams: Vec<StreamId>) -> Result<Vec<Version>, LogError> {
        self.version_checks.fetch_add(1, Ordering::SeqCst);
        self.inner.versions(streams).await
    }

    async fn receipts(&self, keys: Vec<ReceiptKey>) -> Result<Vec<Option<Receipt>>, LogError> {
        self.inner.receipts(keys).await
    }

    async fn save_snapshots(&self, snapshots: Vec<Snapshot>) -> Result<(), LogError> {
        self.inner.save_snapshots(snapshots).await
    }

    async fn head(&self) -> Result<Position, LogError> {
        self.inner.head().await
    }

    async fn identity(&self) -> Result<Uuid, LogError> {
        self.inner.identity().await
    }

    async fn hash_at(&self, position: Position) -> Result<Option<[u8; 32]>, LogError> {
        self.inner.hash_at(position).await
    }

    fn watch_head(&self) -> HeadWatch {
        self.inner.watch_head()
    }

    async fn sealed_roots(&self, after: Position, limit: usize) -> Result<Vec<SealedRoot>, LogError> {
        self.inner.sealed_roots(after, limit).await
    }
}
