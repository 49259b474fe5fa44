//! A gateway with another protocol: forms instead of JSON, a password instead of a key, result
//! codes under status 200, a page for everything that the buyer has to do, and unsigned webhooks,
//! after which the shop has to ask.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jangbu_kernel::{Currency, Money};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::gateway::take;
use super::{Refused, Shared, check_key};
use crate::books::charges::{self, Charge, Known, NewCharge, Status};
use crate::books::refunds::{self, Refunded};
use crate::dialect::Dialect;
use crate::script::{Page, Script};

/// Forms without a signature.
pub static HOSTPAY: Dialect = Dialect {
    name: "hostpay",
    message: |charge| Ok(message(charge)),
    content_type: "application/x-www-form-urlencoded",
    is_signed: false,
};

fn message(charge: &Charge) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("merchant_uid", &charge.idempotency_key)
        .append_pair("payment_no", &charge.payment_id)
        .append_pair("tid", &charge.id)
        .append_pair("state", state(charge.status))
        .finish()
}

const fn state(status: Status) -> &'static str {
    match status {
        Status::Processing => "IN_PROGRESS",
        Status::RequiresAction => "READY",
        Status::AwaitingDeposit => "WAITING_FOR_DEPOSIT",
        Status::Captured => "PAID",
        Status::Declined => "FAILED",
        Status::Voided => "CANCELLED",
    }
}

/// Requires `Basic <key>:`, as this gateway's clients send it.
pub async fn authenticate(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let wanted = format!("Basic {}", STANDARD.encode(format!("{}:", shared.api_key.expose_secret())));
    if request.headers().get(AUTHORIZATION).is_some_and(|given| given.as_bytes() == wanted.as_bytes()) {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, result("4010", "who are you?", None)).into_response()
}

/// `{"resultCode", "resultMsg", ...}`; 0000 is success.
fn result(code: &str, detail: &str, more: Option<(&str, Value)>) -> Json<Value> {
    let mut body = json!({"resultCode": code, "resultMsg": detail});
    if let (Some((name, value)), Some(members)) = (more, body.as_object_mut()) {
        members.insert(name.to_owned(), value);
    }
    Json(body)
}

fn payment(charge: &Charge) -> Json<Value> {
    let view = json!({
        "tid": charge.id,
        "merchantUid": charge.idempotency_key,
        "paymentNo": charge.payment_id,
        "state": state(charge.status),
        "amount": charge.amount.minor_units(),
        "currency": charge.amount.currency().code(),
        "cancelledAmount": charge.refunded.minor_units(),
        "failCode": charge.code,
        "checkoutUrl": charge.page.as_ref().map(|(url, _)| url),
    });
    result("0000", "", Some(("payment", view)))
}

/// An error; under status 200 if it is the client's.
fn refused(refused: Refused) -> Response {
    if refused.status.is_server_error() {
        return refused.into_response();
    }
    let code = if refused.code == "idempotency_key_reused" { "4009" } else { "4000" };
    result(code, &refused.detail, None).into_response()
}

type Form = BTreeMap<String, String>;

fn form(body: &[u8]) -> Form {
    form_urlencoded::parse(body).into_owned().collect()
}

fn field<'a>(form: &'a Form, name: &str) -> Result<&'a str, Refused> {
    form.get(name).map(String::as_str).ok_or_else(|| Refused::invalid(format!("{name} is missing")))
}

/// An amount in the currency's smallest unit, above zero.
fn amount(form: &Form) -> Result<Money, Refused> {
    let currency: Currency = field(form, "currency")?.parse().map_err(|_| Refused::invalid("currency"))?;
    let units = field(form, "amount")?.parse().map_err(|_| Refused::invalid("amount"))?;
    let money = Money::from_minor_units(units, currency).map_err(|_| Refused::invalid("amount"))?;
    if money.is_positive() { Ok(money) } else { Err(Refused::invalid("amount: has to be above zero")) }
}

fn key(form: &Form, name: &str) -> Result<String, Refused> {
    let key = field(form, name)?;
    check_key(key).map(str::to_owned).ok_or_else(|| Refused::invalid(format!("{name}: 8 to 255 visible characters")))
}

