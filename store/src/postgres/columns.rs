//! A batch as columns: one array is sent for each column of each table.

use std::collections::HashSet;

use jangbu_kernel::Version;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use sqlx::{Postgres, types::Uuid};

use super::known::Place;
use crate::batch::Prepared;
use crate::row::to_i64;

/// One statement. It does nothing if a predecessor is missing, or the newest event that this node
/// knows. Otherwise it moves the counter, numbers the events from it and writes the receipts. The
/// transaction locks the counter row until its commit is visible.
macro_rules! append {
    ($beside:literal) => {
        concat!(
            "
with missing as (
    select 1
    from unnest($1::text[], $2::uuid[], $3::bigint[]) as p (kind, id, version)
    where (select e.position from events e
           where e.stream_id = p.id and e.stream_kind = p.kind and e.version = p.version) is null
    limit 1
), head as (
    update log_head set position = position + $4
    where id = 1 and not exists (select 1 from missing)
      and ($27 = 0 or exists (select 1 from events e where e.position = $27 and e.hash = $28))
    returning position - $4 as base
), written as (
    insert into events (position, stream_kind, stream_id, version, event_id, event_type, schema_version, payload,
                        correlation_id, causation_id, command_id, actor, trace, recorded_at, hash)
    select head.base + e.n, e.stream_kind, e.stream_id, e.version, e.event_id, e.event_type, e.schema_version, e.payload,
           e.correlation_id, e.causation_id, e.command_id, e.actor, e.trace, e.recorded_at, e.hash
    from head, unnest($5::text[], $6::uuid[], $7::bigint[], $8::uuid[], $9::text[], $10::int[], $11::text[],
                      $12::uuid[], $13::uuid[], $14::uuid[], $15::text[], $16::text[], $17::bigint[], $18::bytea[])
         with ordinality as e (stream_kind, stream_id, version, event_id, event_type, schema_version, payload,
                               correlation_id, causation_id, command_id, actor, trace, recorded_at, hash, n)
), kept as (
    insert into receipts (scope, key_hash, fingerprint, stream_kind, stream_id, version, position, recorded_at)
    select r.scope, r.key_hash, r.fingerprint, r.stream_kind, r.stream_id, r.version, head.base + r.n, r.recorded_at
    from head, unnest($19::text[], $20::bytea[], $21::bytea[], $22::text[], $23::uuid[], $24::bigint[], $25::bigint[],
                      $26::bigint[]) as r (scope, key_hash, fingerprint, stream_kind, stream_id, version, n, recorded_at)
)",
            $beside,
            "
select base from head"
        )
    };
}

const APPEND: &str = append!("");

/// The same statement, which also marks inbox messages as handled.
const APPEND_AND_MARK: &str = append!(
    ", marked as (
    update inbox set handled = true from head where sequence = any($29::bigint[]) and not handled
)"
);

/// Versions that must exist before the batch: for each stream, the version that its first write
/// builds on.
#[derive(Default)]
struct Predecessors {
    kinds: Vec<&'static str>,
    ids: Vec<Uuid>,
    versions: Vec<i64>,
}

#[derive(Default)]
struct Events<'a> {
    kinds: Vec<&'static str>,
    ids: Vec<Uuid>,
    versions: Vec<i64>,
    event_ids: Vec<Uuid>,
    types: Vec<&'a str>,
    schema_versions: Vec<i32>,
    payloads: Vec<&'a str>,
    correlations: Vec<Uuid>,
    causations: Vec<Uuid>,
    commands: Vec<Uuid>,
    actors: Vec<&'a str>,
    traces: Vec<Option<&'a str>>,
    recorded: Vec<i64>,
    hashes: Vec<&'a [u8]>,
}

#[derive(Default)]
struct Receipts<'a> {
    scopes: Vec<&'a str>,
    keys: Vec<&'a [u8]>,
    fingerprints: Vec<&'a [u8]>,
    kinds: Vec<&'static str>,
    ids: Vec<Uuid>,
    versions: Vec<i64>,
    /// The place of the append's last event, counting the first event of the batch as 1.
    offsets: Vec<i64>,
    recorded: Vec<i64>,
}

