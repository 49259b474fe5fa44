//! Goods and their consequences: refunds, tracking numbers, unpaid orders.

use std::time::SystemTime;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Client, World, basket, eventually, krw, number};

pub async fn what_is_given_back_whole_is_called_off(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 10).await;

    let order = buyer.buy(&[(&tea, 2)]).await;
    let parcel = admin.parcel_of(&order, "ready").await;
    let payment = buyer.read(&format!("/v1/orders/{}", order["id"].as_str().unwrap())).await["payment_id"].clone();
    let refunds = format!("/v1/payments/{}/refunds", payment.as_str().unwrap());
    let all = json!({"amount": order["total"], "reason": "goodwill"});
    admin.post(&refunds, &all).settled().send().await.expect(201);

    // Nothing of it is paid any more: the label is cancelled and the goods are back in stock.
    let cancelled = buyer.order_reaches(&order, "cancelled").await;
    assert_eq!(cancelled["close_reason"], "refunded_whole", "{cancelled}");
    admin.stock_becomes(&tea, 10, 0, 0).await;
    let path = format!("/v1/shipments/{}", parcel["id"].as_str().unwrap());
    admin.becomes(&path, "cancelled").await;
    let by_hand = json!({"carrier": "other", "tracking_number": "X-1"});
    let dispatched = json!({"status": "dispatched"});
    for refused in [
        admin.post(&format!("{path}/dispatch"), &by_hand).send().await,
        admin.post(&format!("{path}/dispatch"), &json!({})).send().await,
        admin.post(&format!("{path}/status"), &dispatched).send().await,
        admin.call(reqwest::Method::PUT, &format!("{path}/status")).json(&dispatched).send().await,
    ] {
        refused.expect_problem(409, "shipment_state_conflict");
    }

    let other = buyer.buy(&[(&tea, 1)]).await;
    let parcel = admin.parcel_of(&other, "ready").await;
    let payment = buyer.read(&format!("/v1/orders/{}", other["id"].as_str().unwrap())).await["payment_id"].clone();
    let refunds = format!("/v1/payments/{}/refunds", payment.as_str().unwrap());
    let part = json!({"amount": "1000", "reason": "goodwill"});
    admin.post(&refunds, &part).settled().send().await.expect(201);
    let path = format!("/v1/shipments/{}/dispatch", parcel["id"].as_str().unwrap());
    admin.post(&path, &json!({})).send().await.expect(200);
    buyer.order_reaches(&other, "shipped").await;
}

/// The carrier scans the parcel before anybody in the shop has marked it as handed over.
pub async fn a_scan_before_the_dispatch_is_the_hand_over(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 10).await;
    let order = buyer.buy(&[(&tea, 2)]).await;
    let parcel = admin.parcel_of(&order, "ready").await;
    let number = parcel["tracking_number"].as_str().unwrap().to_owned();
    world.books().scan(&number, "in_transit").await.expect(200);
    buyer.order_reaches(&order, "shipped").await;
    admin.stock_becomes(&tea, 8, 0, 0).await;
    let cancel = format!("/v1/orders/{}/cancel", order["id"].as_str().unwrap());
    buyer.post(&cancel, &json!({})).send().await.expect_problem(409, "order_already_dispatched");
    // Dispatching it now is a repeat.
    let path = format!("/v1/shipments/{}/dispatch", parcel["id"].as_str().unwrap());
    admin.post(&path, &json!({})).send().await.expect(200);
    world.books().scan(&number, "delivered").await.expect(200);
    buyer.order_reaches(&order, "delivered").await;
}

