//! The port to the log: one log whose positions are 1..n without gaps in commit order, and streams
//! with versions 1..n.

use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use uuid::Uuid;

use crate::event::{EventMeta, NewEvent, RecordedEvent};
use crate::place::{Position, Version};
use crate::stream::StreamId;
use crate::time::Timestamp;

/// The events to append to one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamWrite {
    /// The stream.
    pub stream: StreamId,
    /// The version that the stream must have now; 0 if it must not exist.
    pub expected_version: Version,
    /// The events. If there are none, only the version is checked.
    pub events: Vec<NewEvent>,
    /// Who, why and when of these events, if this differs from the rest of the append.
    pub meta: Option<EventMeta>,
}

/// An idempotency key, with the scope that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptKey {
    /// Who used the key: an actor in text form. The same key in two scopes is two keys.
    pub scope: String,
    /// SHA-256 over scope and key, see [`ReceiptKey::new`]. The key itself is free text of a
    /// client, which may contain personal data, so it is not stored. The hash hides only keys that
    /// cannot be guessed: someone with access to the store can try keys out.
    pub hash: [u8; 32],
}

impl ReceiptKey {
    /// The key of a scope. `sha256` is a parameter because there is no cryptography on this floor.
    ///
    /// The hashed form is storage format: the scope's length in bytes as 8 bytes, big-endian, then
    /// the scope and the key, both in UTF-8. The length keeps ("ab", "c") and ("a", "bc") apart.
    #[must_use]
    pub fn new(scope: String, key: &str, sha256: impl FnOnce(&[u8]) -> [u8; 32]) -> Self {
        let length = (scope.len() as u64).to_be_bytes();
        let hash = sha256(&[length.as_slice(), scope.as_bytes(), key.as_bytes()].concat());
        Self { scope, hash }
    }
}

/// A receipt to be written with an append, so that the same key never acts twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReceipt {
    /// The key and its scope.
    pub key: ReceiptKey,
    /// SHA-256 over the request. The same key with another request is refused.
    pub fingerprint: [u8; 32],
    /// The stream of the resource that was the answer.
    pub stream: StreamId,
    /// The version of that stream after the append.
    pub version: Version,
}

/// A stored receipt: enough to give the first answer again by folding the stream up to the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// SHA-256 over the first request.
    pub fingerprint: [u8; 32],
    /// The stream of the resource that was the answer.
    pub stream: StreamId,
    /// The version of that stream in the first answer.
    pub version: Version,
    /// Position of the last event of the append.
    pub position: Position,
    /// When it was written.
    pub recorded_at: Timestamp,
}

/// One atomic append: all its writes and its receipt are stored, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The writes, in the order in which their events are stored. The expected version of a later
    /// write to the same stream includes the events of the earlier one.
    pub writes: Vec<StreamWrite>,
    /// Who, why and when of all events whose write has no `meta` of its own.
    pub meta: EventMeta,
    /// The receipt, if the caller gave a key.
    pub receipt: Option<NewReceipt>,
}

impl Append {
    /// The number of its events.
    #[must_use]
    pub fn event_count(&self) -> usize {
        self.writes.iter().map(|write| write.events.len()).sum()
    }
}

/// The answer to one append.
#[derive(Clone, Debug, PartialEq)]
pub enum AppendResult {
    /// It is in the log. Its events have consecutive positions, write by write.
    Appended {
        /// The events as stored, in position order.
        events: Vec<Arc<RecordedEvent>>,
    },
    /// A stream was not at the expected version; nothing of this append was written.
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The version that it has.
        actual_version: Version,
    },
    /// The key of the receipt was used before; nothing of this append was written.
    Duplicate {
        /// The first answer.
        receipt: Receipt,
    },
}

/// A failure of the store. It says nothing about the data.
#[derive(Debug, Error)]
pub enum LogError {
    /// The store cannot be reached or does not answer; trying again later may help.
    #[error("the store is unavailable: {0}")]
    Unavailable(String, #[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The disk is full or read-only: writes are refused, reads go on.
    #[error("the store cannot write: {0}")]
    ReadOnly(String),
    /// The stored data breaks a rule of the log.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The connection was lost after the commit was sent, and the outcome could not be found out in
    /// time. Never reported as a refusal.
    #[error("the outcome of the append is unknown: {0}")]
    OutcomeUnknown(String),
}

/// Filters of [`EventLog::read_all`]. An empty filter admits everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadFilter {
    /// Only these event types.
    pub event_types: Vec<String>,
    /// Only events of this correlation.
    pub correlation_id: Option<crate::ids::CorrelationId>,
}

impl ReadFilter {
    /// Whether an event passes.
    #[must_use]
    pub fn admits(&self, event: &RecordedEvent) -> bool {
        (self.event_types.is_empty() || self.event_types.contains(&event.event_type))
            && self.correlation_id.is_none_or(|wanted| wanted == event.meta.correlation_id)
    }
}

/// A folded state at a version, kept so that long streams load quickly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The stream.
    pub stream: StreamId,
    /// The last version that is folded in.
    pub version: Version,
    /// [`crate::Decider::STATE_VERSION`] of the writer.
    pub state_version: u16,
    /// The state, JSON.
    pub state: String,
}

