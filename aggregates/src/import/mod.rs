//! An import: how far a file has come whose rows are commands of their own.
//!
//! ```text
//!   (none) --started--> running --finished--> done
//!                          |                    |
//!                          +--interrupted--> interrupted
//!                          ^                    |
//!                          +-----started--------+   (the file was sent again)
//! ```
//! Invariants:
//! - I1 every start is a run of its own, numbered from 1; only the newest run tells how far it is.
//! - I2 a run ends once: what it tells after its end, or after a newer run has begun, changes nothing.
//! - I3 no row is kept here, only how many had which outcome.
//!
//! It does not guard: that a row acts once, which the row's own receipt does, and that a run whose
//! server died is over, which its last fact's age shows.

mod decide;
mod event;

#[cfg(test)]
mod spec;

pub use decide::{Import, ImportCommand, ImportEnd, ImportState};
pub use event::*;
