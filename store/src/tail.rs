//! The newest events in memory. Readers that follow the log closely (projectors, the process
//! manager, the sealer) find here what this handle has just appended, without asking the database
//! for it.
//!
//! Only committed events come in, in position order and without a gap. If other nodes wrote in
//! between, the events that were appended here wait until the gap is filled: the first follower
//! that reaches the gap reads it for all. A miss only costs time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jangbu_kernel::log::{AppendResult, ReadFilter};
use jangbu_kernel::{Position, RecordedEvent};

use crate::merkle::Hash;

/// The most events that are kept: some seconds of a busy shop.
const MOST_EVENTS: usize = 16_384;
/// The most bytes of payload that are kept.
const MOST_BYTES: usize = 6 * 1024 * 1024;

/// The newest events of a log.
#[derive(Debug, Default)]
pub(crate) struct Tail(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<RecordedEvent>>,
    bytes: usize,
    /// Events appended here, behind events of others that are not here yet.
    waiting: VecDeque<Arc<RecordedEvent>>,
}

impl Tail {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what a commit has appended. Call it before the head is moved.
    pub(crate) fn extend(&self, results: &[AppendResult]) {
        let mut ring = self.ring();
        for result in results {
            if let AppendResult::Appended { events } = result {
                ring.waiting.extend(events.iter().map(Arc::clone));
            }
        }
        ring.close_up();
        if ring.waiting.len() > MOST_EVENTS {
            // The gap is not being filled, so older events are dropped.
            ring.begin_anew();
        }
        ring.shrink();
    }

    /// Adds events that were read from the log, starting where the tail ends.
    pub(crate) fn fill(&self, read: &[Arc<RecordedEvent>]) {
        let mut ring = self.ring();
        for event in read {
            if ring.end().is_none_or(|end| end.next() == event.position) {
                ring.push(Arc::clone(event));
            }
        }
        ring.close_up();
        ring.shrink();
    }

    /// How many events are missing after `after`, as far as is known, if the tail ends there and
    /// would continue with them.
    pub(crate) fn missing_behind(&self, after: Position, head: Position) -> Option<u64> {
        let ring = self.ring();
        let ends_there = match ring.end() {
            Some(end) => end == after,
            // A follower that is far behind would only displace the events that come next.
            None => after.behind(head) <= MOST_EVENTS as u64,
        };
        let next = ring.waiting.front().map_or(head.next(), |event| event.position);
        (ends_there && next > after.next()).then(|| after.next().behind(next))
    }

    /// The leaf hashes of events after `after`, in order; empty if the next one is not here.
    pub(crate) fn leaf_hashes(&self, after: Position, limit: usize) -> Vec<Hash> {
        let ring = self.ring();
        let first = ring.events.front().map(|first| first.position).filter(|first| *first <= after.next());
        let Some(skipped) = first.and_then(|first| usize::try_from(first.behind(after.next())).ok()) else {
            return Vec::new();
        };
        ring.events.iter().skip(skipped).take(limit).map(|event| event.hash).collect()
    }

    /// Events after `after`, as [`jangbu_kernel::log::EventLog::read_all`] returns them; none if
    /// some of them are not here.
    pub(crate) fn read(
        &self,
        after: Position,
        limit: usize,
        filter: &ReadFilter,
    ) -> Option<(Vec<Arc<RecordedEvent>>, Position)> {
        let ring = self.ring();
        let first = ring.events.front()?.position;
        let last = ring.end()?;
        if limit == 0 || after.next() < first || after >= last {
            return None;
        }
        let skipped = usize::try_from(first.behind(after.next())).ok()?;
        let wanted = ring.events.range(skipped..).filter(|event| filter.admits(event));
        let found: Vec<Arc<RecordedEvent>> = wanted.take(limit).map(Arc::clone).collect();
        let read_to = match found.last() {
            Some(event) if found.len() == limit => event.position,
            _ => last,
        };
        Some((found, read_to))
    }
}

impl Ring {
    /// The position of the newest event.
    fn end(&self) -> Option<Position> {
        self.events.back().map(|event| event.position)
    }

    fn push(&mut self, event: Arc<RecordedEvent>) {
        self.bytes += event.payload.len();
        self.events.push_back(event);
    }

