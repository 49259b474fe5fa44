//! A session: one login, a family of refresh tokens of which one is alive.
//!
//! ```text
//!   (none) --started--> live --rotated--> live ... --logged out, or a token shown twice--> ended
//! ```
//! Only hashes of tokens are known here.
//!
//! Invariants:
//! - I1 at most one token of a family is alive.
//! - I2 of many exchanges of one token exactly one succeeds: the next one that shows it
//!   shows a token that was exchanged, which is recorded and ends the whole family. A
//!   client that refreshes twice at once therefore has to log in again; the price of
//!   never letting a thief and an owner share a session.
//! - I3 what never was a token of this family changes nothing, so that nobody ends
//!   another's session by guessing.
//! - I4 an ended or overdue session gives no token.
//!
//! It does not guard: whether its user may act (see [`crate::transactions`]).

mod command;
mod decide;
mod event;
mod state;

#[cfg(test)]
mod spec;

pub use command::SessionCommand;
pub use event::*;
pub use state::Session;
