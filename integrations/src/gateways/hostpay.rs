//! Hostpay: forms over HTTP, a password, result codes, a page for everything that the buyer has to
//! do, and unsigned webhooks, whose content is confirmed by an inquiry.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jangbu_kernel::gateway::{
    ChargeOutcome, ChargeRequest, GatewayNotice, Observation, PaymentGateway, RefundOutcome, RefundRequest,
    WebhookError,
};
use jangbu_kernel::{Currency, Money};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use uuid::Uuid;

use super::{is_page, is_plain};
use crate::outbound::{Answer, CallError, Outbound, OutboundRequest};
use crate::{ServiceSettings, SetupError};

/// The gateway's name.
pub const NAME: &str = "hostpay";
/// The methods that it supports. Their details are passed on unchanged.
const METHODS: [&str; 2] = ["bank_transfer", "card"];

/// The adapter.
pub struct Hostpay {
    outbound: Outbound,
}

/// Creates the adapter.
///
/// # Errors
/// When the settings are unusable.
pub fn connect(settings: &ServiceSettings) -> Result<Arc<dyn PaymentGateway>, SetupError> {
    let password = STANDARD.encode(format!("{}:", settings.api_key.expose_secret()));
    let key = format!("Basic {password}").into();
    let outbound =
        Outbound::new("gateway:hostpay", &settings.base_url, "authorization", &key, settings.policy.clone())?;
    Ok(Arc::new(Hostpay { outbound }))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum State {
    InProgress,
    Ready,
    WaitingForDeposit,
    Paid,
    Failed,
    Cancelled,
}

/// A payment in the gateway's answer. A key that was cancelled before any payment has only its key
/// and state.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payment {
    merchant_uid: String,
    state: State,
    tid: Option<String>,
    amount: Option<i64>,
    currency: Option<Currency>,
    fail_code: Option<String>,
    checkout_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refund {
    refund_tid: String,
    tid: String,
    amount: i64,
}

/// Every answer has a result code; status 200 alone says nothing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    result_code: String,
    payment: Option<Payment>,
    refund: Option<Refund>,
}

impl Payment {
    fn outcome(self) -> Result<ChargeOutcome, CallError> {
        const PARTIAL: CallError = CallError::Garbled("a payment without its parts");
        let reference = self.tid.ok_or(PARTIAL);
        Ok(match self.state {
            State::InProgress => ChargeOutcome::Pending { reference: reference? },
            State::Ready => {
                let url = self.checkout_url.filter(|url| is_page(url)).ok_or(PARTIAL)?;
                ChargeOutcome::RedirectRequired { reference: reference?, url }
            }
            State::WaitingForDeposit => ChargeOutcome::DepositAwaited { reference: reference? },
            State::Paid => {
                let (units, currency) = self.amount.zip(self.currency).ok_or(PARTIAL)?;
                let amount =
                    Money::from_minor_units(units, currency).map_err(|_| CallError::Garbled("not an amount"))?;
                ChargeOutcome::Captured { reference: reference?, amount }
            }
            State::Failed => ChargeOutcome::Declined { code: self.fail_code.unwrap_or_else(|| "declined".to_owned()) },
            State::Cancelled => ChargeOutcome::Voided,
        })
    }
}

/// Reads an answer about a payment that `is_it` accepts. Only an explicit statement is an outcome;
/// anything else leaves it unknown, and an inquiry finds it out.
fn payment_answer(answer: &Answer, is_it: impl Fn(&Payment) -> bool) -> Result<ChargeOutcome, CallError> {
    let reply = read(answer)?;
    match (reply.result_code.as_str(), reply.payment) {
        ("0000", Some(payment)) if is_it(&payment) => payment.outcome(),
        ("0000", Some(_)) => Err(CallError::Garbled("it speaks of another payment")),
        ("4004", None) => Ok(ChargeOutcome::NotFound),
        _ => Err(CallError::Garbled("an unexpected result code")),
    }
}

fn refund_answer(request: &RefundRequest, answer: &Answer) -> Result<RefundOutcome, CallError> {
    let refused = |code: &str| Ok(RefundOutcome::Refused { code: code.to_owned() });
    let reply = read(answer)?;
    match (reply.result_code.as_str(), reply.refund) {
        ("0000", Some(refund)) if refund.tid == request.reference && refund.amount == request.amount.minor_units() => {
            Ok(RefundOutcome::Settled { reference: refund.refund_tid })
        }
        ("0000", Some(_)) => Err(CallError::Garbled("it speaks of another refund")),
        ("4004", None) => refused("charge_not_found"),
        ("4300", None) => refused("charge_not_captured"),
        ("4301", None) => refused("refund_exceeds_captured"),
        ("4302", None) => refused("currency_mismatch"),
        _ => Err(CallError::Garbled("an unexpected result code")),
    }
}

fn read(answer: &Answer) -> Result<Reply, CallError> {
    if answer.status == StatusCode::OK { answer.read() } else { Err(CallError::Garbled("an unexpected status")) }
}

impl Hostpay {
    async fn ask(&self, request: OutboundRequest, is_it: impl Fn(&Payment) -> bool) -> ChargeOutcome {
        let answer = self.outbound.send(request).await;
        answer
            .and_then(|answer| payment_answer(&answer, is_it))
            .unwrap_or_else(|error| ChargeOutcome::Unknown { detail: error.to_string() })
    }