fn new_charge(shared: &Shared, body: &[u8]) -> Result<NewCharge, Refused> {
    let form = form(body);
    let details =
        form.iter().filter_map(|(name, value)| Some((name.strip_prefix("method_")?.to_owned(), value.clone())));
    let asked = Script::of(field(&form, "method")?, &details.collect());
    // Everything that a buyer has to do is done at a page.
    let at_page = Script::Page(Page { is_transfer: false, is_silent: false });
    let script = if asked == Script::Challenge { at_page } else { asked };
    Ok(NewCharge {
        dialect: &HOSTPAY,
        idempotency_key: key(&form, "merchant_uid")?,
        amount: amount(&form)?,
        script,
        pages: format!("{}/bank/", shared.base_url),
        order_id: field(&form, "order_no")?.to_owned(),
        payment_id: field(&form, "payment_no")?.to_owned(),
        fingerprint: Sha256::digest(body).to_vec(),
    })
}

/// Charges. One `merchant_uid` is one payment.
pub async fn pay(State(shared): State<Shared>, body: Bytes) -> Response {
    let new = match new_charge(&shared, &body) {
        Ok(new) => new,
        Err(wrong) => return refused(wrong),
    };
    match take(&shared, new).await {
        Ok((charge, _)) => payment(&charge).into_response(),
        Err(error) => refused(error),
    }
}

/// Answers what is recorded under a `merchant_uid` or a `tid`.
pub async fn find(State(shared): State<Shared>, Query(query): Query<Form>) -> Response {
    let known = shared.store.call(move |db| match (query.get("merchant_uid"), query.get("tid")) {
        (Some(key), _) => charges::by_key(db, &HOSTPAY, key).map(|known| (key.clone(), known)),
        (None, Some(tid)) => {
            let charge = charges::by_id(db, tid)?.filter(|charge| charge.dialect.name == HOSTPAY.name);
            Ok((String::new(), charge.map_or(Known::Nothing, Known::Charge)))
        }
        (None, None) => Ok((String::new(), Known::Nothing)),
    });
    match known.await {
        Ok((key, known)) => tell(&key, known),
        Err(error) => refused(error.into()),
    }
}

/// Cancels whatever was or will be charged under a `merchant_uid`.
pub async fn cancel(State(shared): State<Shared>, body: Bytes) -> Response {
    let key = match key(&form(&body), "merchant_uid") {
        Ok(key) => key,
        Err(wrong) => return refused(wrong),
    };
    let asked = key.clone();
    let known = shared.store.call(move |db| charges::net_cancel(db, &HOSTPAY, &asked)).await;
    shared.courier.wake();
    match known {
        Ok(known) => tell(&key, known),
        Err(error) => refused(error.into()),
    }
}

fn tell(key: &str, known: Known) -> Response {
    match known {
        Known::Charge(charge) => payment(&charge).into_response(),
        Known::Cancelled => {
            let view = json!({"merchantUid": key, "state": state(Status::Voided)});
            result("0000", "", Some(("payment", view))).into_response()
        }
        Known::Nothing => result("4004", "there is no such payment", None).into_response(),
    }
}

/// Refunds. One `refund_uid` is one refund.
pub async fn refund(State(shared): State<Shared>, body: Bytes) -> Response {
    let form = form(&body);
    let read = || Ok::<_, Refused>((key(&form, "refund_uid")?, field(&form, "tid")?.to_owned(), amount(&form)?));
    let (key, tid, amount) = match read() {
        Ok(read) => read,
        Err(wrong) => return refused(wrong),
    };
    let refunded = shared.store.call(move |db| refunds::refund(db, &key, &tid, amount)).await;
    shared.courier.wake();
    let (code, detail) = match refunded {
        Ok(Refunded::Settled { refund, .. }) => {
            let units = refund.amount.minor_units();
            let view = json!({"refundTid": refund.id, "tid": refund.charge_id, "amount": units});
            return result("0000", "", Some(("refund", view))).into_response();
        }
        Ok(Refunded::NoCharge) => ("4004", "there is no such payment"),
        Ok(Refunded::NotCaptured) => ("4300", "there is no money to give back"),
        Ok(Refunded::ExceedsCaptured) => ("4301", "more than what is left"),
        Ok(Refunded::OtherCurrency) => ("4302", "not in the currency of the payment"),
        Ok(Refunded::KeyReused) => ("4009", "the refund_uid belongs to another request"),
        Err(error) => return refused(error.into()),
    };
    result(code, detail, None).into_response()
}
