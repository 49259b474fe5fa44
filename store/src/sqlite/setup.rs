//! Opening: the lock on the folder, the settings and their check, and the schema.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jangbu_kernel::Position;
use jangbu_sqlite::{Settings, is_without_index};
use rusqlite::{Connection, TransactionBehavior};

use super::{Options, receipts, streams};
use crate::error::StoreError;
use crate::row::to_u64;

pub(crate) const DATABASE_FILE: &str = "log.db";
const LOCK_FILE: &str = "log.lock";
/// Below this version a WAL database can be corrupted by a checkpoint that
/// races with a write.
const MIN_LIBRARY: i32 = 3_051_003;
/// `PRAGMA synchronous` reads back as this when it is FULL.
const SYNCHRONOUS_FULL: i64 = 2;
const WRITER_CACHE_KIB: i32 = 16_384;
const READER_CACHE_KIB: i32 = 2_048;
const CHECKPOINT_CACHE_KIB: i32 = 1_024;
const WAL_KEPT_BYTES: u32 = 128 * 1024 * 1024;
const STATEMENTS_KEPT: usize = 64;

/// A script, and code that runs after it in the same transaction.
struct Migration(&'static str, fn(&Connection) -> rusqlite::Result<()>);

impl Migration {
    const fn script(script: &'static str) -> Self {
        Self(script, |_| Ok(()))
    }
}

/// The migrations in order. The schema version is the number of those that have run.
const MIGRATIONS: [Migration; 7] = [
    Migration::script(include_str!("../../../migrations/sqlite/0001_log.sql")),
    Migration::script(include_str!("../../../migrations/sqlite/0002_receipts.sql")),
    Migration::script(include_str!("../../../migrations/sqlite/0003_log_identity.sql")),
    Migration::script(include_str!("../../../migrations/sqlite/0004_parked_processes.sql")),
    Migration(include_str!("../../../migrations/sqlite/0005_hashed_keys.sql"), receipts::hash_keys),
    Migration::script(include_str!("../../../migrations/sqlite/0006_keys_of_their_own.sql")),
    Migration(include_str!("../../../migrations/sqlite/0007_index_of_streams.sql"), streams::take_over),
];

/// The schema version that this program writes.
pub(super) const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

pub(super) fn database_path(folder: &Path) -> PathBuf {
    folder.join(DATABASE_FILE)
}

pub(super) fn check_library() -> Result<(), StoreError> {
    if rusqlite::version_number() < MIN_LIBRARY {
        return Err(StoreError::Unfit(format!("SQLite {} is older than 3.51.3", rusqlite::version())));
    }
    Ok(())
}

/// Locks the folder for this process, until the file is dropped.
pub(super) fn lock(folder: &Path) -> Result<File, StoreError> {
    let unusable = |cause| StoreError::Folder { folder: folder.to_owned(), cause };
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(LOCK_FILE)).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { folder: folder.to_owned() }),
        Err(TryLockError::Error(cause)) => Err(unusable(cause)),
    }
}

pub(super) fn open_writer(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(open_error)?;
    set_up_writer(&connection, options, WRITER_CACHE_KIB).map_err(open_error)?;
    let mode: String = pragma(&connection, "journal_mode").map_err(open_error)?;
    let synchronous: i64 = pragma(&connection, "synchronous").map_err(open_error)?;
    if mode != "wal" || synchronous != SYNCHRONOUS_FULL {
        return Err(StoreError::Unfit(format!(
            "SQLite runs with journal_mode={mode} and synchronous={synchronous} instead of wal and {SYNCHRONOUS_FULL}"
        )));
    }
    Ok(connection)
}

fn set_up(connection: &Connection, busy_timeout: Duration, cache_kib: i32) -> rusqlite::Result<()> {
    jangbu_sqlite::set_up(connection, Settings { busy_timeout, statements: STATEMENTS_KEPT, cache_kib })
}

