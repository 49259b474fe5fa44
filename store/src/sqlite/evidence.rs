//! What a verification reads besides the events.

use jangbu_kernel::Position;
use jangbu_kernel::log::{LogError, ReceiptKey};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::read;
use super::readers::ReadError;
use super::runs::Index as _;
use super::streams::{ByStream, Name, StreamIndex};
use crate::ledger::{KeptReceipt, Marks, StoredFrontier, StrayEntry};
use crate::row::{limit_i64, to_i64, to_u64};

const RECEIPTS: &str = "select number, scope, key_hash, stream_kind, stream_id, version, position \
     from receipts where number > ?1 order by number limit ?2";
const NOT_LED_TO: &str = "select e.position from events e left join events_in_streams i \
     on i.stream_kind = e.stream_kind and i.stream_id = e.stream_id and i.version = e.version \
     where e.position > ?1 and e.position <= min(?2, (select position from events_indexed)) \
     and i.position is not e.position";
const ENTRIES: &str = "select i.stream_kind, i.stream_id, i.version, i.position, i.position <= ?4 or exists \
     (select 1 from events e where e.position = i.position and e.stream_kind = i.stream_kind \
     and e.stream_id = i.stream_id and e.version = i.version) \
     from events_in_streams i where (i.stream_kind, i.stream_id, i.version) > (?1, ?2, ?3) \
     order by i.stream_kind, i.stream_id, i.version limit ?5";

/// Entries of the index that are read at once.
const ENTRIES_AT_ONCE: usize = 50_000;

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

/// Receipts in the order of their numbers, without the positions of the events that they name, and
/// the streams in which to look for these.
pub(super) fn receipts(
    connection: &Connection,
    after: Position,
    limit: usize,
) -> rusqlite::Result<Vec<(KeptReceipt, Option<Name>)>> {
    let mut statement = connection.prepare_cached(RECEIPTS)?;
    let rows = statement.query_map(params![to_i64(after), limit_i64(limit)], |row| {
        let kept = KeptReceipt {
            number: to_u64(row.get(0)?),
            key: ReceiptKey { scope: row.get(1)?, hash: row.get(2)? },
            stream: stream(row, 3, 4)?,
            version: to_u64(row.get(5)?),
            position: to_u64(row.get(6)?),
            event_position: None,
        };
        Ok((kept, Name::read(row, 3, 4)?))
    })?;
    rows.collect()
}

/// Adds to each receipt the position of the event that it names.
pub(super) fn with_places(
    connection: &Connection,
    index: &StreamIndex,
    receipts: Vec<(KeptReceipt, Option<Name>)>,
) -> rusqlite::Result<Vec<KeptReceipt>> {
    let names: Vec<Name> = receipts.iter().filter_map(|(_, name)| name.clone()).collect();
    let view = index.view(connection, &names)?;
    let with_place = |(mut receipt, name): (KeptReceipt, Option<Name>)| {
        if let Some(name) = name {
            let event = view.event(connection, &name, to_i64(receipt.version))?;
            receipt.event_position = event.map(|(position, _)| to_u64(position));
        }
        Ok(receipt)
    };
    receipts.into_iter().map(with_place).collect()
}

/// Events that are missing in the index of streams.
pub(super) fn not_led_to(connection: &Connection, after: Position, to: Position) -> rusqlite::Result<Vec<Position>> {
    let mut statement = connection.prepare_cached(NOT_LED_TO)?;
    let rows = statement.query_map(params![to_i64(after), to_i64(to)], |row| row.get(0).map(to_u64))?;
    rows.collect()
}

/// The position up to which the index has every event, and the head.
pub(super) fn index_and_head(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    Ok((ByStream::entered_to(connection)?, read::head(connection)?))
}

/// A page of the index.
#[derive(Default)]
pub(super) struct Entries {
    /// The last entry, after which the next page begins; none if this is the last page.
    pub last: Option<(String, Vec<u8>, i64)>,
    /// The number of entries that point to positions up to `believed`.
    pub believed: i64,
    /// Entries that do not point to an event of their stream and version.
    pub strays: Vec<StrayEntry>,
}

/// The entries after a given one. Entries that point to a position up to `believed` are counted but
/// not checked.
pub(super) fn entries(
    connection: &Connection,
    after: Option<(String, Vec<u8>, i64)>,
    believed: i64,
) -> rusqlite::Result<Entries> {
    let mut statement = connection.prepare_cached(ENTRIES)?;
    let (kind, id, version) = after.unwrap_or_default();
    let mut rows = statement.query(params![kind, id, version, believed, limit_i64(ENTRIES_AT_ONCE)])?;
    let (mut page, mut count) = (Entries::default(), 0);
    while let Some(row) = rows.next()? {
        let position: i64 = row.get(3)?;
        count += 1;
        page.believed += i64::from(position <= believed);
        if !row.get::<_, bool>(4)? {
            let (stream, version) = (stream(row, 0, 1)?, to_u64(row.get(2)?));
            page.strays.push(StrayEntry { stream, version, position: to_u64(position) });
        }
        if count == ENTRIES_AT_ONCE {
            page.last = Some((row.get(0)?, row.get(1)?, row.get(2)?));
        }
    }
    Ok(page)
}

/// A row that does not fit its columns is damage, as opposed to a disk that does not answer.
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

/// The stream that two columns name, whatever they hold: it is only displayed.
pub(super) fn stream(row: &Row<'_>, kind: usize, id: usize) -> rusqlite::Result<String> {
    let (kind, id): (String, Vec<u8>) = (row.get(kind)?, row.get(id)?);
    Ok(Uuid::from_slice(&id).map_or_else(|_| format!("{kind}-?"), |id| format!("{kind}-{id}")))
}
