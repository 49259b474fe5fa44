//! The versions of the streams that were written last. This process is the only writer, so it need
//! not read what it has written itself.

use std::num::NonZeroUsize;

use jangbu_kernel::{StreamId, Version};
use lru::LruCache;

/// The number of streams that are kept, some 100 bytes each.
const KEPT: NonZeroUsize = NonZeroUsize::new(32_768).unwrap();

/// What the writing connection knows without reading. It includes what the running transaction has
/// written, so it has to be cleared after a rollback.
pub(super) struct Versions(LruCache<StreamId, Version>);

impl Versions {
    pub(super) fn new() -> Self {
        Self(LruCache::new(KEPT))
    }

    pub(super) fn get(&mut self, stream: StreamId) -> Option<Version> {
        self.0.get(&stream).copied()
    }

    pub(super) fn put(&mut self, stream: StreamId, version: Version) {
        self.0.put(stream, version);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
