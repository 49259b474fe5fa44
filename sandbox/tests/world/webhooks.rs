//! The webhooks that the shop receives, how often, and with which signature.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use jangbu_sandbox::{SandboxConfig, Url};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::{Order, SECRET, World, config, eventually};

/// A shop that records the webhooks it receives.
#[derive(Clone, Default)]
struct Shop {
    told: Arc<Mutex<Vec<(String, String, Value)>>>,
    /// The number of messages that are refused at first.
    refuses: Arc<AtomicU32>,
}

impl Shop {
    async fn open(&self) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(take).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url.parse().unwrap()
    }

    /// (path, message id, message), once there are this many about `order`.
    async fn about(&self, order: Uuid, count: usize) -> Vec<(String, String, Value)> {
        let ours = || {
            let told = self.told.lock().unwrap();
            told.iter().filter(|told| told.2["data"]["order_id"] == json!(order)).cloned().collect::<Vec<_>>()
        };
        eventually(async || Some(ours()).filter(|told| told.len() >= count)).await
    }
}

async fn take(State(shop): State<Shop>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let refused = shop.refuses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if refused.is_ok() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    if Webhook::new(SECRET).unwrap().verify(&body, &headers).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let message = serde_json::from_slice(&body).unwrap();
    shop.told.lock().unwrap().push((uri.path().to_owned(), id, message));
    StatusCode::NO_CONTENT
}

async fn world_with_shop() -> (World, Shop) {
    let shop = Shop::default();
    let target = Some(shop.open().await);
    (World::with(SandboxConfig { webhook_target: target, ..config() }).await, shop)
}

#[tokio::test]
async fn every_change_of_a_charge_is_told_and_signed() {
    let (world, shop) = world_with_shop().await;
    let order = Order::new();
    let id = world.charge(&order, "tok_challenge").await.body["id"].as_str().unwrap().to_owned();
    shop.about(order.id, 1).await;
    world.post(&format!("/gateway/v1/charges/{id}/confirm"), json!({})).await;
    shop.about(order.id, 2).await;
    world.refund(&id, "refund-1", "1000").await;
    shop.about(order.id, 3).await;
    world.post(&format!("/gateway/v1/keys/{}/net-cancel", order.key), json!({})).await;
    let told = shop.about(order.id, 4).await;
    let kinds: Vec<_> = told.iter().map(|(_, _, message)| message["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["charge.requires_action", "charge.captured", "charge.captured", "charge.voided"]);
    assert!(told.iter().all(|(path, _, _)| path == "/v1/hooks/payments/sandbox"));
    let ids: HashMap<_, _> = told.iter().map(|(_, id, _)| (id, ())).collect();
    assert_eq!(ids.len(), 4);
    let data = &told[1].2["data"];
    assert_eq!(data["payment_id"], json!(order.payment_id));
    assert_eq!(data["idempotency_key"], json!(order.key));
    assert_eq!((data["amount"].as_str(), data["currency"].as_str()), (Some("53000"), Some("KRW")));
    assert_eq!(told[2].2["data"]["refunded"], "1000");
}

#[tokio::test]
async fn a_duplicate_is_told_five_times_once_before_the_answer() {
    let (world, shop) = world_with_shop().await;
    let order = Order::new();
    world.charge(&order, "tok_duplicate_webhook").await;
    assert!(!shop.told.lock().unwrap().is_empty(), "the answer came before the webhook");
    let told = shop.about(order.id, 5).await;
    assert!(told.iter().all(|(_, id, message)| (id, message) == (&told[0].1, &told[0].2)));
}

#[tokio::test]
async fn a_message_that_was_not_taken_comes_again() {
    let (world, shop) = world_with_shop().await;
    shop.refuses.store(3, Ordering::SeqCst);
    let order = Order::new();
    world.charge(&order, "tok_ok").await;
    assert_eq!(shop.about(order.id, 1).await.len(), 1);
    assert_eq!(shop.refuses.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn messages_wait_for_a_target_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = || SandboxConfig { data_file: Some(folder.path().join("sandbox.db")), ..config() };
    let order = Order::new();
    let world = World::with(file()).await;
    world.charge(&order, "tok_ok").await;
    world.sandbox.stop().await;

    let shop = Shop::default();
    let world = World::with(file()).await;
    world.sandbox.set_webhook_target(shop.open().await);
    assert_eq!(shop.about(order.id, 1).await[0].2["type"], "charge.captured");
}

#[tokio::test]
async fn scans_are_told_by_the_carrier() {
    let (world, shop) = world_with_shop().await;
    let (shipment, order) = (Uuid::now_v7(), Uuid::now_v7());
    let address = json!({"recipient": "a", "phone": "b", "postal_code": "c", "line1": "d"});
    let body = json!({"shipment_id": shipment, "order_id": order, "address": address});
    let number = world.post("/carrier/v1/labels", body).await.body["tracking_number"].clone();
    world
        .post("/sandbox/carrier/advance", json!({"tracking_number": number, "status": "delivered", "place": "door"}))
        .await;
    let told = shop.about(order, 1).await;
    assert_eq!(told[0].0, "/v1/hooks/carriers/sandbox");
    let data = &told[0].2["data"];
    assert_eq!(data["shipment_id"], json!(shipment));
    assert_eq!(data["tracking_number"], number);
    assert_eq!((data["status"].as_str(), data["place"].as_str()), (Some("delivered"), Some("door")));
}

#[tokio::test]
async fn unusable_secrets_are_refused_at_the_start() {
    let broken = SandboxConfig { webhook_secret: "not base64!".into(), ..config() };
    assert!(jangbu_sandbox::Sandbox::start(broken).await.is_err());
    let open = SandboxConfig { api_key: "".into(), ..config() };
    assert!(jangbu_sandbox::Sandbox::start(open).await.is_err());
}
