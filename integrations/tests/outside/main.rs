//! The adapters against the sandbox over HTTP, against odd servers, and the vault.

#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod carrier;
mod channels;
mod gateway;
mod odd_answers;
mod tracker;
mod vault;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jangbu_integrations::outbound::BreakerPolicy;
use jangbu_integrations::{OutboundPolicy, ServiceSettings, carriers, gateways};
use jangbu_kernel::gateway::{Carrier, ChargeRequest, Details, PaymentGateway};
use jangbu_kernel::{Money, OrderId, PaymentId};
use jangbu_sandbox::{RunningSandbox, Sandbox, SandboxConfig};
use uuid::Uuid;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const API_KEY: &str = "an-api-key-for-tests";
const SECRET: &str = "whsec_c2VjcmV0IG9mIHRoZSBzYW5kYm94IGluIHRlc3Rz";

/// Timeouts that suffice on a busy machine, with very short pauses.
fn policy() -> OutboundPolicy {
    OutboundPolicy { first_pause: Duration::from_millis(1), ..OutboundPolicy::default() }
}

/// For calls whose answer does not come.
fn impatient() -> OutboundPolicy {
    OutboundPolicy { timeout: Duration::from_millis(300), ..policy() }
}

fn settings(base_url: &str, policy: OutboundPolicy) -> ServiceSettings {
    ServiceSettings {
        base_url: base_url.to_owned(),
        api_key: API_KEY.into(),
        webhook_secrets: vec![SECRET.into()],
        policy,
    }
}

fn gateway_at(base_url: &str, policy: OutboundPolicy) -> Arc<dyn PaymentGateway> {
    gateway_named("sandbox", base_url, policy)
}

fn gateway_named(name: &str, base_url: &str, policy: OutboundPolicy) -> Arc<dyn PaymentGateway> {
    gateways::connect(name, &settings(base_url, policy)).unwrap()
}

fn carrier_at(base_url: &str, policy: OutboundPolicy) -> Arc<dyn Carrier> {
    carriers::connect("sandbox", &settings(base_url, policy)).unwrap()
}

async fn sandbox() -> RunningSandbox {
    Sandbox::start(SandboxConfig::new(API_KEY.into(), SECRET.into())).await.unwrap()
}

/// A sandbox with a shop that records the webhooks it receives.
async fn sandbox_with_shop() -> (RunningSandbox, MockServer) {
    let shop = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(204)).mount(&shop).await;
    let sandbox = sandbox().await;
    sandbox.set_webhook_target(shop.uri().parse().unwrap());
    (sandbox, shop)
}

/// The webhooks that the shop has received, once there are this many.
async fn told(shop: &MockServer, count: usize) -> Vec<Request> {
    eventually(async || shop.received_requests().await.filter(|told| told.len() >= count)).await
}

fn headers(request: &Request) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    request.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

fn charge(token: &str) -> ChargeRequest {
    ChargeRequest {
        idempotency_key: Uuid::now_v7(),
        order_id: OrderId::new(Uuid::now_v7()),
        payment_id: PaymentId::new(Uuid::now_v7()),
        amount: won(53_000),
        method: "card",
        details: Details::from_iter([("card_token".to_owned(), token.to_owned())]),
    }
}

fn won(units: i64) -> Money {
    Money::krw(units).unwrap()
}

/// A breaker that opens at the second failure.
fn quick_breaker(open_for: Duration) -> BreakerPolicy {
    BreakerPolicy { window: 2, minimum: 2, failure_rate: 1.0, open_for, probes: 1 }
}

async fn eventually<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    let found = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    found.await.expect("it did not happen within ten seconds")
}
