//! The memory engine's implementation of the ports other than the log.

use std::time::Duration;

use async_trait::async_trait;
use jangbu_kernel::log::{LogError, SealedRoot};
use jangbu_kernel::ports::{Checkpoints, Inbox, InboxMessage, KeyStore, Leases, ParkedProcess, ParkedProcesses};
use jangbu_kernel::{OrderId, Position, UserId, Version};
use uuid::Uuid;

use super::{MemoryStore, Stored};
use crate::error::StoreError;
use crate::ledger::{KeptReceipt, Ledger, Marks, Store, StoredFrontier, other_root};
use crate::merkle::{Hash, MerkleFrontier};
use crate::row::StoredRow;

/// The memory has only one form, so the schema version is constant.
const SCHEMA_VERSION: u32 = 1;

#[async_trait]
impl Ledger for MemoryStore {
    async fn rows(&self, after: Position, limit: usize) -> Result<Vec<StoredRow>, LogError> {
        Ok(self.state()?.after(after).iter().take(limit).map(|event| StoredRow::from(&**event)).collect())
    }

    async fn leaf_hashes(&self, after: Position, limit: usize) -> Result<Vec<Hash>, LogError> {
        Ok(self.state()?.after(after).iter().take(limit).map(|event| event.hash).collect())
    }

    async fn sealed_frontier(&self) -> Result<MerkleFrontier, LogError> {
        Ok(self.state()?.frontier.clone())
    }

    async fn keep_seal(&self, root: SealedRoot, frontier: &MerkleFrontier) -> Result<bool, LogError> {
        let mut state = self.state()?;
        if let Some(kept) = state.seals.get(&root.size) {
            return if kept.root == root.root { Ok(false) } else { Err(other_root(root.size)) };
        }
        state.seals.insert(root.size, root);
        if frontier.size() > state.frontier.size() {
            state.frontier = frontier.clone();
        }
        Ok(true)
    }

    async fn marks(&self) -> Result<Marks, LogError> {
        let state = self.state()?;
        let furthest = state.checkpoints.iter().max_by_key(|(_, position)| **position);
        let frontier = Some(&state.frontier).filter(|frontier| frontier.size() > Position::ZERO);
        Ok(Marks {
            counter: None,
            frontier: frontier.map(|frontier| StoredFrontier { size: frontier.size(), peaks: frontier.to_bytes() }),
            checkpoint: furthest.map(|(reader, position)| (reader.clone(), *position)),
        })
    }

    async fn kept_receipts(&self, after: Option<&KeptReceipt>, limit: usize) -> Result<Vec<KeptReceipt>, LogError> {
        let state = self.state()?;
        let mut behind: Vec<_> = state
            .known
            .receipts
            .iter()
            .filter(|(key, _)| after.is_none_or(|after| **key > after.key))
            .map(|(key, receipt)| KeptReceipt {
                number: 0,
                key: key.clone(),
                stream: receipt.stream.to_string(),
                version: receipt.version,
                position: receipt.position,
                event_position: state
                    .stream_from(receipt.stream, receipt.version)
                    .next()
                    .filter(|event| event.version == receipt.version)
                    .map(|event| event.position),
            })
            .collect();
        behind.sort_by(|one, other| one.key.cmp(&other.key));
        behind.truncate(limit);
        Ok(behind)
    }

    async fn snapshots_ahead(&self, limit: usize) -> Result<Vec<(String, Version)>, LogError> {
        let state = self.state()?;
        let version = |stream| state.known.versions.get(stream).copied().unwrap_or_default();
        let ahead = state.snapshots.values().filter(|kept| kept.version > version(&kept.stream));
        Ok(ahead.take(limit).map(|kept| (kept.stream.to_string(), kept.version)).collect())
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn engine(&self) -> &'static str {
        "memory"
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn schema_version(&self) -> Result<u32, StoreError> {
        Ok(SCHEMA_VERSION)
    }

    fn known_schema_version(&self) -> u32 {
        SCHEMA_VERSION
    }

    async fn any_user_key(&self) -> Result<Option<(UserId, Vec<u8>)>, LogError> {
        let state = self.state()?;
        Ok(state.user_keys.iter().find_map(|(owner, wrapped)| Some((*owner, wrapped.clone()?))))
    }

    async fn close(&self) {
        if let Ok(mut state) = self.state() {
            state.closed = true;
        }
        self.0.head.close();
    }
}

#[async_trait]
impl KeyStore for MemoryStore {
    async fn user_key(&self, owner: UserId) -> Result<Option<Option<Vec<u8>>>, LogError> {
        Ok(self.state()?.user_keys.get(&owner).cloned())
    }

