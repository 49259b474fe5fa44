//! The orders of a buyer that wait: they can be paid, and nobody is paying them. Each reserves
//! goods that others cannot buy meanwhile, so there is a limit.
//!
//! ```text
//!   (not there) --order_opened--> waiting --order_closed--> (not there)
//! ```
//! An order waits when it is placed without a payment, and again when its payment failed. It no
//! longer waits when a payment is opened, when it is cancelled, when it expires, and when its time
//! to pay is over, whether or not that was noted.
//!
//! Invariants:
//! - I1 a new order that would wait is refused if as many wait as the policy allows.
//! - I2 it is also refused if the waiting orders would have more units of one product than allowed.
//! - I3 every change is noted once; an order that does not wait cannot stop waiting.
//! - I4 an order stays within the limit that a product has for each buyer, together with the waiting
//!   orders.
//!
//! Not guarded here: what an order is (see [`crate::order`]). A failed payment can also make one
//! order more wait than the policy allows: that is a fact, and the next order is refused.

mod decide;
mod event;

#[cfg(test)]
mod spec;

pub use decide::{Buyer, BuyerCommand};
pub use event::*;
