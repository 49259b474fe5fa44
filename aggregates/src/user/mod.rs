//! A user with an account, and the claim that makes an e-mail address belong to one user only.
//!
//! ```text
//!   (none) --registered--> active
//! ```
//! Invariants:
//! - I1 a user is registered once.
//! - I2 wrong passwords, and the right one after them, are recorded and change nothing else: what a
//!   stranger types never keeps the owner from acting. How long a login has to wait is decided
//!   where passwords are checked.
//! - I3 delays can be removed by hand at once; this covers those that began before.
//! - I4 a role is held once; granting or revoking it again changes nothing.
//! - I5 an address belongs to the first user who claimed it.
//! - I6 the last administrator keeps the role (see [`Administrators`]).
//! - I7 the language and the topics of notices are chosen together or one by one; what stays as it
//!   was is no fact.
//!
//! Not guarded here: whether a password is right (hashing is slow and not pure).

mod administrators;
mod command;
mod decide;
mod event;
mod state;

#[cfg(test)]
mod spec;

pub use administrators::{Administrators, AdministratorsCommand};
pub use command::{EmailCommand, UserCommand};
pub(crate) use decide::email_taken;
pub use event::*;
pub use state::{ContactDetails, EmailClaim, User, UserStatus};
