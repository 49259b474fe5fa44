//! Messages to telephones, such as 알림톡, through a service of the shop that speaks to its provider.
//!
//! `POST {url}` with `Authorization: Bearer {secret}` and `Idempotency-Key: {key}`:
//!
//! ```json
//! {"to": "010-1234-5678", "template": "order_placed", "text": "...", "key": "<uuid>"}
//! ```
//! Any status of 200-299 means that it was taken, 429 and 500-599 that it is to be tried again, and
//! any other that it never will be.

use async_trait::async_trait;
use jangbu_kernel::channel::{Channel, Delivery, Message, Reaches};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::POLICY;
use crate::SetupError;
use crate::outbound::{CallError, Outbound, OutboundRequest};

/// Its name. Storage format.
const NAME: &str = "message";

/// Sends messages through a service.
pub struct Messages(Outbound);

#[derive(Serialize)]
struct Body<'a> {
    to: &'a str,
    template: &'a str,
    text: &'a str,
    key: String,
}

impl Messages {
    /// Messages through the service at an address, which knows the shop by a secret.
    ///
    /// # Errors
    /// When the address or the secret cannot be used.
    pub fn new(url: &str, secret: &SecretString) -> Result<Self, SetupError> {
        let bearer = SecretString::from(format!("Bearer {}", secret.expose_secret()));
        Outbound::new(NAME, url, "authorization", &bearer, POLICY.clone()).map(Self)
    }
}

#[async_trait]
impl Channel for Messages {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reaches(&self) -> Reaches {
        Reaches::Phone
    }

    async fn send(&self, message: Message) -> Delivery {
        let Message { key, template, to, subject: _, text } = message;
        let body = Body { to: &to, template, text: &text, key: key.to_string() };
        let request = OutboundRequest::new(Method::POST, String::new()).idempotency_key(key.to_string()).json(&body);
        match self.0.send(request).await {
            Ok(answer) if answer.status.is_success() => Delivery::Accepted,
            Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS => Delivery::Failed("http_429".to_owned()),
            Ok(answer) => Delivery::Rejected(format!("http_{}", answer.status.as_u16())),
            Err(CallError::ServerError(status)) => Delivery::Failed(format!("http_{status}")),
            Err(CallError::Open) => Delivery::Failed("server_down".to_owned()),
            Err(CallError::Timeout) => Delivery::Failed("timed_out".to_owned()),
            Err(CallError::Connect) => Delivery::Failed("no_connection".to_owned()),
            Err(CallError::Busy) => Delivery::Failed("busy".to_owned()),
            Err(CallError::Broken | CallError::Garbled(_)) => Delivery::Failed("not_understood".to_owned()),
        }
    }
}
