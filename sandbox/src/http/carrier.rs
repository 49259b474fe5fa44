//! The carrier's own API.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use uuid::Uuid;

use super::{Body, Refused, Shared};
use crate::books::labels::{self, CalledOff, Labelled};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelBody {
    shipment_id: Uuid,
    order_id: Uuid,
    address: Address,
}

/// Only checked to be an address and then dropped, because this carrier delivers nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    recipient: String,
    phone: String,
    postal_code: String,
    line1: String,
    line2: Option<String>,
}

impl Address {
    fn is_complete(&self) -> bool {
        let needed = [&self.recipient, &self.phone, &self.postal_code, &self.line1];
        needed.into_iter().all(|text| !text.trim().is_empty())
            && self.line2.as_ref().is_none_or(|line| !line.trim().is_empty())
    }
}

/// Creates a label. A shipment has one.
pub async fn request_label(State(shared): State<Shared>, Body(body): Body<LabelBody>) -> Result<Response, Refused> {
    if !body.address.is_complete() {
        return Err(Refused::invalid("the address is not complete"));
    }
    let (shipment_id, order_id) = (body.shipment_id.to_string(), body.order_id.to_string());
    let step_ms = shared.carrier_step.map(|step| i64::try_from(step.as_millis()).unwrap_or(i64::MAX));
    let labelled = shared.store.call(move |db| labels::request(db, &shipment_id, &order_id, step_ms)).await?;
    shared.courier.wake();
    let conflict = |code, detail: &str| Err(Refused::new(StatusCode::CONFLICT, code, detail));
    match labelled {
        Labelled::Ready { label, fresh } => {
            let status = if fresh { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, Json(label.view())).into_response())
        }
        Labelled::Refused => conflict("refused_by_carrier", "the carrier does not take this parcel"),
        Labelled::Cancelled => conflict("label_cancelled", "the label of this shipment was called off"),
        Labelled::OtherOrder => conflict("shipment_of_other_order", "the label of this shipment is of another order"),
    }
}

/// Cancels a label.
pub async fn cancel_label(
    State(shared): State<Shared>,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<Response, Refused> {
    let Path(id) = id.map_err(|_| Refused::invalid("a shipment id is a UUID"))?;
    let called_off = shared.store.call(move |db| labels::cancel(db, &id.to_string())).await?;
    match called_off {
        CalledOff::Cancelled => Ok(StatusCode::NO_CONTENT.into_response()),
        CalledOff::Dispatched => {
            Err(Refused::new(StatusCode::CONFLICT, "already_dispatched", "the carrier has the parcel"))
        }
    }
}
