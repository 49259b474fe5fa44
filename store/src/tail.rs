//! The newest events in memory. Whoever follows the log closely (projectors, the
//! process manager) finds here what this handle has just appended, without asking the
//! database for rows that were in memory a moment ago.
//!
//! Only committed events come in, in position order and without a gap: where other
//! nodes wrote in between, what is older is let go. A miss is only slower.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jangbu_kernel::RecordedEvent;
use jangbu_kernel::log::{AppendResult, ReadFilter};

/// Events kept: some seconds of a busy shop.
const MOST_EVENTS: usize = 16_384;
/// Bytes of payload kept.
const MOST_BYTES: usize = 6 * 1024 * 1024;

/// The newest events of a log.
#[derive(Debug, Default)]
pub(crate) struct Tail(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<RecordedEvent>>,
    bytes: usize,
}

impl Tail {
    /// Takes in what a commit has appended. Call it before the head is moved.
    pub(crate) fn extend(&self, results: &[AppendResult]) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for result in results {
            if let AppendResult::Appended { events } = result {
                events.iter().for_each(|event| ring.push(event));
            }
        }
        ring.shrink();
    }

    /// Events behind `after`, as [`jangbu_kernel::log::EventLog::read_all`] gives them;
    /// none when they are not all here.
    pub(crate) fn read(&self, after: u64, limit: usize, filter: &ReadFilter) -> Option<(Vec<Arc<RecordedEvent>>, u64)> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = ring.events.front()?.position;
        let last = ring.events.back()?.position;
        if limit == 0 || after + 1 < first || after >= last {
            return None;
        }
        let skipped = usize::try_from(after + 1 - first).ok()?;
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
    fn push(&mut self, event: &Arc<RecordedEvent>) {
        if self.events.back().is_some_and(|newest| newest.position + 1 != event.position) {
            self.events.clear();
            self.bytes = 0;
        }
        self.bytes += event.payload.len();
        self.events.push_back(Arc::clone(event));
    }

    fn shrink(&mut self) {
        while self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= oldest.payload.len();
        }
    }
}
