//! Requests a refund of everything that is captured and not refunded. Writes `payment`.

use jangbu_kernel::{PaymentId, RefundId, Remark, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::payment::{Payment, PaymentCommand};
use crate::state::{Missing, States};

/// Requests a refund of everything that is captured and not refunded.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestFullRefund {
    /// The payment.
    pub payment_id: PaymentId,
    /// The id of the refund.
    pub refund_id: RefundId,
    /// The reason, for the refund and the audit trail.
    pub reason: Remark,
}

impl Command for RequestFullRefund {
    const RULES: Rules = Rules::internal("request_full_refund");

    fn subject(&self) -> StreamId {
        StreamId::payment(self.payment_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Payment>(self.payment_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (refund_id, reason) = (self.refund_id, self.reason.clone());
        append.only::<Payment>(self.payment_id, &PaymentCommand::RequestFullRefund { refund_id, reason })
    }
}
