//! The folded states in memory.

use std::cell::RefCell;

use jangbu_aggregates::{AnyState, States};
use jangbu_kernel::log::Snapshot;
use jangbu_kernel::{AggregateKind, StreamId};
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
///
/// Those that many orders share stand on a shelf of their own: each order brings four
/// states that nobody asks for again once it is on its way, and they would push out
/// products and stocks, whose events lie all over the log.
#[derive(Debug)]
pub(super) struct Cache {
    shared: LruCache<StreamId, Cached>,
    passing: LruCache<StreamId, Cached>,
    /// Of each shelf.
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

    pub fn version(&self, stream: StreamId) -> Option<u64> {
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

    /// Makes room, but not at the cost of a state that a batch behind `settled` wrote.
    pub fn shrink(&mut self, settled: u64) {
        for shelf in [&mut self.shared, &mut self.passing] {
            while shelf.len() > self.capacity
                && shelf.peek_lru().is_some_and(|(_, oldest)| oldest.written_by <= settled)
            {
                shelf.pop_lru();
            }
        }
    }

    /// The state as a snapshot, when enough was written since the last one.
    pub fn snapshot_if_due(&mut self, stream: StreamId, every: u64) -> Option<Snapshot> {
        let cached = self.shelf_mut(stream).peek_mut(&stream)?;
        if cached.version < cached.snapshot_version.saturating_add(every.max(1)) {
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

/// Whether a stream belongs to one order, or to one login.
const fn is_passing(stream: StreamId) -> bool {
    match stream.kind {
        AggregateKind::Order
        | AggregateKind::Fulfilment
        | AggregateKind::Payment
        | AggregateKind::Shipment
        | AggregateKind::Session => true,
        AggregateKind::User
        | AggregateKind::Administrators
        | AggregateKind::Email
        | AggregateKind::Product
        | AggregateKind::Stock
        | AggregateKind::Points
        | AggregateKind::Buyer => false,
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

impl View<'_> {
    /// The version of a stream, if it is in memory.
    pub fn version(&self, stream: StreamId) -> Option<u64> {
        self.cache.version(stream)
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
            cache.shrink(0);
            (cache.contains(StreamId::new(AggregateKind::Stock, Uuid::from_u128(1))), cache.len())
        };
        put(AggregateKind::Stock, 1);
        for number in 2..10 {
            let (stock_is_there, kept) = put(AggregateKind::Order, number);
            assert!(stock_is_there && kept <= 3, "{number}: {kept}");
        }
    }
}
