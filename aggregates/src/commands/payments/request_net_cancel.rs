//! Writes the intent to void a payment. Writes `payment`.

use jangbu_kernel::{PaymentId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::payment::{Payment, PaymentCommand};
use crate::state::{Missing, States};

/// Writes the intent to void a payment.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestNetCancel {
    /// The payment.
    pub payment_id: PaymentId,
    /// Reason code of the process, such as `not_found`.
    pub reason: String,
}

impl Command for RequestNetCancel {
    const RULES: Rules = Rules::internal("request_net_cancel");

    fn subject(&self) -> StreamId {
        StreamId::payment(self.payment_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Payment>(self.payment_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Payment>(self.payment_id, &PaymentCommand::RequestNetCancel { reason: self.reason.clone() })
    }
}
