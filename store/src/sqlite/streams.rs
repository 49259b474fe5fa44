//! The places of the events of a stream: an index from stream and version to position, entered in
//! sorted runs (`runs.rs`).
//!
//! Events are stored in the order of their positions, and entries that the index lacks are in the
//! writer's memory. No version is used twice, because the only writer knows all of them: those that
//! the running transaction has written, those in memory, and those in the index. The key of the
//! index is a safeguard: an entry that would give a version a second event is not entered, and
//! stops all writing.
//!
//! Where to start: [`Streams`] is the writer's side, [`StreamIndex`] the readers', and `take_over`
//! the migration of an older store.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use jangbu_kernel::{AggregateKind, Position, StreamId, Version};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, ffi, params};
use uuid::Uuid;

use super::read;
use super::runs::{Entering, Entry, Index, Unentered};
use super::setup;
use crate::row::{to_i64, to_u64};

/// The most entries that a handle beside the writing process keeps in memory, 80 MiB. If the index
/// lacks more, every read searches the rest of the log again.
const KEPT_BESIDE: usize = 1_000_000;
/// The number of events after which a take-over logs its progress, every few seconds.
const TOLD_EVERY: i64 = 1_000_000;

const ENTER: &str = "insert into events_in_streams (stream_kind, stream_id, version, position) \
     values (?1, ?2, ?3, ?4) on conflict do nothing";
const PLACE: &str = "select position from events_in_streams where stream_kind = ?1 and stream_id = ?2 and version = ?3";
const NEWEST: &str = "select version from events_in_streams where stream_kind = ?1 and stream_id = ?2 \
     order by version desc limit 1";
const INDEXED: &str = "select position from events_indexed";
const SET_INDEXED: &str = "update events_indexed set position = ?1";
const BEHIND: &str =
    "select position, stream_kind, stream_id, version from events where position > ?1 order by position";
const DOUBLED: &str = "select e.stream_kind, e.stream_id, e.version, i.position, e.position \
     from events e join events_in_streams i on i.stream_kind = e.stream_kind and i.stream_id = e.stream_id \
     and i.version = e.version \
     where e.position > (select position from events_indexed) and i.position <> e.position limit 1";
const HASH_OF: &str =
    "select hash from events where position = ?1 and stream_kind = ?2 and stream_id = ?3 and version = ?4";

/// The name of a stream, which may be of a kind that this program does not know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    kind: Cow<'static, str>,
    id: Uuid,
}

impl From<StreamId> for Name {
    fn from(stream: StreamId) -> Self {
        Self { kind: Cow::Borrowed(stream.kind.name()), id: stream.id }
    }
}

impl Name {
    /// The stream that two columns name; none if they do not name one.
    pub(super) fn read(row: &Row<'_>, kind: usize, id: usize) -> rusqlite::Result<Option<Self>> {
        let (Ok(kind), Ok(id)) = (row.get_ref(kind)?.as_str(), row.get_ref(id)?.as_blob()) else { return Ok(None) };
        let known = AggregateKind::from_name(kind);
        let kind = known.map_or_else(|| Cow::Owned(kind.to_owned()), |known| Cow::Borrowed(known.name()));
        Ok(Uuid::from_slice(id).ok().map(|id| Self { kind, id }))
    }

    /// The entries of the stream, from one version to another.
    fn entries(&self, from: i64, to: i64) -> RangeInclusive<Entry<Key>> {
        let key = |version| Key { stream: self.clone(), version };
        (key(from), i64::MIN)..=(key(to), i64::MAX)
    }

    fn all_entries(&self) -> RangeInclusive<Entry<Key>> {
        self.entries(i64::MIN, i64::MAX)
    }
}

/// The key that the index is sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    stream: Name,
    version: i64,
}

impl Key {
    fn text(&self) -> String {
        let Self { stream: Name { kind, id }, version } = self;
        format!("version {version} of {kind}-{id}")
    }
}

/// The index of streams. Its entries point to positions.
#[derive(Debug)]
pub(super) struct ByStream;

impl Index for ByStream {
    const OF: &'static str = "streams";
    type Key = Key;

    fn enter<'a>(connection: &Connection, entries: impl Iterator<Item = &'a Entry<Key>>) -> rusqlite::Result<()> {
        let mut enter = connection.prepare_cached(ENTER)?;
        for (key, position) in entries {
            let Key { stream: Name { kind, id }, version } = key;
            // The entry may exist from before a kill, and is the same then.
            if enter.execute(params![kind, id.as_bytes(), version, position])? == 0 {
                let there = place(connection, key)?;
                if there != Some(*position) {
                    return Err(twice(&key.text(), there.unwrap_or_default(), *position));
                }
            }
        }
        Ok(())
    }

    fn entered_to(connection: &Connection) -> rusqlite::Result<i64> {
        connection.prepare_cached(INDEXED)?.query_row([], |row| row.get(0))
    }

    fn set_entered_to(connection: &Connection, number: i64) -> rusqlite::Result<()> {
        connection.execute(SET_INDEXED, [number]).map(|_| ())
    }

    fn lacking(connection: &Connection, limit: usize) -> rusqlite::Result<BTreeSet<Entry<Key>>> {
        let mut found = BTreeSet::new();
        each_behind(connection, Self::entered_to(connection)?, |entry| {
            found.insert(entry);
            found.len() < limit
        })?;
        Ok(found)
    }
}

