//! Cancels a parcel before it is dispatched. Writes `shipment`.

use jangbu_kernel::{ShipmentId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::shipment::{Shipment, ShipmentCommand};
use crate::state::{Missing, States};

/// Cancels a parcel before it is dispatched.
#[derive(Clone, Debug, PartialEq)]
pub struct CancelShipment {
    /// The parcel.
    pub shipment_id: ShipmentId,
    /// Reason code, such as `cancelled_by_buyer`.
    pub reason: String,
}

impl Command for CancelShipment {
    const RULES: Rules = Rules::internal("cancel_shipment");

    fn subject(&self) -> StreamId {
        StreamId::shipment(self.shipment_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Shipment>(self.shipment_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Shipment>(self.shipment_id, &ShipmentCommand::Cancel { reason: self.reason.clone() })
    }
}
