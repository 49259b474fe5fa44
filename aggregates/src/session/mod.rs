//! A session: one login, a family of refresh tokens of which one is live.
//!
//! ```text
//!   (none) --started--> live --rotated--> live ... --logged out, or a token shown twice--> ended
//! ```
//! Only hashes of tokens are known here.
//!
//! Invariants:
//! - I1 at most one token of a family is live.
//! - I2 a token is exchanged once. Presented again within a moment and while its successor is
//!   unused, it changes nothing: two tabs that refresh at once, or a repeat after a lost answer,
//!   get the same successor. After that it counts as an exchanged token, which is recorded and ends
//!   the whole family.
//! - I3 a token that was never one of this family changes nothing, so that nobody ends another's
//!   session by guessing. A token has the shop's own proof of how many exchanges led to it, so that
//!   one of any age is recognised without storing its hash.
//! - I4 an ended or expired session gives no token.
//!
//! Not guarded here: whether its user may act (see [`crate::commands`]).

mod command;
mod decide;
mod event;
mod state;

#[cfg(test)]
mod spec;

pub use command::SessionCommand;
pub use event::*;
pub use state::Session;
