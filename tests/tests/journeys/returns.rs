//! Returns: goods come back after the delivery, for money or for the same goods again.

use serde_json::{Value, json};

use crate::harness::{Client, World, krw};

const NOTHING: &str = "/v1/returns/01890a5d-ac96-774b-bcce-b302099a8057";

pub async fn goods_come_back_for_their_money(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let other = world.buyer("other").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 10).await;
    let cup = world.product(&admin, "청자 찻잔", 30_000, 10).await;
    let order = arrived(&admin, &buyer, &[(&tea, 3), (&cup, 1)]).await;
    let returns = format!("/v1/orders/{}/returns", text(&order["id"]));
    what_cannot_be_returned(&buyer, &admin, &returns, &tea, &cup).await;

    let body = json!({"reason": "changed_mind", "lines": [{"product_id": tea, "quantity": 2}], "note": "너무 많아요"});
    let asked = buyer.post(&returns, &body).key("two-teas-back").send().await;
    let first = asked.expect(201);
    assert_eq!(
        (&first["status"], &first["way_back"], &first["note"]),
        (&json!("requested"), &json!("buyer"), &json!("너무 많아요"))
    );
    let again = buyer.post(&returns, &body).key("two-teas-back").send().await;
    assert_eq!(
        (again.header("idempotent-replayed"), again.expect(201)["id"].clone()),
        (Some("true"), first["id"].clone())
    );
    // One is left of three, and the order waits for what comes back.
    buyer.post(&returns, &body).send().await.expect_problem(409, "return_exceeds_delivered");
    let confirm = format!("/v1/orders/{}/confirm-delivery", text(&order["id"]));
    buyer.post(&confirm, &json!({})).send().await.expect_problem(409, "order_state_conflict");

    let path = format!("/v1/returns/{}", text(&first["id"]));
    other.get(&path).send().await.expect_problem(404, "not_found");
    other.post(&format!("{path}/withdraw"), &json!({})).send().await.expect_problem(404, "not_found");
    buyer.post(&format!("{path}/approve"), &json!({})).send().await.expect_problem(403, "forbidden");
    step(&admin, &path, "receive", &json!({}), 409).await;
    let approved = step(&admin, &path, "approve", &json!({"fee": {"amount": "3000", "currency": "KRW"}}), 200).await;
    assert_eq!((&approved["status"], &approved["fee"]), (&json!("approved"), &krw(3_000)));
    let sent = json!({"carrier": "우체국", "tracking_number": "6012345678901"});
    assert_eq!(step(&buyer, &path, "send", &sent, 200).await["status"], "in_transit");
    let received = step(&admin, &path, "receive", &json!({}), 200).await;
    assert!(received["refund_due_at"].is_string(), "{received}");
    step(&admin, &path, "close", &json!({}), 409).await;
    let found = json!({"lines": [{"product_id": tea, "restocked": 1, "written_off": 1}], "note": "한 봉지가 뜯겼음"});
    let inspected = step(&admin, &path, "inspect", &found, 200).await;
    assert_eq!(inspected["lines"][0]["restocked"], 1);
    // Three left with the parcel and one came back to be sold.
    admin.stock_becomes(&tea, 8, 0, 0).await;

    let closed = admin.post(&format!("{path}/close"), &json!({})).key("close-once").settled().send().await.expect(200);
    assert_eq!((&closed["status"], &closed["refunded"]), (&json!("closed"), &krw(21_000)), "{closed}");
    let twice = admin.post(&format!("{path}/close"), &json!({})).send().await.expect(200);
    assert_eq!(twice["refund_id"], closed["refund_id"]);
    assert_eq!(world.books().net(&order).await, 66_000 - 21_000);
    let refunds = admin.read(&format!("/v1/payments/{}/refunds", text(&closed["payment_id"]))).await;
    assert_eq!((&refunds["items"][0]["id"], &refunds["items"][0]["status"]), (&closed["refund_id"], &json!("settled")));
    buyer.post(&confirm, &json!({})).send().await.expect(200);
    lists_and_refusals(world, &admin, &buyer, &returns, &first).await;
}

