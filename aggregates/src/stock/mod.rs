//! The stock of one product.
//!
//! ```text
//!   on hand = available + reserved + allocated + in transit
//!           = what is at each location + in transit
//!
//!   received, adjusted, counted, written off: on hand
//!   transfer sent: available -> in transit     arrived: in transit -> available     lost: in transit, on hand
//!   reserved: available -> reserved     allocated: reserved -> allocated
//!   shipped: allocated, on hand     released: reserved -> available     deallocated: allocated -> available
//! ```
//! Invariants:
//! - I1 on hand, reserved and allocated are never negative.
//! - I2 nothing is reserved beyond what is available and the back-order limit: no oversell. Without
//!   a limit available is never negative; what was promised below a limit that was lowered since
//!   stays promised.
//! - I3 a reservation or an allocation is counted once an order, however often it is asked for.
//! - I4 what an order holds ends once: released, or allocated and then shipped or deallocated.
//! - I5 a correction, a count or a write-off never takes what is promised to orders, beyond the
//!   back-order limit.
//! - I6 no number overflows: what would is refused.
//! - I7 after a count what is at the location is what was counted.
//! - I8 after every change the level that was recorded last is the level of what is available: each
//!   crossing of a line is recorded once, in the append of the change that crosses it.
//! - I9 only what is at a location leaves.
//! - I10 at no location are there fewer than none, and what is at the locations and on its way between them
//!   is what is on hand.
//! - I11 no more of a transfer arrives, or is lost, than was sent. What is on its way is not available.
//!
//! Reservations are kept over all locations: an order is one decision, wherever the goods are. What leaves
//! is taken from `main` first, then from the others in the order of their codes.
//!
//! It does not guard: that a buyer stays within the limit that it keeps for them (an order's placing
//! does, see [`crate::buyer`]), that a reservation ends in time (the order's process does),
//! nor that the product and the locations exist (see [`crate::commands`]).

mod command;
mod decide;
mod event;
mod level;
mod places;
mod state;
mod transfers;

#[cfg(test)]
mod places_spec;
#[cfg(test)]
mod spec;

pub use command::StockCommand;
pub use event::*;
pub use level::StockLevel;
pub use state::Stock;
