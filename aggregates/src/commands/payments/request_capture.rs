//! Writes the intent to capture the money. Writes `payment`.

use jangbu_kernel::{PaymentId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::payment::{Payment, PaymentCommand};
use crate::state::{Missing, States};

/// Writes the intent to capture the money. If all legs are internal, it is captured at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestCapture {
    /// The payment.
    pub payment_id: PaymentId,
}

impl Command for RequestCapture {
    const RULES: Rules = Rules::internal("request_capture");

    fn subject(&self) -> StreamId {
        StreamId::payment(self.payment_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Payment>(self.payment_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Payment>(self.payment_id, &PaymentCommand::RequestCapture)
    }
}
