//! The simulated store as an engine, so that the store's contract suite tests it like the others.
//! Only the suite uses this file.

use std::sync::Arc;

use async_trait::async_trait;
use jangbu_kernel::log::{LogError, SealedRoot};
use jangbu_kernel::ports::KeyStore;
use jangbu_kernel::{Position, UserId, Version};
use jangbu_store::merkle::Hash;
use jangbu_store::row::StoredRow;
use jangbu_store::{KeptReceipt, Ledger, Marks, MerkleFrontier, Store, StoreError};

use crate::life::Life;
use crate::sim::Sim;
use crate::store::{NodeStore, SimStore};
use crate::witness::Witness;

/// A simulated store without faults.
#[must_use]
pub fn simulated_store() -> Arc<dyn Store> {
    let sim = Arc::new(Sim::calm());
    let store = SimStore::new(&sim, Witness::blind());
    let life = Arc::new(Life::new(&store, 0, true));
    Arc::new(NodeStore { store, life })
}

#[async_trait]
impl Ledger for NodeStore {
    async fn rows(&self, after: Position, limit: usize) -> Result<Vec<StoredRow>, LogError> {
        self.store.truth.rows(after, limit).await
    }

    async fn leaf_hashes(&self, after: Position, limit: usize) -> Result<Vec<Hash>, LogError> {
        self.store.truth.leaf_hashes(after, limit).await
    }

    async fn sealed_frontier(&self) -> Result<MerkleFrontier, LogError> {
        self.store.truth.sealed_frontier().await
    }

    async fn keep_seal(&self, root: SealedRoot, frontier: &MerkleFrontier) -> Result<bool, LogError> {
        self.store.truth.keep_seal(root, frontier).await
    }

    async fn marks(&self) -> Result<Marks, LogError> {
        self.store.truth.marks().await
    }

    async fn kept_receipts(&self, after: Option<&KeptReceipt>, limit: usize) -> Result<Vec<KeptReceipt>, LogError> {
        self.store.truth.kept_receipts(after, limit).await
    }

    async fn snapshots_ahead(&self, limit: usize) -> Result<Vec<(String, Version)>, LogError> {
        self.store.truth.snapshots_ahead(limit).await
    }
}

#[async_trait]
impl KeyStore for NodeStore {
    async fn user_key(&self, owner: UserId) -> Result<Option<Option<Vec<u8>>>, LogError> {
        self.store.truth.user_key(owner).await
    }

    async fn put_user_key(&self, owner: UserId, wrapped: Vec<u8>) -> Result<Option<Vec<u8>>, LogError> {
        self.store.truth.put_user_key(owner, wrapped).await
    }

    async fn remove_user_key(&self, owner: UserId) -> Result<(), LogError> {
        self.store.truth.remove_user_key(owner).await
    }

    async fn destroy_user_key(&self, owner: UserId) -> Result<(), LogError> {
        self.store.truth.destroy_user_key(owner).await
    }

    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, LogError> {
        self.store.truth.secret(name).await
    }

    async fn put_secret(&self, name: &str, wrapped: Vec<u8>) -> Result<Vec<u8>, LogError> {
        self.store.truth.put_secret(name, wrapped).await
    }
}

#[async_trait]
impl Store for NodeStore {
    fn engine(&self) -> &'static str {
        "simulated"
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        self.store.truth.migrate().await
    }

    async fn schema_version(&self) -> Result<u32, StoreError> {
        self.store.truth.schema_version().await
    }

    fn known_schema_version(&self) -> u32 {
        self.store.truth.known_schema_version()
    }

    async fn any_user_key(&self) -> Result<Option<(UserId, Vec<u8>)>, LogError> {
        self.store.truth.any_user_key().await
    }

    async fn close(&self) {
        self.store.truth.close().await;
        self.store.signal.close();
    }
}
