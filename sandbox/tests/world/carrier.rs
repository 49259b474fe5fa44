//! Labels and scans.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answer, World, config, eventually};

async fn label(world: &World, shipment: Uuid, order: Uuid) -> Answer {
    let address =
        json!({"recipient": "김하나", "phone": "010-1234-5678", "postal_code": "04524", "line1": "세종대로 110"});
    world.post("/carrier/v1/labels", json!({"shipment_id": shipment, "order_id": order, "address": address})).await
}

async fn labels(world: &World, order: Uuid) -> Vec<Value> {
    world.get(&format!("/sandbox/carrier/labels?order_id={order}")).await.body["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn one_shipment_has_one_label() {
    let world = World::new().await;
    let (shipment, order) = (Uuid::now_v7(), Uuid::now_v7());
    let first = label(&world, shipment, order).await;
    let again = label(&world, shipment, order).await;
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(first.body["tracking_number"], again.body["tracking_number"]);
    assert_eq!(first.body["tracking_number"].as_str().unwrap().len(), 12);
    assert_eq!(labels(&world, order).await.len(), 1);
    assert_eq!(label(&world, shipment, Uuid::now_v7()).await.status, 409);
    let nobody = json!({"shipment_id": shipment, "order_id": order, "address": {"recipient": ""}});
    assert_eq!(world.post("/carrier/v1/labels", nobody).await.status, 400);
}

#[tokio::test]
async fn the_next_labels_are_refused_when_told_so() {
    let world = World::new().await;
    assert_eq!(world.post("/sandbox/carrier/faults", json!({"refuse": 3})).await.status, 200);
    let (shipment, order) = (Uuid::now_v7(), Uuid::now_v7());
    for _ in 0..3 {
        let refused = label(&world, shipment, order).await;
        assert_eq!((refused.status, refused.body["code"].as_str()), (409, Some("refused_by_carrier")));
    }
    assert_eq!(world.get("/sandbox/carrier/faults").await.body, json!({"refuse": 0}));
    assert_eq!(label(&world, shipment, order).await.status, 201);
}

#[tokio::test]
async fn a_label_is_called_off_until_the_parcel_moves() {
    let world = World::new().await;
    let (shipment, order) = (Uuid::now_v7(), Uuid::now_v7());
    let path = format!("/carrier/v1/labels/{shipment}");
    let number = label(&world, shipment, order).await.body["tracking_number"].clone();
    for _ in 0..2 {
        assert_eq!(world.send(world.request("DELETE", &path)).await.status, 204);
    }
    assert_eq!(label(&world, shipment, order).await.body["code"], "label_cancelled");
    let scan = json!({"tracking_number": number, "status": "in_transit"});
    assert_eq!(world.post("/sandbox/carrier/advance", scan).await.status, 409);

    let never_asked = Uuid::now_v7();
    assert_eq!(world.send(world.request("DELETE", &format!("/carrier/v1/labels/{never_asked}"))).await.status, 204);
    assert_eq!(label(&world, never_asked, order).await.body["code"], "label_cancelled");

    let moving = Uuid::now_v7();
    let number = label(&world, moving, order).await.body["tracking_number"].clone();
    let scan = json!({"tracking_number": number, "status": "in_transit"});
    assert_eq!(world.post("/sandbox/carrier/advance", scan).await.body["status"], "in_transit");
    let late = world.send(world.request("DELETE", &format!("/carrier/v1/labels/{moving}"))).await;
    assert_eq!((late.status, late.body["code"].as_str()), (409, Some("already_dispatched")));
}

#[tokio::test]
async fn a_scan_needs_a_parcel_and_a_known_status() {
    let world = World::new().await;
    let scan = |number: &str, status: &str| json!({"tracking_number": number, "status": status});
    assert_eq!(world.post("/sandbox/carrier/advance", scan("600000000019", "delivered")).await.status, 404);
    assert_eq!(world.post("/sandbox/carrier/advance", scan("600000000019", "flying")).await.status, 400);
}

#[tokio::test]
async fn parcels_move_by_themselves_when_a_step_is_set() {
    let step = Some(Duration::from_millis(10));
    let world = World::with(jangbu_sandbox::SandboxConfig { carrier_step: step, ..config() }).await;
    let order = Uuid::now_v7();
    label(&world, Uuid::now_v7(), order).await;
    eventually(async || (labels(&world, order).await[0]["status"] == "delivered").then_some(())).await;
}
