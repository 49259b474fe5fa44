//! Charges, inquiries, cancellations, refunds, faults and the books.

use std::collections::HashMap;
use std::time::Duration;

use jangbu_sandbox::SandboxConfig;
use serde_json::json;

use super::{Order, World, config, eventually};

#[tokio::test]
async fn each_token_does_what_it_says() {
    let world = World::new().await;
    for (token, status, state, code) in [
        ("tok_ok", 201, "captured", None),
        ("tok_ok_42", 201, "captured", None),
        ("tok_duplicate_webhook", 201, "captured", None),
        ("tok_challenge", 201, "requires_action", None),
        ("tok_redirect", 201, "requires_action", None),
        ("tok_declined", 402, "declined", Some("card_declined")),
        ("tok_insufficient_funds_7", 402, "declined", Some("insufficient_funds")),
        ("tok_okay", 402, "declined", Some("invalid_card_token")),
    ] {
        let order = Order::new();
        let answer = world.charge(&order, token).await;
        assert_eq!((answer.status, answer.body["status"].as_str().unwrap()), (status, state), "{token}");
        assert_eq!(answer.body["code"].as_str(), code, "{token}");
        assert_eq!(answer.body["idempotency_key"], order.key, "{token}");
        assert_eq!(answer.body["amount"], "53000", "{token}");
        let known = world.get(&format!("/gateway/v1/keys/{}", order.key)).await;
        assert_eq!((known.status, known.body), (200, answer.body), "{token}");
    }
}

#[tokio::test]
async fn a_page_shows_what_is_to_be_paid_and_takes_it_once() {
    let world = World::new().await;
    let order = Order::new();
    let charge = world.charge(&order, "tok_redirect").await.body;
    let page = charge["page_url"].as_str().unwrap().to_owned();
    let client = &world.client;
    let shown = client.get(&page).send().await.unwrap().text().await.unwrap();
    assert!(shown.contains("53000 KRW") && shown.contains("/pay") && shown.contains("/cancel"), "{shown}");
    for act in ["pay", "cancel", "pay"] {
        let done = client.post(format!("{page}/{act}")).send().await.unwrap().text().await.unwrap();
        assert!(done.contains("captured") && !done.contains("<form"), "{act}: {done}");
    }
    let books = world.books(&order).await;
    assert_eq!((books.len(), books[0]["status"].as_str()), (1, Some("captured")));
    let card = world.charge(&Order::new(), "tok_challenge").await.body;
    for nobody in ["ch_none", card["id"].as_str().unwrap()] {
        assert_eq!(world.get(&format!("/bank/{nobody}")).await.status, 404, "{nobody} is not paid at a page");
        assert_eq!(world.post(&format!("/bank/{nobody}/pay"), json!({})).await.status, 404);
    }
}

#[tokio::test]
async fn the_money_of_a_transfer_arrives_after_the_buyer_was_at_the_bank() {
    let world = World::with(SandboxConfig { slow: Duration::from_millis(300), ..config() }).await;
    let (paid, called_off) = (Order::new(), Order::new());
    let status =
        async |order: &Order| world.get(&format!("/gateway/v1/keys/{}", order.key)).await.body["status"].clone();
    for order in [&paid, &called_off] {
        let mut body = order.body("");
        (body["method"], body["details"]) = (json!("bank_transfer"), json!({"bank": "kakao"}));
        let charge = world.charge_with(&order.key, &body).await;
        assert_eq!((charge.status, &charge.body["status"]), (201, &json!("requires_action")));
        let page = charge.body["page_url"].as_str().unwrap();
        assert_eq!(world.client.post(format!("{page}/pay")).send().await.unwrap().status(), 200);
        assert_eq!(status(order).await, "awaiting_deposit");
    }
    world.post(&format!("/gateway/v1/keys/{}/net-cancel", called_off.key), json!({})).await;
    eventually(async || (status(&paid).await == "captured").then_some(())).await;
    assert_eq!(status(&called_off).await, "voided", "money that arrives after that is not taken");
}

