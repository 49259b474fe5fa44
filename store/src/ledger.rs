//! What sealing and verification need from an engine, in addition to the ports of the kernel.

use std::path::Path;

use async_trait::async_trait;
use jangbu_kernel::log::{EventLog, LoadedStream, LogError, ReceiptKey, SealedRoot, Snapshot};
use jangbu_kernel::{Position, RecordedEvent, UserId, Version};

use crate::error::StoreError;
use crate::merkle::{Hash, MerkleFrontier};
use crate::portable::Told;
use crate::row::StoredRow;

/// The log seen as rows and hashes.
#[async_trait]
pub trait Ledger: EventLog {
    /// Rows with `position > after`, as stored, in order, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn rows(&self, after: Position, limit: usize) -> Result<Vec<StoredRow>, LogError>;

    /// Stored leaf hashes of the positions after `after`, in order, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read, a position is missing, or a hash does not have 32 bytes.
    async fn leaf_hashes(&self, after: Position, limit: usize) -> Result<Vec<Hash>, LogError>;

    /// Leaf hashes of the positions after `after` that this handle has in memory, because it
    /// appended or followed them a moment ago, in order, at most `limit`. Empty if the next one is
    /// not in memory and has to be read.
    fn fresh_leaf_hashes(&self, after: Position, limit: usize) -> Vec<Hash> {
        let (_, _) = (after, limit);
        Vec::new()
    }

    /// The frontier of the newest seal.
    ///
    /// # Errors
    /// When the store cannot be read, or the frontier does not give the sealed root.
    async fn sealed_frontier(&self) -> Result<MerkleFrontier, LogError>;

    /// Stores a root, and its frontier unless a later one is stored. False if this size was sealed
    /// before.
    ///
    /// # Errors
    /// When the store cannot be written, or this size was sealed with another root.
    async fn keep_seal(&self, root: SealedRoot, frontier: &MerkleFrontier) -> Result<bool, LogError>;

    /// The stored marks beside the events that tell how far the log has come.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn marks(&self) -> Result<Marks, LogError>;

    /// Receipts in the order in which the engine stores them, starting after the given one, at most
    /// `limit`, each with the position of the event that it names.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn kept_receipts(&self, after: Option<&KeptReceipt>, limit: usize) -> Result<Vec<KeptReceipt>, LogError>;

    /// Snapshots of versions that their streams do not have, at most `limit`: the stream as
    /// `<kind>-<id>`, and the version.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn snapshots_ahead(&self, limit: usize) -> Result<Vec<(String, Version)>, LogError>;

    /// Positions after `after` up to `to` of events that are missing in the index of streams. Only
    /// for engines that maintain such an index themselves.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn not_in_index(&self, after: Position, to: Position) -> Result<Vec<Position>, LogError> {
        let (_, _) = (after, to);
        Ok(Vec::new())
    }

    /// Entries of that index that do not point to an event of their stream and version, at most
    /// `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn strays_in_index(&self, limit: usize) -> Result<Vec<StrayEntry>, LogError> {
        let _ = limit;
        Ok(Vec::new())
    }
}

/// An entry of the index of streams that does not point to an event of its stream and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrayEntry {
    /// The stream, as `<kind>-<id>`.
    pub stream: String,
    /// The version.
    pub version: Version,
    /// The position that it points to.
    pub position: Position,
}

/// Marks other than events that tell how far a log has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The counter from which positions are assigned, if the engine has one.
    pub counter: Option<Position>,
    /// The newest seal.
    pub frontier: Option<StoredFrontier>,
    /// The reader with the highest checkpoint, and its position.
    pub checkpoint: Option<(String, Position)>,
}

/// The frontier of the newest seal, as its columns hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFrontier {
    /// The last position among its leaves, which is also their number.
    pub size: Position,
    /// Its peaks, see [`MerkleFrontier::to_bytes`].
    pub peaks: Vec<u8>,
}

/// A receipt as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptReceipt {
    /// Its number, if the engine stores receipts by number, otherwise 0.
    pub number: u64,
    /// Its key.
    pub key: ReceiptKey,
    /// The stream that it names, as `<kind>-<id>`.
    pub stream: String,
    /// The version that it names.
    pub version: Version,
    /// Position of the last event of its append.
    pub position: Position,
    /// The position of the event of that stream and version, if it exists.
    pub event_position: Option<Position>,
}

