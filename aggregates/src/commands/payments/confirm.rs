//! The buyer has met the gateway's challenge. Writes `payment`.

use jangbu_kernel::{PaymentId, RefusalCode, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::payment::{Payment, PaymentCommand};
use crate::state::{Missing, States};

/// The buyer has met the gateway's challenge. Writes `payment`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfirmPayment {
    /// The payment.
    pub payment_id: PaymentId,
}

impl Command for ConfirmPayment {
    const RULES: Rules = Rules::new(
        "confirm_payment",
        Reach::Own(Permission::PaymentsCreateOwn),
        Key::Optional,
        &[RefusalCode::PaymentStateConflict, RefusalCode::PaymentInProgress],
    );

    fn subject(&self) -> StreamId {
        StreamId::payment(self.payment_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Payment>(self.payment_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Payment>(self.payment_id, &PaymentCommand::ConfirmChallenge)
    }
}
