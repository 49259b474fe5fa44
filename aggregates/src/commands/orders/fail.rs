//! Gives an order up. Writes `order`, `stock` per line, `points` if they are a leg of its payment,
//! and `buyer`. Refused while its open payment may still take money. Money that was taken is
//! refunded by the process before this.

use jangbu_kernel::{OrderId, StreamId};

use super::ending::{free_everything, nothing_in_flight};
use super::waiting::note_changed;
use crate::command::{Append, Command, Owner, Rules, Stop, add_lines, add_open_payment};
use crate::order::{Order, OrderCommand};
use crate::state::{Missing, States};

/// Marks the order as failed and releases everything, in one append.
#[derive(Clone, Debug, PartialEq)]
pub struct FailOrder {
    /// The order.
    pub order_id: OrderId,
    /// The reason code.
    pub reason: String,
}

impl Command for FailOrder {
    const RULES: Rules = Rules::internal("fail_order");

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
        nothing_in_flight(append, self.order_id)?;
        append.ask::<Order>(self.order_id, &OrderCommand::Fail { reason: self.reason.clone() })?;
        free_everything(append, self.order_id, "order_failed")?;
        note_changed(append, self.order_id)
    }
}
