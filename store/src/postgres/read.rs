//! Reading: the statements, and the conversion of rows to the types of the kernel.

use std::collections::HashMap;

use std::sync::Arc;

use async_trait::async_trait;
use jangbu_kernel::log::watch::HeadWatch;
use jangbu_kernel::log::{
    Append, AppendResult, EventLog, LoadedStream, LogError, ReadFilter, Receipt, ReceiptKey, SealedRoot, Snapshot,
};
use jangbu_kernel::{Position, RecordedEvent, StreamId, Version};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row as _, types::Uuid};

use super::{PostgresStore, Reads, Shared, setup};
use crate::FILTER_WINDOW;
use crate::batch;
use crate::ledger::Kept;
use crate::row::{self, EventColumns, Followed, StoredRow, limit_i64, to_i64, to_u64};

macro_rules! select_events {
    ($rest:literal) => {
        concat!(
            "select e.position, e.stream_kind, e.stream_id, e.version, e.event_id, e.event_type, e.schema_version, \
             e.payload, e.correlation_id, e.causation_id, e.command_id, e.actor, e.trace, e.recorded_at, e.hash ",
            $rest
        )
    };
}

pub(super) const ROWS_AFTER: &str = select_events!("from events e where e.position > $1 order by e.position limit $2");
const STREAM_RANGE: &str = select_events!(
    "from events e where e.stream_id = $1 and e.stream_kind = $2 and e.version between $3 and $4 \
     order by e.version limit $5"
);
const FILTERED: &str = select_events!(
    "from events e where e.position > $1 and e.position <= $2 \
     and (cardinality($3::text[]) = 0 or e.event_type = any($3)) and ($4::uuid is null or e.correlation_id = $4) \
     order by e.position limit $5"
);
/// The tails of many streams at once, each from its own version.
const TAILS: &str = select_events!(
    ", s.n from unnest($1::text[], $2::uuid[], $3::bigint[]) with ordinality as s (kind, id, after, n) \
     cross join lateral (select * from events t where t.stream_id = s.id and t.stream_kind = s.kind \
     and t.version > s.after order by t.version) e order by s.n, e.version"
);
const SNAPSHOTS: &str = "select s.n, p.version, p.state, p.hash \
     from unnest($1::text[], $2::uuid[], $3::int[]) with ordinality as s (kind, id, state_version, n) \
     join snapshots p on p.stream_id = s.id and p.stream_kind = s.kind and p.state_version = s.state_version";
/// The number of each requested stream, and its version; streams that do not exist are left out.
pub(super) const VERSIONS: &str = "select s.n, v.version \
     from unnest($1::text[], $2::uuid[]) with ordinality as s (kind, id, n) \
     cross join lateral (select e.version from events e where e.stream_id = s.id and e.stream_kind = s.kind \
     order by e.version desc limit 1) v";
pub(super) const RECEIPTS: &str = "select r.scope, r.key_hash, r.fingerprint, r.stream_kind, r.stream_id, r.version, \
     r.position, r.recorded_at \
     from unnest($1::text[], $2::bytea[]) as k (scope, key_hash) join receipts r on r.scope = k.scope \
     and r.key_hash = k.key_hash";

const HEAD: &str = "select position from log_head where id = 1";

/// The most events of other nodes that are read into the tail at once.
const FILLED_AT_ONCE: usize = 2_000;

#[async_trait]
impl EventLog for PostgresStore {
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<AppendResult>, LogError> {
        self.append_prepared(batch::prepare(batch)).await
    }

    fn exclusive(&self) -> bool {
        false
    }

    fn for_deciding(&self) -> Option<Arc<dyn EventLog>> {
        Some(Arc::new(Self(Arc::clone(&self.0), Reads::Deciding)))
    }

