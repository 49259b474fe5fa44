//! Asks the carrier for a parcel's label.

use jangbu_aggregates::commands::ObserveLabel;
use jangbu_aggregates::shipment::Shipment;
use jangbu_kernel::ShipmentId;
use jangbu_kernel::gateway::{LabelOutcome, LabelRequest};
use jangbu_kernel::ports::PostalAddress;

use super::work::Work;
use super::{DATA_UNREADABLE, Step};
use crate::process::told::{Parcel, Told};
use crate::sealing;

pub(super) async fn make(work: &Work<'_>, shipment_id: ShipmentId, attempt: u32) -> Step<()> {
    let parcel = match &work.issued.told {
        Some(Told::Parcel(parcel)) => Some(parcel.clone()),
        Some(Told::Charge(_)) | None => parcel_of(&work.shipment(shipment_id).await?, attempt),
    };
    let Some(Parcel { carrier, buyer, address }) = parcel else { return Ok(()) };
    let carrier = work.shared.deps.carriers.holding(&carrier);
    let opened = work.open(sealing::shipping_address(work.issued.order_id), &address).await?;
    let observation = match opened.and_then(|json| serde_json::from_str::<PostalAddress>(&json).ok()) {
        Some(address) => {
            let request = LabelRequest { shipment_id, order_id: work.issued.order_id, address };
            work.outside(buyer, carrier.request_label(request)).await?
        }
        None => LabelOutcome::Refused { code: DATA_UNREADABLE.to_owned() },
    };
    let carrier = carrier.name().to_owned();
    work.note(ObserveLabel { shipment_id, carrier, observation }).await
}

/// The parcel that a shipment still has to ask for, at this attempt.
fn parcel_of(shipment: &Shipment, attempt: u32) -> Option<Parcel> {
    let (carrier, address) = (shipment.asked_carrier()?.to_owned(), shipment.shipping_address()?.clone());
    shipment.needs_label(attempt).then(|| Parcel { carrier, buyer: shipment.user_id(), address })
}
