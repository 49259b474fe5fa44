//! Appending a batch.
//!
//! The fast path is one statement that writes either the whole batch or nothing. If it writes
//! nothing because another node wrote first, the batch is judged under the lock of the counter row,
//! and so are the next batches until one has no conflict. If the answer of the statement is lost,
//! the same is done on another connection, after searching for the events of the batch: the lock
//! ensures that a statement that is still running has ended first, and the unique versions ensure
//! that the same events are never written twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jangbu_kernel::log::{AppendResult, LogError, ReceiptKey};
use jangbu_kernel::{Position, StreamId, Version};
use sqlx::PgConnection;
use tokio::time::{Instant, sleep, timeout};

use super::columns::Columns;
use super::known::Place;
use super::{ANSWER_GRACE, PostgresStore, Shared, read, setup};
use crate::batch::{self, Prepared, Refused, Verdict};
use crate::row::{to_i64, to_u64};

/// How often a batch may lose a race before its caller has to try again later. Under the lock races
/// are not expected at all.
const MAX_RACES: u32 = 8;
/// The pause between two attempts to find out the outcome of a batch.
const RESOLVE_PAUSE: Duration = Duration::from_millis(50);

/// Why an attempt had no result.
enum Trouble {
    /// Another node wrote first; nothing of the batch was written.
    Race,
    /// The answer was lost; the batch may have been written.
    Lost,
    /// Nothing of the batch was written, and trying again at once does not help.
    Failed(LogError),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        if setup::is_lost_race(&error) {
            Self::Race
        } else if error.as_database_error().is_some() && !setup::is_connection_loss(&error) {
            Self::Failed(setup::log_error(error))
        } else {
            // The server has not reported a failure.
            Self::Lost
        }
    }
}

impl PostgresStore {
    pub(super) async fn append_prepared(&self, batch: Vec<Prepared>) -> Result<Vec<AppendResult>, LogError> {
        let shared = Arc::clone(&self.0);
        // A separate task, so that a caller that drops its future does not interrupt a statement.
        let task = self.0.tasks.spawn(async move {
            shared.known.still_there()?;
            let verdicts = carry_out(&shared, &batch).await?;
            let head =
                batch::accepted(&batch, &verdicts).map(|(append, base)| base.plus(append.events.len() as u64)).max();
            let results = batch::settle(batch, verdicts);
            shared.known.learn_appended(&results);
            shared.tail.extend(&results);
            if let Some(head) = head {
                shared.head.advance(head);
                shared.appended.notify_one();
            }
            Ok(results)
        });
        task.await.unwrap_or_else(|error| {
            Err(LogError::OutcomeUnknown(format!("the task of the append ended early: {error}")))
        })
    }
}

/// Tries the batch until there is a result, within limits.
async fn carry_out(shared: &Shared, batch: &[Prepared]) -> Result<Vec<Verdict>, LogError> {
    // If the last batch had a conflict with another node, this one may have one, too, and is judged
    // at once.
    let contended = shared.contended.load(Ordering::Relaxed);
    let mut fast = if contended { None } else { fast_verdicts(batch) };
    let mut races = 0;
    // Set when an answer was lost. From then on the append must not be reported as failed.
    let mut resolve_until: Option<Instant> = None;
    loop {
        let trouble = match attempt(shared, batch, fast.take(), resolve_until.is_some()).await {
            Ok(verdicts) => {
                let contended = verdicts.iter().any(|verdict| matches!(verdict, Verdict::Conflict { .. }));
                shared.contended.store(contended, Ordering::Relaxed);
                return Ok(verdicts);
            }
            Err(trouble) => trouble,
        };
        match (trouble, resolve_until) {
            (Trouble::Race, None) if races < MAX_RACES => races += 1,
            (Trouble::Race, None) => {
                return Err(LogError::Unavailable("the batch kept losing races with other writers".into(), None));
            }
            (Trouble::Failed(error), None) => return Err(error),
            (Trouble::Lost, None) => {
                tracing::warn!("the answer to an append was lost, looking for what became of it");
                resolve_until = Some(Instant::now() + shared.options.resolve_timeout);
            }
            (_, Some(until)) if Instant::now() < until => sleep(RESOLVE_PAUSE).await,
            (_, Some(_)) => {
                return Err(LogError::OutcomeUnknown("the database could not be asked in time".into()));
            }
        }
    }
}

