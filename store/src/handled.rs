//! Messages of the inbox that were handled and are yet to be marked as such.
//!
//! A mark needs no commit of its own: the engine writes it with whatever it commits next.
//! Where nothing comes, it is written a moment later, and at the close at the latest. What a
//! crash takes is handled once more, which changes nothing.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jangbu_kernel::log::LogError;

use crate::row::to_i64;

/// How long a mark waits for a commit that takes it along.
pub(crate) const MARKED_WITHIN: Duration = Duration::from_millis(500);
/// Marks that may wait; one more is written with all of them at once.
const MOST: usize = 1_024;

/// What waits to be marked.
#[derive(Debug, Default)]
pub(crate) struct Handled(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: BTreeSet<i64>,
    /// Somebody has promised to mark what waits then.
    promised: bool,
    closed: bool,
}

/// What whoever notes a message has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// Nothing.
    Rides,
    /// See to it that what waits is marked within [`MARKED_WITHIN`].
    Promise,
    /// See to it now.
    TooMany,
}

impl Handled {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a message.
    ///
    /// # Errors
    /// When the store is closed.
    pub(crate) fn note(&self, sequence: u64) -> Result<Noted, LogError> {
        let mut state = self.state();
        if state.closed {
            return Err(LogError::Unavailable("the store is closed".into(), None));
        }
        state.waiting.insert(to_i64(sequence));
        if state.waiting.len() > MOST {
            return Ok(Noted::TooMany);
        }
        let promised = std::mem::replace(&mut state.promised, true);
        Ok(if promised { Noted::Rides } else { Noted::Promise })
    }

    /// What waits now, in order. Ask before the inbox is read: what is marked meanwhile is in
    /// one of both.
    pub(crate) fn waiting(&self) -> Vec<i64> {
        self.state().waiting.iter().copied().collect()
    }

    /// Whoever promised to mark what waits does so now. False when nothing waits.
    pub(crate) fn is_time(&self) -> bool {
        let mut state = self.state();
        state.promised = false;
        !state.waiting.is_empty()
    }

    /// These are marked, for good.
    pub(crate) fn marked(&self, sequences: &[i64]) {
        if sequences.is_empty() {
            return;
        }
        let mut state = self.state();
        for sequence in sequences {
            state.waiting.remove(sequence);
        }
    }

    /// Takes no more. False when nothing waits.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.state();
        state.closed = true;
        !state.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn one_of_many_promises_to_mark_them() {
        let handled = Handled::default();
        assert!(!handled.is_time());
        assert_eq!(handled.note(7).unwrap(), Noted::Promise);
        assert_eq!(handled.note(3).unwrap(), Noted::Rides);
        assert_eq!(handled.waiting(), [3, 7]);
        handled.marked(&[7]);
        assert!(handled.is_time());
        assert_eq!(handled.note(8).unwrap(), Noted::Promise, "the promise was kept");
        handled.marked(&[3, 8]);
        assert!(!handled.is_time());
    }

    #[test]
    fn what_waits_is_bounded() {
        let handled = Handled::default();
        let most = MOST as u64;
        for sequence in 1..=most {
            assert_ne!(handled.note(sequence).unwrap(), Noted::TooMany);
        }
        assert_eq!(handled.note(most + 1).unwrap(), Noted::TooMany);
        handled.marked(&handled.waiting());
        assert_eq!(handled.note(most + 2).unwrap(), Noted::Rides);
    }

    #[test]
    fn a_closed_store_takes_no_more() {
        let handled = Handled::default();
        handled.note(1).unwrap();
        assert!(handled.close());
        assert!(handled.note(2).is_err());
        assert_eq!(handled.waiting(), [1]);
    }
}
