//! Records a scan. Writes `shipment`. A scan that shows the parcel with the carrier of its label is
//! the hand-over, if none is recorded: it then writes and reads what a dispatch does. While the
//! order may not be sent (on hold, being cancelled, money refunded, goods not in stock yet), the
//! scan is kept. It counts when the parcel is dispatched or the hold is released.

use jangbu_kernel::{RefusalCode, ShipmentId, StreamId};

use super::{hand_over, may_leave};
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop, add_parcel};
use crate::order::Order;
use crate::shipment::{Scan, Shipment, ShipmentCommand};
use crate::state::{Missing, States};

/// A scan of a parcel.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordScan {
    /// The parcel.
    pub shipment_id: ShipmentId,
    /// The scan, as it was reported.
    pub scan: Scan,
}

impl Command for RecordScan {
    const RULES: Rules = Rules::new(
        "record_scan",
        Reach::Any(Permission::ShipmentsWrite),
        Key::Optional,
        &[RefusalCode::ShipmentStateConflict, RefusalCode::OrderStateConflict],
    );

    fn subject(&self) -> StreamId {
        StreamId::shipment(self.shipment_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Shipment>(self.shipment_id)?.user_id().into())
    }

    fn looks_at(&self, states: &dyn States, streams: &mut Vec<StreamId>) {
        if states.get::<Shipment>(self.shipment_id).is_ok_and(|shipment| shipment.is_handed_over_by(&self.scan)) {
            add_parcel(states, self.shipment_id, streams);
        }
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (shipment_id, scan) = (self.shipment_id, &self.scan);
        let shipment = append.before::<Shipment>(shipment_id)?;
        let of_order = shipment.order_id().filter(|_| shipment.is_handed_over_by(scan));
        if let Some(order_id) = of_order
            && may_leave(append, shipment_id, append.before::<Order>(order_id)?)?
        {
            hand_over(append, shipment_id, &ShipmentCommand::Dispatch { carrier: None, tracking_number: None })?;
        }
        append.only::<Shipment>(shipment_id, &ShipmentCommand::RecordScan(scan.clone()))
    }
}
