//! The tester's interface: the books, the fault rates, the scans. No key is required, because the
//! sandbox listens only where its tester configured it to.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value, json};
use uuid::Uuid;

use super::{Body, Refused, Shared};
use crate::books::faults::{self, Faults};
use crate::books::labels::{self, Scanned};
use crate::books::mails::{self, MailFault};
use crate::books::{Page, Window, charges, refunds};
use crate::script::{ONE, Rates};

/// The largest and the usual page.
const LARGEST_PAGE: usize = 200;
const USUAL_PAGE: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    order_id: Option<Uuid>,
    limit: Option<usize>,
    cursor: Option<String>,
}

fn window(query: Result<Query<ListQuery>, QueryRejection>) -> Result<Window, Refused> {
    let Query(query) = query.map_err(|error| Refused::invalid(error.body_text()))?;
    let limit = query.limit.unwrap_or(USUAL_PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Refused::invalid("limit: from 1 to 200"));
    }
    let before = match query.cursor {
        None => i64::MAX,
        Some(cursor) => cursor.parse().map_err(|_| Refused::invalid("cursor: not one of this list"))?,
    };
    Ok(Window { order_id: query.order_id.map(|id| id.to_string()), before, limit })
}

#[derive(Serialize)]
pub struct PageView {
    items: Vec<Value>,
    next_cursor: Option<String>,
}

fn page_view<T>(page: Page<T>, view: impl Fn(T) -> Value) -> Json<PageView> {
    let next_cursor = page.next.map(|seq| seq.to_string());
    Json(PageView { items: page.items.into_iter().map(view).collect(), next_cursor })
}

