//! The port to the log: one log, positions 1..n without gaps in commit order,
//! streams with versions 1..n.

use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use uuid::Uuid;

use crate::event::{EventMeta, NewEvent, RecordedEvent};
use crate::stream::StreamId;
use crate::time::Timestamp;

/// The events to append to one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamWrite {
    /// The stream.
    pub stream: StreamId,
    /// The version the stream must have now; 0: it must not exist.
    pub expected_version: u64,
    /// The events; none: only the version is checked.
    pub events: Vec<NewEvent>,
    /// Who, why and when of these events, where it is not what the append says of its others.
    pub meta: Option<EventMeta>,
}

/// Whose key, and which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptKey {
    /// Who used the key: an actor in text form. Keys of different scopes never meet.
    pub scope: String,
    /// SHA-256 over scope and key, see [`ReceiptKey::new`]. The key itself is free text of a
    /// client that may hold personal data, and is kept nowhere. A hash hides only what cannot
    /// be guessed: a reader of the store can try keys out.
    pub hash: [u8; 32],
}

impl ReceiptKey {
    /// A key of a scope. `sha256` is given, because there is no cryptography on this floor.
    ///
    /// What is hashed is storage format: the scope's length in bytes as 8 bytes, big-endian,
    /// the scope and the key, both in UTF-8. The length keeps ("ab", "c") and ("a", "bc") apart.
    #[must_use]
    pub fn new(scope: String, key: &str, sha256: impl FnOnce(&[u8]) -> [u8; 32]) -> Self {
        let length = (scope.len() as u64).to_be_bytes();
        let hash = sha256(&[length.as_slice(), scope.as_bytes(), key.as_bytes()].concat());
        Self { scope, hash }
    }
}

/// A receipt to be written with an append: the same key never acts twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReceipt {
    /// Whose key, and which.
    pub key: ReceiptKey,
    /// SHA-256 over the request; the same key with another request is refused.
    pub fingerprint: [u8; 32],
    /// The stream whose resource was the answer.
    pub stream: StreamId,
    /// The version of that stream after the append.
    pub version: u64,
}

/// A stored receipt: enough to give the first answer again, by folding the
/// stream up to the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// SHA-256 over the first request.
    pub fingerprint: [u8; 32],
    /// The stream whose resource was the answer.
    pub stream: StreamId,
    /// The version of that stream in the first answer.
    pub version: u64,
    /// Position of the last event of the append.
    pub position: u64,
    /// When it was written.
    pub recorded_at: Timestamp,
}

/// One atomic append: all of its writes and its receipt, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The writes, in the order in which their events are to lie. A later write to the same
    /// stream counts on the events of the earlier one.
    pub writes: Vec<StreamWrite>,
    /// Who, why, when: common to all its events whose write does not say otherwise.
    pub meta: EventMeta,
    /// The receipt, when the caller gave a key.
    pub receipt: Option<NewReceipt>,
}

impl Append {
    /// How many events it holds.
    #[must_use]
    pub fn event_count(&self) -> usize {
        self.writes.iter().map(|write| write.events.len()).sum()
    }
}

/// The answer to one append.
#[derive(Clone, Debug, PartialEq)]
pub enum AppendResult {
    /// It is in the log. Its events lie at consecutive positions, write by write.
    Appended {
        /// The events as stored, in position order.
        events: Vec<Arc<RecordedEvent>>,
    },
    /// A stream was not at the version expected; nothing of this append was written.
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The version it has.
        actual_version: u64,
    },
    /// The receipt's key was used before; nothing of this append was written.
    Duplicate {
        /// The first answer.
        receipt: Receipt,
    },
}

/// The machine broke. Not an answer about the data.
#[derive(Debug, Error)]
pub enum LogError {
    /// The store cannot be reached or does not answer; trying again later may help.
    #[error("the store is unavailable: {0}")]
    Unavailable(String, #[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The disk is full or read-only: writes are refused, reads go on.
    #[error("the store cannot write: {0}")]
    ReadOnly(String),
    /// What is stored breaks a rule of the log.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The connection was lost after the commit was sent and what became of it
    /// could not be found out in time. Never reported as a refusal.
    #[error("the outcome of the append is unknown: {0}")]
    OutcomeUnknown(String),
}

/// Filters of [`EventLog::read_all`]; empty means everything.
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
    /// The version folded in.
    pub version: u64,
    /// [`crate::Decider::STATE_VERSION`] of the writer.
    pub state_version: u16,
    /// The state, JSON.
    pub state: String,
}

/// A stream's tail behind its latest usable snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadedStream {
    /// The snapshot, when there was one with the wanted state version.
    pub snapshot: Option<Snapshot>,
    /// The events after it, in order.
    pub events: Vec<RecordedEvent>,
}

/// A sealed Merkle root: the tree over the leaf hashes of positions 1..=size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedRoot {
    /// How many leaves.
    pub size: u64,
    /// Merkle tree hash, RFC 6962 section 2.1.
    pub root: [u8; 32],
    /// When it was sealed.
    pub sealed_at: Timestamp,
}

