//! Everything is returned: the order is cancelled and holds nothing. Writes `order`, `stock` per
//! line and `points`. Refused while its open payment may still take money.

use jangbu_kernel::{OrderId, StreamId};

use super::cancel::ORDER_CANCELLED;
use super::ending::{free_everything, nothing_in_flight};
use crate::command::{Append, Command, Owner, Rules, Stop, add_lines, add_open_payment};
use crate::order::{Order, OrderCommand};
use crate::state::{Missing, States};

/// Marks the order as cancelled and releases everything, in one append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishCancellation {
    /// The order.
    pub order_id: OrderId,
}

impl Command for FinishCancellation {
    const RULES: Rules = Rules::internal("finish_cancellation");

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
        append.ask::<Order>(self.order_id, &OrderCommand::FinishCancellation)?;
        free_everything(append, self.order_id, ORDER_CANCELLED)
    }
}
