//! Requests a parcel for a paid order. Writes `shipment` and `order`: an order that is being
//! prepared has a parcel.

use jangbu_kernel::{OrderId, ShipmentId, StreamId};

use crate::checks;
use crate::command::{Added, Append, Command, Owner, Rules, Stop};
use crate::order::{Order, OrderCommand};
use crate::shipment::{Shipment, ShipmentCommand};
use crate::state::{Missing, States};

/// Requests a parcel and starts the order's preparation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestShipment {
    /// The order whose goods are to be sent.
    pub order_id: OrderId,
    /// The id of the parcel.
    pub shipment_id: ShipmentId,
}

impl Command for RequestShipment {
    const RULES: Rules = Rules::internal("request_shipment");

    fn subject(&self) -> StreamId {
        StreamId::shipment(self.shipment_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Order>(self.order_id)?.user_id().into())
    }

    fn looks_at(&self, _: &dyn States, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::order(self.order_id));
    }

    fn begins(&self, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::shipment(self.shipment_id));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (order_id, shipment_id) = (self.order_id, self.shipment_id);
        let order = append.before::<Order>(order_id)?;
        let (Some(user_id), Some(address)) = (order.user_id(), order.shipping_address()) else {
            return Err(checks::not_found("order").into());
        };
        if append.ask::<Order>(order_id, &OrderCommand::StartPreparation { shipment_id })? == Added::Nothing {
            return Ok(());
        }
        let (lines, shipping_address) = (order.lines().to_vec(), address.clone());
        append.only::<Shipment>(shipment_id, &ShipmentCommand::Request { order_id, user_id, lines, shipping_address })
    }
}
