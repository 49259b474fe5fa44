//! Cancels a payment before money was taken. Writes `payment`, `order`, `buyer` and, if points are
//! a leg, `points`. If nothing was requested from the gateway yet, the payment ends at once. If the
//! gateway knows of it, only the intent to void it is recorded, and the gateway's answer decides.

use jangbu_kernel::{PaymentId, RefusalCode, StreamId};

use super::release_holds;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop, add_payment};
use crate::commands::orders::note_changed;
use crate::order::{Order, OrderCommand};
use crate::payment::{Payment, PaymentCommand, PaymentState};
use crate::state::{Missing, States};

/// The reason that is recorded when somebody cancels a payment.
const CALLED_OFF: &str = "called_off";

/// Cancels a payment before money was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelPayment {
    /// The payment.
    pub payment_id: PaymentId,
}

impl Command for CancelPayment {
    const RULES: Rules = Rules::new(
        "cancel_payment",
        Reach::OwnOrAny { own: Permission::PaymentsCancelOwn, any: Permission::PaymentsCancelAny },
        Key::Optional,
        &[RefusalCode::PaymentStateConflict, RefusalCode::PaymentInProgress],
    );

    fn subject(&self) -> StreamId {
        StreamId::payment(self.payment_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Payment>(self.payment_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        add_payment(states, self.payment_id, streams);
        let order = states.get::<Payment>(self.payment_id).ok().and_then(Payment::order_id);
        streams.extend(order.map(StreamId::order));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (payment_id, reason) = (self.payment_id, CALLED_OFF.to_owned());
        append.ask::<Payment>(payment_id, &PaymentCommand::Void { reason: reason.clone() })?;
        let payment = append.after::<Payment>(payment_id)?;
        if let (PaymentState::Voided, Some(order_id)) = (payment.state(), payment.order_id()) {
            append.ask::<Order>(order_id, &OrderCommand::RecordPaymentFailure { payment_id, reason })?;
            release_holds(append, payment_id, CALLED_OFF)?;
            note_changed(append, order_id)?;
        }
        Ok(())
    }
}
