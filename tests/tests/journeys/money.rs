//! Money: answers of the gateway, lost answers, and refunds.

use futures::future::join;
use serde_json::{Value, json};

use crate::harness::{Buyer, Client, World, eventually, krw, number};

/// A shop with one product on offer and one customer.
async fn shop_and_buyer(world: &World) -> (Client, Buyer, String) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await;
    let tea = world.product(&admin, "보이차", 20_000, 10).await;
    (admin, buyer, tea)
}

fn path_of(payment: &Value) -> String {
    format!("/v1/payments/{}", payment["id"].as_str().unwrap())
}

/// The events of a stream.
async fn events(world: &World, stream: &str) -> Vec<Value> {
    let output = world.run_well(&["events", "list", "--stream", stream, "--json"]).await;
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Pays, whatever the outcome; returns the payment as it was known then.
async fn pay(buyer: &Client, order: &Value, token: &str) -> Value {
    let answer = buyer.pay(order, token).send().await;
    assert!(matches!(answer.status, 201 | 202), "{} {}", answer.status, answer.text());
    answer.json()
}

pub async fn a_lost_answer_is_found_out_and_charged_once(world: &mut World) {
    let (admin, buyer, tea) = shop_and_buyer(world).await;
    // A gateway whose webhooks get lost as well, because no server listens at this port.
    world.kill_sandbox().await;
    world.start_sandbox_towards("http://127.0.0.1:9").await;
    let order = buyer.client.place(&[(&tea, 1)]).await;
    let payment = pay(&buyer.client, &order, "tok_timeout_charged").await;
    buyer.client.becomes(&path_of(&payment), "captured").await;
    buyer.client.order_reaches(&order, "preparing").await;
    let stream = format!("payment-{}", payment["id"].as_str().unwrap());
    let story = events(world, &stream).await;
    assert!(story.iter().any(|event| event["type"] == "payment.outcome_unknown"), "{story:?}");
    let captured = story.iter().find(|event| event["type"] == "payment.captured").unwrap();
    assert_eq!(captured["data"]["source"], "inquiry", "{captured}");
    // Another inquiry changes nothing any more.
    let sync = format!("{}/sync", path_of(&payment));
    assert_eq!(buyer.client.post(&sync, &json!({})).send().await.expect(200)["status"], "captured");
    let charges = world.books().charges(&order).await;
    assert_eq!(charges.len(), 1, "{charges:?}");
    assert_eq!(number(&charges[0]["amount"]), number(&order["total"]));
    admin.stock_becomes(&tea, 10, 0, 1).await;
}

pub async fn a_lost_request_fails_and_the_order_is_paid_again(world: &mut World) {
    let (admin, buyer, tea) = shop_and_buyer(world).await;
    let order = buyer.client.place(&[(&tea, 1)]).await;
    let lost = pay(&buyer.client, &order, "tok_timeout_not_charged").await;
    let ended = eventually("the lost payment ends", async || {
        let payment = buyer.client.read(&path_of(&lost)).await;
        matches!(payment["status"].as_str(), Some("failed" | "voided")).then_some(payment)
    })
    .await;
    assert!(ended["failure_reason"].is_string() || ended["status"] == "voided", "{ended}");
    assert_eq!(world.books().net(&order).await, 0);
    // Nothing was released while the outcome was unknown.
    admin.stock_becomes(&tea, 10, 1, 0).await;

    let second = eventually("the order can be paid again", async || {
        let answer = buyer.client.pay(&order, "tok_ok").send().await;
        (answer.status == 201).then(|| answer.json())
    })
    .await;
    assert_ne!(second["id"], lost["id"]);
    buyer.client.order_reaches(&order, "preparing").await;
    assert_eq!(world.books().live_charges(&order).await, 1);
    assert_eq!(world.books().net(&order).await, number(&order["total"]));
}

pub async fn a_declined_card_leaves_the_order_payable(world: &mut World) {
    let (admin, buyer, tea) = shop_and_buyer(world).await;
    let order = buyer.client.place(&[(&tea, 1)]).await;
    for token in ["tok_declined", "tok_insufficient_funds"] {
        let payment = pay(&buyer.client, &order, token).await;
        let failed = buyer.client.becomes(&path_of(&payment), "failed").await;
        assert!(failed["failure_reason"].is_string(), "{failed}");
        let still = buyer.client.order_reaches(&order, "awaiting_payment").await;
        assert!(still["paid_at"].is_null(), "{still}");
    }
    assert_eq!(world.books().net(&order).await, 0);
    admin.stock_becomes(&tea, 10, 1, 0).await;
    pay(&buyer.client, &order, "tok_ok").await;
    buyer.client.order_reaches(&order, "preparing").await;
    assert_eq!(world.books().net(&order).await, number(&order["total"]));
    // A paid order cannot be paid again.
    let again = buyer.client.pay(&order, "tok_ok").send().await;
    assert_eq!(again.status, 409, "{}", again.text());
    again.problem();
    assert_eq!(world.books().live_charges(&order).await, 1);
}

pub async fn a_challenge_waits_for_the_buyer(world: &mut World) {
    let (_, buyer, tea) = shop_and_buyer(world).await;
    let order = buyer.client.place(&[(&tea, 1)]).await;
    let payment = pay(&buyer.client, &order, "tok_challenge").await;
    buyer.client.becomes(&path_of(&payment), "requires_action").await;
    assert_eq!(world.books().net(&order).await, 0);
    let second = buyer.client.pay(&order, "tok_ok").send().await;
    second.expect_problem(409, "payment_in_progress");
    let confirm = format!("{}/confirm", path_of(&payment));
    let confirmed = buyer.client.post(&confirm, &json!({})).settled().send().await;
    assert!(matches!(confirmed.status, 200 | 202), "{} {}", confirmed.status, confirmed.text());
    buyer.client.becomes(&path_of(&payment), "captured").await;
    buyer.client.order_reaches(&order, "preparing").await;
    assert_eq!(world.books().net(&order).await, number(&order["total"]));
}

pub async fn errors_slowness_and_repeats_charge_once(world: &mut World) {
    let (admin, buyer, tea) = shop_and_buyer(world).await;
    let journey = async |token: &'static str| {
        let order = buyer.client.place(&[(&tea, 1)]).await;
        let payment = pay(&buyer.client, &order, token).await;
        buyer.client.becomes(&path_of(&payment), "captured").await;
        buyer.client.order_reaches(&order, "preparing").await;
        order
    };
    let orders = {
        let ((first, second), third) =
            join(join(journey("tok_error_then_ok"), journey("tok_slow")), journey("tok_duplicate_webhook")).await;
        [first, second, third]
    };
    for order in &orders {
        let charges = world.books().charges(order).await;
        assert_eq!(charges.len(), 1, "{charges:?}");
        assert_eq!(world.books().net(order).await, number(&order["total"]));
    }
    admin.stock_becomes(&tea, 10, 0, 3).await;
    // Each order was paid by one event, however often the webhook was sent.
    for order in &orders {
        let story = events(world, &format!("order-{}", order["id"].as_str().unwrap())).await;
        assert_eq!(story.iter().filter(|event| event["type"] == "order.paid").count(), 1, "{story:?}");
    }
}

