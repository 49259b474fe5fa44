//! Inbox messages that were handled but not yet marked as handled.
//!
//! A mark needs no commit of its own: the engine writes it with its next commit. If there is none,
//! the mark is written a moment later, at the latest when the store is closed. Messages whose marks
//! are lost in a crash are handled again, which changes nothing.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jangbu_kernel::log::LogError;

use crate::row::to_i64;

/// How long a mark waits for another commit to be written with.
pub(crate) const MARKED_WITHIN: Duration = Duration::from_millis(500);
/// The number of marks that may wait. With one more, all of them are written at once.
const MOST: usize = 1_024;

/// The marks that wait.
#[derive(Debug, Default)]
pub(crate) struct Handled(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: BTreeSet<i64>,
    /// A caller has promised to write the waiting marks at a later time.
    promised: bool,
    closed: bool,
}

/// What the caller that notes a message has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// Nothing: the mark is written with others.
    Rides,
    /// Make sure that the waiting marks are written within [`MARKED_WITHIN`].
    Promise,
    /// Write the marks now.
    TooMany,
}

impl Handled {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a handled message.
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

    /// The marks that wait now, in order. Call this before the inbox is read: then a message that
    /// is marked in between is excluded by one of the two.
    pub(crate) fn waiting(&self) -> Vec<i64> {
        self.state().waiting.iter().copied().collect()
    }

    /// Called when a promise to write the marks is kept. False when none wait.
    pub(crate) fn is_time(&self) -> bool {
        let mut state = self.state();
        state.promised = false;
        !state.waiting.is_empty()
    }

    /// Removes marks that are durable.
    pub(crate) fn marked(&self, sequences: &[i64]) {
        if sequences.is_empty() {
            return;
        }
        let mut state = self.state();
        for sequence in sequences {
            state.waiting.remove(sequence);
        }
    }

    /// Accepts no more marks. False when none wait.
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
