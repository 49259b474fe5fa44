//! Orders from the basket to the door, and back.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{World, basket, eventually, krw, number};

/// The types of the events in a history, in order.
fn types(history: &Value) -> Vec<&str> {
    history["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

pub async fn an_order_reaches_the_door(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 10).await;

    let placed = buyer.post("/v1/orders", &basket(&[(&tea, 2)])).send().await;
    let order = placed.expect(201);
    let id = order["id"].as_str().unwrap();
    assert_eq!(placed.header("location"), Some(format!("/v1/orders/{id}").as_str()));
    assert_eq!(order["status"], "placed");
    assert_eq!(order["lines"][0]["name"], "보이차");
    assert_eq!(order["lines"][0]["line_total"], krw(24_000));
    assert_eq!(order["subtotal"], krw(24_000));
    let sum = number(&order["subtotal"]) - number(&order["discount"]) + number(&order["shipping_fee"]);
    assert_eq!(sum, number(&order["total"]));
    admin.stock_becomes(&tea, 10, 2, 0).await;

    let payment = buyer.pay(&order, "tok_ok").send().await.expect(201);
    assert_eq!(payment["status"], "captured", "{payment}");
    let paid = buyer.order_reaches(&order, "preparing").await;
    assert_eq!(paid["payment_id"], payment["id"]);
    admin.stock_becomes(&tea, 10, 0, 2).await;

    let tracking_number = send_parcel(world, &admin, &order).await;
    let delivered = buyer.order_reaches(&order, "delivered").await;
    assert!(delivered["delivered_at"].is_string(), "{delivered}");
    admin.stock_becomes(&tea, 8, 0, 0).await;
    let completed = buyer.post(&format!("/v1/orders/{id}/confirm-delivery"), &json!({})).settled().send().await;
    assert_eq!(completed.expect(200)["status"], "completed");
    buyer.order_reaches(&order, "completed").await;

    every_read_side_shows_it(&buyer, &order, &payment, &tracking_number).await;
    assert_eq!(world.books().net(&order).await, 24_000 + number(&order["shipping_fee"]));
    assert_eq!(admin.saga_ends(id).await["parked_reason"], Value::Null);
}

/// Staff hand the parcel over, and the carrier delivers it; returns its number.
async fn send_parcel(world: &World, admin: &crate::harness::Client, order: &Value) -> String {
    let parcel = admin.parcel_of(order, "ready").await;
    let tracking_number = parcel["tracking_number"].as_str().unwrap().to_owned();
    let dispatch = json!({"carrier": parcel["carrier"], "tracking_number": tracking_number});
    let path = format!("/v1/shipments/{}", parcel["id"].as_str().unwrap());
    admin.post(&format!("{path}/dispatch"), &dispatch).send().await.expect(200);
    admin.order_reaches(order, "shipped").await;
    for status in ["in_transit", "out_for_delivery", "delivered"] {
        world.books().scan(&tracking_number, status).await.expect(200);
        admin.becomes(&path, status).await;
    }
    tracking_number
}

async fn every_read_side_shows_it(
    buyer: &crate::harness::Client,
    order: &Value,
    payment: &Value,
    tracking_number: &str,
) {
    let id = order["id"].as_str().unwrap();
    let only = async |path: &str| {
        eventually(&format!("{path} shows one thing"), async || {
            let items = buyer.read(path).await["items"].as_array().unwrap().clone();
            (items.len() == 1).then(|| items[0].clone())
        })
        .await
    };
    let number = order["number"].as_str().unwrap();
    assert_eq!(buyer.read(&format!("/v1/orders/by-number/{number}")).await["id"], id);
    assert_eq!(only("/v1/orders?status=completed").await["id"], id);
    assert_eq!(only("/v1/payments?status=captured").await["id"], payment["id"]);
    assert_eq!(only(&format!("/v1/orders/{id}/payments")).await["id"], payment["id"]);
    let parcel = only("/v1/shipments?status=delivered").await;
    assert_eq!(parcel["order_id"], id);
    assert_eq!(only(&format!("/v1/orders/{id}/shipments")).await["id"], parcel["id"]);
    let tracked = buyer.read(&format!("/v1/shipments/tracking/{tracking_number}")).await;
    assert_eq!(tracked["id"], parcel["id"]);
    assert!(buyer.read("/v1/orders?status=cancelled").await["items"].as_array().unwrap().is_empty());

    let history = buyer.read(&format!("/v1/orders/{id}/history")).await;
    let seen = types(&history);
    let story = ["order.placed", "order.payment_opened", "order.paid", "order.preparation_started", "order.shipped"];
    let own: Vec<_> = seen.iter().copied().filter(|kind| kind.starts_with("order.")).collect();
    assert_eq!(own, [&story[..], &["order.delivered", "order.completed"]].concat(), "{history}");
}

pub async fn points_and_card_share_an_order_and_both_come_back(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("jisoo").await;
    let cup = world.product(&admin, "찻잔", 30_000, 5).await;
    let points = format!("/v1/users/{}/points", buyer.id);
    let grant = json!({"amount": krw(10_000), "reference": "welcome"});
    admin.post(&format!("{points}/grant"), &grant).send().await;
    let balance = async |balance: u64, held: u64| {
        eventually(&format!("{balance} points, {held} of them held"), async || {
            let row = buyer.client.read(&points).await;
            (number(&row["balance"]) == balance && number(&row["held"]) == held).then_some(())
        })
        .await;
    };
    balance(10_000, 0).await;

    let order = buyer.client.place(&[(&cup, 1)]).await;
    let rest = number(&order["total"]) - 4_000;
    let legs = json!([
        {"method": "points", "amount": krw(4_000)},
        {"method": "card", "amount": krw(rest), "card_token": "tok_ok"},
    ]);
    let body = json!({"order_id": order["id"], "legs": legs});
    let payment = buyer.client.post("/v1/payments", &body).settled().send().await.expect(201);
    assert_eq!(payment["status"], "captured", "{payment}");
    buyer.client.order_reaches(&order, "preparing").await;
    balance(6_000, 0).await;
    assert_eq!(world.books().net(&order).await, rest);

    let cancel = format!("/v1/orders/{}/cancel", order["id"].as_str().unwrap());
    buyer.client.post(&cancel, &json!({"reason": "마음이 바뀌었어요"})).send().await.expect(200);
    buyer.client.order_reaches(&order, "cancelled").await;
    balance(10_000, 0).await;
    admin.stock_becomes(&cup, 5, 0, 0).await;
    assert_eq!(world.books().net(&order).await, 0);
    buyer.client.becomes(&format!("/v1/payments/{}", payment["id"].as_str().unwrap()), "refunded").await;
    let entries = buyer.client.read_all(&format!("{points}/entries")).await;
    let last = entries.iter().max_by_key(|entry| entry["number"].as_u64()).unwrap();
    assert_eq!(number(&last["balance_after"]), 10_000, "{entries:?}");
}

pub async fn a_hundred_want_the_last_item(world: &mut World) {
    /// Ten people with ten windows each, to have a hundred concurrent requests.
    const PEOPLE: [&str; 10] = ["a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "a10"];
    let admin = world.admin().await;
    let last = world.product(&admin, "한정판 다관", 90_000, 1).await;
    let buyers = join_all(PEOPLE.map(|name| world.buyer(name))).await;
    let wanted = basket(&[(&last, 1)]);
    let answers = join_all((0..100).map(|i| buyers[i % PEOPLE.len()].client.post("/v1/orders", &wanted).send())).await;

    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((won.len(), lost.len()), (1, 99));
    for refusal in lost {
        refusal.expect_problem(409, "insufficient_stock");
    }
    admin.stock_becomes(&last, 1, 1, 0).await;
    let orders = admin.list_of(1, "/v1/orders").await;
    assert_eq!(orders[0]["id"], won[0].json()["id"]);
    admin.list_of(0, "/v1/products?in_stock=true").await;
}

pub async fn a_short_line_reserves_nothing(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("hana").await.client;
    let [first, short, third] = [
        world.product(&admin, "녹차", 8_000, 5).await,
        world.product(&admin, "홍차", 9_000, 1).await,
        world.product(&admin, "백차", 7_000, 5).await,
    ];
    let lines = [(first.as_str(), 1), (short.as_str(), 2), (third.as_str(), 1)];
    let head = buyer.place(&[(&first, 1)]).await;
    let refused = buyer.post("/v1/orders", &basket(&lines)).send().await;
    refused.expect_problem(409, "insufficient_stock");
    for (product, reserved) in [(&first, 1), (&short, 0), (&third, 0)] {
        let on_hand = if *product == short { 1 } else { 5 };
        admin.stock_becomes(product, on_hand, reserved, 0).await;
    }
    // No trace in the log either: after the first order's events nothing was written to these
    // streams.
    for product in [&short, &third] {
        let events = world.run_well(&["events", "list", "--stream", &format!("stock-{product}"), "--json"]).await;
        assert_eq!(events.lines().count(), 1, "{events}");
    }
    buyer.list_of(1, "/v1/orders").await;

    // Equal products in two lines are merged, and counted together.
    let twice = buyer.post("/v1/orders", &basket(&[(&short, 1), (&short, 1)])).send().await;
    twice.expect_problem(409, "insufficient_stock");
    buyer.post(&format!("/v1/orders/{}/cancel", head["id"].as_str().unwrap()), &json!({})).send().await.expect(200);
    admin.stock_becomes(&first, 5, 0, 0).await;
}

pub async fn ten_cancels_give_one_refund(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("sora").await.client;
    let pot = world.product(&admin, "주전자", 45_000, 3).await;
    let order = buyer.buy(&[(&pot, 2)]).await;
    let cancel = format!("/v1/orders/{}/cancel", order["id"].as_str().unwrap());
    let answers = join_all((0..10).map(|_| buyer.post(&cancel, &json!({"reason": "변심"})).send())).await;
    for answer in &answers {
        assert!(matches!(answer.status, 200 | 409), "{} {}", answer.status, answer.text());
    }
    assert!(answers.iter().any(|answer| answer.status == 200));
    let cancelled = buyer.order_reaches(&order, "cancelled").await;
    admin.saga_ends(order["id"].as_str().unwrap()).await;
    assert!(cancelled["cancelled_at"].is_string(), "{cancelled}");
    admin.stock_becomes(&pot, 3, 0, 0).await;
    let refunds = world.books().refunds(&order).await;
    assert_eq!(refunds.len(), 1, "{refunds:?}");
    assert_eq!(number(&refunds[0]["amount"]), number(&order["total"]));
    assert_eq!(world.books().net(&order).await, 0);
    buyer.parcel_of(&order, "cancelled").await;
}

pub async fn a_refusing_carrier_undoes_the_order(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("yuna").await.client;
    let lamp = world.product(&admin, "등", 52_000, 4).await;
    world.books().refuse_labels(10).await;
    let order = buyer.place(&[(&lamp, 1)]).await;
    buyer.pay(&order, "tok_ok").send().await;
    let failed = buyer.order_reaches(&order, "failed").await;
    assert!(failed["close_reason"].is_string(), "{failed}");
    admin.stock_becomes(&lamp, 4, 0, 0).await;
    assert_eq!(world.books().net(&order).await, 0);
    let refunds = world.books().refunds(&order).await;
    assert_eq!(refunds.len(), 1, "{refunds:?}");
    let saga = admin.saga_ends(order["id"].as_str().unwrap()).await;
    assert_eq!(saga["outcome"], "failed", "{saga}");

    // The next label is accepted again.
    world.books().refuse_labels(0).await;
    buyer.buy(&[(&lamp, 1)]).await;
}
