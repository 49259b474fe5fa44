//! The mark in a file of read models that says whether the file can be trusted.
//!
//! While its owner has it open, nothing of the file is synced, because the log restores whatever is
//! lost. After a kill of the process the operating system still has every page. After a power cut
//! any page may be old or torn without SQLite noticing it, so such a file is thrown away. The two
//! cases are told apart by the boot id of the machine, which the mark contains while the file is in
//! use. The mark is synced before anything is written without a sync, and it says that the file is
//! closed only after everything else has been synced.

use std::path::Path;
use std::time::Duration;

use jangbu_sqlite::open_to_read;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};

use super::connections::SYNCED;
use super::{BUSY_TIMEOUT, EngineError, unavailable};

/// The boot id of Linux, which differs after every start.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// How long a start waits for a process that reads an older snapshot of the file.
const START_PATIENCE: Duration = Duration::from_secs(1);

/// In use: pages may be missing after a restart of the machine.
const IN_USE: i64 = 0;
/// About to be closed, which still counts as in use.
const CLOSING: i64 = 1;
/// Closed: everything was synced.
const CLOSED: i64 = 2;

/// The boot id of a machine; none if it is not known. A file that was in use under an unknown boot
/// id is never trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot(Option<String>);

impl Boot {
    /// That of the machine that this process runs on.
    #[must_use]
    pub fn current() -> Self {
        Self::named(&std::fs::read_to_string(BOOT_ID).unwrap_or_default())
    }

    /// A boot id with this name. An empty name counts as unknown.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let name = name.trim();
        Self((!name.is_empty()).then(|| name.to_owned()))
    }

    fn is(&self, name: &str) -> bool {
        self.0.as_deref() == Some(name)
    }
}

/// Whether a file contains what was written to it. A file without a mark was synced by its writer,
/// or is empty.
pub(crate) fn is_trustworthy(path: &Path, boot: &Boot) -> Result<bool, EngineError> {
    if !path.exists() {
        return Ok(true);
    }
    let connection = open_to_read(path).map_err(unavailable)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unavailable)?;
    let marked = "select count(*) from sqlite_schema where type = 'table' and name = 'in_use'";
    if connection.query_row(marked, [], |row| row.get::<_, i64>(0)).map_err(unavailable)? == 0 {
        return Ok(true);
    }
    let mark: Option<(String, i64)> = connection
        .query_row("select boot, state from in_use where id = 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(|error| match error.sqlite_error_code() {
            // The table has other columns, or values of other types.
            None | Some(ErrorCode::Unknown) => {
                EngineError::Corrupt(format!("the mark of its use cannot be read: {error}"))
            }
            Some(_) => unavailable(error),
        })?;
    Ok(mark.is_some_and(|(name, state)| state == CLOSED || boot.is(&name)))
}

/// Marks the file as in use; the mark is durable before anything else is written. False if a
/// process reads an older snapshot of the file: the mark is then only in the write-ahead log, and
/// the file has to be synced as long as it is open.
pub(super) fn begin(connection: &Connection, boot: &Boot) -> Result<bool, EngineError> {
    connection.execute_batch(SYNCED).map_err(unavailable)?;
    connection
        .execute_batch(
            "create table if not exists in_use (id integer primary key, boot text not null, state integer not null)",
        )
        .map_err(unavailable)?;
    connection
        .execute(
            "insert into in_use (id, boot, state) values (1, ?1, ?2) \
             on conflict (id) do update set boot = excluded.boot, state = excluded.state",
            params![boot.0.as_deref().unwrap_or_default(), IN_USE],
        )
        .map_err(unavailable)?;
    connection.busy_timeout(START_PATIENCE).map_err(unavailable)?;
    let moved = move_all(connection);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unavailable)?;
    if let Err(error) = &moved {
        tracing::debug!(%error, "the read models are synced this time: {error}");
    }
    Ok(moved.is_ok())
}

/// Syncs everything and marks the file as closed. If another process reads an older snapshot of it,
/// it stays marked as in use.
pub(super) fn end(connection: &Connection) -> Result<(), EngineError> {
    connection.execute_batch(SYNCED).map_err(unavailable)?;
    // A checkpoint with nothing to move syncs nothing, so this gives it something to move.
    set(connection, CLOSING)?;
    move_all(connection)?;
    set(connection, CLOSED)?;
    move_all(connection)
}

fn set(connection: &Connection, state: i64) -> Result<(), EngineError> {
    connection.execute("update in_use set state = ?1 where id = 1", [state]).map(|_| ()).map_err(unavailable)
}

/// Moves the whole write-ahead log into the file and truncates it.
pub(super) fn move_all(connection: &Connection) -> Result<(), EngineError> {
    if jangbu_sqlite::move_all(connection).map_err(unavailable)? {
        return Ok(());
    }
    Err(EngineError::Unavailable("somebody reads an older moment of it".to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::{SqliteEngine, WRITER_CACHE_KIB, connections};
    use super::*;

    async fn synchronous(engine: &SqliteEngine) -> i64 {
        let asked = engine
            .write(|connection| connection.query_row("pragma synchronous", [], |row| row.get(0)).map_err(unavailable));
        asked.await.unwrap()
    }

    #[tokio::test]
    async fn only_the_owner_syncs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("views.db");
        for (owner, expected) in [(Some(Boot::named("today")), 0), (None, 1)] {
            let engine = SqliteEngine::open(&path, 1, owner).unwrap();
            assert_eq!(synchronous(&engine).await, expected);
            engine.close().await;
        }
    }

    /// The mark has to be in the file before the file is written without syncs.
    #[test]
    fn who_reads_an_older_moment_keeps_the_file_synced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("views.db");
        let writer = connections::connection(&path, WRITER_CACHE_KIB).unwrap();
        writer.execute_batch("create table t (x integer); insert into t values (1)").unwrap();
        let reader = connections::reader(&path).unwrap();
        reader.execute_batch("begin; select * from t").unwrap();
        let boot = Boot::named("today");
        assert!(!begin(&writer, &boot).unwrap());
        reader.execute_batch("rollback").unwrap();
        assert!(begin(&writer, &boot).unwrap());
        drop((writer, reader));
        assert!(is_trustworthy(&path, &boot).unwrap());
        assert!(!is_trustworthy(&path, &Boot::named("tomorrow")).unwrap());
    }
}
