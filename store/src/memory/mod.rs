//! The memory engine, for tests and simulation: it behaves like the others, but stores nothing
//! durably and has no thread or timer of its own.

mod ports;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jangbu_kernel::log::watch::HeadWatch;
use jangbu_kernel::log::{
    Append, AppendResult, EventLog, LoadedStream, LogError, ReadFilter, Receipt, ReceiptKey, SealedRoot, Snapshot,
};
use jangbu_kernel::ports::{InboxMessage, ParkedProcess};
use jangbu_kernel::{OrderId, Position, RecordedEvent, StreamId, UserId, Version};
use uuid::Uuid;

use crate::FILTER_WINDOW;
use crate::batch::{self, Known};
use crate::head::HeadSignal;
use crate::leases::LocalLeases;
use crate::merkle::MerkleFrontier;

/// The memory engine. Clones share one store.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Shared>);

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Keys and messages do not belong in a program's log.
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

struct Shared {
    state: Mutex<State>,
    head: HeadSignal,
    identity: Uuid,
}

/// Counts the stores of this process, so that each is a log of its own.
static STORES: AtomicU64 = AtomicU64::new(1);

impl Default for Shared {
    fn default() -> Self {
        let identity = Uuid::from_u128(STORES.fetch_add(1, Ordering::Relaxed).into());
        Self { state: Mutex::default(), head: HeadSignal::new(Position::ZERO), identity }
    }
}

#[derive(Default)]
struct State {
    known: Known,
    /// In position order.
    events: Vec<Arc<RecordedEvent>>,
    /// Positions of each stream's events, in version order.
    streams: HashMap<StreamId, Vec<Position>>,
    snapshots: HashMap<StreamId, Snapshot>,
    seals: BTreeMap<Position, SealedRoot>,
    frontier: MerkleFrontier,
    user_keys: HashMap<UserId, Option<Vec<u8>>>,
    secrets: HashMap<String, Vec<u8>>,
    checkpoints: HashMap<String, Position>,
    leases: LocalLeases,
    parked: BTreeMap<OrderId, ParkedProcess>,
    inbox: Vec<Stored>,
    closed: bool,
}

struct Stored {
    message: InboxMessage,
    handled: bool,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, LogError> {
        // No code that holds the lock can panic in the middle of a change, so a poisoned state is
        // complete.
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed { Err(LogError::Unavailable("the store is closed".into(), None)) } else { Ok(state) }
    }
}

impl State {
    /// The events of a stream from a version on.
    fn stream_from(&self, stream: StreamId, version: Version) -> impl Iterator<Item = &Arc<RecordedEvent>> {
        let skipped = usize::try_from(version.previous().get()).unwrap_or(usize::MAX);
        let positions = self.streams.get(&stream).map(Vec::as_slice).unwrap_or_default();
        positions.get(skipped..).unwrap_or_default().iter().filter_map(|position| self.event(*position))
    }

    /// Whether a stream has an event of this version.
    fn reaches(&self, stream: StreamId, version: Version) -> bool {
        version > Version::ZERO && self.stream_from(stream, version).next().is_some()
    }

    fn event(&self, position: Position) -> Option<&Arc<RecordedEvent>> {
        self.after(position.previous()).first().filter(|event| event.position == position)
    }

    fn after(&self, position: Position) -> &[Arc<RecordedEvent>] {
        usize::try_from(position.get()).ok().and_then(|index| self.events.get(index..)).unwrap_or_default()
    }

    fn record(&mut self, results: &[AppendResult]) {
        for result in results {
            let AppendResult::Appended { events } = result else { continue };
            for event in events {
                self.streams.entry(event.stream).or_default().push(event.position);
                self.events.push(Arc::clone(event));
            }
        }
    }
}

#[async_trait]
impl EventLog for MemoryStore {
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<AppendResult>, LogError> {
        let prepared = batch::prepare(batch);
        let (results, head) = {
            let mut state = self.state()?;
            let verdicts = batch::judge(&prepared, &mut state.known);
            let results = batch::settle(prepared, verdicts);
            state.record(&results);
            (results, state.known.head)
        };
        self.0.head.advance(head);
        Ok(results)
    }

    fn exclusive(&self) -> bool {
        true
    }

    async fn load(&self, streams: Vec<(StreamId, u16)>) -> Result<Vec<LoadedStream>, LogError> {
        let state = self.state()?;
        let load = |(stream, state_version)| {
            let fits = |kept: &&Snapshot| kept.state_version == state_version && state.reaches(stream, kept.version);
            let snapshot = state.snapshots.get(&stream).filter(fits).cloned();
            let from = snapshot.as_ref().map_or(Version::ZERO, |kept| kept.version).next();
            LoadedStream { snapshot, events: state.stream_from(stream, from).map(|event| (**event).clone()).collect() }
        };
        Ok(streams.into_iter().map(load).collect())
    }

    async fn read_stream(
        &self,
        stream: StreamId,
        from_version: Version,
        to_version: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let state = self.state()?;
        let events = state.stream_from(stream, from_version).take_while(|event| event.version <= to_version);
        Ok(events.take(limit).map(|event| (**event).clone()).collect())
    }

    async fn read_all(
        &self,
        after: Position,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<(Vec<RecordedEvent>, Position), LogError> {
        let state = self.state()?;
        if limit == 0 {
            return Ok((Vec::new(), after));
        }
        let wanted = |event: &&Arc<RecordedEvent>| filter.admits(event);
        let end = if *filter == ReadFilter::default() { Position::MAX } else { after.plus(FILTER_WINDOW) };
        let window = state.after(after).iter().take_while(|event| event.position <= end);
        let events: Vec<RecordedEvent> = window.filter(wanted).take(limit).map(|event| (**event).clone()).collect();
        let read_to = match events.last() {
            Some(last) if events.len() == limit => last.position,
            _ => end.min(state.known.head).max(after),
        };
        Ok((events, read_to))
    }

    async fn versions(&self, streams: Vec<StreamId>) -> Result<Vec<Version>, LogError> {
        let state = self.state()?;
        Ok(streams.iter().map(|stream| state.known.versions.get(stream).copied().unwrap_or_default()).collect())
    }

    async fn receipts(&self, keys: Vec<ReceiptKey>) -> Result<Vec<Option<Receipt>>, LogError> {
        let state = self.state()?;
        Ok(keys.iter().map(|key| state.known.receipts.get(key).cloned()).collect())
    }

    async fn save_snapshots(&self, snapshots: Vec<Snapshot>) -> Result<(), LogError> {
        let mut state = self.state()?;
        for new in snapshots.into_iter().filter(|new| state.reaches(new.stream, new.version)).collect::<Vec<_>>() {
            let kept = state.snapshots.get(&new.stream);
            if kept.is_none_or(|kept| new.version > kept.version || new.state_version != kept.state_version) {
                state.snapshots.insert(new.stream, new);
            }
        }
        Ok(())
    }

    async fn head(&self) -> Result<Position, LogError> {
        Ok(self.state()?.known.head)
    }

    async fn identity(&self) -> Result<Uuid, LogError> {
        Ok(self.0.identity)
    }

    async fn hash_at(&self, position: Position) -> Result<Option<[u8; 32]>, LogError> {
        Ok(self.state()?.event(position).map(|event| event.hash))
    }

    fn watch_head(&self) -> HeadWatch {
        self.0.head.watch()
    }

    async fn sealed_roots(&self, after: Position, limit: usize) -> Result<Vec<SealedRoot>, LogError> {
        let state = self.state()?;
        Ok(state.seals.range(after.next()..).take(limit).map(|(_, root)| *root).collect())
    }
}
