//! Reporting cases that cannot happen.
//!
//! Where code needs a value although the case cannot happen, [`never()`] returns a fall-back. With
//! debug assertions it panics, so that a test fails; a running program reports the case to its
//! operators, because the fall-back looks like any other value.

use std::panic::Location;
use std::sync::OnceLock;

/// Called with what cannot happen, and with the place in the code where it did.
pub type Listener = fn(&'static str, &'static Location<'static>);

static LISTENER: OnceLock<Listener> = OnceLock::new();

/// Sets the listener; the program's listener logs and counts. Only the first call has an effect.
pub fn listen(listener: Listener) {
    let _ = LISTENER.set(listener);
}

/// Reports a case that cannot happen and returns the fall-back. Panics if debug assertions are on.
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