fn set_up_writer(connection: &Connection, options: &Options, cache_kib: i32) -> rusqlite::Result<()> {
    set_up(connection, options.busy_timeout, cache_kib)?;
    jangbu_sqlite::use_write_ahead_log(connection, WAL_KEPT_BYTES)?;
    connection.pragma_update(None, "synchronous", "full")?;
    // Both settings only matter on systems where a plain fsync does not reach the disk.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    if let Some(pages) = options.max_pages {
        connection.query_row(&format!("pragma max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    Ok(())
}

/// A connection for checkpoints, with the settings of the writer's.
pub(super) fn open_checkpointer(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(open_error)?;
    set_up_writer(&connection, options, CHECKPOINT_CACHE_KIB).map_err(open_error)?;
    Ok(connection)
}

pub(super) fn open_reader(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    connect_reader(path, options.busy_timeout).map_err(|error| match path.parent() {
        Some(folder) if path.exists() && is_without_index(&error) => {
            StoreError::NotFoldedIn { folder: folder.to_owned() }
        }
        _ => open_error(error),
    })
}

pub(super) fn connect_reader(path: &Path, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    let connection = jangbu_sqlite::open_to_read(path)?;
    set_up(&connection, busy_timeout, READER_CACHE_KIB)?;
    Ok(connection)
}

/// Opens a copy for reading.
pub(crate) fn open_copy(path: &Path) -> rusqlite::Result<Connection> {
    connect_reader(path, Duration::from_secs(5))
}

pub(super) fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<T> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

pub(super) fn schema_version(connection: &Connection) -> rusqlite::Result<u32> {
    pragma(connection, "user_version")
}

pub(super) fn refuse_newer(connection: &Connection) -> Result<(), StoreError> {
    let found = schema_version(connection).map_err(open_error)?;
    if found > SCHEMA_VERSION { Err(StoreError::Newer { found, known: SCHEMA_VERSION }) } else { Ok(()) }
}

/// Whether every migration has run.
pub(super) fn is_current(connection: &Connection) -> Result<bool, StoreError> {
    Ok(schema_version(connection).map_err(open_error)? == SCHEMA_VERSION)
}

/// The head at opening; 0 if the tables do not exist yet.
pub(super) fn first_head(connection: &Connection) -> Position {
    super::read::head(connection).map_or(Position::ZERO, to_u64)
}

/// Sets whether deleted data is overwritten in the file from now on. It is a setting of the
/// connection and does not affect data that was deleted before.
pub(super) fn overwrite_deleted(connection: &Connection, overwrite: bool) -> rusqlite::Result<()> {
    let text = if overwrite { "pragma secure_delete = on" } else { "pragma secure_delete = off" };
    connection.query_row(text, [], |_| Ok(()))
}

/// Runs the missing migrations on a log whose keys are in no danger: a new one, or one that
/// [`super::keys`] has moved them out of.
pub(crate) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    migrate_to(connection, SCHEMA_VERSION)
}

/// Runs the missing migrations up to a version. Each runs in the transaction that raises the
/// version. Data that they drop is overwritten.
pub(super) fn migrate_to(connection: &mut Connection, last: u32) -> rusqlite::Result<()> {
    overwrite_deleted(connection, true)?;
    let migrated = run_missing(connection, last);
    overwrite_deleted(connection, false)?;
    migrated
}

fn run_missing(connection: &mut Connection, last: u32) -> rusqlite::Result<()> {
    let done = schema_version(connection)?;
    for (version, Migration(script, then)) in
        (1_u32..).zip(MIGRATIONS).filter(|(version, _)| (done + 1..=last).contains(version))
    {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(script)?;
        then(&transaction)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

pub(super) fn open_error(cause: rusqlite::Error) -> StoreError {
    StoreError::Open(Box::new(cause))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Acknowledged appends depend on these settings, here in SQLite's own numbers: 2 is FULL.
    #[test]
    fn every_connection_that_writes_syncs_in_full() {
        let folder = tempfile::tempdir().unwrap();
        let (path, options) = (database_path(folder.path()), Options::default());
        let writer = open_writer(&path, &options).unwrap();
        let checkpointer = open_checkpointer(&path, &options).unwrap();
        for connection in [&writer, &checkpointer] {
            assert_eq!(pragma::<String>(connection, "journal_mode").unwrap(), "wal");
            assert_eq!(pragma::<i64>(connection, "synchronous").unwrap(), 2);
            assert_eq!(pragma::<i64>(connection, "fullfsync").unwrap(), 1);
            assert_eq!(pragma::<i64>(connection, "checkpoint_fullfsync").unwrap(), 1);
        }
    }
}