pub async fn a_number_used_again_shows_everybody_their_own_parcel(world: &mut World) {
    let admin = world.admin().await;
    let cup = world.product(&admin, "찻잔", 30_000, 5).await;
    let mut parcels = Vec::new();
    for name in ["minji", "jisoo"] {
        let buyer = world.buyer(name).await.client;
        let order = buyer.buy(&[(&cup, 1)]).await;
        let parcel = admin.parcel_of(&order, "ready").await;
        let path = format!("/v1/shipments/{}", parcel["id"].as_str().unwrap());
        let dispatch = json!({"carrier": "other", "tracking_number": "6012-3456 7890"});
        admin.post(&format!("{path}/dispatch"), &dispatch).send().await.expect(200);
        admin.becomes(&path, "dispatched").await;
        parcels.push((buyer, parcel["id"].clone(), path));
    }
    for (buyer, id, _) in &parcels {
        for number in ["601234567890", "6012-3456%207890", "6012%203456-7890", "%EF%BC%96012-34567890"] {
            let found = buyer.read(&format!("/v1/shipments/tracking/{number}")).await;
            assert_eq!(found["id"], *id, "{number}");
        }
    }
    assert_eq!(admin.read("/v1/shipments/tracking/601234567890").await["id"], parcels[1].1, "the newest");

    let (buyer, id, path) = &parcels[0];
    let correct = |body: Value| {
        let call = admin.call(reqwest::Method::PUT, &format!("{path}/tracking-number"));
        call.json(&body).send()
    };
    correct(json!({"tracking_number": "77-1"})).await.expect_problem(400, "validation_failed");
    correct(json!({"tracking_number": "\u{3164}", "reason": "typo"})).await.expect_problem(400, "validation_failed");
    let corrected = correct(json!({"tracking_number": "77-1", "reason": "typo"})).await;
    assert_eq!(corrected.expect(200)["tracking_number"], "77-1");
    let position = corrected.position().to_string();
    let found = buyer.get("/v1/shipments/tracking/771").header("jangbu-min-position", &position).send().await;
    assert_eq!(found.expect(200)["id"], *id);
    buyer.get("/v1/shipments/tracking/601234567890").send().await.expect_problem(404, "not_found");
}

pub async fn a_shop_writes_its_own_labels(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 10).await;
    let before = buyer.buy(&[(&tea, 1)]).await;
    assert!(world.terminate_shop().await.success());
    world.put_around_the_shop("JANGBU_CARRIER", "manual");
    world.start_shop().await;
    let admin = world.admin().await;
    let order = buyer.buy(&[(&tea, 1)]).await;
    let parcel = admin.parcel_of(&order, "ready").await;
    assert_eq!(parcel["carrier"], "manual", "{parcel}");
    assert!(parcel["tracking_number"].as_str().unwrap().starts_with('M'), "{parcel}");
    let path = |parcel: &Value| format!("/v1/shipments/{}/dispatch", parcel["id"].as_str().unwrap());
    let sent = json!({"carrier": "우체국", "tracking_number": "6812-0001"});
    let sent = admin.post(&path(&parcel), &sent).send().await.expect(200);
    assert_eq!((&sent["carrier"], &sent["tracking_number"]), (&json!("우체국"), &json!("6812-0001")));
    eventually("its number is known", async || {
        let tracked = buyer.get("/v1/shipments/tracking/6812-0001").send().await;
        (tracked.status == 200 && tracked.json()["order_id"] == order["id"]).then_some(())
    })
    .await;
    // Called off before it left: the label is thrown away.
    let other = buyer.buy(&[(&tea, 1)]).await;
    buyer.post(&format!("/v1/orders/{}/cancel", other["id"].as_str().unwrap()), &json!({})).send().await.expect(200);
    buyer.order_reaches(&other, "cancelled").await;
    // What was asked of the carrier before stays with it.
    let first = admin.parcel_of(&before, "ready").await;
    assert_eq!(first["carrier"], "sandbox", "{first}");
    admin.post(&path(&first), &json!({})).send().await.expect(200);
    buyer.order_reaches(&before, "shipped").await;
}

