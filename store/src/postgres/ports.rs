//! Postgres' implementation of the ports other than the log. Each write is one statement, and
//! repeating it has no further effect.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jangbu_kernel::log::{LogError, SealedRoot};
use jangbu_kernel::ports::{Checkpoints, Inbox, InboxMessage, KeyStore, Leases, ParkedProcess, ParkedProcesses};
use jangbu_kernel::{OrderId, Position, UserId, Version};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{PostgresStore, Reads, evidence, read, setup};
use crate::error::StoreError;
use crate::handled::{MARKED_WITHIN, Noted};
use crate::ledger::{
    KeptReceipt, Ledger, Marks, Store, consecutive_hashes, frontier_of_seal, headers_text, other_root,
};
use crate::merkle::{Hash, MerkleFrontier};
use crate::portable::{self, Told};
use crate::row::{self, StoredRow, limit_i64, to_i64, to_u64};

impl PostgresStore {
    /// Writes the marks of handled messages that wait.
    async fn commit_marks(&self) -> Result<(), LogError> {
        let marks = &self.0.handled.waiting();
        self.write(|pool| {
            sqlx::query("update inbox set handled = true where sequence = any($1)").bind(marks).execute(pool)
        })
        .await?;
        self.0.handled.marked(marks);
        Ok(())
    }
}

#[async_trait]
impl Ledger for PostgresStore {
    async fn rows(&self, after: Position, limit: usize) -> Result<Vec<StoredRow>, LogError> {
        let rows = self
            .ask(|pool| sqlx::query(read::ROWS_AFTER).bind(to_i64(after)).bind(limit_i64(limit)).fetch_all(pool))
            .await?;
        rows.iter().map(|row| read::stored_row(row).map_err(setup::log_error)).collect()
    }

    async fn leaf_hashes(&self, after: Position, limit: usize) -> Result<Vec<Hash>, LogError> {
        let rows: Vec<(i64, Vec<u8>)> = self
            .ask(|pool| {
                sqlx::query_as("select position, hash from events where position > $1 order by position limit $2")
                    .bind(to_i64(after))
                    .bind(limit_i64(limit))
                    .fetch_all(pool)
            })
            .await?;
        consecutive_hashes(after, rows.into_iter().map(|(position, hash)| (to_u64(position), hash)).collect())
    }

    fn fresh_leaf_hashes(&self, after: Position, limit: usize) -> Vec<Hash> {
        self.0.tail.leaf_hashes(after, limit)
    }

    async fn sealed_frontier(&self) -> Result<MerkleFrontier, LogError> {
        let kept: Option<(i64, Vec<u8>, Option<Vec<u8>>)> = self
            .ask(|pool| {
                sqlx::query_as(
                    "select f.size, f.peaks, r.root from sealed_frontier f left join sealed_roots r on r.size = f.size",
                )
                .fetch_optional(pool)
            })
            .await?;
        let Some((size, peaks, root)) = kept else { return Ok(MerkleFrontier::new()) };
        frontier_of_seal(to_u64(size), &peaks, root.as_deref())
    }

    async fn keep_seal(&self, root: SealedRoot, frontier: &MerkleFrontier) -> Result<bool, LogError> {
        let (size, hash) = (to_i64(root.size), root.root);
        let new: i64 = self
            .write(|pool| {
                sqlx::query_scalar(
                    "with sealed as (insert into sealed_roots (size, root, sealed_at) \
                     select $1, $2::bytea, $3::bigint from log_head where position >= $1 on conflict do nothing returning size), \
                     grown as (insert into sealed_frontier as kept (id, size, peaks) select 1, sealed.size, $4 from sealed \
                     on conflict (id) do update set size = excluded.size, peaks = excluded.peaks \
                     where excluded.size > kept.size) select count(*) from sealed",
                )
                .bind(size)
                .bind(hash.to_vec())
                .bind(root.sealed_at.timestamp_millis())
                .bind(frontier.to_bytes())
                .fetch_one(pool)
            })
            .await?;
        let kept: Option<Vec<u8>> = self
            .ask(|pool| {
                sqlx::query_scalar("select root from sealed_roots where size = $1").bind(size).fetch_optional(pool)
            })
            .await?;
        match kept {
            Some(kept) if kept == hash => Ok(new > 0),
            Some(_) => Err(other_root(root.size)),
            None => Err(LogError::Damaged(format!("size {size} is beyond the log's head, nothing is sealed there"))),
        }
    }

    async fn marks(&self) -> Result<Marks, LogError> {
        self.ask(evidence::marks).await
    }

