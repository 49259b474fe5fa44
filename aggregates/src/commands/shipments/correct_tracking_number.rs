//! Corrects a tracking number that was written down wrongly. Writes `shipment`.

use jangbu_kernel::{RefusalCode, Remark, ShipmentId, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::shipment::{Shipment, ShipmentCommand};
use crate::state::{Missing, States};

/// Corrects a tracking number that was written down wrongly.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrectTrackingNumber {
    /// The parcel.
    pub shipment_id: ShipmentId,
    /// The right number.
    pub tracking_number: String,
    /// Staff's reason, for the audit trail.
    pub reason: Remark,
}

impl Command for CorrectTrackingNumber {
    const RULES: Rules = Rules::new(
        "correct_tracking_number",
        Reach::Any(Permission::ShipmentsWrite),
        Key::Optional,
        &[RefusalCode::ShipmentStateConflict],
    );

    fn subject(&self) -> StreamId {
        StreamId::shipment(self.shipment_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Shipment>(self.shipment_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (tracking_number, reason) = (self.tracking_number.clone(), self.reason.clone());
        append.only::<Shipment>(self.shipment_id, &ShipmentCommand::CorrectTrackingNumber { tracking_number, reason })
    }
}
