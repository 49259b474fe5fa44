//! Appending: judges the batch by what is stored, and inserts what was accepted.
//!
//! No unique key of the tables prevents a version from being used twice. Instead, this process is
//! the only writer, and judges by what it knows of the streams (`versions.rs`, `streams.rs`), which
//! it checks against the head. A batch with a refused append is judged again on data that is read
//! anew, and so is one whose transaction violated a constraint. Receipts are always looked up
//! (`receipts.rs`).

use std::sync::Arc;

use jangbu_kernel::log::{AppendResult, LogError, ReceiptKey};
use jangbu_kernel::{Position, RecordedEvent};
use rusqlite::params;
use tokio::sync::oneshot;

use super::writer::{Failure, Inside, Job};
use super::{SqliteStore, read, writer};
use crate::batch::{self, Known, Prepared, Verdict};
use crate::row::{to_i64, to_u64};
use crate::tail::Tail;

const INSERT_EVENT: &str = "insert into events (position, stream_kind, stream_id, version, event_id, event_type, \
     schema_version, payload, correlation_id, causation_id, command_id, actor, trace, recorded_at, hash) \
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

struct AppendJob {
    batch: Vec<Prepared>,
    verdicts: Vec<Verdict>,
    tail: Arc<Tail>,
    answer: oneshot::Sender<Result<Vec<AppendResult>, LogError>>,
}

impl Job for AppendJob {
    fn run(&mut self, inside: &mut Inside<'_>) -> rusqlite::Result<()> {
        self.verdicts = append(inside, &self.batch)?;
        Ok(())
    }

    fn settle(self: Box<Self>, outcome: Result<(), Failure>) {
        let Self { batch, verdicts, tail, answer } = *self;
        let results = outcome.map(|()| batch::settle(batch, verdicts)).map_err(LogError::from);
        if let Ok(results) = &results {
            tail.extend(results);
        }
        // The caller may be gone; the append is valid all the same.
        let _ = answer.send(results);
    }

    fn weight(&self) -> usize {
        self.batch.iter().map(|append| append.events.len().max(1)).sum()
    }
}

impl SqliteStore {
    pub(super) async fn append_prepared(&self, batch: Vec<Prepared>) -> Result<Vec<AppendResult>, LogError> {
        let (answer, receiver) = oneshot::channel();
        let job = AppendJob { batch, verdicts: Vec::new(), tail: Arc::clone(&self.0.tail), answer };
        self.writer()?.send(Box::new(job)).await?;
        receiver.await.map_err(|_| writer::gone())?
    }
}

fn append(inside: &mut Inside<'_>, batch: &[Prepared]) -> rusqlite::Result<Vec<Verdict>> {
    let verdicts = verdicts(inside, batch)?;
    let mut insert_event = inside.connection.prepare_cached(INSERT_EVENT)?;
    for (append, base) in batch::accepted(batch, &verdicts) {
        for (position, (event, actor)) in base.next().onwards().zip(append.events.iter().zip(&append.actors)) {
            insert(&mut insert_event, position, event, actor)?;
            inside.streams.write(event.stream, event.version, position);
        }
        for write in &append.writes {
            inside.versions.put(write.stream, write.expected_version.plus(write.count));
        }
        if let Some(new) = &append.receipt {
            let position = base.plus(append.events.len() as u64);
            inside.receipts.insert(inside.connection, new, position, append.recorded_at)?;
        }
    }
    Ok(verdicts)
}

fn insert(
    statement: &mut rusqlite::CachedStatement<'_>,
    position: Position,
    event: &RecordedEvent,
    actor: &str,
) -> rusqlite::Result<()> {
    statement.execute(params![
        to_i64(position),
        event.stream.kind.name(),
        event.stream.id.as_bytes(),
        to_i64(event.version),
        event.event_id.uuid().as_bytes(),
        event.event_type,
        event.schema_version,
        event.payload,
        event.meta.correlation_id.uuid().as_bytes(),
        event.meta.causation_id.as_bytes(),
        event.meta.command_id.uuid().as_bytes(),
        actor,
        event.meta.trace,
        event.meta.recorded_at.timestamp_millis(),
        event.hash,
    ])?;
    Ok(())
}

fn verdicts(inside: &mut Inside<'_>, batch: &[Prepared]) -> rusqlite::Result<Vec<Verdict>> {
    let head = read::head(inside.connection)?;
    if inside.streams.catch_up(inside.connection, head)? {
        inside.versions.clear();
    }
    if !inside.careful {
        let verdicts = batch::judge(batch, &mut assume_known(inside, to_u64(head), batch)?);
        if verdicts.iter().all(|verdict| matches!(verdict, Verdict::Accepted { .. })) {
            return Ok(verdicts);
        }
    }
    Ok(batch::judge(batch, &mut read_known(inside, to_u64(head), batch)?))
}

/// The data that judging the batch needs, as far as possible from memory.
fn assume_known(inside: &mut Inside<'_>, head: Position, batch: &[Prepared]) -> rusqlite::Result<Known> {
    let mut known = Known { head, ..Known::default() };
    for write in batch.iter().flat_map(|append| &append.writes) {
        if known.versions.contains_key(&write.stream) {
            continue;
        }
        let version = match inside.versions.get(write.stream) {
            Some(version) => version,
            None => inside.streams.version(inside.connection, write.stream, false)?,
        };
        known.versions.insert(write.stream, version);
    }
    let keys = batch.iter().filter_map(|append| append.receipt.as_ref()).map(|receipt| &receipt.key);
    find_receipts(inside, keys, &mut known)?;
    Ok(known)
}

/// The same data, read inside the transaction.
fn read_known(inside: &Inside<'_>, head: Position, batch: &[Prepared]) -> rusqlite::Result<Known> {
    let (streams, keys) = batch::touched(batch);
    let mut known = Known { head, ..Known::default() };
    for stream in streams {
        known.versions.insert(stream, inside.streams.version(inside.connection, stream, true)?);
    }
    find_receipts(inside, &keys, &mut known)?;
    Ok(known)
}

fn find_receipts<'a>(
    inside: &Inside<'_>,
    keys: impl IntoIterator<Item = &'a ReceiptKey>,
    known: &mut Known,
) -> rusqlite::Result<()> {
    for key in keys {
        if let Some(receipt) = inside.receipts.find(inside.connection, key)? {
            known.receipts.insert(key.clone(), receipt);
        }
    }
    Ok(())
}
