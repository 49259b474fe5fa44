//! A person refunds all the money of an order whose parcel is lost or came back, or for which the
//! gateway took another amount. Writes `fulfilment`, and `stock` per line if what came back can be
//! sold again. The process undoes the order and fails it. An order that was delivered stays
//! delivered: its refund is requested here, in `payment`, and `order` goes on to its end.

use jangbu_kernel::{OrderId, RefundId, RefusalCode, Remark, StreamId};

use super::trouble::{check_restock, release, restock, trouble_of};
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop, add_lines};
use crate::order::{Order, OrderStatus};
use crate::payment::{Payment, PaymentCommand};
use crate::processes::{Fulfilment, FulfilmentCommand, OperatorAction};
use crate::state::{Missing, States};

/// Refunds all the money of an order and ends it.
#[derive(Clone, Debug, PartialEq)]
pub struct RefundOrder {
    /// The order.
    pub order_id: OrderId,
    /// The id of the refund, if one is requested here.
    pub refund_id: RefundId,
    /// Staff's reason, for the audit trail.
    pub reason: Remark,
    /// Whether what came back can be sold again.
    pub restock: bool,
}

impl Command for RefundOrder {
    const RULES: Rules = Rules::new(
        "refund_order",
        Reach::Any(Permission::RefundsCreate),
        Key::Required,
        &[RefusalCode::SagaStateConflict],
    );

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::fulfilment(self.order_id));
        if self.restock {
            add_lines(states, self.order_id, streams);
            let parcel = states.get::<Order>(self.order_id).ok().and_then(Order::shipment_id);
            streams.extend(parcel.map(StreamId::shipment));
        }
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (order_id, reason) = (self.order_id, self.reason.clone());
        let trouble = trouble_of(append, order_id)?;
        check_restock(self.restock, trouble)?;
        let order = append.before::<Order>(order_id)?;
        if order.status() == Some(OrderStatus::Delivered) {
            let skip = FulfilmentCommand::Resolve { action: OperatorAction::Skip, reason: reason.clone() };
            append.ask::<Fulfilment>(order_id, &skip)?;
            if let Some(payment_id) = order.paid_by() {
                let refund = PaymentCommand::RequestFullRefund { refund_id: self.refund_id, reason };
                append.ask::<Payment>(payment_id, &refund)?;
            }
            release(append, order_id, trouble, &self.reason)?;
        } else {
            let compensate = FulfilmentCommand::Resolve { action: OperatorAction::Compensate, reason };
            append.ask::<Fulfilment>(order_id, &compensate)?;
        }
        if self.restock { restock(append, order_id) } else { Ok(()) }
    }
}
