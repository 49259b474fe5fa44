//! The time in which the buyer may object is over, so the order is completed. Writes `order`.

use jangbu_kernel::{OrderId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::order::{CompletedBy, Order, OrderCommand};
use crate::state::{Missing, States};

/// The time in which the buyer may object is over, so the order is completed. Writes `order`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompleteOrder {
    /// The order.
    pub order_id: OrderId,
}

impl Command for CompleteOrder {
    const RULES: Rules = Rules::internal("complete_order");

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Order>(self.order_id, &OrderCommand::Complete { by: CompletedBy::Timer })
    }
}
