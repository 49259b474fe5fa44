//! SQLite's implementation of the ports other than the log.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jangbu_kernel::log::watch::HeadWatch;
use jangbu_kernel::log::{EventLog as _, LogError, SealedRoot};
use jangbu_kernel::ports::{Checkpoints, Inbox, InboxMessage, Leases, ParkedProcess, ParkedProcesses};
use jangbu_kernel::{OrderId, Position, UserId, Version};
use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::stream::{self, Candidate};
use super::{Reads, SqliteStore, evidence, read, setup};
use crate::error::StoreError;
use crate::handled::{MARKED_WITHIN, Noted};
use crate::ledger::{KeptReceipt, Ledger, Marks, Store, StrayEntry, consecutive_hashes, frontier_of_seal, other_root};
use crate::merkle::{Hash, MerkleFrontier};
use crate::portable::{self, Told};
use crate::row::{self, StoredRow, limit_i64, to_i64, to_u64};

/// How often a read-only handle polls for appends of the writing process.
const POLL: Duration = Duration::from_millis(200);

impl SqliteStore {
    /// A writer knows its own commits; a read-only handle has to poll. Polling ends when the store
    /// is closed or no handle is left.
    pub(super) fn watch(&self) -> HeadWatch {
        if self.0.writer.is_none() {
            let weak = Arc::downgrade(&self.0);
            tokio::spawn(async move {
                while let Some(store) = weak.upgrade().map(|shared| Self(shared, Reads::Shared)) {
                    match store.head().await {
                        Ok(head) => store.0.head.advance(head),
                        Err(_) => return store.0.head.close(),
                    }
                    drop(store);
                    tokio::time::sleep(POLL).await;
                }
            });
        }
        self.0.head.watch()
    }
}

impl SqliteStore {
    /// A commit that only writes the waiting marks.
    async fn commit_marks(&self) -> Result<(), LogError> {
        self.write(|_| Ok(())).await
    }

    /// Reads the index of streams: how many entries point to positions up to `believed`, and which
    /// others do not point to their event.
    async fn entries_of_index(&self, believed: i64, limit: usize) -> Result<(i64, Vec<StrayEntry>), LogError> {
        let (mut count, mut strays, mut after) = (0, Vec::new(), None);
        loop {
            let page = self.read(move |connection| Ok(evidence::entries(connection, after, believed)?)).await?;
            count += page.believed;
            strays.extend(page.strays);
            strays.truncate(limit);
            after = page.last;
            if after.is_none() {
                return Ok((count, strays));
            }
        }
    }
}