pub async fn refunds_never_exceed_what_was_captured(world: &mut World) {
    let (admin, buyer, tea) = shop_and_buyer(world).await;
    let order = buyer.client.buy(&[(&tea, 1)]).await;
    let total = number(&order["total"]);
    let path = format!("/v1/payments/{}", order["payment_id"].as_str().unwrap());
    let refunds = format!("{path}/refunds");
    let give_back = |amount: u64| json!({"amount": krw(amount), "reason": "흠집"});
    buyer.client.post(&refunds, &give_back(1_000)).send().await.expect_problem(403, "forbidden");
    admin.post(&refunds, &give_back(5_000)).without_key().send().await.expect_problem(428, "idempotency_key_required");
    admin.post(&refunds, &give_back(5_000)).send().await.expect(201);
    buyer.client.becomes(&path, "partially_refunded").await;
    admin.post(&refunds, &give_back(total - 4_999)).send().await.expect_problem(409, "refund_exceeds_captured");
    admin.post(&refunds, &give_back(total - 5_000)).send().await.expect(201);
    let refunded = buyer.client.becomes(&path, "refunded").await;
    assert_eq!(number(&refunded["refunded"]), total);
    admin.post(&refunds, &give_back(1)).send().await.expect_problem(409, "refund_exceeds_captured");
    assert_eq!(world.books().net(&order).await, 0);
    assert_eq!(world.books().refunds(&order).await.len(), 2);
    admin.list_of(2, &refunds).await;
}
