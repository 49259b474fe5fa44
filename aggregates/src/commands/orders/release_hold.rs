//! Releases a hold after a person has checked the order. Writes `order`. If a scan has shown
//! meanwhile that the carrier has the parcel, the hand-over is recorded, too.

use jangbu_kernel::{OrderId, Remark, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::commands::shipments::{hand_over, may_leave};
use crate::order::{Order, OrderCommand};
use crate::shipment::{Shipment, ShipmentCommand};
use crate::state::{Missing, States};

/// Releases the hold, so that the order goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseHold {
    /// The order.
    pub order_id: OrderId,
    /// Why the order may go on, for the audit trail.
    pub reason: Remark,
}

impl Command for ReleaseHold {
    const RULES: Rules = Rules::new("release_hold", Reach::Any(Permission::OrdersHold), Key::Optional, &[]);

    fn subject(&self) -> StreamId {
        StreamId::order(self.order_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.ask::<Order>(self.order_id, &OrderCommand::ReleaseHold { reason: self.reason.clone() })?;
        let order = append.after::<Order>(self.order_id)?;
        let Some(shipment_id) = order.shipment_id() else { return Ok(()) };
        let shipment = append.before::<Shipment>(shipment_id)?;
        if shipment.waits_for_hand_over() && may_leave(append, shipment_id, &order)? {
            hand_over(append, shipment_id, &ShipmentCommand::Dispatch { carrier: None, tracking_number: None })?;
        }
        Ok(())
    }
}