    async fn ask_by_key(&self, request: OutboundRequest, key: Uuid) -> ChargeOutcome {
        self.ask(request, |payment| payment.merchant_uid.parse() == Ok(key)).await
    }
}

fn post(path: &str) -> OutboundRequest {
    OutboundRequest::new(Method::POST, format!("/hostpay/{path}"))
}

fn get(query: &str) -> OutboundRequest {
    OutboundRequest::new(Method::GET, format!("/hostpay/payments?{query}"))
}

#[async_trait]
impl PaymentGateway for Hostpay {
    fn name(&self) -> &str {
        NAME
    }

    fn takes(&self, method: &str) -> bool {
        METHODS.contains(&method)
    }

    async fn charge(&self, request: ChargeRequest) -> ChargeOutcome {
        let units = request.amount.minor_units().to_string();
        let (key, order, payment) =
            (request.idempotency_key.to_string(), request.order_id.to_string(), request.payment_id.to_string());
        let own = [
            ("merchant_uid", key.as_str()),
            ("order_no", order.as_str()),
            ("payment_no", payment.as_str()),
            ("amount", units.as_str()),
            ("currency", request.amount.currency().code()),
            ("method", request.method),
        ];
        let details: Vec<(String, &str)> =
            request.details.iter().map(|(name, value)| (format!("method_{name}"), value)).collect();
        let details = details.iter().map(|(name, value)| (name.as_str(), *value));
        let call = post("payments").form(own.into_iter().chain(details));
        let outcome = self.ask_by_key(call, request.idempotency_key).await;
        if outcome == ChargeOutcome::NotFound {
            // "There is no such payment" is not an answer to a request to make one.
            return ChargeOutcome::Unknown { detail: "no such payment, said to a new one".to_owned() };
        }
        outcome
    }

    /// There is nothing to confirm, because the buyer acts at the page. So this returns the present
    /// state.
    async fn confirm(&self, reference: &str) -> ChargeOutcome {
        if !is_plain(reference) {
            return ChargeOutcome::NotFound;
        }
        self.ask(get(&format!("tid={reference}")), |payment| payment.tid.as_deref() == Some(reference)).await
    }

    async fn inquire(&self, idempotency_key: Uuid) -> ChargeOutcome {
        self.ask_by_key(get(&format!("merchant_uid={idempotency_key}")), idempotency_key).await
    }

    async fn net_cancel(&self, idempotency_key: Uuid) -> ChargeOutcome {
        let key = idempotency_key.to_string();
        self.ask_by_key(post("cancels").form([("merchant_uid", key.as_str())]), idempotency_key).await
    }

    async fn refund(&self, request: RefundRequest) -> RefundOutcome {
        if !is_plain(&request.reference) {
            return RefundOutcome::Refused { code: "charge_not_found".to_owned() };
        }
        let (key, units) = (request.idempotency_key.to_string(), request.amount.minor_units().to_string());
        let call = post("refunds").form([
            ("refund_uid", key.as_str()),
            ("tid", request.reference.as_str()),
            ("amount", units.as_str()),
            ("currency", request.amount.currency().code()),
        ]);
        let answer = self.outbound.send(call).await;
        answer
            .and_then(|answer| refund_answer(&request, &answer))
            .unwrap_or_else(|error| RefundOutcome::Unknown { detail: error.to_string() })
    }

    /// One notice for each payment and state, which makes the shop ask the gateway: anybody could
    /// have sent the message, and a repeated one is recognised by its id.
    fn read_webhook(&self, _: &[(String, String)], body: &[u8]) -> Result<Vec<GatewayNotice>, WebhookError> {
        #[derive(Deserialize)]
        struct Message {
            state: State,
        }
        let unreadable = |what: &str| WebhookError::Unreadable(what.to_owned());
        let field =
            |wanted: &str| form_urlencoded::parse(body).find(|(name, _)| name == wanted).map(|(_, value)| value);
        let payment_no = field("payment_no").ok_or_else(|| unreadable("no payment_no"))?;
        let payment_id = payment_no.parse().map_err(|_| unreadable("the payment_no is not one of ours"))?;
        let state = field("state").ok_or_else(|| unreadable("no state"))?;
        let known = serde_json::json!({"state": state});
        let Message { state } = serde_json::from_value(known).map_err(|_| unreadable("not a state of a payment"))?;
        let message_id = format!("{payment_id}-{state:?}");
        Ok(vec![GatewayNotice { message_id, payment_id, observation: Observation::Ask }])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn adapter() -> Arc<dyn PaymentGateway> {
        connect(&ServiceSettings {
            base_url: "http://127.0.0.1:1".to_owned(),
            api_key: "key".into(),
            webhook_secrets: Vec::new(),
            policy: crate::OutboundPolicy::default(),
        })
        .unwrap()
    }

    proptest! {
        #[test]
        fn a_message_makes_the_shop_ask_about_its_payment_and_nothing_else(id in any::<u128>(), more in "[ -~]{0,40}") {
            let id = Uuid::from_u128(id);
            let body = format!("payment_no={id}&state=PAID&x={more}");
            let notices = adapter().read_webhook(&[], body.as_bytes()).unwrap();
            let payment_id = jangbu_kernel::PaymentId::new(id);
            let message_id = format!("{id}-Paid");
            prop_assert_eq!(notices, [GatewayNotice { message_id, payment_id, observation: Observation::Ask }]);
        }

        #[test]
        fn anything_else_is_unreadable(body in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(matches!(adapter().read_webhook(&[], &body), Err(WebhookError::Unreadable(_))));
        }
    }
}