async fn what_cannot_be_returned(buyer: &Client, admin: &Client, returns: &str, tea: &str, cup: &str) {
    let line = |product: &str, quantity: u32| json!({"product_id": product, "quantity": quantity});
    for (lines, pointer) in [
        (json!([]), "/lines"),
        (json!([line(&text(&json!("01890a5d-ac96-774b-bcce-b302099a8057")), 1)]), "/lines/0/product_id"),
        (json!([line(cup, 1), line(cup, 1)]), "/lines/1/product_id"),
        (json!([line(tea, 4)]), "/lines/0/quantity"),
    ] {
        let body = json!({"reason": "defect", "lines": lines});
        let problem = buyer.post(returns, &body).send().await.expect_problem(400, "validation_failed");
        assert!(problem.to_string().contains(&format!("\"{pointer}\"")), "{problem}");
    }
    let by_carrier = json!({"reason": "returned_to_sender", "lines": [line(tea, 1)]});
    buyer.post(returns, &by_carrier).send().await.expect_problem(400, "validation_failed");
    buyer.post(returns, &by_carrier).without_key().send().await.expect_problem(428, "idempotency_key_required");
    let nowhere = "/v1/orders/01890a5d-ac96-774b-bcce-b302099a8057/returns";
    for remedy in ["refund", "exchange"] {
        let body = json!({"reason": "defect", "remedy": remedy, "lines": [line(tea, 1)]});
        admin.post(nowhere, &body).send().await.expect_problem(404, "not_found");
    }
    for (step, body) in [("receive", json!({})), ("close", json!({})), ("reject", json!({"reason": "no"}))] {
        admin.post(&format!("{NOTHING}/{step}"), &body).send().await.expect_problem(404, "not_found");
    }
}

async fn lists_and_refusals(world: &World, admin: &Client, buyer: &Client, returns: &str, first: &Value) {
    // Completed, it can still be returned while it is in time; staff and buyer see the same.
    let lines = json!([{"product_id": first["lines"][0]["product_id"]}]);
    let body = |quantity: Option<u32>| {
        let mut body = json!({"reason": "defect", "lines": lines.clone()});
        if let Some(quantity) = quantity {
            body["lines"][0]["quantity"] = json!(quantity);
        }
        body
    };
    buyer.post(returns, &body(Some(2))).send().await.expect_problem(409, "return_exceeds_delivered");
    let second = buyer.post(returns, &body(Some(1))).send().await.expect(201);
    let path = format!("/v1/returns/{}", text(&second["id"]));
    step(&admin.clone(), &path, "reject", &json!({}), 400).await;
    let rejected = step(admin, &path, "reject", &json!({"reason": "닳은 흔적이 있음"}), 200).await;
    assert_eq!((&rejected["status"], &rejected["ended_because"]), (&json!("rejected"), &json!("닳은 흔적이 있음")));
    let third = buyer.post(returns, &body(Some(1))).send().await.expect(201);
    step(buyer, &format!("/v1/returns/{}", text(&third["id"])), "withdraw", &json!({}), 200).await;
    let all = buyer.list_of(3, "/v1/returns?limit=2").await;
    let states: Vec<_> = all.iter().map(|row| text(&row["status"])).collect();
    assert_eq!(states, ["withdrawn", "rejected", "closed"], "the newest first");
    admin.list_of(3, returns).await;
    admin.list_of(1, "/v1/returns?status=rejected").await;
    admin.list_of(0, "/v1/returns?late=true").await;
    admin.get("/v1/returns?status=lost").send().await.expect_problem(400, "validation_failed");
    let history = world.run_well(&["audit", "show", &format!("return-{}", text(&first["id"]))]).await;
    for told in ["return.requested", "return.inspected", "return.closed"] {
        assert!(history.contains(told), "{history}");
    }
    assert!(!history.contains("너무"), "words of a person are sealed: {history}");
    world.run_well(&["replay", "--verify-only"]).await;
    world.run_well(&["audit", "verify"]).await;
}

