//! The commands of a payment.

use jangbu_kernel::gateway::{ChargeOutcome, RefundOutcome};
use jangbu_kernel::{Money, OrderId, RefundId, Remark, UserId};

use super::{Leg, Source};

/// A command of a payment.
#[derive(Clone, Debug, PartialEq)]
pub enum PaymentCommand {
    /// Opens the payment. The caller holds the amounts of its internal legs in the same append.
    Request {
        /// The order.
        order_id: OrderId,
        /// The payer.
        user_id: UserId,
        /// The order's total.
        total: Money,
        /// The legs.
        legs: Vec<Leg>,
    },
    /// Writes the intent to capture the money. With internal legs alone it is captured at once.
    RequestCapture,
    /// The outcome of the charge was reported.
    Observe {
        /// The outcome.
        outcome: ChargeOutcome,
        /// Who reported it.
        source: Source,
    },
    /// The buyer has met the gateway's challenge.
    ConfirmChallenge,
    /// Writes the intent to void whatever happened under the charge's key. If nothing was requested
    /// from the gateway yet, the payment is voided at once.
    RequestNetCancel {
        /// The reason code.
        reason: String,
    },
    /// Cancels the payment before money was taken. A charge that waits for its challenge is
    /// net-cancelled instead, because the gateway knows of it.
    Void {
        /// The reason code.
        reason: String,
    },
    /// Accepts the smaller amount that the gateway took.
    AcceptMismatch {
        /// Why.
        reason: Remark,
    },
    /// Refunds a part.
    RequestRefund {
        /// The id of the refund.
        refund_id: RefundId,
        /// The amount.
        amount: Money,
        /// Why.
        reason: Remark,
    },
    /// Refunds everything that is captured and not yet claimed by a refund.
    RequestFullRefund {
        /// The id of the refund.
        refund_id: RefundId,
        /// Why.
        reason: Remark,
    },
    /// The outcome of a refund was reported.
    ObserveRefund {
        /// The refund.
        refund_id: RefundId,
        /// The outcome.
        outcome: RefundOutcome,
        /// Who reported it.
        source: Source,
    },
}
