//! A user's points ledger. One point is one won.
//!
//! ```text
//!   granted --> free --held--> held --captured--> spent --restored--> free again, of the same grant
//!                |               |
//!                | expired       +--released--> free again, of the same grant
//!                v
//!              lapsed
//! ```
//! Invariants:
//! - I1 balance = free + held = granted - captured + restored - expired, and neither is ever negative.
//! - I2 one reference is one grant; the same reference for another amount is refused.
//! - I3 points are taken in the order in which they lapse, then in that of the grants; a hold names
//!   what it takes.
//! - I4 lapsed points are not taken. They are written off soon after they lapse, by the next grant
//!   or hold if that comes first, and before a refund returns points to their grant. What a payment
//!   holds does not lapse while it is held.
//! - I5 a payment holds once, and its hold ends once: captured or released.
//! - I6 a refund restores once, never more than was captured, to the grants that it came from; what
//!   returns to a grant that has lapsed can be used for a time that the policy sets.
//!
//! Not guarded here: how many points a payment may use (the payment method limits that), and
//! whether the user exists (see [`crate::commands`]).

mod command;
mod decide;
mod event;
mod state;

#[cfg(test)]
mod spec;

pub use command::{GrantReference, PointsCommand};
pub use event::*;
pub use state::Points;
