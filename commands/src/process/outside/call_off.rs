//! Calls a parcel's label off, and then the parcel.

use jangbu_aggregates::commands::CancelShipment;
use jangbu_aggregates::shipment::ShipmentState;
use jangbu_kernel::gateway::LabelCancelOutcome;
use jangbu_kernel::{Refusal, RefusalCode, ShipmentId};

use super::work::Work;
use super::{Halt, Step};

pub(super) async fn make(work: &Work<'_>, shipment_id: ShipmentId, reason: &str) -> Step<()> {
    let shipment = work.shipment(shipment_id).await?;
    if shipment.state() == ShipmentState::Cancelled {
        return Ok(());
    }
    match work.outside(shipment.user_id(), work.carrier(&shipment).cancel_label(shipment_id)).await? {
        LabelCancelOutcome::Cancelled => work.submit(CancelShipment { shipment_id, reason: reason.to_owned() }).await,
        LabelCancelOutcome::AlreadyDispatched => {
            let detail = "the carrier has the parcel already";
            Err(Halt::Refused(Refusal::new(RefusalCode::OrderAlreadyDispatched, detail)))
        }
        LabelCancelOutcome::Unknown { .. } => Ok(()),
    }
}
