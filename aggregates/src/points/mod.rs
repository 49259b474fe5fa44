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
//! - I3 points are taken by expiry, then by the order of the grants; a hold names what it takes.
//! - I4 lapsed points are not taken. They are written off soon after their time is over, by the
//!   next grant or hold if that comes first, and before a refund gives points back to their grant.
//!   What a payment holds does not lapse while it is held.
//! - I5 a payment holds once, and what it holds ends once: captured or released.
//! - I6 a refund restores once, never more than was captured, to the grants it came from;
//!   what comes back to a grant that has lapsed can be used for a time that the policy sets.
//!
//! It does not guard: how many points a payment may be made of (the payment method does),
//! nor that the user exists (see [`crate::commands`]).

mod command;
mod decide;
mod event;
mod state;

#[cfg(test)]
mod spec;

pub use command::{GrantReference, PointsCommand};
pub use event::*;
pub use state::Points;
