//! The order desk: what staff write about orders, how they find them, and what they change.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, World, by_card, eventually, krw};

pub async fn staff_keep_notes_that_the_buyer_does_not_see(world: &mut World) {
    const WORDS: &str = "초인종이 고장났으니 전화하세요";
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 10).await;
    let order = buyer.place(&[(&tea, 1)]).await;
    let notes = format!("/v1/orders/{}/notes", order["id"].as_str().unwrap());

    // The same key twice is one note.
    let write = || admin.post(&notes, &json!({"text": WORDS})).key("a-note-once");
    let first = write().send().await;
    let note = first.expect(201);
    assert_eq!((&note["text"], &note["order_id"], &note["number"]), (&json!(WORDS), &order["id"], &json!(2)));
    assert_eq!(first.version(), 2);
    let again = write().send().await;
    assert_eq!((again.expect(201), again.header("idempotent-replayed")), (note.clone(), Some("true")));
    admin.post(&notes, &json!({"text": "둘째"})).send().await.expect(201);

    let listed = admin.list_of(2, &format!("{notes}?limit=1")).await;
    assert_eq!((&listed[0]["text"], &listed[1]), (&json!("둘째"), &note), "the newest first");
    let me = admin.read("/v1/auth/profile").await;
    assert_eq!(note["by"], me["id"]);

    for body in [json!({}), json!({"text": " "}), json!({"text": "x".repeat(2_001)})] {
        admin.post(&notes, &body).send().await.expect_problem(400, "validation_failed");
    }
    let nothing = "/v1/orders/01890a5d-ac96-774b-bcce-b302099a8057/notes";
    admin.post(nothing, &json!({"text": WORDS})).send().await.expect_problem(404, "not_found");
    admin.get(nothing).send().await.expect_problem(404, "not_found");

    // The buyer reads none of it, and what the order was stays as it is.
    buyer.get(&notes).send().await.expect_problem(403, "forbidden");
    buyer.post(&notes, &json!({"text": "mine"})).send().await.expect_problem(403, "forbidden");
    let path = order_path(&order);
    let history = buyer.read(&format!("{path}/history")).await;
    assert!(!history.to_string().contains("초인종"), "{history}");
    let seen = at_version(&buyer, &path, 3).await;
    assert_eq!((&seen["status"], &seen["total"]), (&order["status"], &order["total"]));
    only_so_many_are_kept(&admin, &notes).await;
    world.run_well(&["replay", "--verify-only"]).await;
}

async fn only_so_many_are_kept(admin: &Client, notes: &str) {
    for _ in 2..100 {
        admin.post(notes, &json!({"text": "again"})).send().await.expect(201);
    }
    admin.post(notes, &json!({"text": "one too many"})).send().await.expect_problem(409, "too_many_notes");
}

pub async fn the_desk_lists_what_is_to_be_done_and_finds_what_is_asked_for(world: &mut World) {
    let admin = world.admin().await;
    let minji = world.buyer("minji").await;
    let other = world.buyer("other").await;
    let tea = world.product(&admin, "보이차 100g", 12_000, 50).await;
    let cup = world.product(&admin, "청자 찻잔", 30_000, 50).await;
    let unpaid = minji.client.place(&[(&tea, 1)]).await;
    let first = minji.client.buy(&[(&tea, 1)]).await;
    let second = other.client.buy(&[(&cup, 1), (&tea, 2)]).await;
    let lists = async |query: &str, orders: &[&Value]| {
        let wanted: Vec<_> = orders.iter().map(|order| order["id"].clone()).collect();
        eventually(&format!("?{query} lists {wanted:?}"), async || {
            let items = admin.read_all(&format!("/v1/orders?limit=1&{query}")).await;
            let found: Vec<_> = items.iter().map(|item| item["id"].clone()).collect();
            (found == wanted).then_some(())
        })
        .await;
    };
    lists("desk=to_pack", &[&first, &second]).await;
    let packed = admin.post(&format!("{}/pack", order_path(&first)), &json!({})).send().await.expect(200);
    assert!(packed["packed_at"].is_string(), "{packed}");
    lists("desk=to_pack", &[&second]).await;
    lists("desk=to_send", &[&first]).await;
    admin.post(&format!("{}/hold", order_path(&second)), &json!({"reason": "looks odd"})).send().await.expect(200);
    lists("desk=on_hold", &[&second]).await;
    lists("desk=to_pack", &[]).await;
    let held = admin.post(&format!("{}/pack", order_path(&second)), &json!({})).send().await;
    held.expect_problem(409, "order_state_conflict");
    admin.post(&format!("{}/release", order_path(&second)), &json!({"reason": "fine"})).send().await.expect(200);

    // What is paid has to leave within three business days.
    let paid_at: chrono::DateTime<chrono::Utc> = packed["paid_at"].as_str().unwrap().parse().unwrap();
    let ship_by: chrono::DateTime<chrono::Utc> = packed["ship_by"].as_str().unwrap().parse().unwrap();
    assert!((3..=14).contains(&(ship_by - paid_at).num_days()), "{packed}");
    assert_eq!(unpaid["ship_by"], Value::Null);
    lists("desk=late", &[]).await;
    let parcel = admin.parcel_of(&first, "ready").await;
    let dispatch = format!("/v1/shipments/{}/dispatch", parcel["id"].as_str().unwrap());
    admin.post(&dispatch, &json!({})).send().await.expect(200);
    lists("desk=to_send", &[]).await;
    let left = admin.post(&format!("{}/pack", order_path(&first)), &json!({})).send().await;
    left.expect_problem(409, "order_already_dispatched");

    lists(&format!("number={}", second["number"].as_str().unwrap().to_lowercase()), &[&second]).await;
    lists("email=OTHER%40example.com", &[&second]).await;
    lists("email=nobody%40example.com", &[]).await;
    lists(&format!("email={}&user_id={}", other.email, minji.id), &[]).await;
    lists(&format!("product_id={cup}"), &[&second]).await;
    lists("q=%EB%B3%B4%EC%9D%B4", &[&second, &first, &unpaid]).await;
    lists("q=%EB%B3%B4%EC%9D%B4&status=shipped", &[&first]).await;
    what_the_desk_is_told_is_not_the_buyers(&minji.client, &first, &unpaid).await;
    world.run_well(&["replay", "--verify-only"]).await;
}

