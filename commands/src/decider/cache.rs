//! The folded states in memory.

use std::cell::RefCell;

use jangbu_aggregates::{AnyState, States};
use jangbu_kernel::StreamId;
use jangbu_kernel::log::Snapshot;
use lru::LruCache;

/// A state in memory.
#[derive(Debug)]
pub(super) struct Cached {
    pub state: AnyState,
    /// The version of the stream that is folded in.
    pub version: u64,
    /// The version of the newest snapshot known.
    pub snapshot_version: u64,
    /// The last batch that wrote it, 0 when none did since it was loaded.
    pub written_by: u64,
}

impl Cached {
    /// The state of a stream that nobody has written yet.
    pub fn unwritten(stream: StreamId) -> Self {
        Self { state: AnyState::initial(stream.kind), version: 0, snapshot_version: 0, written_by: 0 }
    }
}

/// The states, least recently used first to go. See D1-D3 in the module above.
#[derive(Debug)]
pub(super) struct Cache {
    states: LruCache<StreamId, Cached>,
    capacity: usize,
}

impl Cache {
    pub fn new(capacity: usize) -> Self {
        Self { states: LruCache::unbounded(), capacity: capacity.max(1) }
    }

    pub fn peek(&self, stream: StreamId) -> Option<&Cached> {
        self.states.peek(&stream)
    }

    pub fn get_mut(&mut self, stream: StreamId) -> Option<&mut Cached> {
        self.states.get_mut(&stream)
    }

    pub fn contains(&self, stream: StreamId) -> bool {
        self.states.contains(&stream)
    }

    pub fn version(&self, stream: StreamId) -> Option<u64> {
        self.peek(stream).map(|cached| cached.version)
    }

    pub fn put(&mut self, stream: StreamId, cached: Cached) {
        self.states.put(stream, cached);
    }

    pub fn remove(&mut self, stream: StreamId) {
        self.states.pop(&stream);
    }

    pub fn touch(&mut self, streams: &[StreamId]) {
        for stream in streams {
            self.states.promote(stream);
        }
    }

    /// Makes room, but not at the cost of a state that a batch behind `settled` wrote.
    pub fn shrink(&mut self, settled: u64) {
        while self.states.len() > self.capacity {
            match self.states.peek_lru() {
                Some((_, oldest)) if oldest.written_by <= settled => self.states.pop_lru(),
                _ => return,
            };
        }
    }

    /// The state as a snapshot, when enough was written since the last one.
    pub fn snapshot_if_due(&mut self, stream: StreamId, every: u64) -> Option<Snapshot> {
        let cached = self.states.peek_mut(&stream)?;
        if cached.version < cached.snapshot_version.saturating_add(every.max(1)) {
            return None;
        }
        cached.snapshot_version = cached.version;
        let state_version = AnyState::state_version(stream.kind);
        Some(Snapshot { stream, version: cached.version, state_version, state: cached.state.to_snapshot() })
    }

    pub fn len(&self) -> usize {
        self.states.len()
    }
}

/// The cache as a decision sees it; remembers what was looked at.
pub(super) struct View<'a> {
    cache: &'a Cache,
    reads: RefCell<&'a mut Vec<StreamId>>,
}

impl<'a> View<'a> {
    /// Looks at the cache; the streams that are looked at are added to `reads`.
    pub fn new(cache: &'a Cache, reads: &'a mut Vec<StreamId>) -> Self {
        Self { cache, reads: RefCell::new(reads) }
    }
}

impl States for View<'_> {
    fn any(&self, stream: StreamId) -> Option<&AnyState> {
        let cached = self.cache.peek(stream)?;
        // The decision is synchronous and does not re-enter: the borrow is always free.
        if let Ok(mut reads) = self.reads.try_borrow_mut()
            && !reads.contains(&stream)
        {
            reads.push(stream);
        }
        Some(&cached.state)
    }
}
