//! Keys in a separate file, `keys.db` next to `log.db`.
//!
//! Data in the log stays there for ever, but keys must be erasable. So their file has its own
//! rules: deleted data is overwritten from the first write on, the journal is empty after each
//! commit, and when a key is destroyed the file is rewritten before the call returns (`file.rs`).
//! The file can be backed up and discarded separately.
//!
//! Earlier versions stored the keys in the log; `moving.rs` moves them out of it. A log that has
//! not been migrated to this version is read as it is, because its tables have the same form.

mod file;
mod moving;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jangbu_kernel::UserId;
use jangbu_kernel::log::LogError;
use jangbu_kernel::ports::KeyStore;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use super::{Options, SqliteStore, setup};
use crate::error::StoreError;
pub(crate) use file::{KEYS_FILE, make_tables};
use moving::LEFT_THE_LOG;

const SELECT_KEY: &str = "select wrapped from user_keys where owner = ?1";
const SELECT_SECRET: &str = "select wrapped from secrets where name = ?1";

/// The keys of a store. Clones share one connection, which they use one after the other.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    folder: Arc<Path>,
    busy_timeout: Duration,
    /// Set when nothing may be written any more; shared with the writer of the log.
    failed: Arc<AtomicBool>,
    place: Arc<Mutex<Place>>,
}

#[derive(Debug)]
enum Place {
    /// Opened for reading at the first use.
    Unopened,
    Open(Connection),
    Closed,
}

impl Keys {
    /// For a handle that only reads. The file is opened at the first use, because most readers of a
    /// log need no keys.
    pub(super) fn to_read(folder: &Path, options: &Options) -> Self {
        Self {
            folder: folder.into(),
            busy_timeout: options.busy_timeout,
            failed: Arc::default(),
            place: Arc::new(Mutex::new(Place::Unopened)),
        }
    }

    /// For the process that writes. Until the log is migrated to this version, the log's own tables
    /// are read.
    pub(super) fn to_write(
        folder: &Path,
        log: &Connection,
        options: &Options,
        failed: &Arc<AtomicBool>,
    ) -> Result<Self, StoreError> {
        let keys = Self { failed: Arc::clone(failed), ..Self::to_read(folder, options) };
        if setup::schema_version(log).map_err(setup::open_error)? >= LEFT_THE_LOG {
            let path = keys.path();
            if !file::is_there(&path) {
                return Err(StoreError::KeysMissing { path });
            }
            let connection = file::open(&path, keys.busy_timeout)?;
            // A process that destroyed a key may have ended before the file was rewritten.
            tell(file::scrub(&connection));
            *keys.place() = Place::Open(connection);
        }
        Ok(keys)
    }

    fn path(&self) -> PathBuf {
        file::path(&self.folder)
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Place> {
        // A panic leaves no transaction open: a dropped transaction is rolled back.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Migrates the log to this version, and moves the keys out of it on the way.
    pub(super) fn migrate(&self, log: &mut Connection) -> Result<(), StoreError> {
        let failed = |cause: rusqlite::Error| StoreError::Migrate(Box::new(cause));
        let before = setup::schema_version(log).map_err(failed)?;
        let mut place = self.place();
        if before < LEFT_THE_LOG {
            setup::migrate_to(log, LEFT_THE_LOG - 1).map_err(failed)?;
            let path = self.path();
            let mut keys = file::make(&path, self.busy_timeout)?;
            moving::take_over(log, &mut keys, &path, before > 0)?;
            *place = Place::Open(keys);
        }
        setup::migrate(log).map_err(failed)?;
        if let Place::Open(keys) = &*place {
            tell(file::scrub(keys).and_then(|()| moving::scrub_log(log, keys)));
        }
        Ok(())
    }

    /// Runs work on the file, outside the async threads.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let keys = self.clone();
        let done = tokio::task::spawn_blocking(move || keys.run_here(work)).await;
        done.map_err(|error| LogError::Unavailable("the keys' work was broken off".into(), Some(Box::new(error))))?
    }

    fn run_here<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, LogError> {
        let mut place = self.place();
        if matches!(*place, Place::Unopened) {
            *place = Place::Open(self.open_to_read().map_err(unreadable)?);
        }
        match &mut *place {
            Place::Open(connection) => work(connection).map_err(|error| self.failure(error)),
            Place::Unopened | Place::Closed => Err(LogError::Unavailable("the store is closed".into(), None)),
        }
    }

    /// The file of the keys, or the log if it still has them.
    fn open_to_read(&self) -> rusqlite::Result<Connection> {
        let log = setup::connect_reader(&setup::database_path(&self.folder), self.busy_timeout)?;
        if setup::schema_version(&log)? < LEFT_THE_LOG {
            return Ok(log);
        }
        file::open_to_read(&self.path(), self.busy_timeout)
    }

    /// Writes in one transaction.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(LogError::Unavailable("an earlier write to the disk failed".into(), None));
        }
        self.run(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })
        .await
    }

    fn failure(&self, error: rusqlite::Error) -> LogError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull | ErrorCode::ReadOnly) => LogError::ReadOnly(error.to_string()),
            Some(ErrorCode::SystemIoFailure) => {
                // As in the log: a second try may succeed without anything being on the disk.
                self.failed.store(true, Ordering::Release);
                tracing::error!(%error, "the keys' file failed: nothing is written until the process is restarted");
                unreadable(error)
            }
            _ => unreadable(error),
        }
    }

    /// The key of any user whose key was not destroyed.
    pub(super) async fn any(&self) -> Result<Option<(UserId, Vec<u8>)>, LogError> {
        self.run(|connection| {
            let select = "select owner, wrapped from user_keys where wrapped is not null limit 1";
            let found = connection.query_row(select, [], |row| {
                let owner: [u8; 16] = row.get(0)?;
                Ok((UserId::new(Uuid::from_bytes(owner)), row.get(1)?))
            });
            found.optional()
        })
        .await
    }

    /// Closes the file after its current work.
    pub(super) async fn close(&self) {
        let keys = self.clone();
        if tokio::task::spawn_blocking(move || *keys.place() = Place::Closed).await.is_err() {
            tracing::error!("the keys' file did not close cleanly");
        }
    }

    /// A page of one of the tables, for a copy.
    pub(super) async fn page(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<Vec<crate::portable::Row>> + Send + 'static,
    ) -> Result<Vec<crate::portable::Row>, LogError> {
        self.run(|connection| work(connection)).await
    }
}

