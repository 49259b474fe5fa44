//! The locations of the shop: where goods are, such as a warehouse and a store. One stream for the
//! whole shop, so that a code is given once and there are only so many.
//!
//! ```text
//!   (none) --opened--> open --closed--> closed --reopened--> open
//! ```
//! The location `main` is there from the beginning and is never closed.
//!
//! Invariants:
//! - I1 a code is opened once, and is a location's for good: facts of stock name it.
//! - I2 there are at most 100 locations.
//! - I3 `main` is always open.
//!
//! Not guarded here: what is at a location ([`crate::stock`]). A location can be closed while goods are
//! there: they can leave, and nothing comes in.

mod code;
mod decide;
mod event;

#[cfg(test)]
mod spec;

pub use code::LocationCode;
pub use decide::{Location, Locations, LocationsCommand};
pub use event::*;
