//! What can be asked of a points ledger.

use std::fmt;

use jangbu_kernel::{Money, OrderId, PaymentId, RefundId, Remark, Timestamp};
use uuid::Uuid;

/// What points are given for. Equal references are one grant.
#[derive(Clone, PartialEq, Eq)]
pub struct GrantReference {
    /// The words, 1-200 characters: judged, and compared with what earlier versions wrote.
    pub text: String,
    /// What is stored of them.
    pub words: Remark,
    /// A keyed hash of owner and words, by which equal ones are known; none for a code.
    pub hash: Option<Uuid>,
}

impl GrantReference {
    /// A reference that the house gives. Not for what somebody typed.
    #[must_use]
    pub fn code(code: impl Into<String>) -> Self {
        let text = code.into();
        Self { words: Remark::code(&text), text, hash: None }
    }
}

impl From<&'static str> for GrantReference {
    fn from(code: &'static str) -> Self {
        Self::code(code)
    }
}

impl fmt::Debug for GrantReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrantReference").field("words", &self.words).field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// What can be asked of a points ledger.
#[derive(Clone, Debug, PartialEq)]
pub enum PointsCommand {
    /// Give points.
    Grant {
        /// How many, in KRW, at least 1.
        amount: Money,
        /// What for.
        reference: GrantReference,
        /// When they lapse.
        expires_at: Option<Timestamp>,
    },
    /// Keep points for a payment.
    Hold {
        /// The payment that the points are held for.
        payment_id: PaymentId,
        /// The order of that payment.
        order_id: OrderId,
        /// How many, in KRW, at least 1.
        amount: Money,
    },
    /// Spend what a payment holds.
    Capture {
        /// The payment whose points are spent.
        payment_id: PaymentId,
    },
    /// Free what a payment holds.
    Release {
        /// The payment whose points are free again.
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
