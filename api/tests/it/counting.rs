//! A log that counts the events that are read from it, except by its followers: the cost of a
//! request independent of the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use jangbu_kernel::log::watch::HeadWatch;
use jangbu_kernel::log::{
    Append, AppendResult, EventLog, LoadedStream, LogError, ReadFilter, Receipt, ReceiptKey, SealedRoot, Snapshot,
};
use jangbu_kernel::{Position, RecordedEvent, StreamId, Version};

pub struct CountingLog {
    pub inner: Arc<dyn EventLog>,
    pub reads: Arc<AtomicUsize>,
}

#[async_trait]
impl EventLog for CountingLog {
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<AppendResult>, LogError> {
        self.inner.append(batch).await
    }
    fn exclusive(&self) -> bool {
        self.inner.exclusive()
    }
    async fn load(&self, streams: Vec<(StreamId, u16)>) -> Result<Vec<LoadedStream>, LogError> {
        let loaded = self.inner.load(streams).await?;
        self.reads.fetch_add(loaded.iter().map(|stream| stream.events.len()).sum(), Ordering::Relaxed);
        Ok(loaded)
    }
    async fn read_stream(
        &self,
        stream: StreamId,
        from_version: Version,
        to_version: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let events = self.inner.read_stream(stream, from_version, to_version, limit).await?;
        self.reads.fetch_add(events.len(), Ordering::Relaxed);
        Ok(events)
    }
    async fn read_all(
        &self,
        after: Position,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<(Vec<RecordedEvent>, Position), LogError> {
        let (events, end) = self.inner.read_all(after, limit, filter).await?;
        self.reads.fetch_add(events.len(), Ordering::Relaxed);
        Ok((events, end))
    }
    async fn follow(
        &self,
        after: Position,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<(Vec<Arc<RecordedEvent>>, Position), LogError> {
        self.inner.follow(after, limit, filter).await
    }
    async fn identity(&self) -> Result<uuid::Uuid, LogError> {
        self.inner.identity().await
    }
    async fn hash_at(&self, position: Position) -> Result<Option<[u8; 32]>, LogError> {
        self.inner.hash_at(position).await
    }
    async fn versions(&self, streams: Vec<StreamId>) -> Result<Vec<Version>, LogError> {
        self.inner.versions(streams).await
    }
    async fn receipts(&self, keys: Vec<ReceiptKey>) -> Result<Vec<Option<Receipt>>, LogError> {
        self.inner.receipts(keys).await
    }
    async fn save_snapshots(&self, snapshots: Vec<Snapshot>) -> Result<(), LogError> {
        self.inner.save_snapshots(snapshots).await
    }
    async fn head(&self) -> Result<Position, LogError> {
        self.inner.head().await
    }
    fn watch_head(&self) -> HeadWatch {
        self.inner.watch_head()
    }
    async fn sealed_roots(&self, after: Position, limit: usize) -> Result<Vec<SealedRoot>, LogError> {
        self.inner.sealed_roots(after, limit).await
    }
}
