//! An order: what somebody buys, and how far it has come.
//!
//! ```text
//!            payment opened         paid           shipment        dispatched
//!   placed ----------------> awaiting ------> paid ------> preparing ------> shipped
//!     |  total 0: paid at once payment          |              |               |
//!     |                          |              |              |               v
//!     |        deadline: expired |              |              |           delivered
//!     |        called off, no payment in flight: cancelled     |               |
//!     |        called off, one in flight -----+ |              |               v
//!     |                                       v v              |           completed
//!     +----------------------------------> cancelling <--------+
//!                                             |
//!                                             v
//!                                         cancelled      a step fails for good: failed
//! ```
//! In addition to its status an order can be on hold: as long as it is, nothing new is begun. Its
//! parcel can be packed, which only sorts the lists of the order desk. An order whose parcel is lost
//! or came back may be sent again: shipped --> preparing, with a further parcel, not packed yet.
//!
//! Invariants:
//! - I1 a status only follows the arrows above; an order that has ended stays ended.
//! - I2 at most one payment is open, and at most one payment ever pays the order.
//! - I3 no payment is opened at or after the deadline, and no order expires before it.
//! - I4 the owner cancels a paid order only within the window after payment; staff give a reason.
//! - I5 nothing is cancelled or sent elsewhere once it is dispatched.
//! - I6 on hold, no payment is opened, no parcel is begun or sent, and nothing completes.
//! - I7 money that comes after the end is noted once per payment.
//! - I8 lines - discount + shipping fee = total, as it was placed and after lines were cancelled; at
//!   least one line is left.
//! - I9 notes change nothing, and there are at most a hundred.
//! - I10 of each line no more comes back than was sold, over all returns, and while a return is open
//!   the order is not completed.
//!
//! Not guarded here: whether a payment is in flight (the payment knows), stock and points (their
//! own streams do), and whether the money of a cancelled order was refunded (the process takes care
//! of that, and an operator may overrule it).

mod address;
mod command;
mod decide;
mod event;
mod lines;
mod returns;
mod state;

#[cfg(test)]
mod spec;

pub use address::AddressToChange;
pub use command::OrderCommand;
pub use event::*;
pub use lines::LinesToCancel;
pub use returns::ReturnToOpen;
pub use state::{Cancellation, Order, OrderStatus};
