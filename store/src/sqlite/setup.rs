//! Opening: the lock on the folder, the settings and their proof, the schema.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

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
/// The writer's page cache, KiB, negative as SQLite wants it.
const WRITER_CACHE_KIB: i64 = -16_384;
const READER_CACHE_KIB: i64 = -2_048;
const CHECKPOINT_CACHE_KIB: i64 = -1_024;
/// After a checkpoint the WAL file is cut to this many bytes.
const WAL_KEPT_BYTES: i64 = 128 * 1024 * 1024;
const STATEMENTS_KEPT: usize = 64;

/// A script, and what is done in code after it in the same transaction.
struct Migration(&'static str, fn(&Connection) -> rusqlite::Result<()>);

impl Migration {
    const fn script(script: &'static str) -> Self {
        Self(script, |_| Ok(()))
    }
}

/// The migrations in order; the schema version is how many have run.
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

/// Takes the folder for this process, until the file is dropped.
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
    set_up_writer(&connection, options).map_err(open_error)?;
    let mode: String = pragma(&connection, "journal_mode").map_err(open_error)?;
    let synchronous: i64 = pragma(&connection, "synchronous").map_err(open_error)?;
    if mode != "wal" || synchronous != SYNCHRONOUS_FULL {
        return Err(StoreError::Unfit(format!(
            "SQLite runs with journal_mode={mode} and synchronous={synchronous} instead of wal and {SYNCHRONOUS_FULL}"
        )));
    }
    Ok(connection)
}

/// What all connections have in common.
fn set_up(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // Else a statement with `limit ?` is parsed and planned again at every call.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "temp_store", "memory")
}

fn set_up_writer(connection: &Connection, options: &Options) -> rusqlite::Result<()> {
    set_up(connection, options.busy_timeout)?;
    connection.query_row("pragma journal_mode = wal", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    // Both only matter on systems where a plain fsync does not reach the disk.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB)?;
    // See `checkpoint.rs`.
    connection.query_row("pragma wal_autocheckpoint = 0", [], |_| Ok(()))?;
    connection.query_row(&format!("pragma journal_size_limit = {WAL_KEPT_BYTES}"), [], |_| Ok(()))?;
    if let Some(pages) = options.max_pages {
        connection.query_row(&format!("pragma max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    Ok(())
}

/// A connection for checkpoints beside the writer's, made as that one is.
pub(super) fn open_checkpointer(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(open_error)?;
    set_up_writer(&connection, options).map_err(open_error)?;
    connection.pragma_update(None, "cache_size", CHECKPOINT_CACHE_KIB).map_err(open_error)?;
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
    let connection = match readable(Connection::open_with_flags(path, READ_ONLY)?) {
        Err(error) if is_without_index(&error) && !has_frames(path) => read_as_it_lies(path)?,
        other => other?,
    };
    set_up(&connection, busy_timeout)?;
    connection.pragma_update(None, "cache_size", READER_CACHE_KIB)?;
    Ok(connection)
}

/// Opens a copy for reading.
pub(crate) fn open_copy(path: &Path) -> rusqlite::Result<Connection> {
    connect_reader(path, Duration::from_secs(5))
}

const READ_ONLY: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Opening is lazy: whether the file can be read shows at the first read.
fn readable(connection: Connection) -> rusqlite::Result<Connection> {
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// The index of the write-ahead log is not there and cannot be made: the folder cannot be
/// written.
fn is_without_index(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// Whether something is in the write-ahead log that the database lacks.
fn has_frames(path: &Path) -> bool {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    std::fs::metadata(wal).is_ok_and(|wal| wal.len() > 0)
}

/// Reads a database that nobody writes, from where nothing can be written: a read-only mount.
fn read_as_it_lies(path: &Path) -> rusqlite::Result<Connection> {
    // In the form of a URI, where these have a meaning of their own.
    let name = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let address = format!("file:{name}?immutable=1");
    readable(Connection::open_with_flags(address, READ_ONLY | OpenFlags::SQLITE_OPEN_URI)?)
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

/// The head at opening; 0 where the tables are yet to be made.
pub(super) fn first_head(connection: &Connection) -> u64 {
    super::read::head(connection).map_or(0, to_u64)
}

/// Whether what is deleted from here on is overwritten in the file. It is a setting of the
/// connection and finds nothing that was deleted before.
pub(super) fn overwrite_deleted(connection: &Connection, overwrite: bool) -> rusqlite::Result<()> {
    let text = if overwrite { "pragma secure_delete = on" } else { "pragma secure_delete = off" };
    connection.query_row(text, [], |_| Ok(()))
}

/// Runs the migrations that are missing, of a log whose keys are in no danger: a new one, or
/// one that [`super::keys`] has taken them out of.
pub(crate) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    migrate_to(connection, SCHEMA_VERSION)
}

/// Runs the migrations that are missing up to a version, each in the transaction that counts
/// it. What they drop is overwritten.
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

    /// What an acknowledgement rests on, in SQLite's own numbers: 2 is FULL.
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
