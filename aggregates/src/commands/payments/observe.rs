//! Something was reported about a payment's charge. Writes `payment`.

use jangbu_kernel::gateway::ChargeOutcome;
use jangbu_kernel::{PaymentId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::payment::{Payment, PaymentCommand, Source};
use crate::state::{Missing, States};

/// Something was reported about a payment's charge.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservePayment {
    /// The payment.
    pub payment_id: PaymentId,
    /// The reported state of the charge.
    pub observation: ChargeOutcome,
    /// Where the report comes from, such as an answer, an inquiry or a webhook.
    pub source: Source,
}

impl Command for ObservePayment {
    const RULES: Rules = Rules::internal("observe_payment");

    fn subject(&self) -> StreamId {
        StreamId::payment(self.payment_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Payment>(self.payment_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (outcome, source) = (self.observation.clone(), self.source);
        append.only::<Payment>(self.payment_id, &PaymentCommand::Observe { outcome, source })
    }
}
