//! A return: goods of an order that a buyer sends back, for money or for the same goods again.
//!
//! ```text
//!                approved          sent             received        inspected
//!   requested ------------> approved ----> in_transit ----> received ----> inspected ---> closed
//!     |    |                   |   |                           ^
//!     |    |                   |   +---------------------------+  (handed in at the shop)
//!     |    +-- rejected        +-- withdrawn: by the buyer, by staff, or not sent back in time
//!     +------- withdrawn
//! ```
//!
//! Invariants:
//! - I1 a status only follows the arrows above.
//! - I2 of each line no more is inspected than was asked to be returned, and nothing else.
//! - I3 a fee is only taken off where the buyer pays the way back, and only from a refund.
//! - I4 a return that was not sent back within its time, and was not handed in, lapses.
//! - I5 it is closed once: with a refund, with a further order, or with nothing if nothing came back.
//!
//! Not guarded here: how much of a line may be returned, and within which time (the order knows);
//! what is refunded (the payment does); and whether there are goods to send again (stock).

mod command;
mod decide;
mod event;
mod state;

#[cfg(test)]
mod spec;

pub use command::ReturnCommand;
pub use event::*;
pub use state::{Return, ReturnStatus};
