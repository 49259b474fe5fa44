//! A shop with more than one payment gateway.

use serde_json::{Value, json};

use crate::harness::{Client, World};

/// The gateway of the only charge of an order.
async fn gateway_of(world: &World, order: &Value) -> Value {
    let charges = world.books().charges(order).await;
    assert_eq!(charges.len(), 1, "{charges:?}");
    charges[0]["gateway"].clone()
}

/// The shop is configured for another gateway while a charge is under way.
pub async fn a_charge_ends_where_it_was_asked_for_and_new_ones_go_elsewhere(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 10).await;
    let before = buyer.place(&[(&tea, 1)]).await;
    let waiting = buyer.pay(&before, "tok_challenge").send().await.expect(201);
    assert_eq!(waiting["status"], "requires_action");

    assert!(world.terminate_shop().await.success());
    world.put_around_the_shop("JANGBU_GATEWAY", "hostpay");
    world.start_shop().await;

    let card = buyer.buy(&[(&tea, 1)]).await;
    assert_eq!(gateway_of(world, &card).await, "hostpay");
    let confirm = format!("/v1/payments/{}/confirm", waiting["id"].as_str().unwrap());
    assert_eq!(buyer.post(&confirm, &json!({})).settled().send().await.expect(200)["status"], "captured");
    buyer.order_reaches(&before, "preparing").await;
    assert_eq!(gateway_of(world, &before).await, "sandbox");

    // Its webhooks are not signed, so the shop inquires.
    let order = buyer.place(&[(&tea, 1)]).await;
    let legs = json!([{"method": "bank_transfer", "amount": order["total"], "bank": "kakao"}]);
    let body = json!({"order_id": order["id"], "legs": legs});
    let payment = buyer.post("/v1/payments", &body).settled().send().await.expect(201);
    let page = payment["redirect_url"].as_str().unwrap().strip_prefix(&world.sandbox_url()).unwrap().to_owned();
    let bank = Client::anonymous(world.sandbox_url());
    assert_eq!(bank.post(&format!("{page}/pay"), &json!({})).send().await.status, 200);
    buyer.order_reaches(&order, "preparing").await;

    // Money is refunded through the gateway that took it.
    for order in [&before, &card] {
        let cancel = format!("/v1/orders/{}/cancel", order["id"].as_str().unwrap());
        buyer.post(&cancel, &json!({})).send().await.expect(200);
        buyer.order_reaches(order, "cancelled").await;
        assert_eq!(world.books().net(order).await, 0);
    }

    // Forged webhooks are not kept.
    let forged = format!("payment_no={}&state=PAID", order["id"].as_str().unwrap());
    let hook = world.visitor().call(reqwest::Method::POST, "/v1/hooks/payments/hostpay");
    let told = hook.body("application/x-www-form-urlencoded", forged).send().await;
    assert_eq!(told.status, 400, "{}", told.text());
}