pub async fn points_lapse_by_themselves(world: &mut World) {
    world.put_around_the_shop("JANGBU_EXPIRE_POINTS_EVERY_MS", "100");
    world.terminate_shop().await;
    world.start_shop().await;
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await;
    let points = format!("/v1/users/{}/points", buyer.id);
    let granted = admin.post(&format!("{points}/grant"), &json!({"amount": krw(200), "reference": "welcome"}));
    granted.send().await.expect(200);
    // A grant that reaches a slow shop after its own expiry is refused; then the next one has more
    // time.
    for seconds in [2, 8, 30] {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let soon = chrono::DateTime::from_timestamp(i64::try_from(now).unwrap() + seconds, 0).unwrap().to_rfc3339();
        let grant = json!({"amount": krw(700), "reference": "spring", "expires_at": soon});
        if admin.post(&format!("{points}/grant"), &grant).send().await.status == 200 {
            break;
        }
    }
    // Nobody grants, spends or restores points: the entry is the timer's.
    let entries = format!("{points}/entries");
    let lapsed = eventually("what lapsed is an entry of the ledger", async || {
        let entries = buyer.client.read_all(&entries).await;
        entries.into_iter().find(|entry| entry["kind"] == "expired")
    })
    .await;
    assert_eq!(lapsed["amount"]["amount"], "-700", "{lapsed}");
    assert_eq!(number(&lapsed["balance_after"]), 200, "{lapsed}");
    let row = buyer.client.read(&points).await;
    assert_eq!((number(&row["balance"]), number(&row["available"])), (200, 200), "{row}");
}

pub async fn a_buyer_keeps_only_so_many_orders_waiting(world: &mut World) {
    world.put_around_the_shop("JANGBU_MAX_OPEN_UNPAID_ORDERS", "3");
    world.put_around_the_shop("JANGBU_MAX_UNPAID_UNITS", "4");
    world.terminate_shop().await;
    world.start_shop().await;
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 100).await;
    let cup = world.product(&admin, "찻잔", 30_000, 100).await;

    let place = async |lines: &[(&str, u32)]| buyer.post("/v1/orders", &basket(lines)).send().await;
    let one: [(&str, u32); 1] = [(&tea, 1)];
    let at_once = join_all((0..8).map(|_| place(&one))).await;
    let (placed, refused): (Vec<_>, Vec<_>) = at_once.into_iter().partition(|reply| reply.status == 201);
    assert_eq!((placed.len(), refused.len()), (3, 5));
    for reply in refused {
        reply.expect_problem(409, "too_many_open_orders");
    }
    admin.stock_becomes(&tea, 100, 3, 0).await;
    // Paying one makes room; then the limit on pieces applies.
    let first = placed[0].expect(201);
    buyer.pay(&first, "tok_ok").send().await.expect(201);
    place(&[(&tea, 3)]).await.expect_problem(409, "too_many_open_orders");
    place(&[(&tea, 2)]).await.expect(201);
    // A declined card does not make room.
    place(&[(&cup, 1)]).await.expect_problem(409, "too_many_open_orders");
    let second = placed[1].expect(201);
    assert_eq!(buyer.pay(&second, "tok_declined").send().await.expect(201)["status"], "failed");
    place(&[(&cup, 1)]).await.expect_problem(409, "too_many_open_orders");
    let cancel = format!("/v1/orders/{}/cancel", second["id"].as_str().unwrap());
    buyer.post(&cancel, &json!({})).send().await.expect(200);
    assert_eq!(place(&[(&cup, 1)]).await.expect(201)["subtotal"], krw(30_000));
    // Other buyers are not affected.
    let other = world.buyer("jisoo").await.client;
    other.post("/v1/orders", &basket(&[(&tea, 4)])).send().await.expect(201);
}

