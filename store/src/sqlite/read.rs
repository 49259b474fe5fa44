//! Reading: the statements, and the conversion of rows to the types of the kernel.

use std::sync::Arc;

use async_trait::async_trait;
use jangbu_kernel::log::watch::HeadWatch;
use jangbu_kernel::log::{
    Append, AppendResult, EventLog, LoadedStream, LogError, ReadFilter, Receipt, ReceiptKey, SealedRoot, Snapshot,
};
use jangbu_kernel::{Position, RecordedEvent, StreamId, Version};
use rusqlite::types::{FromSqlError, Type, Value};
use rusqlite::{Connection, OptionalExtension as _, Row, Rows, params, params_from_iter};
use uuid::Uuid;

use super::readers::ReadError;
use super::streams::Name;
use super::{Reads, SqliteStore, receipts, stream};
use crate::FILTER_WINDOW;
use crate::batch;
use crate::row::{self, EventColumns, Followed, StoredRow, limit_i64, to_i64, to_u64};

macro_rules! select_events {
    ($rest:literal) => {
        concat!(
            "select position, stream_kind, stream_id, version, event_id, event_type, schema_version, payload, \
             correlation_id, causation_id, command_id, actor, trace, recorded_at, hash ",
            $rest
        )
    };
}

pub(super) const ROWS_AFTER: &str = select_events!("from events where position > ?1 order by position limit ?2");
pub(super) const ROW_AT: &str = select_events!("from events where position = ?1");
/// The events that the index has for a stream; a row of nulls where an entry points to no event.
pub(super) const STREAM_RANGE: &str = select_events!(
    "from (select version as nth, position as place from events_in_streams \
     where stream_kind = ?1 and stream_id = ?2 and version between ?3 and ?4) \
     left join events on position = place order by nth limit ?5"
);
const FILTERED: &str = select_events!("from events where position > ?1 and position <= ?2");

#[async_trait]
impl EventLog for SqliteStore {
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<AppendResult>, LogError> {
        self.append_prepared(batch::prepare(batch)).await
    }

    fn exclusive(&self) -> bool {
        true
    }

    fn for_deciding(&self) -> Option<Arc<dyn EventLog>> {
        Some(Arc::new(Self(Arc::clone(&self.0), Reads::Deciding)))
    }

    async fn load(&self, streams: Vec<(StreamId, u16)>) -> Result<Vec<LoadedStream>, LogError> {
        let index = self.0.streams.clone();
        self.read(move |connection| stream::load(connection, &index, &streams)).await
    }

    async fn read_stream(
        &self,
        stream: StreamId,
        from_version: Version,
        to_version: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let index = self.0.streams.clone();
        self.read(move |connection| {
            let view = index.view(connection, &[stream.into()])?;
            stream::range(connection, &view, stream, (from_version, to_version), limit)
        })
        .await
    }

