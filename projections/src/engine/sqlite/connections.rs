//! How connections to a database file are opened.

use std::path::Path;

use jangbu_sqlite::{Settings, set_up, use_write_ahead_log};
use rusqlite::Connection;

use super::{BUSY_TIMEOUT, EngineError, READ_PATIENCE, STATEMENTS, unavailable};

const READER_CACHE_KIB: i32 = 2_048;
const WAL_KEPT_BYTES: u32 = 64 * 1024 * 1024;

/// Nothing that this connection writes is synced: a power cut may leave any state behind.
pub(super) const UNSYNCED: &str = "pragma synchronous = off";
/// What this connection commits is durable.
pub(super) const SYNCED: &str = "pragma synchronous = full";
/// A power cut may lose the last rows together with their checkpoint, and the log restores them.
/// The owner of the file syncs nothing (`in_use.rs`).
const SYNCED_AT_CHECKPOINTS: &str = "pragma synchronous = normal";

/// A connection for queries, which waits less long for a locked file.
pub(super) fn reader(path: &Path) -> Result<Connection, EngineError> {
    let connection = connection(path, READER_CACHE_KIB)?;
    connection.busy_timeout(READ_PATIENCE).map_err(unavailable)?;
    Ok(connection)
}

/// A connection for reading and writing.
pub(super) fn connection(path: &Path, cache_kib: i32) -> Result<Connection, EngineError> {
    let connection = Connection::open(path).map_err(unavailable)?;
    set_up(&connection, Settings { busy_timeout: BUSY_TIMEOUT, statements: STATEMENTS, cache_kib })
        .and_then(|()| use_write_ahead_log(&connection, WAL_KEPT_BYTES))
        .and_then(|()| connection.execute_batch(SYNCED_AT_CHECKPOINTS))
        .map_err(unavailable)?;
    Ok(connection)
}