    async fn put_user_key(&self, owner: UserId, wrapped: Vec<u8>) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.state()?.user_keys.entry(owner).or_insert(Some(wrapped)).clone())
    }

    async fn remove_user_key(&self, owner: UserId) -> Result<(), LogError> {
        self.state()?.user_keys.remove(&owner);
        Ok(())
    }

    async fn destroy_user_key(&self, owner: UserId) -> Result<(), LogError> {
        self.state()?.user_keys.insert(owner, None);
        Ok(())
    }

    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.state()?.secrets.get(name).cloned())
    }

    async fn put_secret(&self, name: &str, wrapped: Vec<u8>) -> Result<Vec<u8>, LogError> {
        Ok(self.state()?.secrets.entry(name.to_owned()).or_insert(wrapped).clone())
    }
}

#[async_trait]
impl Checkpoints for MemoryStore {
    async fn checkpoint(&self, reader: &str) -> Result<Position, LogError> {
        Ok(self.state()?.checkpoints.get(reader).copied().unwrap_or_default())
    }

    async fn advance(&self, reader: &str, position: Position) -> Result<(), LogError> {
        let mut state = self.state()?;
        let kept = state.checkpoints.entry(reader.to_owned()).or_default();
        *kept = position.max(*kept);
        Ok(())
    }
}

#[async_trait]
impl ParkedProcesses for MemoryStore {
    async fn park(&self, process: ParkedProcess) -> Result<bool, LogError> {
        let mut state = self.state()?;
        let new = !state.parked.contains_key(&process.order_id);
        state.parked.entry(process.order_id).or_insert(process);
        Ok(new)
    }

    async fn parked(&self, after: Option<OrderId>, limit: usize) -> Result<Vec<ParkedProcess>, LogError> {
        let state = self.state()?;
        let behind = state.parked.values().filter(|process| after.is_none_or(|after| process.order_id > after));
        Ok(behind.take(limit).cloned().collect())
    }

    async fn parked_among(&self, orders: Vec<OrderId>) -> Result<Vec<ParkedProcess>, LogError> {
        let state = self.state()?;
        Ok(orders.iter().filter_map(|order_id| state.parked.get(order_id).cloned()).collect())
    }

    async fn parked_count(&self) -> Result<u64, LogError> {
        Ok(self.state()?.parked.len() as u64)
    }

    async fn release(&self, order_id: OrderId) -> Result<(), LogError> {
        self.state()?.parked.remove(&order_id);
        Ok(())
    }
}

#[async_trait]
impl Leases for MemoryStore {
    async fn hold(&self, lease: &str, holder: Uuid, length: Duration) -> Result<bool, LogError> {
        Ok(self.state()?.leases.hold(lease, holder, length))
    }

    async fn give_back(&self, lease: &str, holder: Uuid) -> Result<(), LogError> {
        self.state()?.leases.give_back(lease, holder);
        Ok(())
    }
}

#[async_trait]
impl Inbox for MemoryStore {
    async fn store(&self, mut message: InboxMessage) -> Result<bool, LogError> {
        let mut state = self.state()?;
        let known = |stored: &Stored| {
            stored.message.source == message.source && stored.message.message_id == message.message_id
        };
        if state.inbox.iter().any(known) {
            return Ok(false);
        }
        message.sequence = state.inbox.len() as u64 + 1;
        message.attempts = 0;
        state.inbox.push(Stored { message, handled: false });
        Ok(true)
    }

    async fn pending(&self, limit: usize, max_attempts: u32) -> Result<Vec<InboxMessage>, LogError> {
        let state = self.state()?;
        let pending = state.inbox.iter().filter(|stored| !stored.handled && stored.message.attempts < max_attempts);
        Ok(pending.take(limit).map(|stored| stored.message.clone()).collect())
    }

    async fn mark_handled(&self, sequence: u64) -> Result<(), LogError> {
        let mut state = self.state()?;
        for stored in state.inbox.iter_mut().filter(|stored| stored.message.sequence == sequence) {
            stored.handled = true;
        }
        Ok(())
    }

    async fn mark_failed(&self, sequence: u64, _reason: &str) -> Result<(), LogError> {
        let mut state = self.state()?;
        for stored in state.inbox.iter_mut().filter(|stored| stored.message.sequence == sequence) {
            stored.message.attempts = stored.message.attempts.saturating_add(1);
        }
        Ok(())
    }
}
