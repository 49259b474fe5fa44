//! The embedded engine: SQLite in WAL mode with `synchronous=FULL`, one file `log.db` in the data
//! folder, and the keys in another one, `keys.db` (`keys/`).
//!
//! One thread owns the writing connection and takes jobs from a bounded queue (`writer.rs`). If a
//! caller drops its future, its job is either not sent or carried out as a whole, never in part. A
//! few connections that cannot write serve the readers (`readers.rs`).

mod append;
mod checkpoint;
mod copy;
mod evidence;
mod keys;
mod mark;
mod ports;
mod read;
mod readers;
mod receipts;
mod runs;
mod setup;
mod stream;
mod streams;
mod versions;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::log::LogError;
use rusqlite::Connection;

use crate::error::StoreError;
use crate::handled::Handled;
use crate::head::HeadSignal;
use crate::leases::LocalLeases;
use crate::tail::Tail;
use keys::Keys;
pub(crate) use keys::{KEYS_FILE, make_tables};
pub use mark::accept_log;
use readers::Readers;
use receipts::{Receipts, Unindexed};
pub(crate) use streams::enter_copied;
use streams::{StreamIndex, Streams};
use writer::{Task, Writer};

pub(crate) use setup::{DATABASE_FILE as LOG_FILE, migrate, open_copy};

/// Connections that the decider reads with: its reads come one after the other.
pub const DECIDING_READERS: u32 = 1;

/// Options of the engine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections for reading, at least 1.
    pub readers: u32,
    /// How long a connection waits for a lock of another process.
    pub busy_timeout: Duration,
    /// The file grows to at most this many pages of 4 KiB; appends are then refused as on a full
    /// disk. `None`: the disk is the only limit.
    pub max_pages: Option<u32>,
    /// Receipts that are kept only in memory before they are entered into the index, 24 bytes each,
    /// twice; at least 1.
    pub receipt_run: usize,
    /// Events whose places in their streams are kept only in memory before they are entered into
    /// the index, 56 bytes each, twice; at least 1.
    pub event_run: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            max_pages: None,
            receipt_run: 32_768,
            event_run: 32_768,
        }
    }
}

/// The SQLite engine. Clones share one store.
#[derive(Clone, Debug)]
pub struct SqliteStore(Arc<Shared>, Reads);

/// The connections on which a handle reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// The shared connections.
    Shared,
    /// The connections of the decider.
    Deciding,
}

#[derive(Debug)]
struct Shared {
    /// None if open read-only.
    writer: Option<Writer>,
    readers: Readers,
    /// The connections of the decider, used by nothing else.
    deciding: Readers,
    keys: Keys,
    unindexed: Arc<Unindexed>,
    streams: StreamIndex,
    head: Arc<HeadSignal>,
    tail: Arc<Tail>,
    handled: Arc<Handled>,
    leases: LocalLeases,
}

impl SqliteStore {
    /// Opens the store in a folder for reading and writing, and makes both if they do not exist.
    /// Tables are made by [`crate::Store::migrate`].
    ///
    /// # Errors
    /// When another process has the folder open for writing, the folder cannot be used, the store
    /// is newer than this program, the log lacks what its folder knows of it, its keys are lost, or
    /// SQLite does not apply the required settings.
    pub fn open(folder: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let folder = folder.as_ref();
        setup::check_library()?;
        let lock = setup::lock(folder)?;
        let path = setup::database_path(folder);
        mark::refuse_missing(folder, &path)?;
        let mut connection = setup::open_writer(&path, &options)?;
        setup::refuse_newer(&connection)?;
        mark::refuse_older(folder, &path, &connection)?;
        let unindexed = Arc::default();
        let mut receipts = Receipts::new(Arc::clone(&unindexed), options.receipt_run);
        let index = StreamIndex::of_the_writer();
        let mut streams = Streams::new(&index, options.event_run);
        if setup::is_current(&connection)? {
            receipts.load(&mut connection).map_err(setup::open_error)?;
            streams.load(&mut connection).map_err(setup::open_error)?;
        }
        let head = Arc::new(HeadSignal::new(setup::first_head(&connection)));
        let failed = Arc::default();
        let keys = Keys::to_write(folder, &connection, &options, &failed)?;
        let checkpointer = checkpoint::start(&path, &options, &failed)?;
        let signals = (Arc::clone(&head), failed);
        let handled = Arc::default();
        let writer = Writer::spawn(writer::Loop::new(
            (connection, keys.clone()),
            checkpointer,
            (receipts, streams, Arc::clone(&handled)),
            lock,
            (folder, &path),
            signals,
        ))
        .map_err(|cause| StoreError::Folder { folder: folder.to_owned(), cause })?;
        let shared = Shared {
            writer: Some(writer),
            readers: Readers::new(path.clone(), options.readers, options.busy_timeout),
            deciding: Readers::new(path, DECIDING_READERS, options.busy_timeout),
            keys,
            unindexed,
            streams: index,
            head,
            tail: Arc::default(),
            handled,
            leases: LocalLeases::default(),
        };
        Ok(Self(Arc::new(shared), Reads::Shared))
    }

