//! A session: one login, a family of refresh tokens of which one is alive.
//!
//! ```text
//!   (none) --started--> live --rotated--> live ... --logged out, or a token shown twice--> ended
//! ```
//! Only hashes of tokens are known here.
//!
//! Invariants:
//! - I1 at most one token of a family is alive.
//! - I2 a token is exchanged once. Shown again within a moment and while its successor is
//!   unused it changes nothing: two tabs that refresh at once, or a repeat after a lost
//!   answer, are given the same successor. After that it is a token that was exchanged,
//!   which is recorded and ends the whole family.
//! - I3 what never was a token of this family changes nothing, so that nobody ends
//!   another's session by guessing.
//!   A token bears the shop's own proof of how many exchanges led to it, so that one of
//!   any age is known without keeping its hash.
//! - I4 an ended or overdue session gives no token.
//!
//! It does not guard: whether its user may act (see [`crate::commands`]).

mod command;
mod decide;
mod event;
mod state;

#[cfg(test)]
mod spec;

pub use command::SessionCommand;
pub use event::*;
pub use state::Session;