#[tokio::test]
async fn a_lost_answer_is_found_by_inquiry() {
    let world = World::new().await;
    let charged = Order::new();
    assert_eq!(world.charge(&charged, "tok_timeout_charged").await.status, 504);
    let known = world.get(&format!("/gateway/v1/keys/{}", charged.key)).await;
    assert_eq!(known.body["status"], "captured");

    let not_charged = Order::new();
    assert_eq!(world.charge(&not_charged, "tok_timeout_not_charged").await.status, 504);
    let known = world.get(&format!("/gateway/v1/keys/{}", not_charged.key)).await;
    assert_eq!((known.status, known.body["code"].as_str()), (404, Some("charge_not_found")));
    assert_eq!(world.books(&not_charged).await.len(), 0);
}

#[tokio::test]
async fn two_errors_then_success() {
    let world = World::new().await;
    let order = Order::new();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(world.charge(&order, "tok_error_then_ok").await.status);
    }
    assert_eq!(statuses, [500, 500, 201, 200]);
    assert_eq!(world.books(&order).await.len(), 1);
}

#[tokio::test]
async fn one_key_is_one_charge() {
    let world = World::new().await;
    let order = Order::new();
    let answers = futures::future::join_all((0..20).map(|_| world.charge(&order, "tok_ok"))).await;
    let ids: Vec<_> = answers.iter().map(|answer| answer.body["id"].as_str().unwrap()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(world.books(&order).await.len(), 1);

    for other in [
        json!({"order_id": order.id, "payment_id": order.payment_id, "amount": "52999", "currency": "KRW", "method": "card", "details": {"card_token": "tok_ok"}}),
        order.body("tok_ok_2"),
        Order::new().body("tok_ok"),
    ] {
        let answer = world.charge_with(&order.key, &other).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (422, Some("idempotency_key_reused")));
    }
}

#[tokio::test]
async fn a_challenge_is_confirmed_once() {
    let world = World::new().await;
    let order = Order::new();
    let asked = world.charge(&order, "tok_challenge").await;
    let path = format!("/gateway/v1/charges/{}/confirm", asked.body["id"].as_str().unwrap());
    for _ in 0..2 {
        let confirmed = world.post(&path, json!({})).await;
        assert_eq!((confirmed.status, confirmed.body["status"].as_str()), (200, Some("captured")));
    }
    assert_eq!(world.post("/gateway/v1/charges/ch_none/confirm", json!({})).await.status, 404);
}

#[tokio::test]
async fn a_net_cancellation_refuses_what_comes_late() {
    let world = World::new().await;
    let order = Order::new();
    let path = format!("/gateway/v1/keys/{}/net-cancel", order.key);
    for _ in 0..2 {
        let cancelled = world.post(&path, json!({})).await;
        assert_eq!((cancelled.status, cancelled.body["status"].as_str()), (200, Some("voided")));
    }
    assert_eq!(world.get(&format!("/gateway/v1/keys/{}", order.key)).await.body["status"], "voided");
    let late = world.charge(&order, "tok_ok").await;
    assert_eq!(late.body["status"], "voided");
    assert_eq!(world.books(&order).await[0]["status"], "voided");
}

#[tokio::test]
async fn a_net_cancellation_gives_everything_back() {
    let world = World::new().await;
    let order = Order::new();
    let charge = world.charge(&order, "tok_ok").await;
    let id = charge.body["id"].as_str().unwrap();
    assert_eq!(world.refund(id, "refund-1", "3000").await.status, 201);
    let cancelled = world.post(&format!("/gateway/v1/keys/{}/net-cancel", order.key), json!({})).await;
    assert_eq!(cancelled.body["status"], "voided");
    assert_eq!(cancelled.body["refunded"], "53000");
    let refunds = world.get(&format!("/sandbox/refunds?order_id={}", order.id)).await.body["items"].clone();
    let amounts: Vec<_> = refunds.as_array().unwrap().iter().map(|refund| refund["amount"].clone()).collect();
    assert_eq!(amounts, ["50000", "3000"]);
    let after = world.refund(id, "refund-2", "1").await;
    assert_eq!((after.status, after.body["code"].as_str()), (409, Some("charge_not_captured")));

    let declined = Order::new();
    world.charge(&declined, "tok_declined").await;
    let cancelled = world.post(&format!("/gateway/v1/keys/{}/net-cancel", declined.key), json!({})).await;
    assert_eq!(cancelled.body["status"], "declined");
}