/// `GET /sandbox/charges`.
pub async fn charges(
    State(shared): State<Shared>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<PageView>, Refused> {
    let window = window(query)?;
    let page = shared.store.call(move |db| charges::list(db, &window)).await?;
    Ok(page_view(page, |charge| {
        json!({
            "id": charge.id,
            "idempotency_key": charge.idempotency_key,
            "gateway": charge.dialect.name,
            "order_id": charge.order_id,
            "amount": charge.amount.amount().to_string(),
            "currency": charge.amount.currency().code(),
            "refunded": charge.refunded.amount().to_string(),
            "status": charge.status,
            "created_at": crate::books::rfc3339(charge.created_at),
        })
    }))
}

/// `GET /sandbox/refunds`.
pub async fn refunds(
    State(shared): State<Shared>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<PageView>, Refused> {
    let window = window(query)?;
    let page = shared.store.call(move |db| refunds::list(db, &window)).await?;
    Ok(page_view(page, |refund| {
        json!({
            "id": refund.id,
            "charge_id": refund.charge_id,
            "order_id": refund.order_id,
            "amount": refund.amount.amount().to_string(),
            "status": refunds::SETTLED,
            "created_at": crate::books::rfc3339(refund.created_at),
        })
    }))
}

/// `GET /sandbox/carrier/labels`.
pub async fn labels(
    State(shared): State<Shared>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<PageView>, Refused> {
    let window = window(query)?;
    let page = shared.store.call(move |db| labels::list(db, &window)).await?;
    Ok(page_view(page, |label| json!(label.view())))
}

/// Rates from 0 to 1; a rate that is left out is 0, and mail that is left out is off.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultsBody {
    decline: Option<Number>,
    timeout: Option<Number>,
    duplicate_webhook: Option<Number>,
    seed: Option<u64>,
    mail: Option<String>,
}

/// A rate in millionths. It is read as a decimal, so that 0.3 is exactly 0.3.
fn millionths(name: &str, rate: Option<&Number>) -> Result<u32, Refused> {
    let wrong = || Refused::invalid(format!("{name}: a number from 0 to 1"));
    let Some(rate) = rate else { return Ok(0) };
    let text = rate.to_string();
    let rate: Decimal = text.parse().or_else(|_| Decimal::from_scientific(&text)).map_err(|_| wrong())?;
    if rate < Decimal::ZERO || rate > Decimal::ONE {
        return Err(wrong());
    }
    (rate * Decimal::from(ONE)).trunc().try_into().map_err(|_| wrong())
}

fn rate(millionths: u32) -> Value {
    let rate = Decimal::new(i64::from(millionths), 6).normalize();
    // A decimal's text is a valid JSON number.
    serde_json::from_str(&rate.to_string()).unwrap_or(Value::Null)
}

fn mail_fault(name: Option<&str>) -> Result<MailFault, Refused> {
    let Some(name) = name else { return Ok(MailFault::default()) };
    let known = || MailFault::ALL.iter().map(|fault| fault.name()).collect::<Vec<_>>().join(", ");
    MailFault::from_name(name).ok_or_else(|| Refused::invalid(format!("mail: one of {}", known())))
}

fn faults_view((faults, mail): (Faults, MailFault)) -> Json<Value> {
    Json(json!({
        "mail": mail.name(),
        "decline": rate(faults.rates.decline),
        "timeout": rate(faults.rates.timeout),
        "duplicate_webhook": rate(faults.rates.duplicate),
        "seed": faults.seed,
    }))
}

/// `GET /sandbox/faults`.
pub async fn faults(State(shared): State<Shared>) -> Result<Json<Value>, Refused> {
    Ok(faults_view(shared.store.call(|db| Ok((faults::get(db)?, mails::fault(db)?))).await?))
}

/// `POST /sandbox/faults`.
pub async fn set_faults(State(shared): State<Shared>, Body(body): Body<FaultsBody>) -> Result<Json<Value>, Refused> {
    let rates = Rates {
        decline: millionths("decline", body.decline.as_ref())?,
        timeout: millionths("timeout", body.timeout.as_ref())?,
        duplicate: millionths("duplicate_webhook", body.duplicate_webhook.as_ref())?,
    };
    let mail = mail_fault(body.mail.as_deref())?;
    let set = shared
        .store
        .call(move |db| {
            let seed = match body.seed {
                Some(seed) => seed,
                None => faults::get(db)?.seed,
            };
            let faults = Faults { rates, seed };
            faults::set(db, faults)?;
            mails::set_fault(db, mail)?;
            Ok((faults, mail))
        })
        .await?;
    Ok(faults_view(set))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailQuery {
    to: Option<String>,
    limit: Option<usize>,
}

/// `GET /sandbox/mails`: the newest first.
pub async fn mails(
    State(shared): State<Shared>,
    query: Result<Query<MailQuery>, QueryRejection>,
) -> Result<Json<PageView>, Refused> {
    let Query(MailQuery { to, limit }) = query.map_err(|error| Refused::invalid(error.body_text()))?;
    let limit = limit.unwrap_or(USUAL_PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Refused::invalid("limit: from 1 to 200"));
    }
    let mails = shared.store.call(move |db| mails::newest(db, to.as_deref(), limit)).await?;
    Ok(Json(PageView { items: mails.iter().map(mails::Caught::view).collect(), next_cursor: None }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarrierFaultsBody {
    refuse: u32,
}

/// `GET /sandbox/carrier/faults`.
pub async fn carrier_faults(State(shared): State<Shared>) -> Result<Json<Value>, Refused> {
    Ok(Json(json!({"refuse": shared.store.call(faults::labels_to_refuse).await?})))
}

/// `POST /sandbox/carrier/faults`.
pub async fn set_carrier_faults(
    State(shared): State<Shared>,
    Body(body): Body<CarrierFaultsBody>,
) -> Result<Json<Value>, Refused> {
    shared.store.call(move |db| faults::refuse_labels(db, body.refuse)).await?;
    Ok(Json(json!({"refuse": body.refuse})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvanceBody {
    tracking_number: String,
    status: String,
    place: Option<String>,
}

/// `POST /sandbox/carrier/advance`.
pub async fn advance(State(shared): State<Shared>, Body(body): Body<AdvanceBody>) -> Result<Json<Value>, Refused> {
    const LONGEST_PLACE: usize = 200;
    if !labels::SCANS.contains(&body.status.as_str()) {
        return Err(Refused::invalid(format!("status: one of {}", labels::SCANS.join(", "))));
    }
    let place = body.place.unwrap_or_else(|| "hub".to_owned());
    if place.len() > LONGEST_PLACE {
        return Err(Refused::invalid("place: at most 200 bytes"));
    }
    let scanned = shared.store.call(move |db| labels::scan(db, &body.tracking_number, &body.status, &place)).await?;
    shared.courier.wake();
    match scanned {
        Scanned::Recorded(label) => Ok(Json(json!(label.view()))),
        Scanned::NoParcel => {
            Err(Refused::new(StatusCode::NOT_FOUND, "parcel_not_found", "no parcel has this tracking number"))
        }
        Scanned::Cancelled => Err(Refused::new(StatusCode::CONFLICT, "label_cancelled", "the label was called off")),
    }
}
