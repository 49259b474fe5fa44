//! What sealing and verifying need of an engine, beyond the ports of the kernel.

use std::path::Path;

use async_trait::async_trait;
use jangbu_kernel::log::{EventLog, LoadedStream, LogError, ReceiptKey, SealedRoot, Snapshot};
use jangbu_kernel::{RecordedEvent, UserId};

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
    async fn rows(&self, after: u64, limit: usize) -> Result<Vec<StoredRow>, LogError>;

    /// Stored leaf hashes of the positions behind `after`, in order, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read, a position is missing or a hash has not 32 bytes.
    async fn leaf_hashes(&self, after: u64, limit: usize) -> Result<Vec<Hash>, LogError>;

    /// Leaf hashes of the positions behind `after` that this handle has in memory, because it
    /// appended or followed them a moment ago, in order, at most `limit`. Empty where it does
    /// not have the next one: then it is to be read.
    fn fresh_leaf_hashes(&self, after: u64, limit: usize) -> Vec<Hash> {
        let (_, _) = (after, limit);
        Vec::new()
    }

    /// The frontier of the newest seal.
    ///
    /// # Errors
    /// When the store cannot be read, or the frontier does not give the sealed root.
    async fn sealed_frontier(&self) -> Result<MerkleFrontier, LogError>;

    /// Keeps a root, and its frontier unless a later one is kept already. False
    /// when this size was sealed before.
    ///
    /// # Errors
    /// When the store cannot be written, or this size was sealed with another root.
    async fn keep_seal(&self, root: SealedRoot, frontier: &MerkleFrontier) -> Result<bool, LogError>;

    /// What stands beside the events and tells how far the log has come, as stored.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn marks(&self) -> Result<Marks, LogError>;

    /// Receipts in the order in which the engine keeps them, behind one of them, at most
    /// `limit`, each with the place of the event that it names.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn kept_receipts(&self, after: Option<&KeptReceipt>, limit: usize) -> Result<Vec<KeptReceipt>, LogError>;

    /// Snapshots of versions that their streams do not have, at most `limit`: the stream as
    /// `<kind>-<id>`, and the version.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn snapshots_ahead(&self, limit: usize) -> Result<Vec<(String, u64)>, LogError>;

    /// Positions behind `after` up to `to` whose events the index of streams, where the engine
    /// keeps one by itself, should lead to and does not.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn not_in_index(&self, after: u64, to: u64) -> Result<Vec<u64>, LogError> {
        let (_, _) = (after, to);
        Ok(Vec::new())
    }

    /// Entries of that index that lead to no event of their stream and version, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn strays_in_index(&self, limit: usize) -> Result<Vec<StrayEntry>, LogError> {
        let _ = limit;
        Ok(Vec::new())
    }
}

/// An entry of the index of streams that leads to no event of its stream and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrayEntry {
    /// The stream, as `<kind>-<id>`.
    pub stream: String,
    /// The version.
    pub version: u64,
    /// Where it leads to.
    pub position: u64,
}

/// What tells how far a log has come without being an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The counter from which positions are given out, where there is one.
    pub counter: Option<u64>,
    /// The newest seal.
    pub frontier: Option<StoredFrontier>,
    /// The reader that has come furthest, and its position.
    pub checkpoint: Option<(String, u64)>,
}

/// The frontier of the newest seal, as its columns have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFrontier {
    /// How many leaves it is of.
    pub size: u64,
    /// Its peaks, see [`MerkleFrontier::to_bytes`].
    pub peaks: Vec<u8>,
}

/// A receipt as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptReceipt {
    /// Its number, where the engine keeps them in that order; else 0.
    pub number: u64,
    /// Its key.
    pub key: ReceiptKey,
    /// The stream that it names, as `<kind>-<id>`.
    pub stream: String,
    /// The version that it names.
    pub version: u64,
    /// Position of the last event of its append.
    pub position: u64,
    /// Where the event of that stream and version is, if it is there.
    pub event_position: Option<u64>,
}

