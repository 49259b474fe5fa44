//! How fast rows like those of the log can be inserted durably, without anything else: no decision,
//! no hash, no receipt.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::params;
use sqlx::Connection as _;

use crate::report::per_second;

/// Rows of a batch: about what a batch of the write path holds under full load.
pub(super) const FULL: u32 = 500;
/// Rows of a batch at a load that can be sustained.
pub(super) const SUSTAINED: u32 = 60;
/// The length of an order's own event.
const PAYLOAD_BYTES: usize = 500;
const TABLE: &str = include_str!("../../../migrations/sqlite/0001_log.sql");

struct Row {
    stream_id: [u8; 16],
    event_id: [u8; 16],
}

fn rows(batch: u32) -> Vec<Row> {
    let id = || uuid::Uuid::now_v7().into_bytes();
    (0..batch).map(|_| Row { stream_id: id(), event_id: id() }).collect()
}

/// Result of inserting for a given time.
pub(super) struct Inserted {
    /// Microseconds that each commit took.
    took: Vec<u64>,
    rows: u64,
    elapsed: Duration,
}

impl Inserted {
    pub(super) fn rows_per_second(&self) -> u64 {
        per_second(self.rows, self.elapsed)
    }

    pub(super) fn commit_p99_us(mut self) -> u64 {
        self.took.sort_unstable();
        self.took.get(self.took.len() * 99 / 100).copied().unwrap_or_default()
    }
}

pub(super) fn embedded(folder: &Path, batch: u32, time: Duration) -> anyhow::Result<Inserted> {
    let folder = tempfile::tempdir_in(folder)?;
    let mut connection = rusqlite::Connection::open(folder.path().join("raw.db"))?;
    connection.query_row("pragma journal_mode = wal", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    connection.execute_batch(TABLE)?;
    let payload = "x".repeat(PAYLOAD_BYTES);
    let (begun, mut took, mut inserted) = (Instant::now(), Vec::new(), 0_u64);
    while begun.elapsed() < time {
        let before = Instant::now();
        let transaction = connection.transaction()?;
        let mut insert = transaction.prepare_cached(
            "insert into events (stream_kind, stream_id, version, event_id, event_type, schema_version, payload, \
             correlation_id, causation_id, command_id, actor, recorded_at, hash) \
             values ('order', ?1, 1, ?2, 'order.placed', 1, ?3, ?2, ?2, ?2, 'user:bench', 1, ?4)",
        )?;
        for row in rows(batch) {
            insert.execute(params![row.stream_id, row.event_id, payload, [0_u8; 32]])?;
        }
        drop(insert);
        transaction.commit()?;
        took.push(u64::try_from(before.elapsed().as_micros())?);
        inserted += u64::from(batch);
    }
    Ok(Inserted { took, rows: inserted, elapsed: begun.elapsed() })
}

pub(super) async fn postgres(url: &str, batch: u32, time: Duration) -> anyhow::Result<Inserted> {
    let mut connection = sqlx::PgConnection::connect(url).await?;
    sqlx::raw_sql(
        "drop table if exists bench_raw; create table bench_raw (position bigint primary key, stream_kind text not \
         null, stream_id uuid not null, version bigint not null, event_id uuid not null, event_type text not null, \
         payload text not null, actor text not null, hash bytea not null); \
         create unique index on bench_raw (stream_id, stream_kind, version)",
    )
    .execute(&mut connection)
    .await?;
    let payloads = vec!["x".repeat(PAYLOAD_BYTES); usize::try_from(batch)?];
    let (begun, mut took, mut inserted) = (Instant::now(), Vec::new(), 0_u64);
    while begun.elapsed() < time {
        let before = Instant::now();
        let rows = rows(batch);
        let streams: Vec<uuid::Uuid> = rows.iter().map(|row| uuid::Uuid::from_bytes(row.stream_id)).collect();
        let events: Vec<uuid::Uuid> = rows.iter().map(|row| uuid::Uuid::from_bytes(row.event_id)).collect();
        let positions: Vec<i64> = (i64::try_from(inserted)?..).take(rows.len()).collect();
        sqlx::query(
            "insert into bench_raw select p, 'order', s, 1, e, 'order.placed', t, 'user:bench', \
             '\\x0000000000000000000000000000000000000000000000000000000000000000' \
             from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[]) as new (p, s, e, t)",
        )
        .bind(positions)
        .bind(streams)
        .bind(events)
        .bind(&payloads)
        .execute(&mut connection)
        .await?;
        took.push(u64::try_from(before.elapsed().as_micros())?);
        inserted += u64::from(batch);
    }
    let elapsed = begun.elapsed();
    sqlx::raw_sql("drop table bench_raw").execute(&mut connection).await?;
    Ok(Inserted { took, rows: inserted, elapsed })
}