    async fn kept_receipts(&self, after: Option<&KeptReceipt>, limit: usize) -> Result<Vec<KeptReceipt>, LogError> {
        self.ask(|pool| evidence::receipts(pool, after, limit)).await
    }

    async fn snapshots_ahead(&self, limit: usize) -> Result<Vec<(String, Version)>, LogError> {
        self.ask(|pool| evidence::snapshots_ahead(pool, limit)).await
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn engine(&self) -> &'static str {
        "postgres"
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        setup::migrate(&self.0.pool, &self.0.connect).await
    }

    async fn schema_version(&self) -> Result<u32, StoreError> {
        setup::schema_version(&self.0.pool).await.map_err(|error| StoreError::Log(setup::log_error(error)))
    }

    fn known_schema_version(&self) -> u32 {
        setup::SCHEMA_VERSION
    }

    async fn copy_to(&self, folder: &Path, told: &mut Told<'_>) -> Result<Position, StoreError> {
        portable::copy(self, folder, told).await
    }

    async fn check_writes(&self) -> Result<(), LogError> {
        // The row that every append has to lock.
        self.ask(|pool| sqlx::query("update log_head set position = position where id = 1").execute(pool))
            .await
            .map(|_| ())
    }

    async fn any_user_key(&self) -> Result<Option<(UserId, Vec<u8>)>, LogError> {
        let found: Option<(Uuid, Vec<u8>)> = self
            .ask(|pool| {
                sqlx::query_as("select owner, wrapped from user_keys where wrapped is not null limit 1")
                    .fetch_optional(pool)
            })
            .await?;
        Ok(found.map(|(owner, wrapped)| (UserId::new(owner), wrapped)))
    }

    async fn close(&self) {
        if self.0.handled.close()
            && let Err(error) = self.commit_marks().await
        {
            tracing::warn!(%error, "handled messages could not be marked, and are handled once more");
        }
        self.0.head.close();
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.lanes.close().await;
        self.0.deciding.close().await;
        self.0.pool.close().await;
    }
}

#[async_trait]
impl KeyStore for PostgresStore {
    async fn user_key(&self, owner: UserId) -> Result<Option<Option<Vec<u8>>>, LogError> {
        self.ask(|pool| {
            sqlx::query_scalar("select wrapped from user_keys where owner = $1").bind(owner.uuid()).fetch_optional(pool)
        })
        .await
    }

    async fn put_user_key(&self, owner: UserId, wrapped: Vec<u8>) -> Result<Option<Vec<u8>>, LogError> {
        let wrapped = &wrapped;
        self.write(|pool| async move {
            sqlx::query("insert into user_keys (owner, wrapped) values ($1, $2) on conflict do nothing")
                .bind(owner.uuid())
                .bind(wrapped)
                .execute(pool)
                .await?;
            sqlx::query_scalar("select wrapped from user_keys where owner = $1")
                .bind(owner.uuid())
                .fetch_one(pool)
                .await
        })
        .await
    }

    async fn remove_user_key(&self, owner: UserId) -> Result<(), LogError> {
        self.ask(|pool| async move {
            sqlx::query("delete from user_keys where owner = $1").bind(owner.uuid()).execute(pool).await.map(|_| ())
        })
        .await
    }

    /// The old version of the row is dead then, and the vacuum that follows removes it from its
    /// table. Its bytes stay in the page until it is reused, and in the server's write-ahead log
    /// and its copies for as long as those are kept.
    async fn destroy_user_key(&self, owner: UserId) -> Result<(), LogError> {
        self.write(|pool| {
            sqlx::query(
                "insert into user_keys (owner, wrapped) values ($1, null) on conflict (owner) do update \
                 set wrapped = null",
            )
            .bind(owner.uuid())
            .execute(pool)
        })
        .await?;
        // If the role does not own the table, the server only warns and goes on.
        if let Err(error) = self.ask(|pool| sqlx::query("vacuum user_keys").execute(pool)).await {
            tracing::warn!(%error, "a key is destroyed; the table of keys could not be vacuumed and is later, by the server");
        }
        Ok(())
    }

    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, LogError> {
        self.ask(|pool| {
            sqlx::query_scalar("select wrapped from secrets where name = $1").bind(name.to_owned()).fetch_optional(pool)
        })
        .await
    }