/// The log. Every engine answers alike; one contract suite holds them to it.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Appends a batch in one transaction, in order. Each append has its own
    /// answer; a later append of the batch may build on an earlier one (its expected
    /// version counts the earlier one's events), and conflicts if that one did.
    ///
    /// When the future is dropped the batch is still either wholly carried out
    /// or not begun.
    ///
    /// # Errors
    /// The batch as a whole failed and nothing was written, except for
    /// [`LogError::OutcomeUnknown`], where it may have been.
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<AppendResult>, LogError>;

    /// Whether this handle is the only writer there can be. If so, a state folded
    /// from its own appends is never stale.
    fn exclusive(&self) -> bool;

    /// The same log for whoever decides: what is read through this handle waits behind
    /// nothing that carries on what was decided (projections, processes, seals, queries).
    /// None where there is nothing to wait behind.
    fn for_deciding(&self) -> Option<Arc<dyn EventLog>> {
        None
    }

    /// Loads streams for folding, each from its latest snapshot with the state
    /// version given, unless that does not end with an event of the stream: then the stream
    /// is loaded whole. Same order as asked; an unknown stream is empty.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn load(&self, streams: Vec<(StreamId, u16)>) -> Result<Vec<LoadedStream>, LogError>;

    /// The events of one stream with `from_version <= version <= to_version`. One that is
    /// damaged is an error here.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn read_stream(
        &self,
        stream: StreamId,
        from_version: u64,
        to_version: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError>;

    /// Events with `position > after`, in order, at most `limit`. The second value tells
    /// how far the log was read: resume from there. With a filter that is further than the
    /// last event given, and so it is where the log holds kinds of streams that this program
    /// does not know: they are left out. An event that is damaged comes with an empty
    /// payload, which nobody decodes, so that it stops its own stream and no other.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn read_all(
        &self,
        after: u64,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<(Vec<RecordedEvent>, u64), LogError>;

    /// As [`EventLog::read_all`], for whoever follows the log closely: what was appended
    /// through this handle a moment ago is given from memory. It may end at the head that
    /// [`EventLog::watch_head`] shows, when the store already holds more.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn follow(
        &self,
        after: u64,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<(Vec<Arc<RecordedEvent>>, u64), LogError> {
        let (events, read_to) = self.read_all(after, limit, filter).await?;
        Ok((events.into_iter().map(Arc::new).collect(), read_to))
    }

    /// Current versions of streams, 0 where there is none. Same order as asked.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn versions(&self, streams: Vec<StreamId>) -> Result<Vec<u64>, LogError>;

    /// Receipts by key, same order as asked.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn receipts(&self, keys: Vec<ReceiptKey>) -> Result<Vec<Option<Receipt>>, LogError>;

    /// Keeps snapshots in place of older ones, of those of another state version, and of
    /// those that do not fit their stream. One that does not fit is not kept. Best effort by
    /// nature: losing one costs time only.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn save_snapshots(&self, snapshots: Vec<Snapshot>) -> Result<(), LogError>;

    /// The position of the last visible event, 0 in an empty log.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn head(&self) -> Result<u64, LogError>;

    /// What tells this log from every other one. A copy of its file or database has the same:
    /// [`EventLog::hash_at`] tells those apart.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn identity(&self) -> Result<Uuid, LogError>;

    /// The leaf hash of the event at a position, as stored; none where there is no event.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn hash_at(&self, position: u64) -> Result<Option<[u8; 32]>, LogError>;

    /// Follows the head: the value changes after a commit that may have moved it
    /// (also by other nodes, within a fraction of a second). Changes may be merged.
    fn watch_head(&self) -> watch::HeadWatch;

    /// Sealed Merkle roots with `size > after`, in order, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn sealed_roots(&self, after: u64, limit: usize) -> Result<Vec<SealedRoot>, LogError>;
}

pub mod watch {
    //! A watched position, without naming an async runtime on this floor.

    use std::future::Future;
    use std::pin::Pin;

    /// What an engine gives behind a [`HeadWatch`].
    pub trait WatchSource: Send {
        /// The newest value.
        fn current(&mut self) -> u64;
        /// Resolves when the value has changed since it was last seen here; false when
        /// the engine has closed.
        fn changed(&mut self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;
    }

    /// Follows the head of the log.
    pub struct HeadWatch(Box<dyn WatchSource>);

    impl HeadWatch {
        /// Wraps an engine's source.
        #[must_use]
        pub fn new(source: Box<dyn WatchSource>) -> Self {
            Self(source)
        }
        /// The newest head known.
        pub fn current(&mut self) -> u64 {
            self.0.current()
        }
        /// Waits for a change; false when the engine has closed.
        pub async fn changed(&mut self) -> bool {
            self.0.changed().await
        }
    }
}