    async fn load(&self, streams: Vec<(StreamId, u16)>) -> Result<Vec<LoadedStream>, LogError> {
        let kept = self.snapshots(&streams).await?;
        let froms: Vec<Version> =
            kept.iter().map(|kept| kept.as_ref().map_or(Version::FIRST, Kept::begins_at)).collect();
        let names: Vec<StreamId> = streams.iter().map(|(stream, _)| *stream).collect();
        let tails = self.tails(&names, &froms).await?;
        let mut loaded: Vec<Option<LoadedStream>> = kept
            .into_iter()
            .zip(tails)
            .map(|(kept, events)| match kept {
                Some(kept) => kept.in_front_of(events),
                None => Some(LoadedStream { snapshot: None, events }),
            })
            .collect();
        let unfit: Vec<StreamId> =
            names.iter().zip(&loaded).filter(|(_, loaded)| loaded.is_none()).map(|(stream, _)| *stream).collect();
        if !unfit.is_empty() {
            let whole = self.tails(&unfit, &vec![Version::FIRST; unfit.len()]).await?;
            for (place, events) in loaded.iter_mut().filter(|loaded| loaded.is_none()).zip(whole) {
                *place = Some(LoadedStream { snapshot: None, events });
            }
        }
        Ok(loaded.into_iter().flatten().collect())
    }

    async fn read_stream(
        &self,
        stream: StreamId,
        from_version: Version,
        to_version: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let rows = self
            .rows(|| {
                sqlx::query(STREAM_RANGE)
                    .bind(stream.id)
                    .bind(stream.kind.name())
                    .bind(to_i64(from_version))
                    .bind(to_i64(to_version))
                    .bind(limit_i64(limit))
            })
            .await?;
        rows.iter().map(event).collect()
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
        if *filter != ReadFilter::default() {
            return self.read_filtered(after, limit, filter).await;
        }
        let rows =
            self.ask(|pool| sqlx::query(ROWS_AFTER).bind(to_i64(after)).bind(limit_i64(limit)).fetch_all(pool)).await?;
        let found = follow(&rows)?;
        let read_to = found.last().unwrap_or(after);
        Ok((found.events, read_to))
    }

    async fn follow(
        &self,
        after: Position,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<(Vec<Arc<RecordedEvent>>, Position), LogError> {
        self.0.known.still_there()?;
        if after >= self.0.head.current() {
            return Ok((Vec::new(), after));
        }
        if let Some(found) = self.0.tail.read(after, limit, filter) {
            return Ok(found);
        }
        if let Some(found) = self.filled_in(after, limit, filter).await? {
            return Ok(found);
        }
        let (events, read_to) = self.read_all(after, limit, filter).await?;
        Ok((events.into_iter().map(Arc::new).collect(), read_to))
    }

    async fn versions(&self, streams: Vec<StreamId>) -> Result<Vec<Version>, LogError> {
        let (kinds, ids) = stream_columns(&streams);
        let rows = self.rows(|| sqlx::query(VERSIONS).bind(kinds.clone()).bind(ids.clone())).await?;
        let mut versions = vec![Version::ZERO; streams.len()];
        for row in rows {
            let (n, version): (i64, i64) = FromRow::from_row(&row).map_err(setup::log_error)?;
            if let Some(place) = numbered(&mut versions, n) {
                *place = to_u64(version);
            }
        }
        Ok(versions)
    }

    async fn receipts(&self, keys: Vec<ReceiptKey>) -> Result<Vec<Option<Receipt>>, LogError> {
        let (scopes, hashes) = receipt_columns(&keys);
        let rows = self.rows(|| sqlx::query(RECEIPTS).bind(scopes.clone()).bind(hashes.clone())).await?;
        let known: HashMap<ReceiptKey, Receipt> = rows.iter().map(receipt).collect::<Result<_, _>>()?;
        Ok(keys.iter().map(|key| known.get(key).cloned()).collect())
    }

    async fn save_snapshots(&self, snapshots: Vec<Snapshot>) -> Result<(), LogError> {
        // One statement must not meet a row twice, and all writers lock the rows in one order.
        let mut newest: HashMap<StreamId, &Snapshot> = HashMap::new();
        for new in &snapshots {
            let kept = newest.entry(new.stream).or_insert(new);
            if (new.state_version, new.version) > (kept.state_version, kept.version) {
                *kept = new;
            }
        }
        let mut newest: Vec<&Snapshot> = newest.into_values().collect();
        newest.sort_by_key(|snapshot| snapshot.stream);
        let newest = &newest;
        self.write(|pool| save_snapshots(pool, newest)).await
    }

    async fn head(&self) -> Result<Position, LogError> {
        self.0.known.still_there()?;
        let rows = self.rows(|| sqlx::query(HEAD)).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound);
        row.and_then(|row| row.try_get(0)).map(to_u64).map_err(setup::log_error)
    }

