//! The commands of a points ledger.

use std::fmt;

use jangbu_kernel::{Money, OrderId, PaymentId, RefundId, Remark, Timestamp};
use uuid::Uuid;

/// What points are granted for. Equal references are one grant.
#[derive(Clone, PartialEq, Eq)]
pub struct GrantReference {
    /// The words, 1-200 characters, which are checked and compared with what earlier versions
    /// wrote.
    pub text: String,
    /// What is stored of them.
    pub words: Remark,
    /// A keyed hash of owner and words, by which equal references are recognised; none for a code.
    pub hash: Option<Uuid>,
}

impl GrantReference {
    /// A reference that the shop itself gives. Not for text that somebody typed.
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

/// A command of a points ledger.
#[derive(Clone, Debug, PartialEq)]
pub enum PointsCommand {
    /// Grants points.
    Grant {
        /// The amount, in KRW, at least 1.
        amount: Money,
        /// What they are granted for.
        reference: GrantReference,
        /// When they lapse.
        expires_at: Option<Timestamp>,
    },
    /// Holds points for a payment.
    Hold {
        /// The payment that the points are held for.
        payment_id: PaymentId,
        /// The order of that payment.
        order_id: OrderId,
        /// The amount, in KRW, at least 1.
        amount: Money,
    },
    /// Spends what a payment holds.
    Capture {
        /// The payment whose points are spent.
        payment_id: PaymentId,
    },
    /// Releases what a payment holds.
    Release {
        /// The payment whose points are released.
        payment_id: PaymentId,
        /// The reason code.
        reason: String,
    },
    /// Returns spent points.
    Restore {
        /// The payment.
        payment_id: PaymentId,
        /// The refund.
        refund_id: RefundId,
        /// The amount, in KRW, at least 1.
        amount: Money,
    },
    /// Writes off free points that have lapsed.
    WriteOff,
}
