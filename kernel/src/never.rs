//! What cannot be, said aloud.
//!
//! Where a value has to be given although the case cannot happen, [`never()`] gives it: a test
//! fails there, and a running program tells its operators instead of handing on a value that
//! looks like any other.

use std::panic::Location;
use std::sync::OnceLock;

/// Hears what could not be, and where in the code it was.
pub type Listener = fn(&'static str, &'static Location<'static>);

static LISTENER: OnceLock<Listener> = OnceLock::new();

/// Names the one that hears of it: the program logs and counts. The first one stays.
pub fn listen(listener: Listener) {
    let _ = LISTENER.set(listener);
}

/// Gives the fall-back for what cannot be, and says so. Panics where debug assertions are on.
#[track_caller]
pub fn never<T>(what: &'static str, fallback: T) -> T {
    let place = Location::caller();
    if let Some(listener) = LISTENER.get() {
        listener(what, place);
    }
    debug_assert!(false, "{what}, which cannot be, at {place}");
    fallback
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "two is three, which cannot be, at kernel/src/never.rs")]
    fn a_test_that_meets_what_cannot_be_fails() {
        never("two is three", ());
    }
}