    async fn identity(&self) -> Result<Uuid, LogError> {
        self.ask(|pool| sqlx::query_scalar("select log from log_identity where id = 1").fetch_one(pool)).await
    }

    async fn hash_at(&self, position: Position) -> Result<Option<[u8; 32]>, LogError> {
        let hash: Option<Vec<u8>> = self
            .ask(|pool| {
                sqlx::query_scalar("select hash from events where position = $1")
                    .bind(to_i64(position))
                    .fetch_optional(pool)
            })
            .await?;
        Ok(hash.and_then(|hash| hash.try_into().ok()))
    }

    fn watch_head(&self) -> HeadWatch {
        self.0.head.watch()
    }

    async fn sealed_roots(&self, after: Position, limit: usize) -> Result<Vec<SealedRoot>, LogError> {
        let rows: Vec<(i64, Vec<u8>, i64)> = self
            .ask(|pool| {
                sqlx::query_as("select size, root, sealed_at from sealed_roots where size > $1 order by size limit $2")
                    .bind(to_i64(after))
                    .bind(limit_i64(limit))
                    .fetch_all(pool)
            })
            .await?;
        let root = |(size, root, sealed_at): (i64, Vec<u8>, i64)| {
            let damaged = || LogError::Damaged(format!("the root sealed at size {size} cannot be read"));
            Ok(SealedRoot {
                size: to_u64(size),
                root: root.try_into().map_err(|_| damaged())?,
                sealed_at: row::moment(sealed_at).ok_or_else(damaged)?,
            })
        };
        rows.into_iter().map(root).collect()
    }
}