/// The error for a version that two events of a stream have, which is damage.
fn twice(what: &str, first: i64, second: i64) -> rusqlite::Error {
    damaged(format!("{what} is there twice, at positions {first} and {second}: see `jangbu audit verify`"))
}

fn damaged(what: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(what))
}

fn place(connection: &Connection, Key { stream: Name { kind, id }, version }: &Key) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached(PLACE)?;
    statement.query_row(params![kind, id.as_bytes(), version], |row| row.get(0)).optional()
}

/// Calls `each` with the events after a position until it returns false. Events whose stream cannot
/// be read are skipped.
fn each_behind(connection: &Connection, after: i64, mut each: impl FnMut(Entry<Key>) -> bool) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(BEHIND)?;
    let mut rows = statement.query([after])?;
    while let Some(row) = rows.next()? {
        if let Some(stream) = Name::read(row, 1, 2)?
            && !each((Key { stream, version: row.get(3)? }, row.get(0)?))
        {
            break;
        }
    }
    Ok(())
}

/// The writer's side of the index.
pub(super) struct Streams {
    runs: Entering<ByStream>,
    /// For each kind an id that is at least as great as all its ids in the index, so that a greater
    /// id is not there. Ids are made in the order of time, so those of new streams are mostly
    /// greater.
    greatest: HashMap<Cow<'static, str>, Vec<u8>>,
}

impl Streams {
    /// Without entries; see [`Self::load`].
    pub(super) fn new(index: &StreamIndex, run: usize) -> Self {
        Self { runs: Entering::new(Arc::clone(&index.newest), run), greatest: HashMap::new() }
    }

    /// Loads the entries that the index lacks, once. Refuses a log that ends before its index, or
    /// has a version twice.
    pub(super) fn load(&mut self, connection: &mut Connection) -> rusqlite::Result<()> {
        if !self.runs.load(connection)? {
            return Ok(());
        }
        refuse_cut(read::head(connection)?, self.runs.known_to())?;
        self.runs.read(|_, runs| refuse_doubled_in(&runs.filling))?;
        refuse_doubled(connection)?;
        self.greatest = greatest(connection)?;
        Ok(())
    }

    /// Checks the known entries against the head of the log inside the transaction. True if another
    /// process has appended events: nothing else that was known is valid then.
    pub(super) fn catch_up(&mut self, connection: &Connection, head: i64) -> rusqlite::Result<bool> {
        let known_to = self.runs.known_to();
        refuse_cut(head, known_to)?;
        let mut found = false;
        if head > known_to {
            each_behind(connection, known_to, |(key, position)| {
                self.runs.write(key, position);
                found = true;
                true
            })?;
        }
        Ok(found)
    }

    /// Notes an event that was written.
    pub(super) fn write(&mut self, stream: StreamId, version: Version, position: Position) {
        self.runs.write(Key { stream: stream.into(), version: to_i64(version) }, to_i64(position));
    }

    /// The version of a stream, 0 if it does not exist, including what the running transaction has
    /// written. `careful`: draw no conclusion from the order of ids.
    pub(super) fn version(
        &self,
        connection: &Connection,
        stream: StreamId,
        careful: bool,
    ) -> rusqlite::Result<Version> {
        let name = Name::from(stream);
        let known = self.runs.read(|staged, runs| {
            let newest = staged.range(name.all_entries()).next_back();
            newest.or_else(|| runs.last_within(name.all_entries())).map(|(key, _)| key.version)
        });
        if let Some(version) = known {
            return Ok(to_u64(version));
        }
        let is_new =
            self.greatest.get(&name.kind).is_none_or(|greatest| name.id.as_bytes().as_slice() > greatest.as_slice());
        if is_new && !careful {
            return Ok(Version::ZERO);
        }
        entered_version(connection, &name)
    }

    /// Enters a part of the full run. Called inside the transaction, at its end.
    pub(super) fn enter_some(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.runs.enter_some(connection)
    }

