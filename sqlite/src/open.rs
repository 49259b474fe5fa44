//! How a file is opened, and what all connections to it have in common.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// What a connection is given.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long it waits for a lock of another connection.
    pub busy_timeout: Duration,
    /// Prepared statements that it keeps.
    pub statements: usize,
    /// Its page cache.
    pub cache_kib: i32,
}

/// Sets a connection up, whether it reads or writes. Nothing is mapped into memory: every
/// connection's mapping would count as this process's memory.
///
/// # Errors
/// When SQLite refuses a setting.
pub fn set_up(connection: &Connection, settings: Settings) -> rusqlite::Result<()> {
    connection.busy_timeout(settings.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(settings.statements);
    // Else a statement with `limit ?` is parsed and planned again at every call.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // Negative: KiB and not pages.
    connection.pragma_update(None, "cache_size", -settings.cache_kib)
}

/// Lets a connection write through a write-ahead log that a [`crate::Checkpointer`] moves and
/// no commit; when it is begun anew its file is cut to so many bytes.
///
/// # Errors
/// When the file cannot be written.
pub fn use_write_ahead_log(connection: &Connection, kept_bytes: u32) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "pragma journal_mode = wal; pragma wal_autocheckpoint = 0; pragma journal_size_limit = {kept_bytes};"
    ))
}

/// The file that SQLite keeps beside a database: `-wal` or `-shm`.
#[must_use]
pub fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A connection that cannot write, also where nothing can be written: a read-only mount has
/// no room for the index of a write-ahead log. A database without one is read as it lies.
///
/// # Errors
/// When the file cannot be read; see [`is_without_index`].
pub fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let error = match Connection::open_with_flags(path, flags).and_then(readable) {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    let has_frames = std::fs::metadata(beside(path, "-wal")).is_ok_and(|wal| wal.len() > 0);
    if has_frames || !is_without_index(&error) {
        return Err(error);
    }
    // In the form of a URI, where these have a meaning of their own.
    let name = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let address = format!("file:{name}?immutable=1");
    Connection::open_with_flags(address, flags | OpenFlags::SQLITE_OPEN_URI).and_then(readable)
}

/// Opening is lazy: whether the file can be read shows at the first read.
fn readable(connection: Connection) -> rusqlite::Result<Connection> {
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Whether the index of the write-ahead log is what is missing: it is not there and cannot be
/// made, because the folder cannot be written.
#[must_use]
pub fn is_without_index(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}