#[async_trait]
impl Ledger for SqliteStore {
    async fn rows(&self, after: Position, limit: usize) -> Result<Vec<StoredRow>, LogError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(read::ROWS_AFTER)?;
            let rows = statement.query_map(params![to_i64(after), limit_i64(limit)], read::stored_row)?;
            rows.collect::<rusqlite::Result<_>>().map_err(evidence::unreadable)
        })
        .await
    }

    async fn leaf_hashes(&self, after: Position, limit: usize) -> Result<Vec<Hash>, LogError> {
        self.read(move |connection| {
            let mut statement = connection
                .prepare_cached("select position, hash from events where position > ?1 order by position limit ?2")?;
            let rows = statement
                .query_map(params![to_i64(after), limit_i64(limit)], |row| Ok((to_u64(row.get(0)?), row.get(1)?)))?;
            Ok(consecutive_hashes(after, rows.collect::<rusqlite::Result<_>>()?)?)
        })
        .await
    }

    fn fresh_leaf_hashes(&self, after: Position, limit: usize) -> Vec<Hash> {
        self.0.tail.leaf_hashes(after, limit)
    }

    async fn sealed_frontier(&self) -> Result<MerkleFrontier, LogError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "select f.size, f.peaks, r.root from sealed_frontier f left join sealed_roots r on r.size = f.size",
            )?;
            let kept: Option<(i64, Vec<u8>, Option<Vec<u8>>)> =
                statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
            let Some((size, peaks, root)) = kept else { return Ok(MerkleFrontier::new()) };
            Ok(frontier_of_seal(to_u64(size), &peaks, root.as_deref())?)
        })
        .await
    }

    async fn keep_seal(&self, root: SealedRoot, frontier: &MerkleFrontier) -> Result<bool, LogError> {
        let peaks = frontier.to_bytes();
        let kept: (bool, Vec<u8>) = self
            .write(move |connection| {
                let size = to_i64(root.size);
                let new = connection.execute(
                    "insert into sealed_roots (size, root, sealed_at) values (?1, ?2, ?3) on conflict do nothing",
                    params![size, root.root, root.sealed_at.timestamp_millis()],
                )?;
                if new > 0 {
                    connection.execute(
                        "insert into sealed_frontier (id, size, peaks) values (1, ?1, ?2) on conflict (id) do update \
                         set size = excluded.size, peaks = excluded.peaks where excluded.size > size",
                        params![size, peaks],
                    )?;
                }
                let kept =
                    connection.query_row("select root from sealed_roots where size = ?1", [size], |row| row.get(0))?;
                Ok((new > 0, kept))
            })
            .await?;
        if kept.1 == root.root { Ok(kept.0) } else { Err(other_root(root.size)) }
    }

    async fn marks(&self) -> Result<Marks, LogError> {
        self.read(|connection| Ok(evidence::marks(connection)?)).await
    }

    async fn kept_receipts(&self, after: Option<&KeptReceipt>, limit: usize) -> Result<Vec<KeptReceipt>, LogError> {
        let after = after.map_or(0, |receipt| receipt.number);
        let page =
            self.read(move |connection| Ok(evidence::receipts(connection, Position::new(after), limit)?)).await?;
        let index = self.0.streams.clone();
        // A separate read; see `StreamIndex::view`.
        self.read(move |connection| Ok(evidence::with_places(connection, &index, page)?)).await
    }

    async fn snapshots_ahead(&self, limit: usize) -> Result<Vec<(String, Version)>, LogError> {
        let (mut found, mut after) = (Vec::new(), None::<Candidate>);
        while found.len() < limit {
            let page = self.read(move |connection| Ok(stream::candidates(connection, after.as_ref())?)).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            let index = self.0.streams.clone();
            let ahead = self.read(move |connection| Ok(stream::ahead(connection, &index, page)?)).await?;
            found.extend(ahead.into_iter().map(Candidate::told));
        }
        found.truncate(limit);
        Ok(found)
    }

    async fn not_in_index(&self, after: Position, to: Position) -> Result<Vec<Position>, LogError> {
        self.read(move |connection| Ok(evidence::not_led_to(connection, after, to)?)).await
    }

    async fn strays_in_index(&self, limit: usize) -> Result<Vec<StrayEntry>, LogError> {
        let (entered_to, head) = self.read(|connection| Ok(evidence::index_and_head(connection)?)).await?;
        // If the number of entries that point to these events equals the number of events, and no
        // event is without an entry, each entry points to its own event.
        let (believed, strays) = self.entries_of_index(entered_to, limit).await?;
        if believed == entered_to.min(head) {
            return Ok(strays);
        }
        Ok(self.entries_of_index(0, limit).await?.1)
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn engine(&self) -> &'static str {
        "sqlite"
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let writer = self.0.writer.as_ref().ok_or(StoreError::ReadOnly)?;
        writer.migrate().await.map_err(StoreError::Log)?
    }

    async fn schema_version(&self) -> Result<u32, StoreError> {
        self.read(|connection| Ok(setup::schema_version(connection)?)).await.map_err(StoreError::Log)
    }

    fn known_schema_version(&self) -> u32 {
        setup::SCHEMA_VERSION
    }

    fn has_failed(&self) -> bool {
        self.0.writer.as_ref().is_some_and(super::writer::Writer::has_failed)
    }

    async fn copy_to(&self, folder: &Path, told: &mut Told<'_>) -> Result<Position, StoreError> {
        portable::copy(self, folder, told).await
    }

    async fn check_writes(&self) -> Result<(), LogError> {
        // Writing the same number again still writes and syncs a page.
        self.write(|connection| {
            let version = setup::schema_version(connection)?;
            connection.pragma_update(None, "user_version", version)
        })
        .await
    }

    async fn any_user_key(&self) -> Result<Option<(UserId, Vec<u8>)>, LogError> {
        self.0.keys.any().await
    }

    async fn close(&self) {
        if self.0.handled.close()
            && let Err(error) = self.commit_marks().await
        {
            tracing::warn!(%error, "handled messages could not be marked, and are handled once more");
        }
        self.0.head.close();
        self.0.readers.close().await;
        self.0.deciding.close().await;
        if let Some(writer) = &self.0.writer {
            writer.close().await;
        }
        self.0.keys.close().await;
    }
}

#[async_trait]
impl Checkpoints for SqliteStore {
    async fn checkpoint(&self, reader: &str) -> Result<Position, LogError> {
        let reader = reader.to_owned();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("select position from checkpoints where reader = ?1")?;
            Ok(statement.query_row([reader], |row| row.get(0)).optional()?.map_or(Position::ZERO, to_u64))
        })
        .await
    }

    async fn advance(&self, reader: &str, position: Position) -> Result<(), LogError> {
        let reader = reader.to_owned();
        self.write(move |connection| {
            let mut statement = connection.prepare_cached(
                "insert into checkpoints (reader, position) values (?1, ?2) on conflict (reader) do update \
                 set position = excluded.position where excluded.position > position",
            )?;
            statement.execute(params![reader, to_i64(position)]).map(|_| ())
        })
        .await
    }
}

#[async_trait]
impl ParkedProcesses for SqliteStore {
    async fn park(&self, process: ParkedProcess) -> Result<bool, LogError> {
        self.write(move |connection| {
            let new = connection.execute(
                "insert into parked_processes (order_id, stream_kind, stream_id, reason, parked_at) \
                 values (?1, ?2, ?3, ?4, ?5) on conflict do nothing",
                params![
                    process.order_id.uuid().as_bytes(),
                    process.stream.kind.name(),
                    process.stream.id.as_bytes(),
                    process.reason,
                    process.parked_at.timestamp_millis()
                ],
            )?;
            Ok(new > 0)
        })
        .await
    }

