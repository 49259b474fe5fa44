//! The move of the keys out of `log.db`, where earlier versions stored them.
//!
//! The rows are copied into `keys.db` in one transaction, read back from there and compared. Only
//! then are the log's tables dropped, in the transaction that raises its version. Until that commit
//! the tables of the log are valid, and an interrupted move is repeated: rows that are in both are
//! the same, and a key that was destroyed in either stays destroyed. So no key is lost and none
//! reappears, whenever the process ends.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::file;
use crate::error::StoreError;
use crate::sqlite::setup;

/// The schema version of the log from which on it has no tables of keys.
pub(super) const LEFT_THE_LOG: u32 = 6;
/// The greatest size in bytes of a log that is rewritten after the move. It is rewritten in memory
/// before it is on the disk, which takes some seconds, once.
const SCRUBBED_BYTES: i64 = 256 * 1024 * 1024;

const SELECT_KEYS: &str = "select owner, wrapped from user_keys";
const SELECT_SECRETS: &str = "select name, wrapped from secrets";

/// Copies the log's keys and secrets into the file of the keys and compares them there. If the log
/// is not new, what remains of them in it has to be overwritten later, which is noted.
pub(super) fn take_over(
    log: &Connection,
    keys: &mut Connection,
    path: &Path,
    has_a_past: bool,
) -> Result<(), StoreError> {
    let differs = match copy(log, keys, has_a_past).map_err(failed)? {
        // A second comparison, with what is on the disk and not in the connection's cache.
        None => {
            let written = file::open_to_read(path, Duration::from_secs(5)).map_err(failed)?;
            first_difference(log, &written).map_err(failed)?
        }
        differs => differs,
    };
    match differs {
        None => Ok(()),
        Some(what) => Err(StoreError::Unfit(format!(
            "{} has another {what} than the log beside it, so one of them is of another shop: nothing was taken out of \
             the log. Put the file that belongs to this log in its place, or none",
            path.display()
        ))),
    }
}

/// Copies, unless something in the file differs from the log. Then it returns that, and nothing is
/// copied.
fn copy(log: &Connection, keys: &mut Connection, has_a_past: bool) -> rusqlite::Result<Option<String>> {
    let transaction = keys.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut put = transaction.prepare(
            "insert into user_keys (owner, wrapped) values (?1, ?2) on conflict (owner) do update set wrapped = null \
             where excluded.wrapped is null",
        )?;
        for_each(log, SELECT_KEYS, |owner: Vec<u8>, wrapped: Option<Vec<u8>>| {
            put.execute(params![owner, wrapped]).map(|_| true)
        })?;
        let mut put =
            transaction.prepare("insert into secrets (name, wrapped) values (?1, ?2) on conflict do nothing")?;
        for_each(log, SELECT_SECRETS, |name: String, wrapped: Vec<u8>| {
            put.execute(params![name, wrapped]).map(|_| true)
        })?;
    }
    transaction.execute("update upkeep set scrub_keys = 1, scrub_log = ?1", [has_a_past])?;
    let differs = first_difference(log, &transaction)?;
    if differs.is_none() {
        transaction.commit()?;
    }
    Ok(differs)
}

/// The first key or secret of the log that differs in the file of the keys, or is missing there.
fn first_difference(log: &Connection, keys: &Connection) -> rusqlite::Result<Option<String>> {
    let mut found = None;
    let mut kept = keys.prepare("select wrapped from user_keys where owner = ?1")?;
    for_each(log, SELECT_KEYS, |owner: Vec<u8>, wrapped: Option<Vec<u8>>| {
        let same = match kept.query_row([&owner], |row| row.get::<_, Option<Vec<u8>>>(0)).optional()? {
            Some(None) => true,
            Some(kept) => kept == wrapped,
            None => false,
        };
        if !same {
            found = Some("key of a person".to_owned());
        }
        Ok(same)
    })?;
    let mut kept = keys.prepare("select wrapped from secrets where name = ?1")?;
    for_each(log, SELECT_SECRETS, |name: String, wrapped: Vec<u8>| {
        let same = kept.query_row([&name], |row| row.get::<_, Vec<u8>>(0)).optional()?.as_ref() == Some(&wrapped);
        if !same {
            found = Some(format!("secret {name:?}"));
        }
        Ok(same)
    })?;
    Ok(found)
}

/// Calls `each` with rows of two columns until it returns false.
fn for_each<A: rusqlite::types::FromSql, B: rusqlite::types::FromSql>(
    connection: &Connection,
    select: &str,
    mut each: impl FnMut(A, B) -> rusqlite::Result<bool>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(select)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if !each(row.get(0)?, row.get(1)?)? {
            break;
        }
    }
    Ok(())
}

/// Overwrites what remains in the log of the keys that were moved out of it, if that is due.
///
/// Dropping the tables overwrote their pages. Remains may be in pages that the tables had freed
/// before, and in the write-ahead log. So a log that is not too large is rewritten, and the
/// write-ahead log is moved and truncated. What fails is tried again at the next start; nothing
/// else depends on it.
pub(super) fn scrub_log(log: &Connection, keys: &Connection) -> rusqlite::Result<()> {
    if !keys.query_row("select scrub_log from upkeep", [], |row| row.get(0))? {
        return Ok(());
    }
    let bytes = setup::pragma::<i64>(log, "page_count")? * setup::pragma::<i64>(log, "page_size")?;
    if bytes <= SCRUBBED_BYTES {
        log.execute_batch("vacuum")?;
    } else {
        tracing::warn!(
            bytes,
            "the log is too large to be written anew: pages that its former tables of keys had given back may hold \
             wrapped keys still. A backup that is restored has none of them"
        );
    }
    if jangbu_sqlite::move_all(log)? {
        keys.execute("update upkeep set scrub_log = 0", [])?;
    }
    Ok(())
}

fn failed(cause: rusqlite::Error) -> StoreError {
    StoreError::Migrate(Box::new(cause))
}
