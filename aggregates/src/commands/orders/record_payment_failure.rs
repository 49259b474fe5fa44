//! The order notes that a payment failed or was voided, and its points are released. Writes
//! `order`, `points` if they are a leg, and `buyer`; reads `payment`. Refused while the payment may
//! still take money: an unknown outcome is not a failure.

use jangbu_kernel::{OrderId, PaymentId, Refusal, RefusalCode, StreamId};

use super::waiting::note_changed;
use crate::command::{Append, Command, Owner, Rules, Stop, add_payment};
use crate::commands::payments::{payment_of, release_holds};
use crate::order::{Order, OrderCommand};
use crate::state::{Missing, States};

/// The order notes a failed or voided payment; its held points are released.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordPaymentFailure {
    /// The order.
    pub order_id: OrderId,
    /// The payment.
    pub payment_id: PaymentId,
    /// The reason code.
    pub reason: String,
}

impl Command for RecordPaymentFailure {
    const RULES: Rules = Rules::internal("record_payment_failure");

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        add_payment(states, self.payment_id, streams);
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let payment = payment_of(append, self.order_id, self.payment_id)?;
        if !payment.has_ended() {
            let refusal = Refusal::new(RefusalCode::PaymentInProgress, "the payment has not failed");
            return Err(refusal.in_state(payment.status_name(), []).into());
        }
        let failed = OrderCommand::RecordPaymentFailure { payment_id: self.payment_id, reason: self.reason.clone() };
        append.ask::<Order>(self.order_id, &failed)?;
        release_holds(append, self.payment_id, "payment_failed")?;
        note_changed(append, self.order_id)
    }
}