async fn what_the_desk_is_told_is_not_the_buyers(buyer: &Client, first: &Value, unpaid: &Value) {
    for query in ["desk=to_pack", "desk=late", "email=minji%40example.com"] {
        buyer.get(&format!("/v1/orders?{query}")).send().await.expect_problem(403, "forbidden");
    }
    buyer.get("/v1/orders?desk=sideways").send().await.expect_problem(400, "validation_failed");
    buyer.post(&format!("{}/pack", order_path(unpaid)), &json!({})).send().await.expect_problem(403, "forbidden");
    let own = buyer.read("/v1/orders?q=%EB%B3%B4%EC%9D%B4").await;
    let ids: Vec<_> = own["items"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, [&first["id"], &unpaid["id"]], "only their own");
}

pub async fn lines_are_cancelled_before_the_payment_and_after_it(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차 100g", 12_000, 10).await;
    let cup = world.product(&admin, "청자 찻잔", 30_000, 10).await;

    let order = buyer.place(&[(&tea, 3), (&cup, 1)]).await;
    let path = format!("{}/lines/cancel", order_path(&order));
    let cancel = |lines: Value| json!({"lines": lines, "reason": "마음이 바뀌었어요"});
    let one_tea = cancel(json!([{"product_id": tea, "quantity": 1}]));
    let first = buyer.post(&path, &one_tea).key("one-tea-less").send().await.expect(200);
    assert_eq!((&first["total"], &first["lines"][0]["quantity"]), (&krw(54_000), &json!(2)), "{first}");
    let again = buyer.post(&path, &one_tea).key("one-tea-less").send().await;
    assert_eq!((again.header("idempotent-replayed"), again.expect(200)), (Some("true"), first.clone()));
    admin.stock_becomes(&tea, 10, 2, 0).await;
    for (lines, pointer) in [
        (json!([]), "/lines"),
        (json!([{"product_id": order["id"]}]), "/lines/0/product_id"),
        (json!([{"product_id": cup, "quantity": 2}]), "/lines/0/quantity"),
        (json!([{"product_id": cup}, {"product_id": tea}]), "/lines"),
    ] {
        let problem = buyer.post(&path, &cancel(lines)).send().await.expect_problem(400, "validation_failed");
        assert!(problem.to_string().contains(&format!("\"{pointer}\"")), "{problem}");
    }
    buyer.post(&path, &one_tea).without_key().send().await.expect_problem(428, "idempotency_key_required");
    admin.post(&path, &json!({"lines": [{"product_id": cup}]})).send().await.expect_problem(400, "validation_failed");
    let whole = buyer.post("/v1/payments", &by_card(&order, "tok_ok")).send().await;
    whole.expect_problem(422, "payment_total_mismatch");

    // Paid and with a label: the parcel is cancelled and replaced.
    buyer.pay(&first, "tok_ok").send().await.expect(201);
    let parcel = admin.parcel_of(&order, "ready").await;
    let stranger = world.visitor();
    stranger.post(&path, &one_tea).send().await.expect_problem(401, "unauthenticated");
    let fewer = buyer.post(&path, &cancel(json!([{"product_id": cup}]))).settled().send().await.expect(200);
    assert_eq!((&fewer["total"], &fewer["status"]), (&krw(24_000), &json!("preparing")), "{fewer}");
    let parcels = admin.list_of(2, &format!("{}/shipments", order_path(&order))).await;
    let states: Vec<_> = parcels.iter().map(|parcel| parcel["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["cancelled", "ready"], "{parcels:?}");
    assert_eq!(parcels[0]["id"], parcel["id"]);
    let gone: Vec<_> = fewer["cancelled_lines"].as_array().unwrap().iter().map(|line| &line["quantity"]).collect();
    assert_eq!(gone, [&json!(1), &json!(1)], "{fewer}");
    assert_eq!(parcels[1]["lines"].as_array().unwrap().len(), 1, "{}", parcels[1]);
    assert_eq!(world.books().net(&order).await, 24_000);
    admin.stock_becomes(&cup, 10, 0, 0).await;
    it_is_sent_without_it(&admin, &buyer, &parcels, &path, &one_tea).await;
    admin.stock_becomes(&tea, 8, 0, 0).await;
    world.run_well(&["replay", "--verify-only"]).await;
    world.run_well(&["audit", "verify"]).await;
}

pub async fn an_order_goes_elsewhere(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let other = world.buyer("other").await.client;
    let tea = world.product(&admin, "보이차 100g", 12_000, 10).await;
    let order = buyer.place(&[(&tea, 1)]).await;
    let path = format!("{}/shipping-address", order_path(&order));
    let address =
        |line1: &str| json!({"recipient": "김민지", "phone": "010-1234-5678", "postal_code": "63001", "line1": line1});
    let change = |client: &Client, line1: &str| client.call(Method::PUT, &path).json(&address(line1));
    let moved = change(&buyer, "제주시 연북로 1").send().await.expect(200);
    assert_eq!((&moved["shipping_address"]["line1"], &moved["total"]), (&json!("제주시 연북로 1"), &krw(12_000)));
    change(&other, "남의 집").send().await.expect_problem(404, "not_found");
    let blank = client_call(&buyer, &path, &json!({"recipient": "김민지"})).send().await;
    blank.expect_problem(400, "validation_failed");

    // Paid and with a label: the parcel is cancelled and replaced.
    buyer.pay(&order, "tok_ok").send().await.expect(201);
    let parcel = admin.parcel_of(&order, "ready").await;
    change(&buyer, "제주시 연북로 2").settled().send().await.expect(200);
    let parcels = admin.list_of(2, &format!("{}/shipments", order_path(&order))).await;
    let states: Vec<_> = parcels.iter().map(|parcel| parcel["status"].as_str().unwrap()).collect();
    assert_eq!((states, &parcels[0]["id"]), (vec!["cancelled", "ready"], &parcel["id"]), "{parcels:?}");
    assert_eq!(parcels[1]["shipping_address"]["line1"], "제주시 연북로 2");
    let dispatch = |parcel: &Value| format!("/v1/shipments/{}/dispatch", parcel["id"].as_str().unwrap());
    let old = admin.post(&dispatch(&parcels[0]), &json!({})).send().await;
    old.expect_problem(409, "shipment_state_conflict");
    admin.post(&dispatch(&parcels[1]), &json!({})).send().await.expect(200);
    change(&admin, "제주시 연북로 3").send().await.expect_problem(409, "order_already_dispatched");
    let history = buyer.read(&format!("{}/history", order_path(&order))).await;
    assert!(!history.to_string().contains("연북로"), "an address is sealed: {history}");
    world.run_well(&["replay", "--verify-only"]).await;
    world.run_well(&["audit", "verify"]).await;
}

fn client_call(client: &Client, path: &str, body: &Value) -> crate::harness::Call {
    client.call(Method::PUT, path).json(body)
}

async fn it_is_sent_without_it(admin: &Client, buyer: &Client, parcels: &[Value], path: &str, one_tea: &Value) {
    let dispatch = |parcel: &Value| format!("/v1/shipments/{}/dispatch", parcel["id"].as_str().unwrap());
    let old = admin.post(&dispatch(&parcels[0]), &json!({})).send().await;
    old.expect_problem(409, "shipment_state_conflict");
    admin.post(&dispatch(&parcels[1]), &json!({})).send().await.expect(200);
    buyer.post(path, one_tea).send().await.expect_problem(409, "order_already_dispatched");
}

fn order_path(order: &Value) -> String {
    format!("/v1/orders/{}", order["id"].as_str().unwrap())
}

async fn at_version(client: &Client, path: &str, version: u64) -> Value {
    eventually(&format!("{path} has version {version}"), async || {
        Some(client.read(path).await).filter(|seen| seen["version"].as_u64() >= Some(version))
    })
    .await
}
