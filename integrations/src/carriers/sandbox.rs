//! The sandbox's carrier, over HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use jangbu_kernel::gateway::{Carrier, CarrierNotice, LabelCancelOutcome, LabelOutcome, LabelRequest, WebhookError};
use jangbu_kernel::ports::PostalAddress;
use jangbu_kernel::{OrderId, ShipmentId, Timestamp, time};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::outbound::{Answer, CallError, Outbound, OutboundRequest};
use crate::webhooks::WebhookVerifier;
use crate::{ServiceSettings, SetupError};

/// The carrier's name.
pub const NAME: &str = "sandbox";

/// The adapter.
pub struct SandboxCarrier {
    outbound: Outbound,
    webhooks: WebhookVerifier,
}

/// Creates the adapter.
///
/// # Errors
/// When the settings are unusable.
pub fn connect(settings: &ServiceSettings) -> Result<Arc<dyn Carrier>, SetupError> {
    Ok(Arc::new(SandboxCarrier {
        outbound: Outbound::new(
            "carrier:sandbox",
            &settings.base_url,
            "x-api-key",
            &settings.api_key,
            settings.policy.clone(),
        )?,
        webhooks: WebhookVerifier::new(&settings.webhook_secrets)?,
    }))
}

#[derive(Serialize)]
struct LabelBody<'a> {
    shipment_id: ShipmentId,
    order_id: OrderId,
    address: &'a PostalAddress,
}

#[derive(Deserialize)]
struct Label {
    shipment_id: ShipmentId,
    tracking_number: String,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

/// The statuses of a scan, in the words of the shipment's states.
#[derive(Clone, Copy, Deserialize)]
#[derive(strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
enum Scan {
    InTransit,
    OutForDelivery,
    AttemptFailed,
    Exception,
    Delivered,
    Returned,
    Lost,
}

fn label_answer(shipment_id: ShipmentId, answer: &Answer) -> Result<LabelOutcome, CallError> {
    match answer.status {
        StatusCode::OK | StatusCode::CREATED => {
            let label: Label = answer.read()?;
            if label.shipment_id != shipment_id || label.tracking_number.is_empty() {
                return Err(CallError::Garbled("it speaks of another shipment"));
            }
            Ok(LabelOutcome::Ready { tracking_number: label.tracking_number })
        }
        StatusCode::CONFLICT | StatusCode::BAD_REQUEST => {
            Ok(LabelOutcome::Refused { code: answer.read::<Problem>()?.code })
        }
        _ => Err(CallError::Garbled("an unexpected status")),
    }
}

fn cancel_answer(answer: &Answer) -> Result<LabelCancelOutcome, CallError> {
    match answer.status {
        StatusCode::OK | StatusCode::NO_CONTENT => Ok(LabelCancelOutcome::Cancelled),
        StatusCode::CONFLICT if answer.read::<Problem>()?.code == "already_dispatched" => {
            Ok(LabelCancelOutcome::AlreadyDispatched)
        }
        _ => Err(CallError::Garbled("an unexpected status")),
    }
}

#[async_trait]
impl Carrier for SandboxCarrier {
    fn name(&self) -> &str {
        NAME
    }

    async fn request_label(&self, request: LabelRequest) -> LabelOutcome {
        let body =
            LabelBody { shipment_id: request.shipment_id, order_id: request.order_id, address: &request.address };
        let call = OutboundRequest::new(Method::POST, "/carrier/v1/labels".to_owned()).json(&body);
        let answer = self.outbound.send(call).await;
        answer
            .and_then(|answer| label_answer(request.shipment_id, &answer))
            .unwrap_or_else(|error| LabelOutcome::Unknown { detail: error.to_string() })
    }

    async fn cancel_label(&self, shipment_id: ShipmentId) -> LabelCancelOutcome {
        let call = OutboundRequest::new(Method::DELETE, format!("/carrier/v1/labels/{shipment_id}"));
        let answer = self.outbound.send(call).await;
        answer
            .and_then(|answer| cancel_answer(&answer))
            .unwrap_or_else(|error| LabelCancelOutcome::Unknown { detail: error.to_string() })
    }

    fn read_webhook(&self, headers: &[(String, String)], body: &[u8]) -> Result<CarrierNotice, WebhookError> {
        #[derive(Deserialize)]
        struct Message {
            data: Scanned,
        }
        #[derive(Deserialize)]
        struct Scanned {
            shipment_id: ShipmentId,
            tracking_number: String,
            status: Scan,
            code: String,
            place: String,
            scanned_at: Timestamp,
        }
        let message_id = self.webhooks.verify(headers, body)?;
        let Message { data: scan } = serde_json::from_slice(body)
            .map_err(|_| WebhookError::Unreadable("not a message about a scan".to_owned()))?;
        Ok(CarrierNotice {
            message_id,
            shipment_id: scan.shipment_id,
            tracking_number: scan.tracking_number,
            status: <&str>::from(scan.status).to_owned(),
            code: scan.code,
            place: scan.place,
            at: time::to_millis(scan.scanned_at),
        })
    }
}
