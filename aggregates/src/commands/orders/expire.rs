//! Expires an order that was not paid in time. Writes `order`, `stock` per line, `points` if they
//! are a leg of its payment, and `buyer`: an order that has ended holds nothing from that moment
//! on. Refused while its open payment may still take money or has taken it.

use jangbu_kernel::{OrderId, StreamId};

use super::ending::{free_everything, in_progress};
use super::waiting::note_changed;
use crate::command::{Append, Command, Owner, Rules, Stop, add_lines, add_open_payment};
use crate::order::{Order, OrderCommand};
use crate::payment::Payment;
use crate::state::{Missing, States};

/// Expires an unpaid order and releases its stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpireOrder {
    /// The order.
    pub order_id: OrderId,
}

impl Command for ExpireOrder {
    const RULES: Rules = Rules::internal("expire_order");

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        add_lines(states, self.order_id, streams);
        add_open_payment(states, self.order_id, streams);
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let order = append.before::<Order>(self.order_id)?;
        if let Some(payment_id) = order.open_payment()
            && !append.before::<Payment>(payment_id)?.has_ended()
        {
            return Err(in_progress(order, "a payment of the order is not decided").into());
        }
        append.ask::<Order>(self.order_id, &OrderCommand::Expire)?;
        free_everything(append, self.order_id, "order_expired")?;
        note_changed(append, self.order_id)
    }
}