    async fn read_all(
        &self,
        after: Position,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<(Vec<RecordedEvent>, Position), LogError> {
        if limit == 0 {
            return Ok((Vec::new(), after));
        }
        let filter = filter.clone();
        self.read(move |connection| read_all(connection, after, limit, &filter)).await
    }

    async fn follow(
        &self,
        after: Position,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<(Vec<Arc<RecordedEvent>>, Position), LogError> {
        if self.0.writer.is_some() {
            if after >= self.0.head.current() {
                return Ok((Vec::new(), after));
            }
            if let Some(found) = self.0.tail.read(after, limit, filter) {
                return Ok(found);
            }
        }
        let (events, read_to) = self.read_all(after, limit, filter).await?;
        Ok((events.into_iter().map(Arc::new).collect(), read_to))
    }

    async fn versions(&self, streams: Vec<StreamId>) -> Result<Vec<Version>, LogError> {
        let index = self.0.streams.clone();
        self.read(move |connection| {
            let names: Vec<Name> = streams.into_iter().map(Name::from).collect();
            let view = index.view(connection, &names)?;
            names.iter().map(|stream| Ok(view.version(connection, stream)?)).collect()
        })
        .await
    }

    async fn receipts(&self, keys: Vec<ReceiptKey>) -> Result<Vec<Option<Receipt>>, LogError> {
        if self.0.writer.is_none() {
            let find = move |connection: &Connection| {
                keys.iter().map(|key| Ok(receipts::find_beside(connection, key)?)).collect()
            };
            return self.read(find).await;
        }
        // Read before the snapshot is taken: entries that reach the index in between are in both.
        let likely: Vec<Vec<i64>> = keys.iter().map(|key| self.0.unindexed.numbers(key)).collect();
        self.read(move |connection| {
            keys.iter().zip(&likely).map(|(key, likely)| Ok(receipts::find(connection, key, likely)?)).collect()
        })
        .await
    }

    async fn save_snapshots(&self, snapshots: Vec<Snapshot>) -> Result<(), LogError> {
        let index = self.0.streams.clone();
        self.write(move |connection| stream::save_snapshots(connection, &index, &snapshots)).await
    }

    async fn head(&self) -> Result<Position, LogError> {
        self.read(|connection| Ok(to_u64(head(connection)?))).await
    }

    async fn identity(&self) -> Result<Uuid, LogError> {
        self.read(|connection| Ok(identity(connection)?)).await
    }

    async fn hash_at(&self, position: Position) -> Result<Option<[u8; 32]>, LogError> {
        self.read(move |connection| Ok(hash_at(connection, position)?)).await
    }

    fn watch_head(&self) -> HeadWatch {
        self.watch()
    }

    async fn sealed_roots(&self, after: Position, limit: usize) -> Result<Vec<SealedRoot>, LogError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "select size, root, sealed_at from sealed_roots where size > ?1 order by size limit ?2",
            )?;
            let roots = statement.query_map(params![to_i64(after), limit_i64(limit)], |row| {
                let size = to_u64(row.get(0)?);
                Ok(SealedRoot { size, root: row.get(1)?, sealed_at: moment(row, 2)? })
            })?;
            Ok(roots.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// The last position, 0 in an empty log.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("select coalesce(max(position), 0) from events")?.query_row([], |row| row.get(0))
}

/// Identifies the log among all logs.
pub(super) fn identity(connection: &Connection) -> rusqlite::Result<Uuid> {
    connection.prepare_cached("select log from log_identity where id = 1")?.query_row([], |row| uuid(row, 0))
}

/// The stored leaf hash of an event; none if there is no event, or its hash does not have 32 bytes.
pub(super) fn hash_at(connection: &Connection, position: Position) -> rusqlite::Result<Option<[u8; 32]>> {
    let mut statement = connection.prepare_cached("select hash from events where position = ?1")?;
    let hash: Option<Vec<u8>> = statement.query_row([to_i64(position)], |row| row.get(0)).optional()?;
    Ok(hash.and_then(|hash| hash.try_into().ok()))
}

fn read_all(
    connection: &Connection,
    after: Position,
    limit: usize,
    filter: &ReadFilter,
) -> Result<(Vec<RecordedEvent>, Position), ReadError> {
    if *filter == ReadFilter::default() {
        let mut statement = connection.prepare_cached(ROWS_AFTER)?;
        let found = follow(statement.query(params![to_i64(after), limit_i64(limit)])?)?;
        let read_to = found.last().unwrap_or(after);
        return Ok((found.events, read_to));
    }
    let end = after.plus(FILTER_WINDOW).min(to_u64(head(connection)?)).max(after);
    let mut sql = String::from(FILTERED);
    let mut values = vec![Value::Integer(to_i64(after)), Value::Integer(to_i64(end))];
    if let Some(correlation) = filter.correlation_id {
        sql.push_str(" and correlation_id = ?");
        values.push(Value::Blob(correlation.uuid().as_bytes().to_vec()));
    }
    if !filter.event_types.is_empty() {
        let marks = vec!["?"; filter.event_types.len()].join(", ");
        sql.push_str(&format!(" and event_type in ({marks})"));
        values.extend(filter.event_types.iter().cloned().map(Value::Text));
    }
    sql.push_str(" order by position limit ?");
    values.push(Value::Integer(limit_i64(limit)));
    let mut statement = connection.prepare_cached(&sql)?;
    let found = follow(statement.query(params_from_iter(values))?)?;
    let read_to = found.read_to(limit, end);
    Ok((found.events, read_to))
}

/// Events for readers that follow the whole log: an unreadable event stops only its own stream, and
/// an event of an unknown kind of stream stops none.
fn follow(mut rows: Rows<'_>) -> rusqlite::Result<Followed> {
    let mut found = Followed::default();
    while let Some(row) = rows.next()? {
        let position = to_u64(row.get(0)?);
        let event = match columns(row).map_err(ReadError::from).and_then(|columns| Ok(columns.event()?)) {
            Ok(event) => Some(event),
            Err(_) => stand_in(row, position),
        };
        found.take(position, event);
    }
    Ok(found)
}

/// A stand-in for a row that cannot be read; none if its kind of stream is unknown.
fn stand_in(row: &Row<'_>, position: Position) -> Option<RecordedEvent> {
    let kind = row.get_ref(1).ok()?.as_str().ok()?;
    let stream = row::stream_id(kind, uuid(row, 2).ok()?)?;
    let event_type = row.get_ref(5).ok().and_then(|found| found.as_str().ok()).unwrap_or_default();
    Some(row::unreadable(position, stream, to_u64(row.get(3).ok()?), event_type))
}

pub(super) fn columns<'a>(row: &'a Row<'_>) -> rusqlite::Result<EventColumns<'a>> {
    let text = |column| row.get_ref(column)?.as_str().map_err(|error| failed(column, error));
    Ok(EventColumns {
        position: row.get(0)?,
        stream_kind: text(1)?,
        stream_id: uuid(row, 2)?,
        version: row.get(3)?,
        event_id: uuid(row, 4)?,
        event_type: text(5)?,
        schema_version: row.get(6)?,
        payload: text(7)?,
        correlation_id: uuid(row, 8)?,
        causation_id: uuid(row, 9)?,
        command_id: uuid(row, 10)?,
        actor: text(11)?,
        trace: row.get_ref(12)?.as_str_or_null().map_err(|error| failed(12, error))?,
        recorded_at_ms: row.get(13)?,
        hash: row.get_ref(14)?.as_blob().map_err(|error| failed(14, error))?,
    })
}

fn failed(column: usize, error: FromSqlError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Null, Box::new(error))
}

/// Invalid texts and ids are read as closely as possible; the hash does not match them then.
pub(super) fn stored_row(row: &Row<'_>) -> rusqlite::Result<StoredRow> {
    let text = |column| -> rusqlite::Result<Option<String>> {
        let bytes = row.get_ref(column)?.as_bytes_or_null().map_err(|error| failed(column, error))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    };
    let id = |column| -> rusqlite::Result<Uuid> {
        let bytes = row.get_ref(column)?.as_blob().map_err(|error| failed(column, error))?;
        Ok(Uuid::from_slice(bytes).unwrap_or_default())
    };
    Ok(StoredRow {
        position: to_u64(row.get(0)?),
        stream_kind: text(1)?.unwrap_or_default(),
        stream_id: id(2)?,
        version: to_u64(row.get(3)?),
        event_id: id(4)?,
        event_type: text(5)?.unwrap_or_default(),
        schema_version: to_u64(row.get(6)?),
        payload: text(7)?.unwrap_or_default(),
        correlation_id: id(8)?,
        causation_id: id(9)?,
        command_id: id(10)?,
        actor: text(11)?.unwrap_or_default(),
        trace: text(12)?,
        recorded_at_ms: row.get(13)?,
        hash: row.get(14)?,
    })
}

/// Reads the columns fingerprint, stream kind, stream id, version, position, recorded at.
pub(super) fn receipt(row: &Row<'_>) -> rusqlite::Result<Receipt> {
    let kind: String = row.get(1)?;
    Ok(Receipt {
        fingerprint: row.get(0)?,
        stream: row::stream_id(&kind, uuid(row, 2)?).ok_or_else(|| unreadable(1, Type::Text))?,
        version: to_u64(row.get(3)?),
        position: to_u64(row.get(4)?),
        recorded_at: moment(row, 5)?,
    })
}

pub(super) fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get::<_, [u8; 16]>(column).map(Uuid::from_bytes)
}

pub(super) fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<jangbu_kernel::Timestamp> {
    let milliseconds: i64 = row.get(column)?;
    row::moment(milliseconds).ok_or_else(|| unreadable(column, Type::Integer))
}

pub(super) fn unreadable(column: usize, found: Type) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, found, Box::new(FromSqlError::InvalidType))
}