/// An engine: the log, the other durable data, and its own maintenance.
#[async_trait]
pub trait Store:
    Ledger
    + jangbu_kernel::ports::KeyStore
    + jangbu_kernel::ports::Checkpoints
    + jangbu_kernel::ports::Leases
    + jangbu_kernel::ports::ParkedProcesses
    + jangbu_kernel::ports::Inbox
{
    /// The engine's name: `memory`, `sqlite` or `postgres`.
    fn engine(&self) -> &'static str;

    /// Brings the tables up to [`Store::known_schema_version`], if they are older.
    ///
    /// # Errors
    /// When the store is newer than this program, read-only, or cannot be written.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// The schema version of the store, 0 before the first migration.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn schema_version(&self) -> Result<u32, StoreError>;

    /// The schema version that this program writes.
    fn known_schema_version(&self) -> u32;

    /// Whether the engine has stopped writing for good. After a failed write to the disk, only a
    /// restart can find out what was stored, so the process has to end.
    fn has_failed(&self) -> bool {
        false
    }

    /// Copies all durable data up to the present head into new files of a folder, while others
    /// write. The files are the embedded engine's `log.db` and `keys.db`, whichever engine this is.
    /// `told` is called with the progress.
    ///
    /// # Errors
    /// When the store cannot be read or a file cannot be written. An incomplete file may remain.
    async fn copy_to(&self, folder: &Path, told: &mut Told<'_>) -> Result<Position, StoreError> {
        let (_, _) = (folder, told);
        Err(StoreError::Unfit(format!("the {} engine keeps nothing that could be copied", self.engine())))
    }

    /// Checks that the store can be written, by a write that changes nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    async fn check_writes(&self) -> Result<(), LogError> {
        Ok(())
    }

    /// The wrapped key of any user whose key was not destroyed, if there is one. A master key can
    /// be tested with it.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn any_user_key(&self) -> Result<Option<(UserId, Vec<u8>)>, LogError>;

    /// Finishes the current work and releases all resources. Later calls fail with
    /// [`LogError::Unavailable`].
    async fn close(&self);
}

/// A snapshot as an engine stores it, with the hash of the event that it ends with; none if an
/// older program stored it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub snapshot: Snapshot,
    pub hash: Option<Vec<u8>>,
}

impl Kept {
    /// The version to load from. It is the snapshot's own, so that its event can be compared.
    pub const fn begins_at(&self) -> Version {
        self.snapshot.version
    }

    /// The loaded stream, given its events from [`Kept::begins_at`] on; none if the snapshot does
    /// not end with an event of this stream.
    pub fn in_front_of(self, mut events: Vec<RecordedEvent>) -> Option<LoadedStream> {
        let Self { snapshot, hash } = self;
        let fits = events.first().is_some_and(|last| {
            last.version == snapshot.version && hash.as_ref().is_none_or(|hash| *hash == last.hash)
        });
        if !fits {
            tracing::warn!(stream = %snapshot.stream, version = snapshot.version.get(), "a snapshot does not fit its stream, which is loaded whole");
            return None;
        }
        events.remove(0);
        Some(LoadedStream { snapshot: Some(snapshot), events })
    }
}

/// Checks a stored frontier against the sealed root of its size.
pub(crate) fn frontier_of_seal(size: Position, bytes: &[u8], root: Option<&[u8]>) -> Result<MerkleFrontier, LogError> {
    let frontier = MerkleFrontier::from_bytes(size, bytes).map_err(|error| LogError::Damaged(error.to_string()))?;
    if root != Some(frontier.root().as_slice()) {
        return Err(LogError::Damaged(format!("the Merkle frontier at size {size} does not give the sealed root")));
    }
    Ok(frontier)
}

/// Checks that the rows are those of the positions `after + 1 ..` and returns their hashes.
pub(crate) fn consecutive_hashes(after: Position, rows: Vec<(Position, Vec<u8>)>) -> Result<Vec<Hash>, LogError> {
    after
        .next()
        .onwards()
        .zip(rows)
        .map(|(wanted, (position, hash))| {
            if position != wanted {
                return Err(LogError::Damaged(format!("the event at position {wanted} is missing")));
            }
            hash.try_into().map_err(|_| LogError::Damaged(format!("the hash at position {wanted} has not 32 bytes")))
        })
        .collect()
}

/// The error for a size that was sealed twice with different roots.
pub(crate) fn other_root(size: Position) -> LogError {
    LogError::Damaged(format!("size {size} is sealed with another root than the log's hashes give"))
}

/// Headers as the engines store them: a JSON list of pairs.
pub(crate) fn headers_text(headers: &[(String, String)]) -> Result<String, LogError> {
    serde_json::to_string(headers)
        .map_err(|error| LogError::Unavailable("the headers cannot be written".into(), Some(Box::new(error))))
}