#[tokio::test]
async fn refunds_never_exceed_what_was_captured() {
    let world = World::new().await;
    let order = Order::new();
    let id = world.charge(&order, "tok_ok").await.body["id"].as_str().unwrap().to_owned();
    let first = world.refund(&id, "refund-1", "20000").await;
    assert_eq!((first.status, first.body["status"].as_str()), (201, Some("settled")));
    let again = world.refund(&id, "refund-1", "20000").await;
    assert_eq!((again.status, again.body), (200, first.body));
    assert_eq!(world.refund(&id, "refund-1", "20001").await.status, 422);

    let keys: Vec<String> = (0..10).map(|number| format!("parallel-{number}")).collect();
    let answers = futures::future::join_all(keys.iter().map(|key| world.refund(&id, key, "10000"))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 3);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((refused.status, refused.body["code"].as_str()), (409, Some("refund_exceeds_captured")));
    }
    let book = world.books(&order).await.remove(0);
    assert_eq!((book["refunded"].as_str(), book["status"].as_str()), (Some("50000"), Some("captured")));

    assert_eq!(world.refund("ch_none", "refund-x", "1").await.status, 404);
    let unpaid = world.charge(&Order::new(), "tok_challenge").await.body["id"].as_str().unwrap().to_owned();
    assert_eq!(world.refund(&unpaid, "refund-y", "1").await.body["code"], "charge_not_captured");
}

