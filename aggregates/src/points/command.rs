//! What can be asked of a points ledger.

use jangbu_kernel::{Money, OrderId, PaymentId, RefundId, Timestamp};

/// What can be asked of a points ledger.
#[derive(Clone, Debug, PartialEq)]
pub enum PointsCommand {
    /// Give points.
    Grant {
        /// How many, in KRW, at least 1.
        amount: Money,
        /// What for, 1-200 characters.
        reference: String,
        /// When they lapse.
        expires_at: Option<Timestamp>,
    },
    /// Keep points for a payment.
    Hold {
        /// Which.
        payment_id: PaymentId,
        /// Of which order.
        order_id: OrderId,
        /// How many, in KRW, at least 1.
        amount: Money,
    },
    /// Spend what a payment holds.
    Capture {
        /// Which.
        payment_id: PaymentId,
    },
    /// Free what a payment holds.
    Release {
        /// Which.
        payment_id: PaymentId,
        /// Why, a code.
        reason: String,
    },
    /// Return spent points.
    Restore {
        /// Of which payment.
        payment_id: PaymentId,
        /// By which refund.
        refund_id: RefundId,
        /// How many, in KRW, at least 1.
        amount: Money,
    },
    /// Write off what is free and has lapsed.
    WriteOff,
}
