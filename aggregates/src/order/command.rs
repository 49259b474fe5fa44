//! The commands of an order alone. Commands over several aggregates are in [`crate::commands`].

use jangbu_kernel::{Money, PaymentId, Remark, ReturnId, ShipmentId, UserId};

use super::address::AddressToChange;
use super::event::{CancelledBy, CompletedBy, OrderPlaced, ReturnedUnits};
use super::lines::LinesToCancel;
use super::returns::ReturnToOpen;

/// A command of an order.
#[derive(Clone, Debug, PartialEq)]
pub enum OrderCommand {
    /// Places the order. The amounts and lines are checked before, against other aggregates.
    Place(Box<OrderPlaced>),
    /// A payment is opened.
    OpenPayment {
        /// The payment that is now open.
        payment_id: PaymentId,
    },
    /// A payment failed or was cancelled.
    RecordPaymentFailure {
        /// The payment that failed.
        payment_id: PaymentId,
        /// The reason code.
        reason: String,
    },
    /// The order is fully paid.
    MarkPaid {
        /// The payment that paid it; none if there is nothing to pay.
        payment_id: Option<PaymentId>,
    },
    /// The time to pay is over.
    Expire,
    /// A parcel is requested.
    StartPreparation {
        /// The parcel that was requested.
        shipment_id: ShipmentId,
    },
    /// A further parcel is requested, because the one that left does not arrive.
    SendAgain {
        /// The further parcel.
        shipment_id: ShipmentId,
    },
    /// Its goods are in the parcel.
    Pack,
    /// Every parcel has left.
    MarkShipped,
    /// Every parcel has arrived.
    MarkDelivered,
    /// The order is completed.
    Complete {
        /// Who completes it.
        by: CompletedBy,
    },
    /// Cancels the order: at once if nothing is paid and no payment is in flight, otherwise once
    /// everything is returned.
    Cancel {
        /// The buyer or staff; different rules hold for them.
        by: CancelledBy,
        /// Why; staff have to give a reason.
        reason: Option<Remark>,
        /// Whether the open payment may still take money.
        payment_in_flight: bool,
    },
    /// Cancel some of its lines; the rest stands.
    CancelLines(Box<LinesToCancel>),
    /// Everything was returned.
    FinishCancellation,
    /// It cannot be fulfilled; everything was returned.
    Fail {
        /// The reason code.
        reason: String,
    },
    /// Money came after the order had ended.
    RecordLatePayment {
        /// The payment that it came by.
        payment_id: PaymentId,
        /// The amount that was captured too late.
        amount: Money,
    },
    /// Puts the order on hold: nothing new is begun.
    PutOnHold {
        /// Why it is put on hold.
        reason: Remark,
    },
    /// Releases the hold.
    ReleaseHold {
        /// Why the order may go on.
        reason: Remark,
    },
    /// It goes elsewhere.
    ChangeAddress(Box<AddressToChange>),
    /// Some of its goods are to come back.
    OpenReturn(Box<ReturnToOpen>),
    /// A return has ended.
    EndReturn {
        /// The return.
        return_id: ReturnId,
        /// What came back.
        lines: Vec<ReturnedUnits>,
    },
    /// Keep what staff write about it.
    Note {
        /// What they write.
        note: Remark,
        /// Who writes it.
        by: UserId,
    },
}
