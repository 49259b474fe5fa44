//! Refunds a part of a payment, by staff. Writes `payment`.

use jangbu_kernel::{Money, PaymentId, RefundId, RefusalCode, Remark, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::payment::{Payment, PaymentCommand};
use crate::state::{Missing, States};

/// Refunds a part of a payment, by staff.
#[derive(Clone, Debug, PartialEq)]
pub struct RefundPayment {
    /// The payment.
    pub payment_id: PaymentId,
    /// The id of the refund.
    pub refund_id: RefundId,
    /// The amount to refund, at most what is left of the payment.
    pub amount: Money,
    /// The reason, for the buyer's refund and the audit trail.
    pub reason: Remark,
}

impl Command for RefundPayment {
    const RULES: Rules = Rules::new(
        "refund_payment",
        Reach::Any(Permission::RefundsCreate),
        Key::Required,
        &[RefusalCode::PaymentStateConflict, RefusalCode::RefundExceedsCaptured],
    );

    fn subject(&self) -> StreamId {
        StreamId::payment(self.payment_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Payment>(self.payment_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (refund_id, amount, reason) = (self.refund_id, self.amount, self.reason.clone());
        append.only::<Payment>(self.payment_id, &PaymentCommand::RequestRefund { refund_id, amount, reason })
    }
}
