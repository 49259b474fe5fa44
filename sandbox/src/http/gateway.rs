//! The payment gateway's own API.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jangbu_kernel::{Currency, Money};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{Body, Refused, Shared, check_key, idempotency_key};
use crate::books::charges::{self, Charge, Charged, Delivery, Known, NewCharge, Status};
use crate::books::refunds::{self, Refunded};
use crate::dialect::SANDBOX;
use crate::script::Script;
use crate::store::StoreError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChargeBody {
    order_id: Uuid,
    payment_id: Uuid,
    amount: String,
    currency: String,
    /// A payment method, by name.
    method: String,
    /// The details of the method.
    details: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefundBody {
    amount: String,
    currency: String,
}

/// An amount above zero.
fn amount(amount: &str, currency: &str) -> Result<Money, Refused> {
    let currency: Currency = currency.parse().map_err(|error| Refused::invalid(format!("currency: {error}")))?;
    let money = Money::parse(amount, currency).map_err(|error| Refused::invalid(format!("amount: {error}")))?;
    if money.is_positive() { Ok(money) } else { Err(Refused::invalid("amount: has to be above zero")) }
}

/// Charges. One key is one charge.
pub async fn charge(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Body(body): Body<ChargeBody>,
) -> Result<Response, Refused> {
    let new = NewCharge {
        dialect: &SANDBOX,
        idempotency_key: idempotency_key(&headers)?,
        amount: amount(&body.amount, &body.currency)?,
        script: Script::of(&body.method, &body.details),
        pages: format!("{}/bank/", shared.base_url),
        order_id: body.order_id.to_string(),
        payment_id: body.payment_id.to_string(),
        fingerprint: fingerprint(&body),
    };
    let (charge, fresh) = take(&shared, new).await?;
    Ok(answer(&charge, fresh))
}

/// Charges as the script says; returns the charge, and whether this call created it.
pub(super) async fn take(shared: &Shared, new: NewCharge) -> Result<(Charge, bool), Refused> {
    let charged = shared.store.call(move |db| charges::charge(db, new)).await?;
    shared.courier.wake();
    match charged {
        Charged::KeyReused => Err(Refused::key_reused()),
        Charged::Fails => Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "an error as ordered")),
        Charged::Silence => Err(silence(shared).await),
        Charged::Stands { charge, fresh, delivery } => match delivery {
            Delivery::AtOnce => Ok((*charge, fresh)),
            Delivery::Never => Err(silence(shared).await),
            Delivery::Slow => {
                let finished = finish_later(shared, charge.id.clone(), shared.slow).await.unwrap_or(Ok(None))?;
                Ok((finished.unwrap_or(*charge), true))
            }
            Delivery::AfterWebhook(owed) => {
                shared.courier.send_now(owed).await;
                Ok((*charge, fresh))
            }
        },
    }
}

/// Hashes the request with each part's length before it, so that different requests have different
/// hashes.
fn fingerprint(body: &ChargeBody) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(body.order_id.as_bytes());
    hash.update(body.payment_id.as_bytes());
    let details = body.details.iter().flat_map(|(name, value)| [name, value]);
    for text in [&body.amount, &body.currency, &body.method].into_iter().chain(details) {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().to_vec()
}

/// Keeps the connection open without an answer, for a bounded time.
async fn silence(shared: &Shared) -> Refused {
    tokio::select! {
        () = tokio::time::sleep(shared.silence) => {}
        () = shared.stopping.cancelled() => {}
    }
    Refused::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "the answer came too late")
}

/// Finishes a charge in a task of its own, so that a client that disconnects does not stop it.
pub(super) fn finish_later(
    shared: &Shared,
    id: String,
    wait: Duration,
) -> JoinHandle<Result<Option<Charge>, StoreError>> {
    let at = shared.clone();
    shared.tasks.spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // The next start finishes it.
            () = at.stopping.cancelled() => return Ok(None),
        }
        let finished = at.store.call(move |db| charges::finish(db, &id)).await;
        at.courier.wake();
        finished
    })
}

/// The charge, with the matching status.
fn answer(charge: &Charge, fresh: bool) -> Response {
    let status = match charge.status {
        Status::Declined => StatusCode::PAYMENT_REQUIRED,
        Status::Processing | Status::AwaitingDeposit => StatusCode::ACCEPTED,
        Status::RequiresAction | Status::Captured | Status::Voided if fresh => StatusCode::CREATED,
        Status::RequiresAction | Status::Captured | Status::Voided => StatusCode::OK,
    };
    (status, Json(charge.view())).into_response()
}

fn no_charge() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "charge_not_found", "there is no such charge")
}

/// Takes the money of a charge whose challenge the buyer has passed.
pub async fn confirm(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refused> {
    let Path(id) = id.map_err(|_| no_charge())?;
    let charge = shared.store.call(move |db| charges::confirm(db, &id)).await?.ok_or_else(no_charge)?;
    shared.courier.wake();
    Ok(answer(&charge, false))
}

/// Answers what is recorded under a key.
pub async fn inquire(
    State(shared): State<Shared>,
    key: Result<Path<String>, PathRejection>,
) -> Result<Response, Refused> {
    let key = path_key(key)?;
    let asked = key.clone();
    let known = shared.store.call(move |db| charges::by_key(db, &SANDBOX, &asked)).await?;
    tell(&key, known)
}

/// Cancels whatever was or will be charged under a key.
pub async fn net_cancel(
    State(shared): State<Shared>,
    key: Result<Path<String>, PathRejection>,
) -> Result<Response, Refused> {
    let key = path_key(key)?;
    let asked = key.clone();
    let known = shared.store.call(move |db| charges::net_cancel(db, &SANDBOX, &asked)).await?;
    shared.courier.wake();
    tell(&key, known)
}

fn path_key(key: Result<Path<String>, PathRejection>) -> Result<String, Refused> {
    let key = key.map_err(|_| Refused::invalid("the key cannot be read"))?.0;
    check_key(&key).map(str::to_owned).ok_or_else(|| Refused::invalid("a key has 8 to 255 visible characters"))
}

fn tell(key: &str, known: Known) -> Result<Response, Refused> {
    #[derive(Serialize)]
    struct Cancelled<'a> {
        idempotency_key: &'a str,
        status: Status,
    }
    match known {
        Known::Charge(charge) => Ok(Json(charge.view()).into_response()),
        Known::Cancelled => Ok(Json(Cancelled { idempotency_key: key, status: Status::Voided }).into_response()),
        Known::Nothing => Err(no_charge()),
    }
}

/// Refunds. One key is one refund.
pub async fn refund(
    State(shared): State<Shared>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    Body(body): Body<RefundBody>,
) -> Result<Response, Refused> {
    let Path(id) = id.map_err(|_| no_charge())?;
    let key = idempotency_key(&headers)?;
    let amount = amount(&body.amount, &body.currency)?;
    let refunded = shared.store.call(move |db| refunds::refund(db, &key, &id, amount)).await?;
    shared.courier.wake();
    let conflict = |code, detail: &str| Err(Refused::new(StatusCode::CONFLICT, code, detail));
    match refunded {
        Refunded::Settled { refund, fresh } => {
            let status = if fresh { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, Json(refund.view())).into_response())
        }
        Refunded::NoCharge => Err(no_charge()),
        Refunded::NotCaptured => conflict("charge_not_captured", "there is no money to give back"),
        Refunded::ExceedsCaptured => conflict("refund_exceeds_captured", "more than what is left of the charge"),
        Refunded::OtherCurrency => conflict("currency_mismatch", "not in the currency of the charge"),
        Refunded::KeyReused => Err(Refused::key_reused()),
    }
}
