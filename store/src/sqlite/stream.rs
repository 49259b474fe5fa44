//! One stream: its events in the order of their versions, and its snapshot.

use jangbu_kernel::log::{LoadedStream, LogError, Snapshot};
use jangbu_kernel::{RecordedEvent, StreamId, Version};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row, Rows, params};

use super::evidence;
use super::read;
use super::readers::ReadError;
use super::streams::{Name, StreamIndex, View};
use crate::ledger::Kept;
use crate::row::{limit_i64, to_i64, to_u64};

/// Candidates that are read at once.
const CANDIDATES: usize = 2_000;

const SNAPSHOT: &str = "select version, state_version, state, hash from snapshots \
     where stream_id = ?1 and stream_kind = ?2";
const SAVE: &str = "insert into snapshots (stream_id, stream_kind, version, state_version, state, hash) \
     values (?1, ?2, ?3, ?4, ?5, ?6) on conflict (stream_id, stream_kind) do update set version = excluded.version, \
     state_version = excluded.state_version, state = excluded.state, hash = excluded.hash \
     where excluded.version > snapshots.version or excluded.state_version <> snapshots.state_version or ?7";
const NOT_IN_INDEX: &str = "select s.stream_id, s.stream_kind, s.version from snapshots s \
     where (s.stream_id, s.stream_kind) > (?1, ?2) and not exists (select 1 from events_in_streams i \
     join events e on e.position = i.position and e.stream_kind = i.stream_kind and e.stream_id = i.stream_id \
     and e.version = i.version \
     where i.stream_kind = s.stream_kind and i.stream_id = s.stream_id and i.version = s.version) \
     order by s.stream_id, s.stream_kind limit ?3";

/// Streams, each loaded from its snapshot if that fits.
pub(super) fn load(
    connection: &Connection,
    index: &StreamIndex,
    streams: &[(StreamId, u16)],
) -> Result<Vec<LoadedStream>, ReadError> {
    let names: Vec<Name> = streams.iter().map(|(stream, _)| Name::from(*stream)).collect();
    let view = index.view(connection, &names)?;
    streams.iter().map(|(stream, state_version)| load_one(connection, &view, *stream, *state_version)).collect()
}

fn load_one(
    connection: &Connection,
    view: &View,
    stream: StreamId,
    state_version: u16,
) -> Result<LoadedStream, ReadError> {
    if let Some(kept) = kept(connection, stream)?.filter(|kept| kept.snapshot.state_version == state_version) {
        let events = range(connection, view, stream, (kept.begins_at(), Version::MAX), usize::MAX)?;
        if let Some(loaded) = kept.in_front_of(events) {
            return Ok(loaded);
        }
    }
    Ok(LoadedStream {
        snapshot: None,
        events: range(connection, view, stream, (Version::FIRST, Version::MAX), usize::MAX)?,
    })
}

fn kept(connection: &Connection, stream: StreamId) -> rusqlite::Result<Option<Kept>> {
    let mut statement = connection.prepare_cached(SNAPSHOT)?;
    let kept = statement.query_row(params![stream.id.as_bytes(), stream.kind.name()], |row| {
        let snapshot =
            Snapshot { stream, version: to_u64(row.get(0)?), state_version: row.get(1)?, state: row.get(2)? };
        Ok(Kept { snapshot, hash: row.get(3)? })
    });
    kept.optional()
}

/// Events of a stream from one version to another, at most `limit`. Each is checked to be the next
/// one of this stream.
pub(super) fn range(
    connection: &Connection,
    view: &View,
    stream: StreamId,
    (from, to): (Version, Version),
    limit: usize,
) -> Result<Vec<RecordedEvent>, ReadError> {
    let (from, to) = (to_i64(from.max(Version::FIRST)), to_i64(to));
    let newest = view.newest(&Name::from(stream));
    let mut found = Vec::new();
    // Versions that are in memory as well are not read from the index.
    let indexed_to = newest.first().map_or(to, |(first, _)| to.min(first - 1));
    if from <= indexed_to {
        let mut statement = connection.prepare_cached(read::STREAM_RANGE)?;
        let bounds = params![stream.kind.name(), stream.id.as_bytes(), from, indexed_to, limit_i64(limit)];
        take(statement.query(bounds)?, stream, from, &mut found)?;
    }
    let mut at = connection.prepare_cached(read::ROW_AT)?;
    for (_, position) in newest.iter().filter(|(version, _)| (from..=to).contains(version)) {
        if found.len() >= limit {
            break;
        }
        let before = found.len();
        take(at.query([position])?, stream, from, &mut found)?;
        if found.len() == before {
            return Err(misled(stream, *position));
        }
    }
    Ok(found)
}

