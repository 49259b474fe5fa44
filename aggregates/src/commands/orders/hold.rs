//! Puts an order on hold: nothing goes on before a person has checked it. Writes `order`.

use jangbu_kernel::{OrderId, RefusalCode, Remark, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::order::{Order, OrderCommand};
use crate::state::{Missing, States};

/// Puts an order on hold: nothing goes on before a person has checked it. Writes `order`.
#[derive(Clone, Debug, PartialEq)]
pub struct HoldOrder {
    /// The order.
    pub order_id: OrderId,
    /// Why it is put on hold, for the order and the audit trail.
    pub reason: Remark,
}

impl Command for HoldOrder {
    const RULES: Rules =
        Rules::new("hold_order", Reach::Any(Permission::OrdersHold), Key::Optional, &[RefusalCode::OrderStateConflict]);

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Order>(self.order_id, &OrderCommand::PutOnHold { reason: self.reason.clone() })
    }
}
