//! The stock of one product.
//!
//! ```text
//!   on hand = available + reserved + allocated
//!
//!   received, adjusted: on hand     reserved: available -> reserved     allocated: reserved -> allocated
//!   shipped: allocated, on hand     released: reserved -> available     deallocated: allocated -> available
//! ```
//! Invariants:
//! - I1 on hand, reserved, allocated and available are never negative.
//! - I2 nothing is reserved that is not available: no oversell.
//! - I3 a reservation or an allocation is counted once an order, however often it is asked for.
//! - I4 what an order holds ends once: released, or allocated and then shipped or deallocated.
//! - I5 a correction never takes what is promised to orders.
//! - I6 no number overflows: what would is refused.
//!
//! It does not guard: that a reservation ends in time (the order's process does),
//! nor that the product exists (see [`crate::commands`]).

mod command;
mod decide;
mod event;
mod state;

#[cfg(test)]
mod spec;

pub use command::StockCommand;
pub use event::*;
pub use state::Stock;
