//! What this node knows of the log, and what it does when the database knows less.
//!
//! A restore, or a replica that lagged and was made the primary, takes the log back under a
//! running node. Its states in memory, its frontier and whatever it has told people rest on
//! events that are gone: it writes nothing more until it is started again, and then begins
//! with what is there. Every append asks for the newest event that the node knows, in the
//! statement that writes.

use std::sync::{Mutex, OnceLock, PoisonError};

use jangbu_kernel::log::{AppendResult, LogError};

/// An event that this node has seen in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub position: u64,
    pub hash: [u8; 32],
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Known {
    newest: Mutex<Option<Place>>,
    /// Set once, when the log turned out to have gone back; says how.
    gone_back: OnceLock<String>,
}

impl Known {
    /// The newest event seen. Ask before the database is asked: what it holds then is newer.
    pub fn newest(&self) -> Option<Place> {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of an event that is in the log.
    pub fn learn(&self, seen: Place) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.is_none_or(|newest| newest.position < seen.position) {
            *newest = Some(seen);
        }
    }

    /// Takes note of what was appended.
    pub fn learn_appended(&self, results: &[AppendResult]) {
        for result in results {
            if let AppendResult::Appended { events } = result
                && let Some(last) = events.last()
            {
                self.learn(Place { position: last.position, hash: last.hash });
            }
        }
    }

    /// Compares what was known before with what the database has: its head, and the hash of
    /// the event at the known position.
    pub fn compare(&self, before: Option<Place>, head: u64, hash: Option<&[u8]>) -> Result<(), LogError> {
        if let Some(before) = before
            && (head < before.position || hash != Some(&before.hash))
        {
            self.note_gone_back(before, head);
        }
        self.still_there()
    }

    fn note_gone_back(&self, before: Place, head: u64) {
        let known = before.position;
        let what = if head < known {
            format!("the log ends at position {head}, and this node has seen {known}")
        } else {
            format!("the log holds another event at position {known} than this node has seen")
        };
        if self.gone_back.set(what.clone()).is_ok() {
            tracing::error!(
                head,
                known,
                "the database has gone back: {what}. Nothing is written from here until this node is started again"
            );
        }
    }

    /// Whether the log is still the one that this node knows.
    ///
    /// # Errors
    /// When it has gone back.
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
            known.learn(place(9));
            assert_eq!(known.compare(known.newest(), head, hash).is_ok(), fits, "{head} {hash:?}");
            assert_eq!(known.still_there().is_ok(), fits, "and it stays so");
        }
    }

    #[test]
    fn only_the_newest_event_is_kept() {
        let known = Known::default();
        assert!(known.compare(known.newest(), 0, None).is_ok(), "nothing is known of an empty log");
        known.learn(Place { position: 4, hash: [4; 32] });
        known.learn(Place { position: 3, hash: [3; 32] });
        assert_eq!(known.newest(), Some(Place { position: 4, hash: [4; 32] }));
    }
}