impl PostgresStore {
    /// Reads events of other nodes that a follower at the end of the tail misses. The first
    /// follower that comes there reads them for all. None if the follower is at another position.
    async fn filled_in(
        &self,
        after: Position,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<Option<(Vec<Arc<RecordedEvent>>, Position)>, LogError> {
        let Shared { tail, head, filling, .. } = &*self.0;
        if tail.missing_behind(after, head.current()).is_none() {
            return Ok(None);
        }
        let _turn = filling.lock().await;
        if let Some(found) = tail.read(after, limit, filter) {
            return Ok(Some(found));
        }
        let Some(missing) = tail.missing_behind(after, head.current()) else { return Ok(None) };
        let most = usize::try_from(missing).unwrap_or(FILLED_AT_ONCE).min(FILLED_AT_ONCE);
        let (events, _) = self.read_all(after, most, &ReadFilter::default()).await?;
        let events: Vec<_> = events.into_iter().map(Arc::new).collect();
        tail.fill(&events);
        Ok(tail.read(after, limit, filter))
    }

    /// The snapshots of the requested streams.
    async fn snapshots(&self, streams: &[(StreamId, u16)]) -> Result<Vec<Option<Kept>>, LogError> {
        let names: Vec<StreamId> = streams.iter().map(|(stream, _)| *stream).collect();
        let (kinds, ids) = stream_columns(&names);
        let wanted: Vec<i32> = streams.iter().map(|(_, state_version)| i32::from(*state_version)).collect();
        let rows =
            self.rows(|| sqlx::query(SNAPSHOTS).bind(kinds.clone()).bind(ids.clone()).bind(wanted.clone())).await?;
        let mut found: Vec<Option<Kept>> = streams.iter().map(|_| None).collect();
        for row in rows {
            let (n, version, state, hash): (i64, i64, String, Option<Vec<u8>>) =
                FromRow::from_row(&row).map_err(setup::log_error)?;
            let asked = usize::try_from(n - 1).ok().and_then(|index| streams.get(index));
            if let (Some(place), Some((stream, state_version))) = (numbered(&mut found, n), asked) {
                let snapshot =
                    Snapshot { stream: *stream, version: to_u64(version), state_version: *state_version, state };
                *place = Some(Kept { snapshot, hash });
            }
        }
        Ok(found)
    }

    async fn read_filtered(
        &self,
        after: Position,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<(Vec<RecordedEvent>, Position), LogError> {
        let end = after.plus(FILTER_WINDOW).min(self.ask(head).await?).max(after);
        let rows = self
            .ask(|pool| {
                sqlx::query(FILTERED)
                    .bind(to_i64(after))
                    .bind(to_i64(end))
                    .bind(&filter.event_types)
                    .bind(filter.correlation_id.map(|id| id.uuid()))
                    .bind(limit_i64(limit))
                    .fetch_all(pool)
            })
            .await?;
        let found = follow(&rows)?;
        let read_to = found.read_to(limit, end);
        Ok((found.events, read_to))
    }

    /// The events of streams, each from a version on.
    async fn tails(&self, streams: &[StreamId], froms: &[Version]) -> Result<Vec<Vec<RecordedEvent>>, LogError> {
        let (kinds, ids) = stream_columns(streams);
        let after: Vec<i64> = froms.iter().map(|from| to_i64(from.previous())).collect();
        let rows = self.rows(|| sqlx::query(TAILS).bind(kinds.clone()).bind(ids.clone()).bind(after.clone())).await?;
        let mut tails = vec![Vec::new(); streams.len()];
        for row in rows {
            let n: i64 = row.try_get(15).map_err(setup::log_error)?;
            if let Some(tail) = numbered(&mut tails, n) {
                tail.push(event(&row)?);
            }
        }
        Ok(tails)
    }
}

async fn save_snapshots(pool: &PgPool, snapshots: &[&Snapshot]) -> Result<(), sqlx::Error> {
    let kinds: Vec<&str> = snapshots.iter().map(|snapshot| snapshot.stream.kind.name()).collect();
    let ids: Vec<Uuid> = snapshots.iter().map(|snapshot| snapshot.stream.id).collect();
    let versions: Vec<i64> = snapshots.iter().map(|snapshot| to_i64(snapshot.version)).collect();
    let state_versions: Vec<i32> = snapshots.iter().map(|snapshot| i32::from(snapshot.state_version)).collect();
    let states: Vec<&str> = snapshots.iter().map(|snapshot| snapshot.state.as_str()).collect();
    sqlx::query(
        "insert into snapshots as kept (stream_kind, stream_id, version, state_version, state, hash) \
         select s.kind, s.id, s.version, s.state_version, s.state, e.hash \
         from unnest($1::text[], $2::uuid[], $3::bigint[], $4::int[], $5::text[]) \
         as s (kind, id, version, state_version, state) \
         join events e on e.stream_id = s.id and e.stream_kind = s.kind and e.version = s.version \
         order by s.id, s.kind \
         on conflict (stream_id, stream_kind) do update set version = excluded.version, \
         state_version = excluded.state_version, state = excluded.state, hash = excluded.hash \
         where excluded.version > kept.version or excluded.state_version <> kept.state_version \
         or not exists (select 1 from events e where e.stream_id = kept.stream_id \
         and e.stream_kind = kept.stream_kind and e.version = kept.version \
         and e.hash = coalesce(kept.hash, e.hash))",
    )
    .bind(kinds)
    .bind(ids)
    .bind(versions)
    .bind(state_versions)
    .bind(states)
    .execute(pool)
    .await
    .map(|_| ())
}

/// The head, and the stored hashes there and at another position.
pub(super) struct Seen {
    pub head: Position,
    pub at_head: Option<Vec<u8>>,
    pub at_known: Option<Vec<u8>>,
}

/// Reads the head, and the event at a position, at one moment.
pub(super) async fn head_and_known(pool: &PgPool, known: Position) -> Result<Seen, sqlx::Error> {
    let (head, at_head, at_known): (i64, Option<Vec<u8>>, Option<Vec<u8>>) = sqlx::query_as(
        "select h.position, (select e.hash from events e where e.position = h.position), \
         (select e.hash from events e where e.position = $1) from log_head h where h.id = 1",
    )
    .bind(to_i64(known))
    .fetch_one(pool)
    .await?;
    Ok(Seen { head: to_u64(head), at_head, at_known })
}

/// The last visible position.
pub(super) async fn head(pool: &PgPool) -> Result<Position, sqlx::Error> {
    let head: i64 = sqlx::query_scalar(HEAD).fetch_one(pool).await?;
    Ok(to_u64(head))
}

fn numbered<T>(items: &mut [T], n: i64) -> Option<&mut T> {
    usize::try_from(n - 1).ok().and_then(|index| items.get_mut(index))
}

pub(super) fn stream_columns(streams: &[StreamId]) -> (Vec<&'static str>, Vec<Uuid>) {
    streams.iter().map(|stream| (stream.kind.name(), stream.id)).unzip()
}

pub(super) fn receipt_columns(keys: &[ReceiptKey]) -> (Vec<&str>, Vec<&[u8]>) {
    keys.iter().map(|key| (key.scope.as_str(), key.hash.as_slice())).unzip()
}

fn event(row: &PgRow) -> Result<RecordedEvent, LogError> {
    columns(row).map_err(setup::log_error)?.event()
}

/// Like [`event`], for readers that follow the whole log: an unreadable event stops only its own
/// stream, and an event of an unknown kind of stream stops none.
fn follow(rows: &[PgRow]) -> Result<Followed, LogError> {
    let mut found = Followed::default();
    for row in rows {
        let position = to_u64(row.try_get(0).map_err(setup::log_error)?);
        found.take(position, event(row).ok().or_else(|| unreadable(row, position)));
    }
    Ok(found)
}

/// A stand-in for a row that cannot be read; none if its kind of stream is unknown.
fn unreadable(row: &PgRow, position: Position) -> Option<RecordedEvent> {
    let stream = row::stream_id(row.try_get(1).ok()?, row.try_get(2).ok()?)?;
    Some(row::unreadable(position, stream, to_u64(row.try_get(3).ok()?), row.try_get(5).unwrap_or_default()))
}

fn columns(row: &PgRow) -> Result<EventColumns<'_>, sqlx::Error> {
    Ok(EventColumns {
        position: row.try_get(0)?,
        stream_kind: row.try_get(1)?,
        stream_id: row.try_get(2)?,
        version: row.try_get(3)?,
        event_id: row.try_get(4)?,
        event_type: row.try_get(5)?,
        schema_version: row.try_get::<i32, _>(6)?.into(),
        payload: row.try_get(7)?,
        correlation_id: row.try_get(8)?,
        causation_id: row.try_get(9)?,
        command_id: row.try_get(10)?,
        actor: row.try_get(11)?,
        trace: row.try_get(12)?,
        recorded_at_ms: row.try_get(13)?,
        hash: row.try_get(14)?,
    })
}

pub(super) fn stored_row(row: &PgRow) -> Result<StoredRow, sqlx::Error> {
    Ok(StoredRow {
        position: to_u64(row.try_get(0)?),
        stream_kind: row.try_get(1)?,
        stream_id: row.try_get(2)?,
        version: to_u64(row.try_get(3)?),
        event_id: row.try_get(4)?,
        event_type: row.try_get(5)?,
        schema_version: to_u64(row.try_get::<i32, _>(6)?.into()),
        payload: row.try_get(7)?,
        correlation_id: row.try_get(8)?,
        causation_id: row.try_get(9)?,
        command_id: row.try_get(10)?,
        actor: row.try_get(11)?,
        trace: row.try_get(12)?,
        recorded_at_ms: row.try_get(13)?,
        hash: row.try_get(14)?,
    })
}

/// Reads a row of [`RECEIPTS`].
pub(super) fn receipt(row: &PgRow) -> Result<(ReceiptKey, Receipt), LogError> {
    let failed = setup::log_error;
    let damaged = || LogError::Damaged("a receipt cannot be read".into());
    let hash: Vec<u8> = row.try_get(1).map_err(failed)?;
    let key = ReceiptKey { scope: row.try_get(0).map_err(failed)?, hash: hash.try_into().map_err(|_| damaged())? };
    let fingerprint: Vec<u8> = row.try_get(2).map_err(failed)?;
    let kind: String = row.try_get(3).map_err(failed)?;
    let receipt = Receipt {
        fingerprint: fingerprint.try_into().map_err(|_| damaged())?,
        stream: row::stream_id(&kind, row.try_get(4).map_err(failed)?).ok_or_else(damaged)?,
        version: to_u64(row.try_get(5).map_err(failed)?),
        position: to_u64(row.try_get(6).map_err(failed)?),
        recorded_at: row::moment(row.try_get(7).map_err(failed)?).ok_or_else(damaged)?,
    };
    Ok((key, receipt))
}
