//! Versions of the streams that were written last. This process is the only writer, so
//! what it has written itself need not be looked for again.

use std::num::NonZeroUsize;

use jangbu_kernel::StreamId;
use lru::LruCache;

/// Streams kept in mind, some 100 bytes each.
const KEPT: NonZeroUsize = NonZeroUsize::new(32_768).unwrap();

/// What the writing connection knows without looking. It holds what the transaction
/// under way has written, too: after a rollback it has to be emptied.
pub(super) struct Versions(LruCache<StreamId, u64>);

impl Versions {
    pub(super) fn new() -> Self {
        Self(LruCache::new(KEPT))
    }

    pub(super) fn get(&mut self, stream: StreamId) -> Option<u64> {
        self.0.get(&stream).copied()
    }

    pub(super) fn put(&mut self, stream: StreamId, version: u64) {
        self.0.put(stream, version);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
