//! What can be asked of an order alone. Commands of the shop over several
//! aggregates are in [`crate::commands`].

use jangbu_kernel::{Money, PaymentId, Remark, ShipmentId};

use super::event::{CancelledBy, CompletedBy, OrderPlaced};

/// What can be asked of an order.
#[derive(Clone, Debug, PartialEq)]
pub enum OrderCommand {
    /// Stand. The amounts and lines are checked before, over other aggregates.
    Place(Box<OrderPlaced>),
    /// A payment is begun.
    OpenPayment {
        /// The payment that is now open.
        payment_id: PaymentId,
    },
    /// A payment failed or was called off.
    RecordPaymentFailure {
        /// The payment that failed.
        payment_id: PaymentId,
        /// The reason code.
        reason: String,
    },
    /// All of it is paid.
    MarkPaid {
        /// By which payment; none when there is nothing to pay.
        payment_id: Option<PaymentId>,
    },
    /// The time to pay is over.
    Expire,
    /// A parcel is begun.
    StartPreparation {
        /// The parcel that was requested.
        shipment_id: ShipmentId,
    },
    /// A further parcel is begun: the one that left does not arrive.
    SendAgain {
        /// The further one.
        shipment_id: ShipmentId,
    },
    /// Every parcel left.
    MarkShipped,
    /// Every parcel arrived.
    MarkDelivered,
    /// It is done.
    Complete {
        /// Who closes it.
        by: CompletedBy,
    },
    /// Call it off: at once when nothing is paid and no payment is in flight, else
    /// once everything is returned.
    Cancel {
        /// The buyer or staff: they have different windows.
        by: CancelledBy,
        /// Why; staff must say.
        reason: Option<Remark>,
        /// Whether the open payment may still take money.
        payment_in_flight: bool,
    },
    /// Everything is returned.
    FinishCancellation,
    /// It cannot be carried out; everything is returned.
    Fail {
        /// Why, a code.
        reason: String,
    },
    /// Money came after the end.
    RecordLatePayment {
        /// By which payment.
        payment_id: PaymentId,
        /// The amount that was captured too late.
        amount: Money,
    },
    /// Begin nothing new.
    PutOnHold {
        /// Why nothing is to leave.
        reason: Remark,
    },
    /// Go on.
    ReleaseHold {
        /// Why the order may go on.
        reason: Remark,
    },
}
