//! Goods are at several locations, go from one to another, and leave with orders.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, World, basket};

/// What is at each location, and on its way.
fn places(stock: &Value) -> (Vec<(String, i64)>, i64) {
    let at = stock["locations"].as_array().unwrap_or_else(|| panic!("{stock}")).iter();
    let at = at.map(|place| (place["location"].as_str().unwrap().to_owned(), place["on_hand"].as_i64().unwrap()));
    (at.collect(), stock["in_transit"].as_i64().unwrap())
}

fn at(places: &[(&str, i64)], in_transit: i64) -> (Vec<(String, i64)>, i64) {
    (places.iter().map(|(code, units)| ((*code).to_owned(), *units)).collect(), in_transit)
}

pub async fn goods_move_between_locations_and_leave_from_them(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    locations_are_kept(&admin, &buyer).await;
    let tea = world.product(&admin, "보이차 100g", 12_000, 10).await;
    let path = format!("/v1/stock/{tea}");
    let send = async |body: Value| admin.post(&format!("{path}/transfers"), &body).send().await;
    let sent = send(json!({"to": "pangyo", "quantity": 6})).await.expect(200);
    assert_eq!(places(&sent), at(&[("main", 4)], 6));
    assert_eq!((&sent["on_hand"], &sent["available"]), (&json!(10), &json!(4)), "{sent}");
    let transfer = &sent["transfers"][0];
    assert_eq!(
        (&transfer["from"], &transfer["to"], &transfer["quantity"]),
        (&json!("main"), &json!("pangyo"), &json!(6))
    );
    buyer.post("/v1/orders", &basket(&[(&tea, 5)])).send().await.expect_problem(409, "insufficient_stock");
    send(json!({"to": "jeju", "quantity": 1})).await.expect_problem(404, "not_found");
    send(json!({"to": "pangyo", "quantity": 5})).await.expect_problem(409, "insufficient_stock");
    send(json!({"to": "Pangyo", "quantity": 1})).await.expect_problem(400, "validation_failed");

    let under_way = format!("{path}/transfers/{}", transfer["id"].as_str().unwrap());
    let receive =
        async |quantity: u32| admin.post(&format!("{under_way}/receive"), &json!({"quantity": quantity})).send().await;
    assert_eq!(places(&receive(4).await.expect(200)), at(&[("main", 4), ("pangyo", 4)], 2));
    receive(3).await.expect_problem(409, "insufficient_stock");
    let lost = admin.post(&format!("{under_way}/write-off"), &json!({"reason": "fell off"})).send().await.expect(200);
    assert_eq!(places(&lost), at(&[("main", 4), ("pangyo", 4)], 0));
    assert_eq!((&lost["on_hand"], &lost["transfers"]), (&json!(8), &json!([])));
    receive(1).await.expect_problem(404, "not_found");
    admin
        .post(&format!("{path}/transfers/x/receive"), &json!({"quantity": 1}))
        .send()
        .await
        .expect_problem(400, "validation_failed");
    buyer
        .post(&format!("{path}/transfers"), &json!({"to": "pangyo", "quantity": 1}))
        .send()
        .await
        .expect_problem(403, "forbidden");

    let count = json!({"counted": 5, "location": "pangyo", "reason": "found one"});
    assert_eq!(
        places(&admin.post(&format!("{path}/count"), &count).send().await.expect(200)),
        at(&[("main", 4), ("pangyo", 5)], 0)
    );
    let write_off = json!({"quantity": 5, "location": "main", "reason": "mould"});
    admin.post(&format!("{path}/write-off"), &write_off).send().await.expect_problem(409, "insufficient_stock");

    // One order over both: it leaves from the main one first.
    let sold = buyer.buy(&[(&tea, 6)]).await;
    let parcel = admin.parcel_of(&sold, "ready").await;
    let dispatch = format!("/v1/shipments/{}/dispatch", parcel["id"].as_str().unwrap());
    admin.post(&dispatch, &json!({})).send().await.expect(200);
    admin.stock_becomes(&tea, 3, 0, 0).await;
    assert_eq!(places(&admin.read(&path).await), at(&[("main", 0), ("pangyo", 3)], 0));
    it_is_told(&admin, &path).await;
    assert_eq!(buyer.read(&path).await["locations"], Value::Null, "only for the shop");
    world.run_well(&["replay", "--verify-only"]).await;
    world.run_well(&["audit", "verify"]).await;
}

async fn it_is_told(admin: &Client, path: &str) {
    let moved = admin.read_all(&format!("{path}/movements")).await;
    let told: Vec<_> =
        moved.iter().map(|one| (one["kind"].as_str().unwrap(), one["delta"].as_i64().unwrap())).collect();
    let expected = [
        ("shipped", -6),
        ("counted", 1),
        ("transfer_lost", -2),
        ("transfer_received", 0),
        ("transfer_sent", 0),
        ("received", 10),
    ];
    assert_eq!(told, expected, "{moved:?}");
    let parts = json!([{"location": "main", "delta": -4}, {"location": "pangyo", "delta": -2}]);
    assert_eq!(moved[0]["locations"], parts);
    assert_eq!(moved[4]["locations"], json!([{"location": "main", "delta": -6}]));
    assert_eq!(moved[2]["transfer_id"], moved[4]["transfer_id"]);
}

async fn locations_are_kept(admin: &Client, buyer: &Client) {
    let first = admin.read("/v1/locations").await;
    assert_eq!(first["items"], json!([{"code": "main", "name": "main", "active": true, "version": 0}]));
    let open = |code: &str| json!({"code": code, "name": "판교 매장"});
    let opened = admin.post("/v1/locations", &open("pangyo")).send().await;
    assert_eq!(opened.header("location"), Some("/v1/locations/pangyo"));
    assert_eq!(opened.expect(201)["name"], "판교 매장");
    admin.post("/v1/locations", &open("pangyo")).send().await.expect_problem(409, "location_conflict");
    admin.post("/v1/locations", &open("판교 2")).send().await.expect_problem(400, "validation_failed");
    buyer.post("/v1/locations", &open("jeju")).send().await.expect_problem(403, "forbidden");
    let change = |code: &str, body: Value| admin.call(Method::PUT, &format!("/v1/locations/{code}")).json(&body).send();
    assert_eq!(change("main", json!({})).await.expect(200)["name"], "main");
    assert_eq!(change("main", json!({"name": "김포 물류센터"})).await.expect(200)["name"], "김포 물류센터");
    change("main", json!({"active": false})).await.expect_problem(409, "location_conflict");
    change("jeju", json!({"active": false})).await.expect_problem(404, "not_found");
    assert_eq!(change("pangyo", json!({"active": false})).await.expect(200)["active"], false);
    assert_eq!(change("pangyo", json!({"active": true})).await.expect(200)["active"], true);
    assert_eq!(admin.read("/v1/locations/pangyo").await["active"], true);
    admin.get("/v1/locations/jeju").send().await.expect_problem(404, "not_found");
    assert_eq!(admin.read("/v1/locations").await["items"].as_array().unwrap().len(), 2);
}