    /// Called after the transaction is committed.
    pub(super) fn committed(&mut self) {
        if self.runs.committed() {
            let greatest = &mut self.greatest;
            self.runs.read(|_, runs| {
                for (Key { stream: Name { kind, id }, .. }, _) in &runs.entering {
                    match greatest.get_mut(kind) {
                        Some(known) if id.as_bytes().as_slice() > known.as_slice() => *known = id.as_bytes().to_vec(),
                        Some(_) => {}
                        None => drop(greatest.insert(kind.clone(), id.as_bytes().to_vec())),
                    }
                }
            });
        }
    }

    /// Called after the transaction is rolled back.
    pub(super) fn rolled_back(&mut self) {
        self.runs.rolled_back();
    }
}

fn entered_version(connection: &Connection, Name { kind, id }: &Name) -> rusqlite::Result<Version> {
    let mut statement = connection.prepare_cached(NEWEST)?;
    let version: Option<i64> = statement.query_row(params![kind, id.as_bytes()], |row| row.get(0)).optional()?;
    Ok(version.map_or(Version::ZERO, to_u64))
}

fn refuse_cut(head: i64, known_to: i64) -> rusqlite::Result<()> {
    if head < known_to {
        return Err(damaged(format!("the log ends at position {head}, but went on to {known_to} before")));
    }
    Ok(())
}

fn refuse_doubled_in(entries: &BTreeSet<Entry<Key>>) -> rusqlite::Result<()> {
    match entries.iter().zip(entries.iter().skip(1)).find(|((key, _), (next, _))| key == next) {
        Some(((key, first), (_, second))) => Err(twice(&key.text(), *first, *second)),
        None => Ok(()),
    }
}

fn refuse_doubled(connection: &Connection) -> rusqlite::Result<()> {
    let found = connection.query_row(DOUBLED, [], |row| {
        let name = Name::read(row, 0, 1)?;
        let what = name.map(|stream| Ok::<_, rusqlite::Error>(Key { stream, version: row.get(2)? }.text()));
        Ok((what.transpose()?.unwrap_or_else(|| "a version".to_owned()), row.get(3)?, row.get(4)?))
    });
    match found.optional()? {
        Some((what, first, second)) => Err(twice(&what, first, second)),
        None => Ok(()),
    }
}

/// The greatest id of each kind in the index.
fn greatest(connection: &Connection) -> rusqlite::Result<HashMap<Cow<'static, str>, Vec<u8>>> {
    let mut next = connection.prepare("select min(stream_kind) from events_in_streams where stream_kind > ?1")?;
    let mut greatest = connection.prepare("select max(stream_id) from events_in_streams where stream_kind = ?1")?;
    let (mut found, mut before) = (HashMap::new(), String::new());
    while let Some(kind) = next.query_row([&before], |row| row.get::<_, Option<String>>(0))? {
        found.insert(Cow::Owned(kind.clone()), greatest.query_row([&kind], |row| row.get(0))?);
        before = kind;
    }
    Ok(found)
}

/// Where readers find the events of streams.
#[derive(Clone, Debug)]
pub(super) struct StreamIndex {
    newest: Arc<Unentered<Key>>,
    /// Whether the writer is another process, whose memory is not available.
    beside: bool,
}

/// What the index may lack of the requested streams: versions and positions, in order. Earlier
/// versions are in the index.
pub(super) struct View(HashMap<Name, Vec<(i64, i64)>>);

impl StreamIndex {
    /// For a handle in the writer's own process.
    pub(super) fn of_the_writer() -> Self {
        Self { newest: Arc::default(), beside: false }
    }

    /// For a handle whose writer is another process, or does not run.
    pub(super) fn beside() -> Self {
        Self { newest: Arc::default(), beside: true }
    }

    /// What the index may lack of these streams, for the transaction of the connection. A reader's
    /// transaction must not have read anything yet: memory is read before its snapshot is taken,
    /// and what was committed in between is read from the log.
    pub(super) fn view(&self, connection: &Connection, streams: &[Name]) -> rusqlite::Result<View> {
        let (mut found, known_to) = self.newest.read(|runs| {
            let place = |(key, position): &Entry<Key>| (key.version, *position);
            let within = |stream: &Name| runs.within(stream.all_entries()).map(place).collect::<Vec<_>>();
            (streams.iter().map(|stream| (stream.clone(), within(stream))).collect::<HashMap<_, _>>(), runs.known_to)
        });
        let mut take = |(Key { stream, version }, position): &Entry<Key>| {
            if let Some(places) = found.get_mut(stream) {
                places.push((*version, *position));
            }
        };
        if !self.beside {
            each_behind(connection, known_to, |entry| {
                take(&entry);
                true
            })?;
            return Ok(View(found));
        }
        let entered_to = ByStream::entered_to(connection)?;
        self.look_behind(connection, entered_to, known_to.max(entered_to), take)?;
        found.values_mut().for_each(|places| places.retain(|(_, position)| *position > entered_to));
        Ok(View(found))
    }