    async fn put_secret(&self, name: &str, wrapped: Vec<u8>) -> Result<Vec<u8>, LogError> {
        let wrapped = &wrapped;
        self.write(|pool| async move {
            sqlx::query("insert into secrets (name, wrapped) values ($1, $2) on conflict do nothing")
                .bind(name)
                .bind(wrapped)
                .execute(pool)
                .await?;
            sqlx::query_scalar("select wrapped from secrets where name = $1").bind(name).fetch_one(pool).await
        })
        .await
    }
}

#[async_trait]
impl Checkpoints for PostgresStore {
    async fn checkpoint(&self, reader: &str) -> Result<Position, LogError> {
        let position: Option<i64> = self
            .ask(|pool| {
                sqlx::query_scalar("select position from checkpoints where reader = $1")
                    .bind(reader.to_owned())
                    .fetch_optional(pool)
            })
            .await?;
        Ok(position.map_or(Position::ZERO, to_u64))
    }

    async fn advance(&self, reader: &str, position: Position) -> Result<(), LogError> {
        // Never beyond the end of the log: the database may have gone back a moment ago, and events
        // that are appended after that would be skipped.
        self.write(|pool| {
            sqlx::query(
                "insert into checkpoints as kept (reader, position) select $1, least($2, position) from log_head \
                 on conflict (reader) do update set position = excluded.position \
                 where excluded.position > kept.position",
            )
            .bind(reader.to_owned())
            .bind(to_i64(position))
            .execute(pool)
        })
        .await
        .map(|_| ())
    }
}

#[async_trait]
impl ParkedProcesses for PostgresStore {
    async fn park(&self, process: ParkedProcess) -> Result<bool, LogError> {
        let process = &process;
        let parked = self
            .ask(|pool| {
                sqlx::query(
                    "insert into parked_processes (order_id, stream_kind, stream_id, reason, parked_at) \
                     values ($1, $2, $3, $4, $5) on conflict (order_id) do nothing",
                )
                .bind(process.order_id.uuid())
                .bind(process.stream.kind.name())
                .bind(process.stream.id)
                .bind(&process.reason)
                .bind(process.parked_at.timestamp_millis())
                .execute(pool)
            })
            .await?;
        Ok(parked.rows_affected() > 0)
    }

    async fn parked(&self, after: Option<OrderId>, limit: usize) -> Result<Vec<ParkedProcess>, LogError> {
        let rows = self
            .ask(|pool| {
                sqlx::query(
                    "select order_id, stream_kind, stream_id, reason, parked_at from parked_processes \
                     where $1::uuid is null or order_id > $1 order by order_id limit $2",
                )
                .bind(after.map(|order_id| order_id.uuid()))
                .bind(limit_i64(limit))
                .fetch_all(pool)
            })
            .await?;
        rows.iter().map(|row| parked_process(row).map_err(setup::log_error)).collect()
    }

    async fn parked_among(&self, orders: Vec<OrderId>) -> Result<Vec<ParkedProcess>, LogError> {
        let orders: Vec<Uuid> = orders.into_iter().map(|order_id| order_id.uuid()).collect();
        let rows = self
            .ask(|pool| {
                sqlx::query(
                    "select p.order_id, p.stream_kind, p.stream_id, p.reason, p.parked_at \
                     from unnest($1::uuid[]) as asked (id) join parked_processes p on p.order_id = asked.id",
                )
                .bind(orders.clone())
                .fetch_all(pool)
            })
            .await?;
        rows.iter().map(|row| parked_process(row).map_err(setup::log_error)).collect()
    }

    async fn parked_count(&self) -> Result<u64, LogError> {
        let count: i64 =
            self.ask(|pool| sqlx::query_scalar("select count(*) from parked_processes").fetch_one(pool)).await?;
        Ok(to_u64(count))
    }

    async fn release(&self, order_id: OrderId) -> Result<(), LogError> {
        self.ask(|pool| {
            sqlx::query("delete from parked_processes where order_id = $1").bind(order_id.uuid()).execute(pool)
        })
        .await
        .map(|_| ())
    }
}

fn parked_process(row: &PgRow) -> Result<ParkedProcess, sqlx::Error> {
    Ok(ParkedProcess {
        order_id: row.try_get::<Uuid, _>(0)?.into(),
        stream: row::stream_id(row.try_get(1)?, row.try_get(2)?)
            .ok_or_else(|| sqlx::Error::Decode("an unknown kind of stream".into()))?,
        reason: row.try_get(3)?,
        parked_at: row::moment(row.try_get(4)?).ok_or_else(|| sqlx::Error::Decode("a time out of range".into()))?,
    })
}

