//! The sandbox's payment gateway, over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jangbu_kernel::gateway::{
    ChargeOutcome, ChargeRequest, GatewayNotice, Observation, PaymentGateway, RefundOutcome, RefundRequest,
    WebhookError,
};
use jangbu_kernel::{Currency, Money, OrderId, PaymentId};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{is_page, is_plain};
use crate::outbound::{Answer, CallError, Outbound, OutboundRequest};
use crate::webhooks::WebhookVerifier;
use crate::{ServiceSettings, SetupError};

/// The gateway's name.
pub const NAME: &str = "sandbox";

/// The adapter.
pub struct SandboxGateway {
    outbound: Outbound,
    webhooks: WebhookVerifier,
}

/// Creates the adapter.
///
/// # Errors
/// When the settings are unusable.
pub fn connect(settings: &ServiceSettings) -> Result<Arc<dyn PaymentGateway>, SetupError> {
    Ok(Arc::new(SandboxGateway {
        outbound: Outbound::new(
            "gateway:sandbox",
            &settings.base_url,
            "x-api-key",
            &settings.api_key,
            settings.policy.clone(),
        )?,
        webhooks: WebhookVerifier::new(&settings.webhook_secrets)?,
    }))
}

/// The methods that it supports. Their details are passed on unchanged.
const METHODS: [&str; 2] = ["bank_transfer", "card"];

#[derive(Serialize)]
struct ChargeBody<'a> {
    order_id: OrderId,
    payment_id: PaymentId,
    amount: String,
    currency: Currency,
    method: &'a str,
    details: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct RefundBody {
    amount: String,
    currency: Currency,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Processing,
    RequiresAction,
    AwaitingDeposit,
    Captured,
    Declined,
    Voided,
}

/// A charge in the gateway's answer. A key that was cancelled before any charge has only its key
/// and status.
#[derive(Deserialize)]
struct Charge {
    idempotency_key: String,
    status: Status,
    id: Option<String>,
    payment_id: Option<PaymentId>,
    amount: Option<String>,
    currency: Option<Currency>,
    code: Option<String>,
    page_url: Option<String>,
}

#[derive(Deserialize)]
struct Refund {
    id: String,
    charge_id: String,
    amount: String,
    currency: Currency,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

impl Charge {
    fn outcome(self) -> Result<ChargeOutcome, CallError> {
        const PARTIAL: CallError = CallError::Garbled("a charge without its parts");
        let reference = self.id.ok_or(PARTIAL);
        Ok(match self.status {
            Status::Processing => ChargeOutcome::Pending { reference: reference? },
            Status::RequiresAction => match self.page_url {
                Some(url) if is_page(&url) => ChargeOutcome::RedirectRequired { reference: reference?, url },
                Some(_) => return Err(CallError::Garbled("not an address of a page")),
                None => ChargeOutcome::ChallengeRequired { reference: reference? },
            },
            Status::AwaitingDeposit => ChargeOutcome::DepositAwaited { reference: reference? },
            Status::Captured => {
                let (amount, currency) = self.amount.zip(self.currency).ok_or(PARTIAL)?;
                let amount = Money::parse(&amount, currency).map_err(|_| CallError::Garbled("not an amount"))?;
                ChargeOutcome::Captured { reference: reference?, amount }
            }
            Status::Declined => ChargeOutcome::Declined { code: self.code.unwrap_or_else(|| "declined".to_owned()) },
            Status::Voided => ChargeOutcome::Voided,
        })
    }
}

/// The charge that an answer has to be about.
enum Asked<'a> {
    Key(Uuid),
    Reference(&'a str),
}

impl Asked<'_> {
    fn is(&self, charge: &Charge) -> bool {
        match self {
            Self::Key(key) => charge.idempotency_key.parse() == Ok(*key),
            Self::Reference(reference) => charge.id.as_deref() == Some(*reference),
        }
    }
}

/// Reads an answer about a charge. Only an explicit statement is an outcome; anything else leaves
/// it unknown, and an inquiry finds it out.
fn charge_answer(asked: &Asked<'_>, answer: &Answer) -> Result<ChargeOutcome, CallError> {
    match answer.status {
        StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::PAYMENT_REQUIRED => {
            let charge: Charge = answer.read()?;
            if !asked.is(&charge) {
                return Err(CallError::Garbled("it speaks of another charge"));
            }
            charge.outcome()
        }
        StatusCode::NOT_FOUND if answer.read::<Problem>()?.code == "charge_not_found" => Ok(ChargeOutcome::NotFound),
        _ => Err(CallError::Garbled("an unexpected status")),
    }
}

