//! The folded states in memory.

use std::cell::RefCell;

use jangbu_aggregates::{AnyState, States};
use jangbu_kernel::log::Snapshot;
use jangbu_kernel::{AggregateKind, StreamId, Version};
use lru::LruCache;

/// A state in memory.
#[derive(Debug)]
pub(super) struct Cached {
    pub state: AnyState,
    /// The version of the stream up to which it is folded.
    pub version: Version,
    /// The version of the newest known snapshot.
    pub snapshot_version: Version,
}

impl Cached {
    /// The state of a stream without events.
    pub fn unwritten(stream: StreamId) -> Self {
        Self { state: AnyState::initial(stream.kind), version: Version::ZERO, snapshot_version: Version::ZERO }
    }
}

/// The states, of which the least recently used are evicted first. See D1 to D3 in the module
/// above.
///
/// States that many orders share have a cache of their own. Each order brings four states that
/// nobody reads any more once it is on its way, and they would evict products and stocks, whose
/// events are spread over the whole log.
#[derive(Debug)]
pub(super) struct Cache {
    shared: LruCache<StreamId, Cached>,
    passing: LruCache<StreamId, Cached>,
    /// The capacity of each of the two caches.
    capacity: usize,
}

impl Cache {
    pub fn new(capacity: usize) -> Self {
        Self { shared: LruCache::unbounded(), passing: LruCache::unbounded(), capacity: capacity.max(1) }
    }

    fn shelf(&self, stream: StreamId) -> &LruCache<StreamId, Cached> {
        if is_passing(stream) { &self.passing } else { &self.shared }
    }

    fn shelf_mut(&mut self, stream: StreamId) -> &mut LruCache<StreamId, Cached> {
        if is_passing(stream) { &mut self.passing } else { &mut self.shared }
    }

    pub fn peek(&self, stream: StreamId) -> Option<&Cached> {
        self.shelf(stream).peek(&stream)
    }

    pub fn get_mut(&mut self, stream: StreamId) -> Option<&mut Cached> {
        self.shelf_mut(stream).get_mut(&stream)
    }

    pub fn contains(&self, stream: StreamId) -> bool {
        self.shelf(stream).contains(&stream)
    }

    pub fn version(&self, stream: StreamId) -> Option<Version> {
        self.peek(stream).map(|cached| cached.version)
    }

    pub fn put(&mut self, stream: StreamId, cached: Cached) {
        self.shelf_mut(stream).put(stream, cached);
    }

    pub fn remove(&mut self, stream: StreamId) {
        self.shelf_mut(stream).pop(&stream);
    }

    pub fn touch(&mut self, streams: &[StreamId]) {
        for stream in streams {
            self.shelf_mut(*stream).promote(stream);
        }
    }

    /// Evicts states over the capacity. Only called between two batches, because a state with
    /// uncommitted events must stay.
    pub fn shrink(&mut self) {
        for shelf in [&mut self.shared, &mut self.passing] {
            while shelf.len() > self.capacity {
                shelf.pop_lru();
            }
        }
    }

    /// The state as a snapshot, if enough was written since the last one.
    pub fn snapshot_if_due(&mut self, stream: StreamId, every: u64) -> Option<Snapshot> {
        let cached = self.shelf_mut(stream).peek_mut(&stream)?;
        if cached.version < cached.snapshot_version.plus(every.max(1)) {
            return None;
        }
        cached.snapshot_version = cached.version;
        let state_version = AnyState::state_version(stream.kind);
        Some(Snapshot { stream, version: cached.version, state_version, state: cached.state.to_snapshot() })
    }

    pub fn len(&self) -> usize {
        self.shared.len() + self.passing.len()
    }
}

/// Whether a stream belongs to one order, one login, one file or one notice.
const fn is_passing(stream: StreamId) -> bool {
    match stream.kind {
        AggregateKind::Order
        | AggregateKind::Fulfilment
        | AggregateKind::Payment
        | AggregateKind::Shipment
        | AggregateKind::Session
        | AggregateKind::Import
        | AggregateKind::Notice => true,
        AggregateKind::User
        | AggregateKind::Administrators
        | AggregateKind::Email
        | AggregateKind::Product
        | AggregateKind::Category
        | AggregateKind::Slug
        | AggregateKind::Stock
        | AggregateKind::Return
        | AggregateKind::Locations
        | AggregateKind::Points
        | AggregateKind::Buyer => false,
    }
}

/// The cache as a decision sees it; it records what was read.
pub(super) struct View<'a> {
    cache: &'a Cache,
    reads: RefCell<&'a mut Vec<StreamId>>,
}

impl<'a> View<'a> {
    /// A view of the cache. The streams that are read are added to `reads`.
    pub fn new(cache: &'a Cache, reads: &'a mut Vec<StreamId>) -> Self {
        Self { cache, reads: RefCell::new(reads) }
    }
}

impl View<'_> {
    /// The version of a stream, if it is in memory.
    pub fn version(&self, stream: StreamId) -> Option<Version> {
        self.cache.version(stream)
    }
}

impl States for View<'_> {
    fn any(&self, stream: StreamId) -> Option<&AnyState> {
        let cached = self.cache.peek(stream)?;
        // A decision is synchronous and not re-entrant, so the borrow is always free.
        if let Ok(mut reads) = self.reads.try_borrow_mut()
            && !reads.contains(&stream)
        {
            reads.push(stream);
        }
        Some(&cached.state)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn orders_do_not_push_stocks_out() {
        let mut cache = Cache::new(2);
        let mut put = |kind, number| {
            let stream = StreamId::new(kind, Uuid::from_u128(number));
            cache.put(stream, Cached::unwritten(stream));
            cache.shrink();
            (cache.contains(StreamId::new(AggregateKind::Stock, Uuid::from_u128(1))), cache.len())
        };
        put(AggregateKind::Stock, 1);
        for number in 2..10 {
            let (stock_is_there, kept) = put(AggregateKind::Order, number);
            assert!(stock_is_there && kept <= 3, "{number}: {kept}");
        }
    }
}
