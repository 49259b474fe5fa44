//! How connections to a database file are opened.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{BUSY_TIMEOUT, EngineError, READ_PATIENCE, STATEMENTS, unavailable};

const READER_CACHE_KIB: u32 = 2_048;

/// Nothing that this connection writes is synced: a power cut may leave anything behind.
pub(super) const UNSYNCED: &str = "pragma synchronous = off";
/// What this connection commits is on the disk.
pub(super) const SYNCED: &str = "pragma synchronous = full";

/// A connection for questions, which waits less long for a locked file.
pub(super) fn reader(path: &Path) -> Result<Connection, EngineError> {
    let connection = connection(path, READER_CACHE_KIB)?;
    connection.busy_timeout(READ_PATIENCE).map_err(unavailable)?;
    Ok(connection)
}

/// A connection that reads and writes.
pub(super) fn connection(path: &Path, cache_kib: u32) -> Result<Connection, EngineError> {
    let connection = Connection::open(path).map_err(unavailable)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unavailable)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Else a statement with `limit ?` is parsed and planned again at every call.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(unavailable)?;
    // NORMAL: a power cut may take the last moments of rows and checkpoint together, and
    // the log gives them back. Whoever owns the file syncs nothing (`in_use.rs`). Checkpoints are `../checkpoint.rs`'s business. No mmap: every connection's
    // mapping would count as this process's memory.
    connection
        .execute_batch(&format!(
            "pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -{cache_kib}; pragma temp_store = memory; pragma wal_autocheckpoint = 0; pragma journal_size_limit = 67108864;"
        ))
        .map_err(unavailable)?;
    Ok(connection)
}

/// A connection that cannot write, also where nothing can be written: a read-only mount has
/// no room for the index of a write-ahead log. A database without one is read as it lies.
pub(super) fn reading_connection(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let error = match Connection::open_with_flags(path, flags).and_then(readable) {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let folded_in = !std::fs::metadata(wal).is_ok_and(|wal| wal.len() > 0);
    if !folded_in || !matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) {
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