    /// Calls `each` with the events after a position and remembers them for the next read; forgets
    /// those that the index has by now.
    fn look_behind(
        &self,
        connection: &Connection,
        entered_to: i64,
        after: i64,
        mut each: impl FnMut(&Entry<Key>),
    ) -> rusqlite::Result<()> {
        let (mut new, mut seen_to) = (Vec::new(), after);
        each_behind(connection, after, |entry| {
            each(&entry);
            seen_to = entry.1;
            if new.len() <= KEPT_BESIDE {
                new.push(entry);
            }
            true
        })?;
        self.newest.change(|runs| {
            if runs.left_to < entered_to {
                runs.filling.retain(|(_, position)| *position > entered_to);
                runs.left_to = entered_to;
            }
            // Another read may have been faster. The entries between the two are in the index.
            let (known_to, fits) = (runs.known_to, runs.filling.len().saturating_add(new.len()) <= KEPT_BESIDE);
            if fits && seen_to > known_to {
                runs.filling.extend(new.into_iter().filter(|(_, position)| *position > known_to));
                runs.known_to = seen_to;
            }
        });
        Ok(())
    }
}

impl View {
    /// Versions and positions of a stream that the index may lack.
    pub(super) fn newest(&self, stream: &Name) -> &[(i64, i64)] {
        self.0.get(stream).map_or(&[], Vec::as_slice)
    }

    /// The version of a stream, 0 if it does not exist.
    pub(super) fn version(&self, connection: &Connection, stream: &Name) -> rusqlite::Result<Version> {
        match self.newest(stream).last() {
            Some((version, _)) => Ok(to_u64(*version)),
            None => entered_version(connection, stream),
        }
    }

    /// Position and hash of an event by stream and version, if the event at that position has both.
    pub(super) fn event(
        &self,
        connection: &Connection,
        stream: &Name,
        version: i64,
    ) -> rusqlite::Result<Option<(i64, Vec<u8>)>> {
        let newest = self.newest(stream);
        let here = newest.binary_search_by_key(&version, |(version, _)| *version).ok().and_then(|at| newest.get(at));
        let position = match here {
            Some((_, position)) => Some(*position),
            None => place(connection, &Key { stream: stream.clone(), version })?,
        };
        let Some(position) = position else { return Ok(None) };
        let mut statement = connection.prepare_cached(HASH_OF)?;
        let bounds = params![position, stream.kind, stream.id.as_bytes(), version];
        let hash = statement.query_row(bounds, |row| row.get(0)).optional()?;
        Ok(hash.map(|hash| (position, hash)))
    }
}

/// Fills the index from SQLite's own index, in its order, and drops that one. Part of migration
/// 0007, inside its transaction.
pub(super) fn take_over(connection: &Connection) -> rusqlite::Result<()> {
    let count = |text: &str| connection.query_row(text, [], |row| row.get::<_, i64>(0));
    let head = count("select coalesce(max(position), 0) from events")?;
    if head >= TOLD_EVERY {
        tracing::info!(events = head, "the index of the streams is taken over, once, for {head} events");
    }
    let mut kinds = connection.prepare("select distinct stream_kind from events indexed by events_by_stream")?;
    let kinds: Vec<String> = kinds.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut done = 0;
    for kind in kinds.iter().collect::<BTreeSet<_>>() {
        take_over_kind(connection, kind, &mut done)?;
    }
    ByStream::set_entered_to(connection, head)?;
    // The old index has no data that must be overwritten.
    setup::overwrite_deleted(connection, false)?;
    connection.execute_batch("drop index events_by_stream")?;
    setup::overwrite_deleted(connection, true)
}

fn take_over_kind(connection: &Connection, kind: &str, done: &mut i64) -> rusqlite::Result<()> {
    let mut there = connection.prepare(
        "select stream_id, version, position from events indexed by events_by_stream where stream_kind = ?1          order by stream_id, stream_kind, version",
    )?;
    let mut insert = connection
        .prepare("insert into events_in_streams (stream_kind, stream_id, version, position) values (?1, ?2, ?3, ?4)")?;
    let mut rows = there.query([kind])?;
    while let Some(row) = rows.next()? {
        let (id, version, position): (Value, Value, Value) = (row.get(0)?, row.get(1)?, row.get(2)?);
        insert.execute(params![kind, id, version, position])?;
        *done += 1;
        if *done % TOLD_EVERY == 0 {
            tracing::info!(done = *done, "{done} events are in the new index of the streams");
        }
    }
    Ok(())
}

/// Enters the events that were copied into a file that nothing else uses, in one step.
pub(crate) fn enter_copied(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "insert or ignore into events_in_streams (stream_kind, stream_id, version, position)          select stream_kind, stream_id, version, position from events          where position > (select position from events_indexed) order by stream_kind, stream_id, version;          update events_indexed set position = (select coalesce(max(position), 0) from events)",
    )
}