/// The events of a stream after its latest usable snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadedStream {
    /// The snapshot, if there is one with the wanted state version.
    pub snapshot: Option<Snapshot>,
    /// The events after it, in order.
    pub events: Vec<RecordedEvent>,
}

/// A sealed Merkle root: the tree over the leaf hashes of positions 1..=size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedRoot {
    /// The last position under the root, which is also the number of leaves.
    pub size: Position,
    /// Merkle tree hash, RFC 6962 section 2.1.
    pub root: [u8; 32],
    /// When it was sealed.
    pub sealed_at: Timestamp,
}

/// The log. All engines behave alike, which one contract suite checks.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Appends a batch in one transaction, in order. Each append has its own result. A later append
    /// of the batch may build on an earlier one: its expected version includes the earlier one's
    /// events, and it conflicts if the earlier one did.
    ///
    /// When the future is dropped, the batch is still either carried out as a whole or not begun.
    ///
    /// # Errors
    /// The batch as a whole failed and nothing was written. Only after [`LogError::OutcomeUnknown`]
    /// it may have been written.
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<AppendResult>, LogError>;

    /// Whether this handle is the only possible writer. If so, a state folded from its own appends
    /// is never stale.
    fn exclusive(&self) -> bool;

    /// A handle to the same log for making decisions. Its reads do not wait for the reads of what
    /// follows decisions (projections, processes, sealing, queries). None if reads of the engine do
    /// not wait for each other.
    fn for_deciding(&self) -> Option<Arc<dyn EventLog>> {
        None
    }

    /// Loads streams for folding, each from its latest snapshot with the given state version. If
    /// the snapshot does not end at an event of the stream, the whole stream is loaded instead. The
    /// result is in the order asked for; an unknown stream is empty.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn load(&self, streams: Vec<(StreamId, u16)>) -> Result<Vec<LoadedStream>, LogError>;

    /// The events of one stream with `from_version <= version <= to_version`. A damaged event is an
    /// error here.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn read_stream(
        &self,
        stream: StreamId,
        from_version: Version,
        to_version: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError>;

    /// Events with `position > after`, in order, at most `limit`. The second value is the position
    /// up to which the log was read: resume from there. It may be after the last returned event if
    /// there is a filter, or if the log has kinds of streams that this program does not know,
    /// because their events are left out. A damaged event has an empty payload, which nobody
    /// decodes, so that it stops only its own stream.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn read_all(
        &self,
        after: Position,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<(Vec<RecordedEvent>, Position), LogError>;

    /// Like [`EventLog::read_all`], for readers that follow the log closely: what was appended
    /// through this handle a moment ago is returned from memory. It may end at the head that
    /// [`EventLog::watch_head`] shows, even if the store already has more.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn follow(
        &self,
        after: Position,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<(Vec<Arc<RecordedEvent>>, Position), LogError> {
        let (events, read_to) = self.read_all(after, limit, filter).await?;
        Ok((events.into_iter().map(Arc::new).collect(), read_to))
    }

    /// Current versions of streams, 0 for a stream that does not exist. In the order asked for.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn versions(&self, streams: Vec<StreamId>) -> Result<Vec<Version>, LogError>;

    /// Receipts by key, in the order asked for.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn receipts(&self, keys: Vec<ReceiptKey>) -> Result<Vec<Option<Receipt>>, LogError>;

    /// Saves snapshots. They replace older ones, ones of another state version and ones that do not
    /// fit their stream. A new one that does not fit is not saved. This is best effort: losing a
    /// snapshot only costs time.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn save_snapshots(&self, snapshots: Vec<Snapshot>) -> Result<(), LogError>;

    /// The position of the last visible event, 0 in an empty log.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn head(&self) -> Result<Position, LogError>;

    /// Identifies this log among all logs. A copy of its file or database has the same identity;
    /// [`EventLog::hash_at`] tells copies apart.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn identity(&self) -> Result<Uuid, LogError>;

    /// The leaf hash of the event at a position, as stored; none if there is no event.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn hash_at(&self, position: Position) -> Result<Option<[u8; 32]>, LogError>;

    /// Follows the head: the value changes after a commit that may have moved it. Commits of other
    /// nodes are noticed within a fraction of a second. Several changes may be reported as one.
    fn watch_head(&self) -> watch::HeadWatch;

    /// Sealed Merkle roots with `size > after`, in order, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn sealed_roots(&self, after: Position, limit: usize) -> Result<Vec<SealedRoot>, LogError>;
}

pub mod watch {
    //! A watched position, independent of an async runtime, which this floor does not name.

    use std::future::Future;
    use std::pin::Pin;

    use crate::place::Position;

    /// What an engine provides for a [`HeadWatch`].
    pub trait WatchSource: Send {
        /// The newest value.
        fn current(&mut self) -> Position;
        /// Resolves when the value has changed since it was last seen here; false if the engine has
        /// closed.
        fn changed(&mut self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;
    }

    /// Follows the head of the log.
    pub struct HeadWatch(Box<dyn WatchSource>);

    impl HeadWatch {
        /// Wraps the source of an engine.
        #[must_use]
        pub fn new(source: Box<dyn WatchSource>) -> Self {
            Self(source)
        }
        /// The newest known head.
        pub fn current(&mut self) -> Position {
            self.0.current()
        }
        /// Waits for a change; false if the engine has closed.
        pub async fn changed(&mut self) -> bool {
            self.0.changed().await
        }
    }
}