/// What could not be overwritten at this start is left to the next one; nothing else depends on it.
fn tell(scrubbed: rusqlite::Result<()>) {
    if let Err(error) = scrubbed {
        tracing::warn!(%error, "what was deleted could not be written over; the next start tries again");
    }
}

fn unreadable(error: rusqlite::Error) -> LogError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => LogError::Damaged(error.to_string()),
        _ => LogError::Unavailable("the keys cannot be read or written".into(), Some(Box::new(error))),
    }
}

#[async_trait]
impl KeyStore for SqliteStore {
    async fn user_key(&self, owner: UserId) -> Result<Option<Option<Vec<u8>>>, LogError> {
        let read = move |connection: &mut Connection| {
            let mut statement = connection.prepare_cached(SELECT_KEY)?;
            statement.query_row([owner.uuid().as_bytes()], |row| row.get(0)).optional()
        };
        self.0.keys.run(read).await
    }

    async fn put_user_key(&self, owner: UserId, wrapped: Vec<u8>) -> Result<Option<Vec<u8>>, LogError> {
        self.writer()?;
        let put = move |transaction: &Transaction<'_>| {
            let insert = "insert into user_keys (owner, wrapped) values (?1, ?2) on conflict do nothing";
            transaction.execute(insert, params![owner.uuid().as_bytes(), wrapped])?;
            transaction.query_row(SELECT_KEY, [owner.uuid().as_bytes()], |row| row.get(0))
        };
        self.0.keys.write(put).await
    }

    async fn remove_user_key(&self, owner: UserId) -> Result<(), LogError> {
        self.writer()?;
        let remove = move |transaction: &Transaction<'_>| {
            transaction.execute("delete from user_keys where owner = ?1", [owner.uuid().as_bytes()]).map(|_| ())
        };
        self.0.keys.write(remove).await
    }

    async fn destroy_user_key(&self, owner: UserId) -> Result<(), LogError> {
        self.writer()?;
        let destroy = move |transaction: &Transaction<'_>| {
            let empty = "insert into user_keys (owner, wrapped) values (?1, null) \
                 on conflict (owner) do update set wrapped = null";
            transaction.execute(empty, [owner.uuid().as_bytes()])?;
            file::note_deleted(transaction)
        };
        self.0.keys.write(destroy).await?;
        self.0.keys.run(|connection| file::scrub(connection)).await
    }

    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, LogError> {
        let name = name.to_owned();
        let read = move |connection: &mut Connection| {
            connection.prepare_cached(SELECT_SECRET)?.query_row([name], |row| row.get(0)).optional()
        };
        self.0.keys.run(read).await
    }

    async fn put_secret(&self, name: &str, wrapped: Vec<u8>) -> Result<Vec<u8>, LogError> {
        self.writer()?;
        let name = name.to_owned();
        let put = move |transaction: &Transaction<'_>| {
            let insert = "insert into secrets (name, wrapped) values (?1, ?2) on conflict do nothing";
            transaction.execute(insert, params![name, wrapped])?;
            transaction.query_row(SELECT_SECRET, [&name], |row| row.get(0))
        };
        self.0.keys.write(put).await
    }
}
