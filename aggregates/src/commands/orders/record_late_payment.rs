//! Notes money that came for an order that has ended. Writes `order`, reads `payment` for the
//! amount.

use jangbu_kernel::{OrderId, PaymentId, Refusal, RefusalCode, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop, add_payment};
use crate::commands::payments::payment_of;
use crate::order::{Order, OrderCommand};
use crate::state::{Missing, States};

/// Notes money that came for an order that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLatePayment {
    /// The order.
    pub order_id: OrderId,
    /// The payment.
    pub payment_id: PaymentId,
}

impl Command for RecordLatePayment {
    const RULES: Rules = Rules::internal("record_late_payment");

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
        if !payment.is_captured() {
            let refusal = Refusal::new(RefusalCode::PaymentStateConflict, "the money is not here");
            return Err(refusal.in_state(payment.status_name(), []).into());
        }
        let (payment_id, amount) = (self.payment_id, payment.captured());
        append.only::<Order>(self.order_id, &OrderCommand::RecordLatePayment { payment_id, amount })
    }
}