/// A paid order whose parcel the carrier has, with its tracking number.
async fn astray(world: &World, buyer: &Client, admin: &Client, tea: &str, status: &str) -> Value {
    let order = buyer.buy(&[(tea, 2)]).await;
    let parcel = admin.parcel_of(&order, "ready").await;
    let number = parcel["tracking_number"].as_str().unwrap();
    world.books().scan(number, "in_transit").await.expect(200);
    world.books().scan(number, status).await.expect(200);
    let path = format!("/v1/orders/{}", order["id"].as_str().unwrap());
    eventually("the order is on hold", async || {
        let order = admin.read(&path).await;
        (order["on_hold"] == format!("shipment_{status}")).then_some(())
    })
    .await;
    order
}

pub async fn lost_and_returned_parcels_are_brought_to_an_end(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 10).await;
    let path = |order: &Value, verb: &str| format!("/v1/orders/{}/{verb}", order["id"].as_str().unwrap());
    let why = json!({"reason": "looked into it"});

    // Lost, and sent again: over the API.
    let again = astray(world, &buyer, &admin, &tea, "lost").await;
    admin.stock_becomes(&tea, 8, 0, 0).await;
    buyer.post(&path(&again, "send-again"), &why).send().await.expect_problem(403, "forbidden");
    let restock = json!({"reason": "looked into it", "restock": true});
    admin.post(&path(&again, "send-again"), &restock).send().await.expect_problem(400, "validation_failed");
    let sent = admin.post(&path(&again, "send-again"), &why).settled().send().await.expect(200);
    assert_eq!((&sent["status"], &sent["on_hold"]), (&json!("preparing"), &Value::Null), "{sent}");
    admin.stock_becomes(&tea, 8, 0, 2).await;
    let shipments = admin.list_of(2, &path(&again, "shipments")).await;
    let further = shipments.iter().find(|parcel| parcel["status"] != "lost").unwrap();
    let ready = admin.becomes(&format!("/v1/shipments/{}", further["id"].as_str().unwrap()), "ready").await;
    let number = ready["tracking_number"].as_str().unwrap();
    world.books().scan(number, "in_transit").await.expect(200);
    world.books().scan(number, "delivered").await.expect(200);
    buyer.order_reaches(&again, "delivered").await;
    admin.stock_becomes(&tea, 6, 0, 0).await;
    admin.post(&path(&again, "refund"), &why).send().await.expect_problem(409, "saga_state_conflict");

    // Lost, and one of two sent again.
    let cup = world.product(&admin, "찻잔", 12_000, 10).await;
    let part = astray(world, &buyer, &admin, &cup, "lost").await;
    admin.stock_becomes(&cup, 8, 0, 0).await;
    let lines = |quantity: u32| json!({"reason": "one is left", "lines": [{"product_id": cup, "quantity": quantity}]});
    let refused = admin.post(&path(&part, "send-again"), &lines(3)).send().await;
    refused.expect_problem(400, "validation_failed");
    admin.post(&path(&part, "send-again"), &lines(1)).settled().send().await.expect(200);
    admin.stock_becomes(&cup, 8, 0, 1).await;

    // Returned, and refunded: by command line, beside the server.
    let back = astray(world, &buyer, &admin, &tea, "returned").await;
    let id = back["id"].as_str().unwrap();
    world.run_well(&["sagas", "refund", id, "--reason", "nobody at home", "--restock"]).await;
    buyer.order_reaches(&back, "failed").await;
    admin.stock_becomes(&tea, 6, 0, 0).await;
    assert_eq!(world.books().net(&back).await, 0);
    admin.saga_ends(id).await;

    // Lost, and accepted as it is: both ways.
    let kept = astray(world, &buyer, &admin, &tea, "lost").await;
    admin.post(&path(&kept, "accept"), &why).settled().send().await.expect(200);
    buyer.order_reaches(&kept, "delivered").await;
    let kept = astray(world, &buyer, &admin, &tea, "returned").await;
    world.run_well(&["sagas", "accept", kept["id"].as_str().unwrap(), "--reason", "the neighbour has it"]).await;
    buyer.order_reaches(&kept, "delivered").await;
    // No order waits for a person any more.
    admin.list_of(0, "/v1/sagas?state=parked").await;
}
