//! What a verification reads beside the events.

use jangbu_kernel::log::{LogError, ReceiptKey};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::readers::ReadError;
use crate::ledger::{KeptReceipt, Marks, StoredFrontier};
use crate::row::{limit_i64, to_i64, to_u64};

const RECEIPTS: &str = "select r.number, r.scope, r.key_hash, r.stream_kind, r.stream_id, r.version, r.position, \
     (select e.position from events e where e.stream_id = r.stream_id and e.stream_kind = r.stream_kind \
     and e.version = r.version) \
     from receipts r where r.number > ?1 order by r.number limit ?2";
const SNAPSHOTS_AHEAD: &str = "select s.stream_kind, s.stream_id, s.version from snapshots s \
     where s.version > coalesce((select max(e.version) from events e where e.stream_id = s.stream_id \
     and e.stream_kind = s.stream_kind), 0) limit ?1";

pub(super) fn marks(connection: &Connection) -> rusqlite::Result<Marks> {
    let frontier = connection
        .prepare_cached("select size, peaks from sealed_frontier")?
        .query_row([], |row| Ok(StoredFrontier { size: to_u64(row.get(0)?), peaks: row.get(1)? }))
        .optional()?;
    let checkpoint = connection
        .prepare_cached("select reader, position from checkpoints order by position desc limit 1")?
        .query_row([], |row| Ok((row.get(0)?, to_u64(row.get(1)?))))
        .optional()?;
    Ok(Marks { counter: None, frontier, checkpoint })
}

pub(super) fn receipts(connection: &Connection, after: u64, limit: usize) -> rusqlite::Result<Vec<KeptReceipt>> {
    let mut statement = connection.prepare_cached(RECEIPTS)?;
    let rows = statement.query_map(params![to_i64(after), limit_i64(limit)], |row| {
        Ok(KeptReceipt {
            number: to_u64(row.get(0)?),
            key: ReceiptKey { scope: row.get(1)?, hash: row.get(2)? },
            stream: stream(row, 3, 4)?,
            version: to_u64(row.get(5)?),
            position: to_u64(row.get(6)?),
            event_position: row.get::<_, Option<i64>>(7)?.map(to_u64),
        })
    })?;
    rows.collect()
}

pub(super) fn snapshots_ahead(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<(String, u64)>> {
    let mut statement = connection.prepare_cached(SNAPSHOTS_AHEAD)?;
    let rows = statement.query_map([limit_i64(limit)], |row| Ok((stream(row, 0, 1)?, to_u64(row.get(2)?))))?;
    rows.collect()
}

/// A row that does not fit its columns is damage, which is told apart from a disk that
/// does not answer.
pub(super) fn unreadable(error: rusqlite::Error) -> ReadError {
    let misfit = matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
    );
    if misfit { LogError::Damaged(error.to_string()).into() } else { error.into() }
}

/// A stream as its columns name it, whatever they hold: it is only shown.
fn stream(row: &Row<'_>, kind: usize, id: usize) -> rusqlite::Result<String> {
    let (kind, id): (String, Vec<u8>) = (row.get(kind)?, row.get(id)?);
    Ok(Uuid::from_slice(&id).map_or_else(|_| format!("{kind}-?"), |id| format!("{kind}-{id}")))
}
