//! A notice: one fact of the log, told to one recipient by one channel.
//!
//! ```text
//!   (none) --sent--> sent
//!   (none) --failed--> waiting --failed--> waiting --sent--> sent
//!                              --given_up--> given up --send_requested--> waiting
//! ```
//! Its id is derived from the fact, the kind of notice and the channel, so there is one stream for
//! what is to be told once. The address and the text are not recorded: both are made when it is
//! sent, from what the user's account and the fact's streams have then.
//!
//! Invariants:
//! - I1 what was sent is not sent again.
//! - I2 an attempt is recorded once.
//! - I3 after a failure the next attempt waits longer than the one before; after the last of
//!   [`MOST_ATTEMPTS`], about a day later, it is given up, and so it is at once when the server will
//!   never take it.
//! - I4 what was given up is tried again when staff ask for it, once for each time.
//!
//! It does not guard that a message arrives once: a crash after the server took it and before that
//! is recorded sends it a second time, under the same key.

mod decide;
mod event;
mod state;

#[cfg(test)]
mod spec;

pub use decide::{MOST_ATTEMPTS, NoticeCommand, NoticeOutcome};
pub use event::*;
pub use state::{Notice, NoticeState};