/// An engine: the log, the other durable truth, and its own upkeep.
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

    /// Brings the tables up to [`Store::known_schema_version`]. Does nothing when they are.
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

    /// Whether the engine has given up writing for good: a write to the disk failed, and
    /// only a new start can tell what is there. The process is to end then.
    fn has_failed(&self) -> bool {
        false
    }

    /// Writes everything durable into new files of a folder, up to the present head, while
    /// others write. The files are the embedded engine's `log.db` and `keys.db`, whichever
    /// engine this is. `told` hears how far it is.
    ///
    /// # Errors
    /// When the store cannot be read or a file not be written; half a file may be left then.
    async fn copy_to(&self, folder: &Path, told: &mut Told<'_>) -> Result<u64, StoreError> {
        let (_, _) = (folder, told);
        Err(StoreError::Unfit(format!("the {} engine keeps nothing that could be copied", self.engine())))
    }

    /// Whether something can be written: writes it, and changes nothing.
    ///
    /// # Errors
    /// Why not.
    async fn check_writes(&self) -> Result<(), LogError> {
        Ok(())
    }

    /// Some person's wrapped key that was not destroyed, if there is one: what a master key
    /// can be tried on.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn any_user_key(&self) -> Result<Option<(UserId, Vec<u8>)>, LogError>;

    /// Finishes what is under way and lets go of every resource. Later calls
    /// answer [`LogError::Unavailable`].
    async fn close(&self);
}

/// A snapshot as an engine keeps it, with the hash of the event it ends with; none where
/// an older program kept it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub snapshot: Snapshot,
    pub hash: Option<Vec<u8>>,
}

impl Kept {
    /// The version to load from: its own, so that the event is there to compare.
    pub const fn begins_at(&self) -> u64 {
        self.snapshot.version
    }

    /// The loaded stream, given its events from [`Kept::begins_at`] on; none when the snapshot
    /// does not end with an event of this stream.
    pub fn in_front_of(self, mut events: Vec<RecordedEvent>) -> Option<LoadedStream> {
        let Self { snapshot, hash } = self;
        let fits = events.first().is_some_and(|last| {
            last.version == snapshot.version && hash.as_ref().is_none_or(|hash| *hash == last.hash)
        });
        if !fits {
            tracing::warn!(stream = %snapshot.stream, version = snapshot.version, "a snapshot does not fit its stream, which is loaded whole");
            return None;
        }
        events.remove(0);
        Some(LoadedStream { snapshot: Some(snapshot), events })
    }
}

/// Checks a stored frontier against the root it was sealed with.
pub(crate) fn frontier_of_seal(size: u64, bytes: &[u8], root: Option<&[u8]>) -> Result<MerkleFrontier, LogError> {
    let frontier = MerkleFrontier::from_bytes(size, bytes).map_err(|error| LogError::Damaged(error.to_string()))?;
    if root != Some(frontier.root().as_slice()) {
        return Err(LogError::Damaged(format!("the Merkle frontier at size {size} does not give the sealed root")));
    }
    Ok(frontier)
}

/// Checks the hashes of positions `after + 1 ..` as they were read.
pub(crate) fn consecutive_hashes(after: u64, rows: Vec<(u64, Vec<u8>)>) -> Result<Vec<Hash>, LogError> {
    (after + 1..)
        .zip(rows)
        .map(|(wanted, (position, hash))| {
            if position != wanted {
                return Err(LogError::Damaged(format!("the event at position {wanted} is missing")));
            }
            hash.try_into().map_err(|_| LogError::Damaged(format!("the hash at position {wanted} has not 32 bytes")))
        })
        .collect()
}

/// The error for a size that is sealed twice with different roots.
pub(crate) fn other_root(size: u64) -> LogError {
    LogError::Damaged(format!("size {size} is sealed with another root than the log's hashes give"))
}

/// Signed headers as the engines keep them: a JSON list of pairs.
pub(crate) fn headers_text(headers: &[(String, String)]) -> Result<String, LogError> {
    serde_json::to_string(headers)
        .map_err(|error| LogError::Unavailable("the headers cannot be written".into(), Some(Box::new(error))))
}