pub async fn broken_goods_are_exchanged_and_then_refunded(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let cup = world.product(&admin, "청자 찻잔", 30_000, 1).await;
    let order = arrived(&admin, &buyer, &[(&cup, 1)]).await;
    let asked =
        request(&buyer, &order, json!({"reason": "defect", "remedy": "exchange", "lines": [{"product_id": cup}]}))
            .await;
    let path = comes_back(&admin, &asked, &cup).await;
    // There is none to send: later there is.
    let close = || admin.post(&format!("{path}/close"), &json!({}));
    close().send().await.expect_problem(409, "insufficient_stock");
    let more = json!({"quantity": 1});
    admin.post(&format!("/v1/stock/{cup}/receive"), &more).send().await.expect(200);
    let closed = close().send().await.expect(200);
    assert_eq!((&closed["status"], &closed["refunded"]), (&json!("closed"), &krw(0)), "{closed}");

    let further = format!("/v1/orders/{}", text(&closed["replacement_order_id"]));
    let further = buyer.becomes(&further, "preparing").await;
    assert_eq!((&further["total"], &further["replaces_order_id"]), (&krw(0), &order["id"]), "{further}");
    assert_eq!(further["shipping_address"], order["shipping_address"]);
    assert_eq!(further["discount"], krw(30_000));
    let further = sent(&admin, &buyer, &further).await;
    admin.stock_becomes(&cup, 0, 0, 0).await;

    // The second is broken, too: now the money comes back, from the payment of the first order.
    let asked = request(&buyer, &further, json!({"reason": "defect", "lines": [{"product_id": cup}]})).await;
    let path = comes_back(&admin, &asked, &cup).await;
    let closed = admin.post(&format!("{path}/close"), &json!({})).settled().send().await.expect(200);
    assert_eq!((&closed["refunded"], &closed["payment_id"]), (&krw(30_000), &order["payment_id"]), "{closed}");
    crate::harness::eventually("the money is back", async || (world.books().net(&order).await == 0).then_some(()))
        .await;
    world.run_well(&["replay", "--verify-only"]).await;
    world.run_well(&["audit", "verify"]).await;
}

/// What was asked for comes back, and cannot be sold. Returns the return's path.
async fn comes_back(admin: &Client, asked: &Value, product: &str) -> String {
    let path = format!("/v1/returns/{}", text(&asked["id"]));
    assert_eq!(asked["way_back"], "shop");
    let fee = json!({"fee": {"amount": "3000", "currency": "KRW"}});
    step(admin, &path, "approve", &fee, 400).await;
    step(admin, &path, "approve", &json!({}), 200).await;
    step(admin, &path, "receive", &json!({}), 200).await;
    let found = json!({"lines": [{"product_id": product, "written_off": 1}]});
    step(admin, &path, "inspect", &found, 200).await;
    path
}

async fn request(buyer: &Client, order: &Value, body: Value) -> Value {
    buyer.post(&format!("/v1/orders/{}/returns", text(&order["id"])), &body).send().await.expect(201)
}

async fn step(client: &Client, path: &str, step: &str, body: &Value, status: u16) -> Value {
    client.post(&format!("{path}/{step}"), body).send().await.expect(status)
}

/// An order that was paid by card and arrived.
async fn arrived(admin: &Client, buyer: &Client, lines: &[(&str, u32)]) -> Value {
    let order = buyer.buy(lines).await;
    sent(admin, buyer, &order).await
}

/// The order's parcel is handed over and arrives.
async fn sent(admin: &Client, buyer: &Client, order: &Value) -> Value {
    let parcel = admin.parcel_of(order, "ready").await;
    let parcel = format!("/v1/shipments/{}", text(&parcel["id"]));
    admin.post(&format!("{parcel}/dispatch"), &json!({})).send().await.expect(200);
    admin.post(&format!("{parcel}/status"), &json!({"status": "delivered"})).send().await.expect(200);
    buyer.order_reaches(order, "delivered").await
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text: {value}")).to_owned()
}
