//! Every parcel arrived. Writes `order`.

use jangbu_kernel::{OrderId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::order::{Order, OrderCommand};
use crate::state::{Missing, States};

/// Every parcel arrived. Writes `order`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkDelivered {
    /// The order.
    pub order_id: OrderId,
}

impl Command for MarkDelivered {
    const RULES: Rules = Rules::internal("mark_delivered");

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Order>(self.order_id, &OrderCommand::MarkDelivered)
    }
}
