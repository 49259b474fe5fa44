//! What this node knows of the log, and what it does if the database knows less.
//!
//! A restore, or a lagging replica that became the primary, sets the log back under a running node.
//! The node's states in memory, its frontier and its answers to clients then depend on events that
//! no longer exist. So it writes nothing more until it is restarted, and then starts from what the
//! database has. Every append checks the newest event that the node knows, in the statement that
//! writes.

use std::sync::{Mutex, OnceLock, PoisonError};

use jangbu_kernel::Position;
use jangbu_kernel::log::{AppendResult, LogError};

/// An event that this node has seen in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub position: Position,
    pub hash: [u8; 32],
}

/// The newest known event, and whether the log has gone back.
#[derive(Debug, Default)]
pub(super) struct Known {
    newest: Mutex<Option<Place>>,
    /// Set once, with the reason, when the log has gone back.
    gone_back: OnceLock<String>,
}

impl Known {
    /// The newest event seen. Call this before the database is asked, so that the answer is at
    /// least as new.
    pub fn newest(&self) -> Option<Place> {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an event that is in the log.
    pub fn learn(&self, seen: Place) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.is_none_or(|newest| newest.position < seen.position) {
            *newest = Some(seen);
        }
    }

    /// Notes what was appended.
    pub fn learn_appended(&self, results: &[AppendResult]) {
        for result in results {
            if let AppendResult::Appended { events } = result
                && let Some(last) = events.last()
            {
                self.learn(Place { position: last.position, hash: last.hash });
            }
        }
    }

    /// Compares what was known before with what the database has: its head, and the hash of the
    /// event at the known position.
    pub fn compare(&self, before: Option<Place>, head: Position, hash: Option<&[u8]>) -> Result<(), LogError> {
        if let Some(before) = before
            && (head < before.position || hash != Some(&before.hash))
        {
            self.note_gone_back(before, head);
        }
        self.still_there()
    }

    fn note_gone_back(&self, before: Place, head: Position) {
        let known = before.position;
        let what = if head < known {
            format!("the log ends at position {head}, and this node has seen {known}")
        } else {
            format!("the log holds another event at position {known} than this node has seen")
        };
        if self.gone_back.set(what.clone()).is_ok() {
            tracing::error!(
                head = head.get(),
                known = known.get(),
                "the database has gone back: {what}. Nothing is written from here until this node is started again"
            );
        }
    }

    /// Checks that the log is still the one that this node knows.
    ///
    /// # Errors
    /// When the log has gone back.
    pub fn still_there(&self) -> Result<(), LogError> {
        match self.gone_back.get() {
            None => Ok(()),
            Some(what) => Err(LogError::ReadOnly(format!(
                "the database has gone back: {what}; start this node again to go on with what is there"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_ends_earlier_or_holds_other_events_has_gone_back() {
        let place = |position| Place { position, hash: [7; 32] };
        for (head, hash, fits) in [
            (9, Some(&[7; 32][..]), true),
            (12, Some(&[7; 32][..]), true),
            (8, None, false),
            (12, Some(&[8; 32][..]), false),
            (12, None, false),
        ] {
            let known = Known::default();
            known.learn(place(Position::new(9)));
            assert_eq!(known.compare(known.newest(), Position::new(head), hash).is_ok(), fits, "{head} {hash:?}");
            assert_eq!(known.still_there().is_ok(), fits, "and it stays so");
        }
    }

    #[test]
    fn only_the_newest_event_is_kept() {
        let known = Known::default();
        assert!(known.compare(known.newest(), Position::ZERO, None).is_ok(), "nothing is known of an empty log");
        known.learn(Place { position: Position::new(4), hash: [4; 32] });
        known.learn(Place { position: Position::new(3), hash: [3; 32] });
        assert_eq!(known.newest(), Some(Place { position: Position::new(4), hash: [4; 32] }));
    }
}
