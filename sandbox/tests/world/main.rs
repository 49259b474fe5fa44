//! The sandbox as its clients see it: over HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod carrier;
mod gateway;
mod mail;
mod webhooks;

use std::future::Future;
use std::time::Duration;

use jangbu_sandbox::{RunningSandbox, Sandbox, SandboxConfig};
use serde_json::{Value, json};
use uuid::Uuid;

const API_KEY: &str = "an-api-key-for-tests";
const SECRET: &str = "whsec_c2VjcmV0IG9mIHRoZSBzYW5kYm94IGluIHRlc3Rz";

fn config() -> SandboxConfig {
    SandboxConfig { silence: Duration::from_millis(50), ..SandboxConfig::new(API_KEY.into(), SECRET.into()) }
}

/// A sandbox and a client of it.
struct World {
    sandbox: RunningSandbox,
    client: reqwest::Client,
}

struct Answer {
    status: u16,
    body: Value,
}

impl World {
    async fn new() -> Self {
        Self::with(config()).await
    }

    async fn with(config: SandboxConfig) -> Self {
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        Self { sandbox: Sandbox::start(config).await.unwrap(), client }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.sandbox.base_url());
        self.client.request(method.parse().unwrap(), url).header("x-api-key", API_KEY)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.bytes().await.unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request("POST", path).json(&body)).await
    }

    async fn charge(&self, order: &Order, token: &str) -> Answer {
        self.charge_with(&order.key, &order.body(token)).await
    }

    async fn charge_with(&self, key: &str, body: &Value) -> Answer {
        self.send(self.request("POST", "/gateway/v1/charges").header("idempotency-key", key).json(body)).await
    }

    async fn refund(&self, charge_id: &str, key: &str, amount: &str) -> Answer {
        let request = self.request("POST", &format!("/gateway/v1/charges/{charge_id}/refunds"));
        let body = json!({"amount": amount, "currency": "KRW"});
        self.send(request.header("idempotency-key", key).json(&body)).await
    }

    async fn books(&self, order: &Order) -> Vec<Value> {
        let answer = self.get(&format!("/sandbox/charges?order_id={}", order.id)).await;
        answer.body["items"].as_array().unwrap().clone()
    }
}

/// An order of 53,000 won.
struct Order {
    id: Uuid,
    payment_id: Uuid,
    key: String,
}

impl Order {
    fn new() -> Self {
        Self { id: Uuid::now_v7(), payment_id: Uuid::now_v7(), key: Uuid::now_v7().to_string() }
    }

    fn body(&self, token: &str) -> Value {
        json!({
            "order_id": self.id, "payment_id": self.payment_id,
            "amount": "53000", "currency": "KRW", "method": "card", "details": {"card_token": token},
        })
    }
}

/// Polls until there is an answer, for ten seconds at most.
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
