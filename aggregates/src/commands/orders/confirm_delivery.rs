//! The buyer confirms that the order arrived and is fine. Writes `order`.

use jangbu_kernel::{OrderId, RefusalCode, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::order::{CompletedBy, Order, OrderCommand};
use crate::state::{Missing, States};

/// The buyer confirms that the order arrived and is fine. Writes `order`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfirmDelivery {
    /// The order.
    pub order_id: OrderId,
}

impl Command for ConfirmDelivery {
    const RULES: Rules = Rules::new(
        "confirm_delivery",
        Reach::Own(Permission::OrdersCancelOwn),
        Key::Optional,
        &[RefusalCode::OrderStateConflict],
    );

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Order>(self.order_id, &OrderCommand::Complete { by: CompletedBy::Buyer })
    }
}
