//! The commands of a return alone. Those over several aggregates are in [`crate::commands`].

use jangbu_kernel::{Money, Remark};

use super::event::{InspectedLine, ReturnClosed, ReturnRequested, WithdrawnBy};

/// A command of a return.
#[derive(Clone, Debug, PartialEq)]
pub enum ReturnCommand {
    /// Requests it. Lines and times are checked before, by the order.
    Request(Box<ReturnRequested>),
    /// The goods may be sent back.
    Approve {
        /// What is taken off the refund for the way back; none: nothing.
        fee: Option<Money>,
    },
    /// The shop does not take the goods back.
    Reject {
        /// Why.
        reason: Remark,
    },
    /// The goods stay with the buyer.
    Withdraw {
        /// Who gives it up.
        by: WithdrawnBy,
        /// Why; staff have to say.
        reason: Option<Remark>,
    },
    /// The goods are on their way back.
    Send {
        /// The carrier's name, 1-50 characters.
        carrier: String,
        /// The carrier's number of the parcel, 1-50 characters.
        tracking_number: String,
    },
    /// The goods are at the shop.
    Receive,
    /// Somebody looked at the goods.
    Inspect {
        /// What was found.
        lines: Vec<InspectedLine>,
        /// What was written about it.
        note: Option<Remark>,
    },
    /// The buyer gets the money or the goods.
    Close(Box<ReturnClosed>),
}
