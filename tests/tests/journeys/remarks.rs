//! Remarks about an order can be read by those who may see it, and by nobody else.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Client, World, krw};

/// A text that occurs nowhere else in the shop.
const WORDS: &str = "그 사람은 병원에 있습니다: ward 7q";

pub async fn what_somebody_typed_is_kept_sealed(world: &mut World) {
    let admin = world.admin().await;
    let minji = world.buyer("minji").await;
    let buyer = minji.client.clone();
    let tea = world.product(&admin, "보이차", 12_000, 10).await;

    let order = buyer.buy(&[(&tea, 2)]).await;
    let parcel = admin.parcel_of(&order, "ready").await;
    let (order_path, parcel_path) = (path("orders", &order), path("shipments", &parcel));
    let said = json!({"reason": WORDS});
    let held = admin.post(&format!("{order_path}/hold"), &said).send().await.expect(200);
    assert_eq!(held["on_hold"], WORDS);
    admin.post(&format!("{order_path}/release"), &said).send().await.expect(200);
    let number = json!({"tracking_number": "600000000015", "reason": WORDS});
    let correct = admin.call(reqwest::Method::PUT, &format!("{parcel_path}/tracking-number"));
    correct.json(&number).send().await.expect(200);
    let payment = buyer.read(&order_path).await["payment_id"].as_str().unwrap().to_owned();
    let refunds = format!("/v1/payments/{payment}/refunds");
    let refund = admin.post(&refunds, &json!({"amount": "1000", "reason": WORDS})).send().await.expect(201);
    assert_eq!(refund["reason"], WORDS);
    admin.post(&format!("{parcel_path}/dispatch"), &json!({})).send().await.expect(200);
    let moving = json!({"status": "in_transit", "note": WORDS});
    admin.post(&format!("{parcel_path}/status"), &moving).send().await.expect(200);

    let other = buyer.place(&[(&tea, 1)]).await;
    let cancel = format!("{}/cancel", path("orders", &other));
    buyer.post(&cancel, &said).send().await.expect(200);
    // An order that does not exist is 404, whatever the remark is.
    let nothing = "/v1/orders/01890a5d-ac96-774b-bcce-b302099a8057/hold";
    admin.post(nothing, &said).send().await.expect_problem(404, "not_found");

    points_are_given_once_for_it(&admin, &minji.id).await;
    who_may_read_it_does(&admin, &order, &other, &refunds).await;
    nobody_else_does(world).await;
}

fn path(kind: &str, thing: &Value) -> String {
    format!("/v1/{kind}/{}", thing["id"].as_str().unwrap())
}

async fn points_are_given_once_for_it(admin: &Client, user: &str) {
    let points = format!("/v1/users/{user}/points");
    let grant = |amount: u64| json!({"amount": krw(amount), "reference": WORDS});
    for _ in 0..2 {
        admin.post(&format!("{points}/grant"), &grant(500)).send().await.expect(200);
    }
    let other = admin.post(&format!("{points}/grant"), &grant(600)).send().await;
    other.expect_problem(409, "reference_reused");
    let entries = admin.list_of(1, &format!("{points}/entries")).await;
    assert_eq!(entries[0]["reference"], WORDS);
    let nobody = "/v1/users/01890a5d-ac96-774b-bcce-b302099a8057/points/grant";
    admin.post(nobody, &grant(500)).send().await.expect_problem(404, "not_found");
}

async fn who_may_read_it_does(admin: &Client, order: &Value, cancelled: &Value, refunds: &str) {
    let scans = admin.parcel_of(order, "in_transit").await["scans"].as_array().unwrap().clone();
    assert!(scans.iter().any(|scan| scan["note"] == WORDS), "{scans:?}");
    assert_eq!(admin.order_reaches(cancelled, "cancelled").await["close_reason"], WORDS);
    let listed = admin.list_of(1, refunds).await;
    assert_eq!(listed[0]["reason"], WORDS);
}

/// Neither an operator's view of the log nor any file has a part of it in the clear.
async fn nobody_else_does(world: &World) {
    let told = world.run_well(&["events", "list", "--json", "--limit", "1000"]).await;
    assert!(told.contains("order.hold_released") && told.contains("shipment.tracking_number_corrected"));
    for part in ["ward 7q", "병원"] {
        assert!(!told.contains(part), "an event has it in the clear");
        look_through(&world.data_dir(), part.as_bytes());
    }
}

fn look_through(folder: &Path, part: &[u8]) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            look_through(&path, part);
        } else if let Ok(bytes) = fs::read(&path) {
            assert!(!bytes.windows(part.len()).any(|window| window == part), "in the clear in {}", path.display());
        }
    }
}