fn take(mut rows: Rows<'_>, stream: StreamId, from: i64, found: &mut Vec<RecordedEvent>) -> Result<(), ReadError> {
    while let Some(row) = rows.next()? {
        let event = event(row, stream)?;
        let expected = found.last().map_or(to_u64(from), |before| before.version.next());
        if event.stream != stream || event.version != expected {
            return Err(misled(stream, to_i64(event.position)));
        }
        found.push(event);
    }
    Ok(())
}

fn event(row: &Row<'_>, stream: StreamId) -> Result<RecordedEvent, ReadError> {
    if row.get_ref(0)? == ValueRef::Null {
        return Err(LogError::Damaged(format!("the index of streams leads from {stream} to no event")).into());
    }
    Ok(read::columns(row)?.event()?)
}

fn misled(stream: StreamId, position: i64) -> ReadError {
    LogError::Damaged(format!("the event at position {position} is not the next one of {stream}")).into()
}

/// Saves snapshots of versions that their streams have, unless a newer one that fits its stream is
/// stored.
pub(super) fn save_snapshots(
    connection: &Connection,
    index: &StreamIndex,
    snapshots: &[Snapshot],
) -> rusqlite::Result<()> {
    let names: Vec<Name> = snapshots.iter().map(|snapshot| Name::from(snapshot.stream)).collect();
    let view = index.view(connection, &names)?;
    let mut save = connection.prepare_cached(SAVE)?;
    for (snapshot, name) in snapshots.iter().zip(&names) {
        let Some((_, hash)) = view.event(connection, name, to_i64(snapshot.version))? else { continue };
        let misfits = match kept(connection, snapshot.stream)? {
            Some(kept) => {
                let last = view.event(connection, name, to_i64(kept.snapshot.version))?;
                last.is_none_or(|(_, hash)| kept.hash.is_some_and(|kept| kept != hash))
            }
            None => false,
        };
        save.execute(params![
            snapshot.stream.id.as_bytes(),
            snapshot.stream.kind.name(),
            to_i64(snapshot.version),
            snapshot.state_version,
            snapshot.state,
            hash,
            misfits,
        ])?;
    }
    Ok(())
}

/// A snapshot whose version is missing in the index.
#[derive(Clone)]
pub(super) struct Candidate {
    /// The columns of the stream, after which the next page begins.
    id: Vec<u8>,
    kind: String,
    version: i64,
    name: Option<Name>,
    /// The stream as it is displayed.
    shown: String,
}

impl Candidate {
    /// Stream and version as a verification reports them.
    pub(super) fn told(self) -> (String, Version) {
        (self.shown, to_u64(self.version))
    }
}

/// Snapshots after a stream whose versions are missing in the index.
pub(super) fn candidates(connection: &Connection, after: Option<&Candidate>) -> rusqlite::Result<Vec<Candidate>> {
    let mut statement = connection.prepare_cached(NOT_IN_INDEX)?;
    let (id, kind) = after.map_or((&[][..], ""), |after| (&after.id, &after.kind));
    let rows = statement.query_map(params![id, kind, limit_i64(CANDIDATES)], |row| {
        Ok(Candidate {
            id: row.get(0)?,
            kind: row.get(1)?,
            version: row.get(2)?,
            name: Name::read(row, 1, 0)?,
            shown: evidence::stream(row, 1, 0)?,
        })
    })?;
    rows.collect()
}

/// The candidates whose versions their streams do not have either.
pub(super) fn ahead(
    connection: &Connection,
    index: &StreamIndex,
    candidates: Vec<Candidate>,
) -> rusqlite::Result<Vec<Candidate>> {
    let names: Vec<Name> = candidates.iter().filter_map(|candidate| candidate.name.clone()).collect();
    let view = index.view(connection, &names)?;
    let mut ahead = Vec::new();
    for candidate in candidates {
        let is_there = match &candidate.name {
            Some(name) => view.event(connection, name, candidate.version)?.is_some(),
            None => false,
        };
        if !is_there {
            ahead.push(candidate);
        }
    }
    Ok(ahead)
}
