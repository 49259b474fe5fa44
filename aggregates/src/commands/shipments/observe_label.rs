//! The carrier answered the request for a label. Writes `shipment`.

use jangbu_kernel::gateway::LabelOutcome;
use jangbu_kernel::{ShipmentId, StreamId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::shipment::{Shipment, ShipmentCommand};
use crate::state::{Missing, States};

/// The carrier answered the request for a label.
#[derive(Clone, Debug, PartialEq)]
pub struct ObserveLabel {
    /// The parcel.
    pub shipment_id: ShipmentId,
    /// The carrier's name.
    pub carrier: String,
    /// The answer.
    pub observation: LabelOutcome,
}

impl Command for ObserveLabel {
    const RULES: Rules = Rules::internal("observe_label");

    fn subject(&self) -> StreamId {
        StreamId::shipment(self.shipment_id)
    }

    fn owner(&self, states: &dyn States) -> Result<Owner, Missing> {
        Ok(states.get::<Shipment>(self.shipment_id)?.user_id().into())
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let (carrier, outcome) = (self.carrier.clone(), self.observation.clone());
        append.only::<Shipment>(self.shipment_id, &ShipmentCommand::ObserveLabel { carrier, outcome })
    }
}