    async fn parked(&self, after: Option<OrderId>, limit: usize) -> Result<Vec<ParkedProcess>, LogError> {
        let after = after.map_or_else(Vec::new, |order_id| order_id.uuid().as_bytes().to_vec());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "select order_id, stream_kind, stream_id, reason, parked_at from parked_processes \
                 where order_id > ?1 order by order_id limit ?2",
            )?;
            let found = statement.query_map(params![after, limit_i64(limit)], parked_process)?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn parked_among(&self, orders: Vec<OrderId>) -> Result<Vec<ParkedProcess>, LogError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "select order_id, stream_kind, stream_id, reason, parked_at from parked_processes where order_id = ?1",
            )?;
            let mut found = Vec::new();
            for order_id in orders {
                found.extend(statement.query_row([order_id.uuid().as_bytes()], parked_process).optional()?);
            }
            Ok(found)
        })
        .await
    }

    async fn parked_count(&self) -> Result<u64, LogError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("select count(*) from parked_processes")?;
            Ok(to_u64(statement.query_row([], |row| row.get(0))?))
        })
        .await
    }

    async fn release(&self, order_id: OrderId) -> Result<(), LogError> {
        self.write(move |connection| {
            let order_id = order_id.uuid();
            connection.execute("delete from parked_processes where order_id = ?1", [order_id.as_bytes()]).map(|_| ())
        })
        .await
    }
}

fn parked_process(row: &Row<'_>) -> rusqlite::Result<ParkedProcess> {
    let kind: String = row.get(1)?;
    Ok(ParkedProcess {
        order_id: read::uuid(row, 0)?.into(),
        stream: row::stream_id(&kind, read::uuid(row, 2)?).ok_or_else(|| read::unreadable(1, Type::Text))?,
        reason: row.get(3)?,
        parked_at: read::moment(row, 4)?,
    })
}

#[async_trait]
impl Leases for SqliteStore {
    async fn hold(&self, lease: &str, holder: Uuid, length: Duration) -> Result<bool, LogError> {
        self.writer()?;
        Ok(self.0.leases.hold(lease, holder, length))
    }

    async fn give_back(&self, lease: &str, holder: Uuid) -> Result<(), LogError> {
        self.0.leases.give_back(lease, holder);
        Ok(())
    }
}

#[async_trait]
impl Inbox for SqliteStore {
    async fn store(&self, message: InboxMessage) -> Result<bool, LogError> {
        let headers = crate::ledger::headers_text(&message.headers)?;
        self.write(move |connection| {
            let mut statement = connection.prepare_cached(
                "insert into inbox (source, message_id, headers, body, received_at) values (?1, ?2, ?3, ?4, ?5) \
                 on conflict do nothing",
            )?;
            let new = statement.execute(params![
                message.source,
                message.message_id,
                headers,
                message.body,
                message.received_at.timestamp_millis()
            ])?;
            Ok(new > 0)
        })
        .await
    }

    async fn pending(&self, limit: usize, max_attempts: u32) -> Result<Vec<InboxMessage>, LogError> {
        let handled = self.0.handled.waiting();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "select sequence, source, message_id, headers, body, received_at, attempts from inbox \
                 where handled = 0 and attempts < ?1 order by sequence limit ?2",
            )?;
            let most = limit.saturating_add(handled.len());
            let messages = statement.query_map(params![max_attempts, limit_i64(most)], message)?;
            let unhandled = messages.filter(
                |message| !matches!(message, Ok(message) if handled.binary_search(&to_i64(message.sequence)).is_ok()),
            );
            Ok(unhandled.take(limit).collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn mark_handled(&self, sequence: u64) -> Result<(), LogError> {
        self.writer()?;
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
                        tracing::warn!(%error, "handled messages could not be marked; the next commit does it");
                    }
                });
                Ok(())
            }
            Noted::TooMany => self.commit_marks().await,
        }
    }

    async fn mark_failed(&self, sequence: u64, reason: &str) -> Result<(), LogError> {
        let reason = reason.to_owned();
        self.write(move |connection| {
            connection
                .execute(
                    "update inbox set attempts = attempts + 1, last_error = ?2 where sequence = ?1",
                    params![to_i64(sequence), reason],
                )
                .map(|_| ())
        })
        .await
    }
}

fn message(row: &Row<'_>) -> rusqlite::Result<InboxMessage> {
    let headers: String = row.get(3)?;
    Ok(InboxMessage {
        sequence: to_u64(row.get(0)?),
        source: row.get(1)?,
        message_id: row.get(2)?,
        headers: serde_json::from_str(&headers).map_err(|_| read::unreadable(3, Type::Text))?,
        body: row.get(4)?,
        received_at: read::moment(row, 5)?,
        attempts: row.get(6)?,
    })
}
