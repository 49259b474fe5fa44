//! A person accepts an order as it is, when its process waits for that. A lost parcel, or one that
//! came back, counts as arrived; a smaller amount that the gateway took counts as enough. Writes
//! `fulfilment` or `payment`, and `order`, which goes on.

use jangbu_kernel::{OrderId, Refusal, RefusalCode, Remark, StreamId};

use super::trouble::{release, trouble_of};
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop, add_open_payment};
use crate::order::Order;
use crate::payment::{Payment, PaymentCommand};
use crate::processes::{Fulfilment, FulfilmentCommand, OperatorAction, Trouble};
use crate::state::{Missing, States};

/// Accepts an order as it is and lets it go on.
#[derive(Clone, Debug, PartialEq)]
pub struct AcceptOrder {
    /// The order.
    pub order_id: OrderId,
    /// Staff's reason, for the audit trail.
    pub reason: Remark,
}

impl Command for AcceptOrder {
    const RULES: Rules = Rules::new(
        "accept_order",
        Reach::Any(Permission::RefundsCreate),
        Key::Required,
        &[RefusalCode::SagaStateConflict, RefusalCode::PaymentStateConflict, RefusalCode::PaymentTotalMismatch],
    );

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::fulfilment(self.order_id));
        add_open_payment(states, self.order_id, streams);
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (order_id, reason) = (self.order_id, self.reason.clone());
        let trouble = trouble_of(append, order_id)?;
        match trouble {
            Trouble::PaymentMismatch => {
                let Some(payment_id) = append.before::<Order>(order_id)?.open_payment() else {
                    let detail = "the order has no payment whose amount could be taken as enough";
                    return Err(Refusal::new(RefusalCode::PaymentStateConflict, detail).into());
                };
                // This captures the payment, which is what the process waits for.
                append.ask::<Payment>(payment_id, &PaymentCommand::AcceptMismatch { reason })?;
            }
            Trouble::ParcelLost | Trouble::ParcelReturned => {
                let skip = FulfilmentCommand::Resolve { action: OperatorAction::Skip, reason };
                append.ask::<Fulfilment>(order_id, &skip)?;
            }
        }
        release(append, order_id, trouble, &self.reason)
    }
}
