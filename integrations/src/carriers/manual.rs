//! The shop's own labels: nobody outside is asked.
//!
//! A parcel is ready at once under a mark of its own, which its label carries. Whoever takes it to a
//! carrier dispatches it with that carrier and the number from its receipt; a courier of the shop's
//! own keeps the mark.

use std::sync::Arc;

use async_trait::async_trait;
use jangbu_kernel::ShipmentId;
use jangbu_kernel::gateway::{Carrier, CarrierNotice, LabelCancelOutcome, LabelOutcome, LabelRequest, WebhookError};

use crate::{ServiceSettings, SetupError};

/// The carrier's name.
pub const NAME: &str = "manual";

/// The adapter.
struct ManualCarrier;

/// Creates the adapter. It needs no settings.
///
/// # Errors
/// Never.
pub fn connect(_: &ServiceSettings) -> Result<Arc<dyn Carrier>, SetupError> {
    Ok(Arc::new(ManualCarrier))
}

/// The mark of a parcel: the same for the same parcel, and different for any two.
pub(super) fn mark(shipment_id: ShipmentId) -> String {
    format!("M{:X}", shipment_id.uuid().simple())
}

#[async_trait]
impl Carrier for ManualCarrier {
    fn name(&self) -> &str {
        NAME
    }

    async fn request_label(&self, request: LabelRequest) -> LabelOutcome {
        LabelOutcome::Ready { tracking_number: mark(request.shipment_id) }
    }

    /// A label that is not used is thrown away. A parcel that has left is dispatched, and is not
    /// asked about here.
    async fn cancel_label(&self, _: ShipmentId) -> LabelCancelOutcome {
        LabelCancelOutcome::Cancelled
    }

    /// Nobody sends any.
    fn read_webhook(&self, _: &[(String, String)], _: &[u8]) -> Result<CarrierNotice, WebhookError> {
        Err(WebhookError::BadSignature)
    }
}

#[cfg(test)]
mod tests {
    use jangbu_kernel::ports::PostalAddress;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_parcel_has_one_mark_and_it_is_its_own() {
        let label = async |shipment: u128| {
            let (shipment_id, order_id) = (ShipmentId::new(Uuid::from_u128(shipment)), Uuid::nil().into());
            let text = || "x".to_owned();
            let address =
                PostalAddress { recipient: text(), phone: text(), postal_code: text(), line1: text(), line2: None };
            ManualCarrier.request_label(LabelRequest { shipment_id, order_id, address }).await
        };
        assert_eq!(label(1).await, label(1).await);
        assert_ne!(label(1).await, label(2).await);
        assert_eq!(ManualCarrier.cancel_label(ShipmentId::new(Uuid::nil())).await, LabelCancelOutcome::Cancelled);
        assert!(ManualCarrier.read_webhook(&[], b"{}").is_err());
    }
}