/// A batch whose appends are all to be written, in order.
#[derive(Default)]
pub(super) struct Columns<'a> {
    predecessors: Predecessors,
    events: Events<'a>,
    receipts: Receipts<'a>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(appends: impl Iterator<Item = &'a Prepared>) -> Self {
        let mut columns = Self::default();
        let mut seen = HashSet::new();
        let mut receipts = Vec::new();
        for append in appends {
            for write in &append.writes {
                if seen.insert(write.stream) && write.expected_version > Version::ZERO {
                    columns.predecessors.kinds.push(write.stream.kind.name());
                    columns.predecessors.ids.push(write.stream.id);
                    columns.predecessors.versions.push(to_i64(write.expected_version));
                }
            }
            columns.events.extend(append);
            if let Some(receipt) = &append.receipt {
                receipts.push((receipt, columns.events.ids.len(), append.recorded_at.timestamp_millis()));
            }
        }
        // All writers use the same order, so that two of them never deadlock.
        receipts.sort_by_key(|(receipt, ..)| &receipt.key);
        let kept = &mut columns.receipts;
        for (receipt, offset, recorded) in receipts {
            kept.scopes.push(&receipt.key.scope);
            kept.keys.push(&receipt.key.hash);
            kept.fingerprints.push(&receipt.fingerprint);
            kept.kinds.push(receipt.stream.kind.name());
            kept.ids.push(receipt.stream.id);
            kept.versions.push(to_i64(receipt.version));
            kept.offsets.push(to_i64(offset as u64));
            kept.recorded.push(recorded);
        }
        columns
    }

    /// The statement, ready to run, with the inbox messages that it marks as handled. It returns
    /// the base, or no row if a predecessor or the known event is missing.
    pub(super) fn statement(&self, known: Option<Place>, marks: &[i64]) -> QueryScalar<'_, Postgres, i64, PgArguments> {
        let Self { predecessors, events, receipts } = self;
        let statement = sqlx::query_scalar(if marks.is_empty() { APPEND } else { APPEND_AND_MARK })
            .bind(&predecessors.kinds[..])
            .bind(&predecessors.ids[..])
            .bind(&predecessors.versions[..])
            .bind(to_i64(events.ids.len() as u64))
            .bind(&events.kinds[..])
            .bind(&events.ids[..])
            .bind(&events.versions[..])
            .bind(&events.event_ids[..])
            .bind(&events.types[..])
            .bind(&events.schema_versions[..])
            .bind(&events.payloads[..])
            .bind(&events.correlations[..])
            .bind(&events.causations[..])
            .bind(&events.commands[..])
            .bind(&events.actors[..])
            .bind(&events.traces[..])
            .bind(&events.recorded[..])
            .bind(&events.hashes[..])
            .bind(&receipts.scopes[..])
            .bind(&receipts.keys[..])
            .bind(&receipts.fingerprints[..])
            .bind(&receipts.kinds[..])
            .bind(&receipts.ids[..])
            .bind(&receipts.versions[..])
            .bind(&receipts.offsets[..])
            .bind(&receipts.recorded[..])
            .bind(known.map_or(0, |known| to_i64(known.position)))
            .bind(known.map(|known| known.hash.to_vec()));
        if marks.is_empty() { statement } else { statement.bind(marks.to_vec()) }
    }
}

impl<'a> Events<'a> {
    fn extend(&mut self, append: &'a Prepared) {
        for (event, actor) in append.events.iter().zip(&append.actors) {
            self.kinds.push(event.stream.kind.name());
            self.ids.push(event.stream.id);
            self.versions.push(to_i64(event.version));
            self.event_ids.push(event.event_id.uuid());
            self.types.push(&event.event_type);
            self.schema_versions.push(event.schema_version.into());
            self.payloads.push(&event.payload);
            self.correlations.push(event.meta.correlation_id.uuid());
            self.causations.push(event.meta.causation_id);
            self.commands.push(event.meta.command_id.uuid());
            self.actors.push(actor);
            self.traces.push(event.meta.trace.as_deref());
            self.recorded.push(event.meta.recorded_at.timestamp_millis());
            self.hashes.push(&event.hash);
        }
    }
}