fn refund_answer(request: &RefundRequest, answer: &Answer) -> Result<RefundOutcome, CallError> {
    match answer.status {
        StatusCode::OK | StatusCode::CREATED => {
            let refund: Refund = answer.read()?;
            let amount = Money::parse(&refund.amount, refund.currency);
            if refund.charge_id != request.reference || amount != Ok(request.amount) {
                return Err(CallError::Garbled("it speaks of another refund"));
            }
            Ok(RefundOutcome::Settled { reference: refund.id })
        }
        StatusCode::NOT_FOUND | StatusCode::CONFLICT => {
            let code = answer.read::<Problem>()?.code;
            match code.as_str() {
                "charge_not_found" | "charge_not_captured" | "refund_exceeds_captured" | "currency_mismatch" => {
                    Ok(RefundOutcome::Refused { code })
                }
                _ => Err(CallError::Garbled("an unexpected code")),
            }
        }
        _ => Err(CallError::Garbled("an unexpected status")),
    }
}

impl SandboxGateway {
    async fn ask(&self, asked: Asked<'_>, request: OutboundRequest) -> ChargeOutcome {
        let answer = self.outbound.send(request).await;
        answer
            .and_then(|answer| charge_answer(&asked, &answer))
            .unwrap_or_else(|error| ChargeOutcome::Unknown { detail: error.to_string() })
    }
}

#[async_trait]
impl PaymentGateway for SandboxGateway {
    fn name(&self) -> &str {
        NAME
    }

    fn takes(&self, method: &str) -> bool {
        METHODS.contains(&method)
    }

    async fn charge(&self, request: ChargeRequest) -> ChargeOutcome {
        let body = ChargeBody {
            order_id: request.order_id,
            payment_id: request.payment_id,
            amount: request.amount.amount().to_string(),
            currency: request.amount.currency(),
            method: request.method,
            details: request.details.iter().collect(),
        };
        let call = OutboundRequest::new(Method::POST, "/gateway/v1/charges".to_owned())
            .idempotency_key(request.idempotency_key.to_string())
            .json(&body);
        let outcome = self.ask(Asked::Key(request.idempotency_key), call).await;
        if outcome == ChargeOutcome::NotFound {
            // "There is no such charge" is not an answer to a request to make one.
            return ChargeOutcome::Unknown { detail: "no such charge, said to a new one".to_owned() };
        }
        outcome
    }

    async fn confirm(&self, reference: &str) -> ChargeOutcome {
        if !is_plain(reference) {
            return ChargeOutcome::NotFound;
        }
        let call = OutboundRequest::new(Method::POST, format!("/gateway/v1/charges/{reference}/confirm"));
        self.ask(Asked::Reference(reference), call).await
    }

    async fn inquire(&self, idempotency_key: Uuid) -> ChargeOutcome {
        let call = OutboundRequest::new(Method::GET, format!("/gateway/v1/keys/{idempotency_key}"));
        self.ask(Asked::Key(idempotency_key), call).await
    }

    async fn net_cancel(&self, idempotency_key: Uuid) -> ChargeOutcome {
        let call = OutboundRequest::new(Method::POST, format!("/gateway/v1/keys/{idempotency_key}/net-cancel"));
        self.ask(Asked::Key(idempotency_key), call).await
    }

    async fn refund(&self, request: RefundRequest) -> RefundOutcome {
        if !is_plain(&request.reference) {
            return RefundOutcome::Refused { code: "charge_not_found".to_owned() };
        }
        let body = RefundBody { amount: request.amount.amount().to_string(), currency: request.amount.currency() };
        let call = OutboundRequest::new(Method::POST, format!("/gateway/v1/charges/{}/refunds", request.reference))
            .idempotency_key(request.idempotency_key.to_string())
            .json(&body);
        let answer = self.outbound.send(call).await;
        answer
            .and_then(|answer| refund_answer(&request, &answer))
            .unwrap_or_else(|error| RefundOutcome::Unknown { detail: error.to_string() })
    }

    fn read_webhook(&self, headers: &[(String, String)], body: &[u8]) -> Result<Vec<GatewayNotice>, WebhookError> {
        #[derive(Deserialize)]
        struct Message {
            data: Charge,
        }
        let message_id = self.webhooks.verify(headers, body)?;
        let unreadable = |what: &str| WebhookError::Unreadable(what.to_owned());
        let Message { data: charge } =
            serde_json::from_slice(body).map_err(|_| unreadable("not a message about a charge"))?;
        let payment_id = charge.payment_id.ok_or_else(|| unreadable("no payment id"))?;
        let idempotency_key = charge.idempotency_key.parse().map_err(|_| unreadable("the key is not one of ours"))?;
        let outcome = charge.outcome().map_err(|error| WebhookError::Unreadable(error.to_string()))?;
        let observation = Observation::Told { idempotency_key, outcome };
        Ok(vec![GatewayNotice { message_id, payment_id, observation }])
    }
}
