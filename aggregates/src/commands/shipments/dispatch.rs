//! The parcel is handed over. Writes `shipment`, `order` and `stock` per line, reads `payment`:
//! goods that left are not counted in the stock any more, an order cannot be cancelled from the
//! moment it left, and goods whose money was fully refunded do not leave.

use jangbu_kernel::{RefusalCode, ShipmentId, StreamId};

use super::hand_over;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop, add_parcel};
use crate::shipment::{Shipment, ShipmentCommand};
use crate::state::{Missing, States};

/// Hands a parcel over: shipment, order and stock change in one append.
#[derive(Clone, Debug, PartialEq)]
pub struct DispatchShipment {
    /// The parcel.
    pub shipment_id: ShipmentId,
    /// The carrier; the label's if absent.
    pub carrier: Option<String>,
    /// The tracking number; the label's if absent.
    pub tracking_number: Option<String>,
}

impl Command for DispatchShipment {
    const RULES: Rules = Rules::new(
        "dispatch_shipment",
        Reach::Any(Permission::ShipmentsWrite),
        Key::Optional,
        &[RefusalCode::ShipmentStateConflict, RefusalCode::OrderStateConflict, RefusalCode::InsufficientStock],
    );

    fn subject(&self) -> StreamId {
        StreamId::shipment(self.shipment_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Shipment>(self.shipment_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        add_parcel(states, self.shipment_id, streams);
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (carrier, tracking_number) = (self.carrier.clone(), self.tracking_number.clone());
        hand_over(append, self.shipment_id, &ShipmentCommand::Dispatch { carrier, tracking_number })
    }
}
