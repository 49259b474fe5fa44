//! The file `keys.db`: its settings and their check, its tables, and overwriting what was deleted
//! in it.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::error::StoreError;
use crate::sqlite::setup;

/// The file of the keys, next to the log's.
pub(crate) const KEYS_FILE: &str = "keys.db";
const TABLES: &str = include_str!("../../../../migrations/keys/0001_keys.sql");
/// The version of the tables that this program writes.
const VERSION: u32 = 1;
/// `PRAGMA synchronous` reads back as this when it is EXTRA: the folder is synced, too, so that an
/// emptied journal cannot reappear and undo a commit.
const SYNCHRONOUS_EXTRA: i64 = 3;
const CACHE_KIB: i64 = -1_024;

const SET_SCRUB: &str = "update upkeep set scrub_keys = ?1";

pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(KEYS_FILE)
}

/// Whether the file exists and is not empty.
pub(super) fn is_there(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() > 0)
}

/// Makes the file and its tables, where they do not exist.
pub(super) fn make(path: &Path, busy_timeout: Duration) -> Result<Connection, StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(cause) if cause.kind() != ErrorKind::AlreadyExists => {
            return Err(StoreError::Folder { folder: path.to_owned(), cause });
        }
        Ok(_) | Err(_) => {}
    }
    let mut connection = open(path, busy_timeout)?;
    make_tables(&mut connection).map_err(setup::open_error)?;
    Ok(connection)
}

/// Opens the existing file for writing.
pub(super) fn open(path: &Path, busy_timeout: Duration) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(setup::open_error)?;
    set_up(&connection, busy_timeout).map_err(setup::open_error)?;
    refuse_lax(&connection)?;
    refuse_newer(&connection)?;
    Ok(connection)
}

/// Opens the file for reading only, also where nothing can be written. This fails if a process
/// ended in the middle of a write: only a process that may write can roll that back.
pub(super) fn open_to_read(path: &Path, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy_timeout)?;
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Makes the tables if there are none.
pub(crate) fn make_tables(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if setup::schema_version(&transaction)? == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}

fn set_up(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(busy_timeout)?;
    // Otherwise VACUUM would write all keys into a file in the system's temporary folder.
    connection.pragma_update(None, "temp_store", "memory")?;
    // A write-ahead log would keep copies of what was written until it is moved, and readers can
    // prevent that. This journal is empty after each commit.
    connection.query_row("pragma journal_mode = truncate", [], |_| Ok(()))?;
    setup::overwrite_deleted(connection, true)?;
    connection.pragma_update(None, "synchronous", "extra")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)
}

/// Reads back the settings that the guarantee of destroyed keys depends on.
fn refuse_lax(connection: &Connection) -> Result<(), StoreError> {
    let mode: String = setup::pragma(connection, "journal_mode").map_err(setup::open_error)?;
    let overwrites: i64 = setup::pragma(connection, "secure_delete").map_err(setup::open_error)?;
    let synchronous: i64 = setup::pragma(connection, "synchronous").map_err(setup::open_error)?;
    if mode == "truncate" && overwrites == 1 && synchronous == SYNCHRONOUS_EXTRA {
        return Ok(());
    }
    Err(StoreError::Unfit(format!(
        "SQLite opens {KEYS_FILE} with journal_mode={mode}, secure_delete={overwrites} and synchronous={synchronous} \
         instead of truncate, 1 and {SYNCHRONOUS_EXTRA}"
    )))
}

fn refuse_newer(connection: &Connection) -> Result<(), StoreError> {
    let found = setup::schema_version(connection).map_err(setup::open_error)?;
    if found > VERSION { Err(StoreError::Newer { found, known: VERSION }) } else { Ok(()) }
}

/// Notes that deleted data may remain in the file; part of the transaction that deletes.
pub(super) fn note_deleted(transaction: &Connection) -> rusqlite::Result<()> {
    transaction.execute(SET_SCRUB, [true]).map(|_| ())
}

/// Rewrites the file from the remaining rows, if something was deleted from it.
///
/// `secure_delete` overwrites a row in its place. But when a page was split or joined, copies of
/// its rows may remain in unused parts of other pages, and these disappear only with the pages. So
/// the whole file is rewritten, about 130 bytes per person: some milliseconds for 10,000 people.
pub(super) fn scrub(connection: &Connection) -> rusqlite::Result<()> {
    if connection.query_row("select scrub_keys from upkeep", [], |row| row.get(0))? {
        connection.execute_batch("vacuum")?;
        connection.execute(SET_SCRUB, [false])?;
    }
    Ok(())
}