async fn attempt(
    shared: &Shared,
    batch: &[Prepared],
    fast: Option<Vec<Verdict>>,
    resolving: bool,
) -> Result<Vec<Verdict>, Trouble> {
    let mut lane = shared.lanes.take().await.map_err(Trouble::Failed)?;
    let limit = shared.options.statement_timeout + ANSWER_GRACE;
    let connection = &mut lane.connection;
    let outcome = match fast {
        Some(verdicts) => timeout(limit, append_fast(connection, batch, verdicts, shared)).await,
        None => timeout(limit, append_under_lock(connection, batch, resolving, shared)).await,
    };
    let outcome = outcome.unwrap_or(Err(Trouble::Lost));
    if outcome.is_ok() {
        lane.give_back();
    }
    outcome
}

/// The verdicts if no other node writes, counted from base 0. None if the fast path is not
/// possible, because not all of the batch can be accepted, or because a write only checks a
/// version.
fn fast_verdicts(batch: &[Prepared]) -> Option<Vec<Verdict>> {
    let writes = || batch.iter().flat_map(|append| &append.writes);
    if writes().any(|write| write.count == 0) {
        return None;
    }
    let mut known = batch::Known::default();
    for write in writes() {
        known.versions.entry(write.stream).or_insert(write.expected_version);
    }
    let verdicts = batch::judge(batch, &mut known);
    (batch::accepted(batch, &verdicts).count() == batch.len()).then_some(verdicts)
}

async fn append_fast(
    connection: &mut PgConnection,
    batch: &[Prepared],
    verdicts: Vec<Verdict>,
    shared: &Shared,
) -> Result<Vec<Verdict>, Trouble> {
    let marks = shared.handled.waiting();
    let base = insert(connection, batch.iter(), shared.known.newest(), &marks).await?.ok_or(Trouble::Race)?;
    shared.handled.marked(&marks);
    Ok(verdicts.into_iter().map(|verdict| verdict.behind(base)).collect())
}

/// Writes all of these appends, and marks the handled messages. Returns the base, or none if a
/// predecessor or the event that this node knows is missing.
async fn insert<'a>(
    connection: &mut PgConnection,
    appends: impl Iterator<Item = &'a Prepared>,
    known: Option<Place>,
    marks: &[i64],
) -> Result<Option<Position>, sqlx::Error> {
    // All rows are fetched, because only then the answer to the commit has arrived.
    let bases = Columns::of(appends).statement(known, marks).fetch_all(connection).await?;
    Ok(bases.first().copied().map(to_u64))
}

