//! Webhooks of gateways and carriers: the signature is checked, the message is stored and then
//! acknowledged; it is handled after that.

use axum::Json;
use axum::extract::{RawQuery, State};
use http::HeaderMap;
use jangbu_commands::inbox::{Accepted, HookError};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::entry::{Entry, Kind};
use crate::http::body::RawBody;
use crate::http::gate::Access;
use crate::http::params::PathText;
use crate::http::problem::{Code, Problem};
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    // No rate limit: one address sends the messages for all orders, and each message is signed.
    let refusals = &[Code::Unauthenticated, Code::NotFound];
    vec![
        Entry::new(Access::Open, Kind::Action, refusals, routes!(payment)),
        Entry::new(Access::Open, Kind::Action, refusals, routes!(carrier)),
    ]
}

/// The acknowledgement of a message.
#[derive(Serialize, ToSchema)]
#[schema(as = Acknowledgement)]
pub(crate) struct AcknowledgementView {
    /// The message is stored.
    accepted: bool,
    /// It had been stored before.
    duplicate: bool,
}

impl From<Accepted> for AcknowledgementView {
    fn from(accepted: Accepted) -> Self {
        Self { accepted: true, duplicate: accepted.duplicate }
    }
}

impl From<HookError> for Problem {
    fn from(error: HookError) -> Self {
        match error {
            HookError::UnknownSource => Self::not_found("gateway or carrier"),
            HookError::BadSignature => Self::new(Code::Unauthenticated, "the signature does not hold"),
            HookError::Unreadable(why) => Self::invalid_at("", "unreadable_message", why),
            HookError::Unavailable => Self::unavailable("the inbox cannot be written"),
        }
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}

/// A payment gateway tells something.
#[utoipa::path(
    post, path = "/v1/hooks/payments/{gateway}", operation_id = "receivePaymentHook", tag = "hooks",
    params(("gateway" = String, Path, description = "the gateway's name")),
    request_body(content = String, content_type = "application/json", description = "as the gateway signs it"),
    responses((status = 200, description = "stored", body = AcknowledgementView)),
)]
async fn payment(
    State(app): State<App>,
    PathText(gateway): PathText,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Json<AcknowledgementView>, Problem> {
    let accepted = app.state.hooks.receive_payment(&gateway, pairs(&headers), body.to_vec()).await?;
    Ok(Json(accepted.into()))
}

/// A carrier tells something.
#[utoipa::path(
    post, path = "/v1/hooks/carriers/{carrier}", operation_id = "receiveCarrierHook", tag = "hooks",
    params(("carrier" = String, Path, description = "the carrier's name")),
    request_body(content = String, content_type = "application/json", description = "as the carrier signs it"),
    responses((status = 200, description = "stored", body = AcknowledgementView)),
)]
async fn carrier(
    State(app): State<App>,
    PathText(carrier): PathText,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Json<AcknowledgementView>, Problem> {
    let query = query.unwrap_or_default();
    let accepted = app.state.hooks.receive_carrier(&carrier, pairs(&headers), &query, body.to_vec()).await?;
    Ok(Json(accepted.into()))
}