#[tokio::test]
async fn the_books_have_the_fields_they_promise_newest_first() {
    let world = World::new().await;
    let orders: Vec<Order> = (0..5).map(|_| Order::new()).collect();
    for order in &orders {
        world.charge(order, "tok_ok").await;
    }
    let mut seen = Vec::new();
    let mut path = "/sandbox/charges?limit=2".to_owned();
    loop {
        let page = world.get(&path).await.body;
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/sandbox/charges?limit=2&cursor={cursor}");
    }
    let ids: Vec<_> = seen.iter().map(|item| item["order_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, orders.iter().rev().map(|order| order.id.to_string()).collect::<Vec<_>>());
    let fields = |item: &serde_json::Value| item.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut promised =
        ["id", "idempotency_key", "gateway", "order_id", "amount", "currency", "refunded", "status", "created_at"];
    promised.sort_unstable();
    assert_eq!(fields(&seen[0]), promised);
    assert!(seen[0]["created_at"].as_str().unwrap().ends_with('Z'));

    world.refund(seen[0]["id"].as_str().unwrap(), "refund-1", "53000").await;
    let refund = world.get("/sandbox/refunds").await.body["items"][0].clone();
    let mut promised = ["id", "charge_id", "order_id", "amount", "status", "created_at"];
    promised.sort_unstable();
    assert_eq!(fields(&refund), promised);
    for wrong in ["limit=0", "limit=201", "limit=x", "cursor=x", "order_id=x", "other=1"] {
        let answer = world.get(&format!("/sandbox/charges?{wrong}")).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (400, Some("invalid_request")), "{wrong}");
    }
}

#[tokio::test]
async fn fault_rates_follow_their_seed() {
    let world = World::new().await;
    let faults = json!({"decline": 0.3, "timeout": 0.1, "duplicate_webhook": 0.05, "seed": 7});
    let mut set_to = faults.clone();
    set_to["mail"] = json!("off");
    let mut runs = Vec::new();
    for _ in 0..2 {
        let set = world.post("/sandbox/faults", faults.clone()).await;
        assert_eq!((set.status, &set.body), (200, &set_to));
        assert_eq!(world.get("/sandbox/faults").await.body, set_to);
        let mut statuses = Vec::new();
        for _ in 0..60 {
            statuses.push(world.charge(&Order::new(), "tok_ok").await.status);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    let mut counts: HashMap<u16, u32> = HashMap::new();
    for status in &runs[0] {
        *counts.entry(*status).or_default() += 1;
    }
    assert!([201, 402, 504].iter().all(|status| counts.contains_key(status)), "{counts:?}");

    assert_eq!(world.post("/sandbox/faults", json!({})).await.body["decline"], json!(0));
    assert_eq!(world.charge(&Order::new(), "tok_ok").await.status, 201);
    for wrong in [json!({"decline": 1.1}), json!({"timeout": -0.1}), json!({"decline": "0.3"}), json!({"late": 1})] {
        assert_eq!(world.post("/sandbox/faults", wrong).await.status, 400);
    }
}

#[tokio::test]
async fn bad_input_is_answered_not_survived() {
    let world = World::new().await;
    let order = Order::new();
    let with = |name: &str, value: serde_json::Value| {
        let mut body = order.body("tok_ok");
        body[name] = value;
        body
    };
    for body in [
        json!(null),
        json!([]),
        json!({}),
        with("amount", json!(53000)),
        with("amount", json!("0")),
        with("amount", json!("-1")),
        with("amount", json!("0.5")),
        with("amount", json!("1e3")),
        with("amount", json!("99999999999999999999999")),
        with("currency", json!("WON")),
        with("order_id", json!("1")),
        with("extra", json!(1)),
    ] {
        let answer = world.charge_with(&order.key, &body).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (400, Some("invalid_request")), "{body}");
    }
    assert_eq!(world.charge_with("short", &order.body("tok_ok")).await.status, 400);
    assert_eq!(world.post("/gateway/v1/charges", order.body("tok_ok")).await.status, 400);
    let garbage = world.request("POST", "/gateway/v1/charges").header("idempotency-key", &order.key).body("{");
    assert_eq!(world.send(garbage).await.status, 400);
    let large = with("method", json!("x".repeat(70_000)));
    assert_eq!(world.charge_with(&order.key, &large).await.status, 413);
    assert_eq!(world.books(&order).await.len(), 0);

    assert_eq!(world.get("/nowhere").await.body["code"], "not_found");
    assert_eq!(world.get("/gateway/v1/charges").await.status, 405);
    let stranger = world.request("GET", "/gateway/v1/keys/12345678");
    let (client, request) = stranger.build_split();
    let mut request = request.unwrap();
    request.headers_mut().insert("x-api-key", "wrong".parse().unwrap());
    assert_eq!(client.execute(request).await.unwrap().status().as_u16(), 401);
}

#[tokio::test]
async fn a_slow_charge_is_pending_then_captured_even_when_the_caller_hangs_up() {
    let world = World::with(SandboxConfig { slow: Duration::from_millis(600), ..config() }).await;
    let order = Order::new();
    let hung_up = tokio::time::timeout(Duration::from_millis(100), world.charge(&order, "tok_slow")).await;
    assert!(hung_up.is_err());
    let path = format!("/gateway/v1/keys/{}", order.key);
    eventually(async || (world.get(&path).await.body["status"] == "captured").then_some(())).await;
}

#[tokio::test]
async fn a_slow_charge_that_is_cancelled_meanwhile_takes_nothing() {
    let world = World::with(SandboxConfig { slow: Duration::from_millis(600), ..config() }).await;
    let order = Order::new();
    let cancel = async {
        let path = format!("/gateway/v1/keys/{}", order.key);
        eventually(async || (world.get(&path).await.body["status"] == "processing").then_some(())).await;
        world.post(&format!("{path}/net-cancel"), json!({})).await
    };
    let (charged, cancelled) = tokio::join!(world.charge(&order, "tok_slow"), cancel);
    assert_eq!(cancelled.body["status"], "voided");
    assert_eq!(charged.body["status"], "voided");
    assert_eq!(world.books(&order).await[0]["refunded"], "0");
}

#[tokio::test]
async fn a_restart_forgets_nothing_and_finishes_what_was_begun() {
    let folder = tempfile::tempdir().unwrap();
    let file = || SandboxConfig { data_file: Some(folder.path().join("sandbox.db")), ..config() };
    let world = World::with(file()).await;
    let (lost, slow, cancelled) = (Order::new(), Order::new(), Order::new());
    assert_eq!(world.charge(&lost, "tok_timeout_charged").await.status, 504);
    world.post(&format!("/gateway/v1/keys/{}/net-cancel", cancelled.key), json!({})).await;
    let hung_up = tokio::time::timeout(Duration::from_millis(300), world.charge(&slow, "tok_slow")).await;
    assert!(hung_up.is_err());
    world.sandbox.stop().await;

    let world = World::with(file()).await;
    for order in [&lost, &slow] {
        assert_eq!(world.get(&format!("/gateway/v1/keys/{}", order.key)).await.body["status"], "captured");
    }
    assert_eq!(world.charge(&cancelled, "tok_ok").await.body["status"], "voided");
}