    /// Opens an existing store for reading only. A server may be running on it.
    ///
    /// # Errors
    /// When there is no store in the folder, or it is newer than this program.
    pub fn open_read_only(folder: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        setup::check_library()?;
        let folder = folder.as_ref();
        let path: PathBuf = setup::database_path(folder);
        let connection = setup::open_reader(&path, &options)?;
        setup::refuse_newer(&connection)?;
        let head = Arc::new(HeadSignal::new(setup::first_head(&connection)));
        let shared = Shared {
            writer: None,
            readers: Readers::new(path.clone(), options.readers, options.busy_timeout),
            deciding: Readers::new(path, DECIDING_READERS, options.busy_timeout),
            keys: Keys::to_read(folder, &options),
            unindexed: Arc::default(),
            streams: StreamIndex::beside(),
            head,
            tail: Arc::default(),
            handled: Arc::default(),
            leases: LocalLeases::default(),
        };
        Ok(Self(Arc::new(shared), Reads::Shared))
    }

    fn writer(&self) -> Result<&Writer, LogError> {
        self.0.writer.as_ref().ok_or_else(|| LogError::ReadOnly("the store is open read-only".into()))
    }

    /// Runs a small write in the writer's next transaction.
    async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let (task, answer) = Task::new(work);
        self.writer()?.send(Box::new(task)).await?;
        answer.await.unwrap_or_else(|_| Err(writer::gone()))
    }

    /// Runs a read on one of the reading connections of the handle.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, readers::ReadError> + Send + 'static,
    ) -> Result<T, LogError> {
        match self.1 {
            Reads::Shared => self.0.readers.run(work).await,
            Reads::Deciding => self.0.deciding.run(work).await,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::mpsc;

    use jangbu_kernel::log::EventLog as _;
    use jangbu_kernel::{AggregateKind, Position, StreamId, Version};
    use uuid::Uuid;

    use super::*;
    use crate::ledger::Store as _;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_decides_waits_behind_nobody_who_reads() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { readers: 1, busy_timeout: Duration::from_secs(600), ..Options::default() };
        let store = SqliteStore::open(folder.path(), options).unwrap();
        store.migrate().await.unwrap();
        let (reads, reading) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let busy = store.clone();
        let reader = tokio::spawn(async move {
            let long = busy.read(move |_| {
                reads.send(()).unwrap();
                ended.recv().unwrap();
                Ok(())
            });
            long.await.unwrap();
        });
        tokio::task::spawn_blocking(move || reading.recv().unwrap()).await.unwrap();
        let behind = store.clone();
        let behind = tokio::spawn(async move { behind.head().await.unwrap() });
        let deciding = store.for_deciding().unwrap();
        let stream = StreamId::new(AggregateKind::Order, Uuid::nil());
        assert_eq!(deciding.load(vec![(stream, 1)]).await.unwrap().len(), 1);
        assert_eq!(
            (deciding.versions(vec![stream]).await.unwrap(), deciding.head().await.unwrap()),
            (vec![Version::ZERO], Position::ZERO)
        );
        assert_eq!(deciding.receipts(Vec::new()).await.unwrap(), []);
        assert!(!behind.is_finished() && !reader.is_finished());
        end.send(()).unwrap();
        reader.await.unwrap();
        assert_eq!(behind.await.unwrap(), Position::ZERO);
        store.close().await;
        assert!(deciding.head().await.is_err(), "it is closed with the store");
    }
}
