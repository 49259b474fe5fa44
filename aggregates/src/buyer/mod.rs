//! What a buyer keeps waiting: the orders that can be paid and that nobody is paying. Each
//! holds goods that others cannot buy meanwhile, so there is a limit.
//!
//! ```text
//!   (not there) --order_opened--> waiting --order_closed--> (not there)
//! ```
//! An order waits when it is placed without a payment, and again when its payment failed. It
//! waits no more when a payment is opened, when it is called off, when it expires, and when
//! its time to pay is over, whether or not anybody has noted that.
//!
//! Invariants:
//! - I1 a new order that would wait is refused when as many wait as the policy allows.
//! - I2 it is refused as well when units of one product in what waits would be more than allowed.
//! - I3 what was noted once is noted once; what does not wait cannot stop waiting.
//!
//! It does not guard: what an order is (see [`crate::order`]), nor that a failed payment makes
//! one order more wait than the policy allows: that is a fact, and the next order is refused.

mod decide;
mod event;

#[cfg(test)]
mod spec;

pub use decide::{Buyer, BuyerCommand};
pub use event::*;
