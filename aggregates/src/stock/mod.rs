//! The stock of one product.
//!
//! ```text
//!   on hand = available + reserved + allocated
//!
//!   received, adjusted, counted, written off: on hand
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
//! - I7 after a count what is on hand is what was counted.
//! - I8 after every change the level that was recorded last is the level of what is available: each
//!   crossing of a line is recorded once, in the append of the change that crosses it.
//! - I9 only what is on hand leaves.
//!
//! It does not guard: that a buyer stays within the limit that it keeps for them (an order's placing
//! does, see [`crate::buyer`]), that a reservation ends in time (the order's process does),
//! nor that the product exists (see [`crate::commands`]).

mod command;
mod decide;
mod event;
mod level;
mod state;

#[cfg(test)]
mod spec;

pub use command::StockCommand;
pub use event::*;
pub use level::StockLevel;
pub use state::Stock;
