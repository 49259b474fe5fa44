//! What a verification reads besides the events.

use jangbu_kernel::log::ReceiptKey;
use jangbu_kernel::{Position, Version};
use sqlx::{PgPool, types::Uuid};

use crate::ledger::{KeptReceipt, Marks, StoredFrontier};
use crate::row::{limit_i64, to_u64};

const RECEIPTS: &str = "select r.scope, r.key_hash, r.stream_kind, r.stream_id, r.version, r.position, e.position \
     from receipts r left join lateral (select position from events t where t.stream_id = r.stream_id \
     and t.stream_kind = r.stream_kind and t.version = r.version) e on true \
     where (r.scope, r.key_hash) > ($1, $2) order by r.scope, r.key_hash limit $3";
const SNAPSHOTS_AHEAD: &str = "select s.stream_kind, s.stream_id, s.version from snapshots s \
     where s.version > coalesce((select e.version from events e where e.stream_id = s.stream_id \
     and e.stream_kind = s.stream_kind order by e.version desc limit 1), 0) limit $1";

type ReceiptColumns = (String, [u8; 32], String, Uuid, i64, i64, Option<i64>);

pub(super) async fn marks(pool: &PgPool) -> Result<Marks, sqlx::Error> {
    // The counter is read first, so that everything read later is at least as new.
    let counter: Option<i64> =
        sqlx::query_scalar("select position from log_head where id = 1").fetch_optional(pool).await?;
    let frontier: Option<(i64, Vec<u8>)> =
        sqlx::query_as("select size, peaks from sealed_frontier").fetch_optional(pool).await?;
    let checkpoint: Option<(String, i64)> =
        sqlx::query_as("select reader, position from checkpoints order by position desc limit 1")
            .fetch_optional(pool)
            .await?;
    Ok(Marks {
        // A missing counter counts as 0.
        counter: Some(counter.map_or(Position::ZERO, to_u64)),
        frontier: frontier.map(|(size, peaks)| StoredFrontier { size: to_u64(size), peaks }),
        checkpoint: checkpoint.map(|(reader, position)| (reader, to_u64(position))),
    })
}

pub(super) async fn receipts(
    pool: &PgPool,
    after: Option<&KeptReceipt>,
    limit: usize,
) -> Result<Vec<KeptReceipt>, sqlx::Error> {
    // An empty scope sorts before all others, because no scope is empty.
    let (scope, hash) = after.map_or(("", [].as_slice()), |receipt| (&receipt.key.scope, &receipt.key.hash));
    let rows: Vec<ReceiptColumns> =
        sqlx::query_as(RECEIPTS).bind(scope).bind(hash).bind(limit_i64(limit)).fetch_all(pool).await?;
    let kept = |(scope, hash, kind, id, version, position, event): ReceiptColumns| KeptReceipt {
        number: 0,
        key: ReceiptKey { scope, hash },
        stream: format!("{kind}-{id}"),
        version: to_u64(version),
        position: to_u64(position),
        event_position: event.map(to_u64),
    };
    Ok(rows.into_iter().map(kept).collect())
}

pub(super) async fn snapshots_ahead(pool: &PgPool, limit: usize) -> Result<Vec<(String, Version)>, sqlx::Error> {
    let rows: Vec<(String, Uuid, i64)> = sqlx::query_as(SNAPSHOTS_AHEAD).bind(limit_i64(limit)).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|(kind, id, version)| (format!("{kind}-{id}"), to_u64(version))).collect())
}
