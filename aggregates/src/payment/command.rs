//! What can be asked of a payment.

use jangbu_kernel::gateway::{ChargeOutcome, RefundOutcome};
use jangbu_kernel::{Money, OrderId, RefundId, Remark, UserId};

use super::{Leg, Source};

/// What can be asked of a payment.
#[derive(Clone, Debug, PartialEq)]
pub enum PaymentCommand {
    /// Opens the payment. Its internal legs are held in the same append, by the caller.
    Request {
        /// For which order.
        order_id: OrderId,
        /// Who pays.
        user_id: UserId,
        /// How much, the order's total.
        total: Money,
        /// By what.
        legs: Vec<Leg>,
    },
    /// Writes the intent to take the money; with internal legs alone it is taken at once.
    RequestCapture,
    /// Somebody told what became of the charge.
    Observe {
        /// What.
        outcome: ChargeOutcome,
        /// Who.
        source: Source,
    },
    /// The buyer has met the gateway's challenge.
    ConfirmChallenge,
    /// Writes the intent to void whatever happened under the charge's key. Before
    /// anything was asked of the gateway it voids at once.
    RequestNetCancel {
        /// Why, a code.
        reason: String,
    },
    /// Calls the payment off before money was taken. A charge that waits for its
    /// challenge is net-cancelled instead: the gateway knows of it.
    Void {
        /// Why, a code.
        reason: String,
    },
    /// Takes the smaller amount that the gateway took as enough.
    AcceptMismatch {
        /// Why.
        reason: Remark,
    },
    /// Gives a part back.
    RequestRefund {
        /// The id the refund gets.
        refund_id: RefundId,
        /// How much.
        amount: Money,
        /// Why.
        reason: Remark,
    },
    /// Gives back all that is captured and not yet claimed by a refund.
    RequestFullRefund {
        /// The id the refund gets.
        refund_id: RefundId,
        /// Why.
        reason: Remark,
    },
    /// Somebody told what became of a refund.
    ObserveRefund {
        /// Which.
        refund_id: RefundId,
        /// What.
        outcome: RefundOutcome,
        /// Who.
        source: Source,
    },
}