async fn append_under_lock(
    connection: &mut PgConnection,
    batch: &[Prepared],
    resolving: bool,
    shared: &Shared,
) -> Result<Vec<Verdict>, Trouble> {
    sqlx::raw_sql("begin").execute(&mut *connection).await?;
    let seen = &shared.known;
    let newest = seen.newest();
    let (head, hash): (i64, Option<Vec<u8>>) = sqlx::query_as(
        "select position, (select e.hash from events e where e.position = $1) from log_head where id = 1 for update",
    )
    .bind(to_i64(newest.map_or(Position::ZERO, |newest| newest.position)))
    .fetch_one(&mut *connection)
    .await?;
    seen.compare(newest, to_u64(head), hash.as_deref()).map_err(Trouble::Failed)?;
    let (streams, keys) = batch::touched(batch);
    let mut known = batch::Known {
        head: to_u64(head),
        versions: versions(connection, &streams).await?,
        receipts: receipts(connection, &keys).await?,
    };
    let own = if resolving { own_events(connection, batch).await? } else { HashMap::new() };
    let mut refused = Refused::default();
    let verdicts: Vec<Verdict> = (0..)
        .zip(batch)
        .map(|(index, append)| match own.get(&index) {
            Some(first) => Verdict::Accepted { base: first.previous() },
            None => refused.note(append, batch::judge_one(append, &mut known, &refused)),
        })
        .collect();
    if resolving && verdicts.iter().zip(batch).any(|(verdict, append)| may_still_be_written(verdict, append)) {
        return Err(Trouble::Lost);
    }
    // Accepted appends that are not yet written have a base at or after the head; those that are
    // written have not.
    let new: Vec<&Prepared> =
        batch::accepted(batch, &verdicts).filter(|(_, base)| *base >= to_u64(head)).map(|(append, _)| append).collect();
    let marks = if new.is_empty() { Vec::new() } else { shared.handled.waiting() };
    if !new.is_empty() && insert(connection, new.into_iter(), newest, &marks).await? != Some(to_u64(head)) {
        return Err(Trouble::Failed(LogError::Damaged("the counter row and the events disagree".into())));
    }
    sqlx::raw_sql("commit").execute(&mut *connection).await?;
    shared.handled.marked(&marks);
    Ok(verdicts)
}

/// A statement whose answer was lost may still be running. It cannot change what is judged under
/// the lock, with one exception: it may expect a version that does not exist yet.
fn may_still_be_written(verdict: &Verdict, append: &Prepared) -> bool {
    let Verdict::Conflict { stream, actual_version } = verdict else { return false };
    append.writes.iter().any(|write| write.stream == *stream && write.expected_version > *actual_version)
}

async fn versions(
    connection: &mut PgConnection,
    streams: &[StreamId],
) -> Result<HashMap<StreamId, Version>, sqlx::Error> {
    let (kinds, ids) = read::stream_columns(streams);
    let rows: Vec<(i64, i64)> = sqlx::query_as(read::VERSIONS).bind(kinds).bind(ids).fetch_all(connection).await?;
    let of = |n: i64| usize::try_from(n - 1).ok().and_then(|index| streams.get(index)).copied();
    Ok(rows.into_iter().filter_map(|(n, version)| Some((of(n)?, to_u64(version)))).collect())
}

async fn receipts(
    connection: &mut PgConnection,
    keys: &[ReceiptKey],
) -> Result<HashMap<ReceiptKey, jangbu_kernel::log::Receipt>, Trouble> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let (scopes, hashes) = read::receipt_columns(keys);
    let rows = sqlx::query(read::RECEIPTS).bind(scopes).bind(hashes).fetch_all(connection).await?;
    rows.iter().map(|row| read::receipt(row).map_err(Trouble::Failed)).collect()
}

/// The appends of the batch that are already in the log: index and position of the first event.
async fn own_events(connection: &mut PgConnection, batch: &[Prepared]) -> Result<HashMap<i64, Position>, sqlx::Error> {
    let (mut indexes, mut kinds, mut ids, mut versions, mut event_ids) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (index, append) in (0_i64..).zip(batch) {
        let Some(first) = append.events.first() else { continue };
        indexes.push(index);
        kinds.push(first.stream.kind.name());
        ids.push(first.stream.id);
        versions.push(to_i64(first.version));
        event_ids.push(first.event_id.uuid());
    }
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select o.n, e.position \
         from unnest($1::bigint[], $2::text[], $3::uuid[], $4::bigint[], $5::uuid[]) as o (n, kind, id, version, event_id) \
         join events e on e.stream_id = o.id and e.stream_kind = o.kind and e.version = o.version \
         and e.event_id = o.event_id",
    )
    .bind(indexes)
    .bind(kinds)
    .bind(ids)
    .bind(versions)
    .bind(event_ids)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(index, position)| (index, to_u64(position))).collect())
}
