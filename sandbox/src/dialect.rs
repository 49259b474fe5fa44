//! The gateways that the sandbox plays: each has a protocol of its own over the same books.
//!
//! To add one: its routes in `http/`, and its line here.

use crate::books::charges::Charge;
use crate::books::outbox;
use crate::http::hostpay::HOSTPAY;

/// The webhooks of a gateway.
#[derive(Debug)]
pub struct Dialect {
    /// Its name: its webhooks go to `/v1/hooks/payments/<name>`.
    pub name: &'static str,
    /// The body of a message about a charge, with its present status.
    pub message: fn(&Charge) -> serde_json::Result<String>,
    /// The content type of the body.
    pub content_type: &'static str,
    /// Whether its messages are signed.
    pub is_signed: bool,
}

/// JSON, with a key in `X-Api-Key`, and signed webhooks.
pub static SANDBOX: Dialect = Dialect {
    name: "sandbox",
    message: |charge| outbox::envelope(&format!("charge.{}", charge.status.name()), &charge.view()),
    content_type: outbox::JSON,
    is_signed: true,
};

static DIALECTS: [&Dialect; 2] = [&SANDBOX, &HOSTPAY];

impl Dialect {
    /// The dialect with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        DIALECTS.iter().copied().find(|dialect| dialect.name == name)
    }

    /// The path of its webhooks.
    pub fn hook(&self) -> String {
        format!("/v1/hooks/payments/{}", self.name)
    }

    /// The dialect whose webhooks have this path; none for a carrier's.
    pub fn of_hook(path: &str) -> Option<&'static Self> {
        DIALECTS.iter().copied().find(|dialect| dialect.hook() == path)
    }
}
