//! The goods of an order are in their parcel. Writes `order`.

use jangbu_kernel::{OrderId, RefusalCode, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::order::{Order, OrderCommand};
use crate::state::{Missing, States};

/// The goods of an order are in their parcel, which waits to be handed over. Writes `order`.
///
/// It only sorts what the order desk has to do: a parcel may leave without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackOrder {
    /// Which order.
    pub order_id: OrderId,
}

impl Command for PackOrder {
    const RULES: Rules = Rules::new(
        "pack_order",
        Reach::Any(Permission::ShipmentsWrite),
        Key::Optional,
        &[RefusalCode::OrderStateConflict, RefusalCode::OrderAlreadyDispatched],
    );

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Order>(self.order_id, &OrderCommand::Pack)
    }
}