    /// Adds the waiting events that no longer have a gap before them.
    fn close_up(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            match self.end() {
                // It was already read from the log.
                Some(end) if event.position <= end => {}
                Some(end) if event.position > end.next() => {
                    self.waiting.push_front(event);
                    return;
                }
                Some(_) | None => self.push(event),
            }
        }
    }

    /// Drops all events except the waiting ones after the last gap.
    fn begin_anew(&mut self) {
        self.events.clear();
        self.bytes = 0;
        let waiting = std::mem::take(&mut self.waiting);
        for event in waiting {
            if self.end().is_some_and(|end| end.next() != event.position) {
                self.events.clear();
                self.bytes = 0;
            }
            self.push(event);
        }
    }

    fn shrink(&mut self) {
        while self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= oldest.payload.len();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use jangbu_kernel::{
        Actor, AggregateKind, CommandId, CorrelationId, EventId, EventMeta, StreamId, Timestamp, Version,
    };
    use uuid::Uuid;

    use super::*;

    fn event(position: u64) -> Arc<RecordedEvent> {
        let id = Uuid::from_u128(position.into());
        Arc::new(RecordedEvent {
            position: Position::new(position),
            stream: StreamId::new(AggregateKind::Stock, id),
            version: Version::FIRST,
            event_id: EventId::new(id),
            event_type: "stock.received".to_owned(),
            schema_version: 1,
            payload: "{}".to_owned(),
            meta: EventMeta {
                correlation_id: CorrelationId::new(id),
                causation_id: id,
                command_id: CommandId::new(id),
                actor: Actor::System("system"),
                trace: None,
                recorded_at: Timestamp::UNIX_EPOCH,
            },
            hash: [u8::try_from(position % 251).unwrap(); 32],
        })
    }

    fn appended(tail: &Tail, positions: std::ops::RangeInclusive<u64>) {
        tail.extend(&[AppendResult::Appended { events: positions.map(event).collect() }]);
    }

    fn missing(tail: &Tail, after: u64, head: u64) -> Option<u64> {
        tail.missing_behind(Position::new(after), Position::new(head))
    }

    fn behind(tail: &Tail, after: u64) -> Option<Vec<u64>> {
        let (events, read_to) = tail.read(Position::new(after), 1_000, &ReadFilter::default())?;
        assert_eq!(events.last().map(|event| event.position), Some(read_to));
        Some(events.iter().map(|event| event.position.get()).collect())
    }

    #[test]
    fn what_others_wrote_in_between_is_filled_in_once_for_all() {
        let tail = Tail::default();
        appended(&tail, 1..=3);
        assert_eq!(missing(&tail, 3, 3), None);
        // Events 4, 5 and 8 are another node's.
        appended(&tail, 6..=7);
        appended(&tail, 9..=9);
        assert_eq!(behind(&tail, 2), Some(vec![3]));
        assert_eq!((behind(&tail, 3), missing(&tail, 3, 9)), (None, Some(2)));
        assert_eq!(missing(&tail, 2, 9), None, "it does not end there");
        tail.fill(&[event(4), event(5)]);
        assert_eq!(behind(&tail, 1), Some(vec![2, 3, 4, 5, 6, 7]));
        assert_eq!(missing(&tail, 7, 9), Some(1));
        // The reads overlap what is here: each event is kept once.
        tail.fill(&[event(8), event(9)]);
        tail.fill(&[event(8), event(9)]);
        assert_eq!(behind(&tail, 5), Some(vec![6, 7, 8, 9]));
        appended(&tail, 10..=10);
        assert_eq!(behind(&tail, 8), Some(vec![9, 10]));
    }

    #[test]
    fn leaf_hashes_end_where_something_is_missing() {
        let tail = Tail::default();
        assert_eq!(tail.leaf_hashes(Position::new(0), 10), Vec::<Hash>::new());
        tail.fill(&[event(5), event(6)]);
        appended(&tail, 7..=8);
        appended(&tail, 10..=11);
        let count = |after, limit| tail.leaf_hashes(Position::new(after), limit).len();
        assert_eq!((count(4, 10), count(4, 2), count(6, 10), count(7, 10)), (4, 2, 2, 1));
        assert_eq!((count(0, 10), count(3, 10), count(8, 10), count(9, 10), count(20, 10)), (0, 0, 0, 0, 0));
        tail.fill(&[event(9)]);
        assert_eq!(count(6, 10), 5);
        assert_eq!(tail.leaf_hashes(Position::new(8), 10), [event(9), event(10), event(11)].map(|event| event.hash));
    }

    #[test]
    fn a_gap_that_nobody_fills_is_given_up() {
        let tail = Tail::default();
        appended(&tail, 1..=1);
        let most = MOST_EVENTS as u64;
        appended(&tail, 3..=10);
        appended(&tail, 12..=12 + most);
        assert_eq!(behind(&tail, 0), None);
        assert_eq!(behind(&tail, 12 + most - 2), Some(vec![12 + most - 1, 12 + most]));
        assert_eq!(tail.0.lock().unwrap().events.len(), MOST_EVENTS);
    }

    #[test]
    fn whoever_is_far_behind_does_not_begin_the_tail() {
        let tail = Tail::default();
        assert_eq!(missing(&tail, 0, MOST_EVENTS as u64 + 1), None);
        assert_eq!(missing(&tail, 5, 8), Some(3));
        tail.fill(&[event(6), event(7), event(8)]);
        assert_eq!(behind(&tail, 5), Some(vec![6, 7, 8]));
    }
}
