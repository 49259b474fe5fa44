//! A user: somebody with an account; and the claim that makes an e-mail address
//! belong to one user only.
//!
//! ```text
//!   (none) --registered--> active --5 wrong passwords--> locked --15 min--> active
//! ```
//! Invariants:
//! - I1 a user is registered once.
//! - I2 after the allowed number of wrong passwords in a row the account is locked for
//!   a while; the right password starts the count anew, and so does the lock.
//! - I3 while it is locked, no login counts, whatever the password.
//! - I4 a role is held once; giving or taking it again changes nothing.
//! - I5 an address belongs to the first who claimed it.
//!
//! It does not guard: whether a password is right (hashing is slow and not pure),
//! nor that somebody is left who is an administrator (that is a fact about all users).

mod command;
mod decide;
mod event;
mod state;

#[cfg(test)]
mod spec;

pub use command::{EmailCommand, UserCommand};
pub(crate) use decide::email_taken;
pub use event::*;
pub use state::{EmailClaim, User, UserStatus};