#[async_trait]
impl Leases for PostgresStore {
    async fn hold(&self, lease: &str, holder: Uuid, length: Duration) -> Result<bool, LogError> {
        let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        // A lease that ends later than any holder can have asked for was written before the
        // server's clock was set back, so it counts as free. The limit is one length longer, for
        // statements that waited for the row.
        let held: Option<bool> = self
            .write(|pool| {
                sqlx::query_scalar(
                    "with clock (ms) as (select (extract(epoch from clock_timestamp()) * 1000)::bigint) \
                     insert into leases as kept (name, holder, until_ms) select $1, $2, ms + $3 from clock \
                     on conflict (name) do update set holder = excluded.holder, until_ms = excluded.until_ms \
                     where kept.holder = excluded.holder or kept.until_ms <= (select ms from clock) \
                     or kept.until_ms > excluded.until_ms + $3 returning true",
                )
                .bind(lease.to_owned())
                .bind(holder)
                .bind(length)
                .fetch_optional(pool)
            })
            .await?;
        Ok(held.is_some())
    }

    async fn give_back(&self, lease: &str, holder: Uuid) -> Result<(), LogError> {
        self.ask(|pool| {
            sqlx::query("delete from leases where name = $1 and holder = $2")
                .bind(lease.to_owned())
                .bind(holder)
                .execute(pool)
        })
        .await
        .map(|_| ())
    }
}

#[async_trait]
impl Inbox for PostgresStore {
    async fn store(&self, message: InboxMessage) -> Result<bool, LogError> {
        let headers = headers_text(&message.headers)?;
        let (message, headers) = (&message, &headers);
        let stored = self
            .write(|pool| async move {
                sqlx::query(
                    "insert into inbox (source, message_id, headers, body, received_at) values ($1, $2, $3, $4, $5) \
                     on conflict (source, message_id) do nothing",
                )
                .bind(&message.source)
                .bind(&message.message_id)
                .bind(headers)
                .bind(&message.body)
                .bind(message.received_at.timestamp_millis())
                .execute(pool)
                .await
            })
            .await?;
        Ok(stored.rows_affected() > 0)
    }

    async fn pending(&self, limit: usize, max_attempts: u32) -> Result<Vec<InboxMessage>, LogError> {
        let handled = &self.0.handled.waiting();
        let rows = self
            .ask(|pool| {
                sqlx::query(
                    "select sequence, source, message_id, headers, body, received_at, attempts from inbox \
                     where not handled and attempts < $1 and sequence <> all($3) order by sequence limit $2",
                )
                .bind(i64::from(max_attempts))
                .bind(limit_i64(limit))
                .bind(handled)
                .fetch_all(pool)
            })
            .await?;
        rows.iter().map(|row| message(row).map_err(setup::log_error)).collect()
    }

    async fn mark_handled(&self, sequence: u64) -> Result<(), LogError> {
        match self.0.handled.note(sequence)? {
            Noted::Rides => Ok(()),
            Noted::Promise => {
                let weak = Arc::downgrade(&self.0);
                tokio::spawn(async move {
                    tokio::time::sleep(MARKED_WITHIN).await;
                    let Some(store) = weak.upgrade().map(|shared| Self(shared, Reads::Shared)) else { return };
                    if store.0.handled.is_time()
                        && let Err(error) = store.commit_marks().await
                    {
                        tracing::warn!(%error, "handled messages could not be marked; the next append does it");
                    }
                });
                Ok(())
            }
            Noted::TooMany => self.commit_marks().await,
        }
    }

    async fn mark_failed(&self, sequence: u64, reason: &str) -> Result<(), LogError> {
        self.write(|pool| {
            sqlx::query("update inbox set attempts = attempts + 1, last_error = $2 where sequence = $1")
                .bind(to_i64(sequence))
                .bind(reason.to_owned())
                .execute(pool)
        })
        .await
        .map(|_| ())
    }
}

fn message(row: &PgRow) -> Result<InboxMessage, sqlx::Error> {
    let unreadable = |error: serde_json::Error| sqlx::Error::Decode(Box::new(error));
    let attempts: i32 = row.try_get(6)?;
    Ok(InboxMessage {
        sequence: to_u64(row.try_get(0)?),
        source: row.try_get(1)?,
        message_id: row.try_get(2)?,
        headers: serde_json::from_str(row.try_get(3)?).map_err(unreadable)?,
        body: row.try_get(4)?,
        received_at: row::moment(row.try_get(5)?).ok_or_else(|| sqlx::Error::Decode("a time out of range".into()))?,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
    })
}
