//! Orders that are paid at the buyer's bank.

use serde_json::{Value, json};

use crate::harness::{Client, World, basket, krw, number};

/// Pays an order by a transfer; returns the payment, which waits for the buyer.
async fn transfer(buyer: &Client, order: &Value, bank: &str) -> Value {
    let legs = json!([{"method": "bank_transfer", "amount": order["total"], "bank": bank}]);
    let body = json!({"order_id": order["id"], "legs": legs});
    let payment = buyer.post("/v1/payments", &body).settled().send().await.expect(201);
    assert_eq!(payment["status"], "requires_action", "{payment}");
    payment
}

/// A buyer's action at the payment's page.
async fn at_the_bank(world: &World, payment: &Value, act: &str) {
    let url = payment["redirect_url"].as_str().unwrap();
    let page = url.strip_prefix(&world.sandbox_url()).unwrap();
    let bank = Client::anonymous(world.sandbox_url());
    assert_eq!(bank.get(page).send().await.status, 200);
    assert_eq!(bank.post(&format!("{page}/{act}"), &json!({})).send().await.status, 200);
}

fn path(payment: &Value) -> String {
    format!("/v1/payments/{}", payment["id"].as_str().unwrap())
}

/// Found by the gateway's webhook, and by an inquiry if there is no webhook.
pub async fn a_transfer_is_made_at_the_bank_and_the_parcel_follows(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let methods = buyer.read("/v1/payment-methods").await;
    let listed = methods["items"].as_array().unwrap().iter().find(|method| method["name"] == "bank_transfer").unwrap();
    assert_eq!((&listed["placement"], &listed["smallest"]), (&json!("gateway"), &krw(200)));
    let tea = world.product(&admin, "보이차", 12_000, 10).await;
    for bank in ["kakao", "silent"] {
        let order = buyer.place(&[(&tea, 2)]).await;
        let payment = transfer(&buyer, &order, bank).await;
        let confirm = buyer.post(&format!("{}/confirm", path(&payment)), &json!({})).send().await;
        confirm.expect(409);
        at_the_bank(world, &payment, "pay").await;
        let waits = buyer.becomes(&path(&payment), "awaiting_deposit").await;
        assert_eq!(waits["redirect_url"], Value::Null, "{waits}");
        buyer.becomes(&path(&payment), "captured").await;
        let paid = buyer.order_reaches(&order, "preparing").await;
        assert_eq!(paid["payment_id"], payment["id"]);
        admin.parcel_of(&order, "ready").await;
        assert_eq!(world.books().net(&order).await, number(&order["total"]));
    }
}

pub async fn a_transfer_that_the_buyer_calls_off_leaves_the_order_to_be_paid(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("jisoo").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 10).await;
    let order = buyer.place(&[(&tea, 1)]).await;
    let payment = transfer(&buyer, &order, "kakao").await;
    at_the_bank(world, &payment, "cancel").await;
    let failed = buyer.becomes(&path(&payment), "failed").await;
    assert_eq!(failed["failure_reason"], "cancelled_by_buyer");
    buyer.pay(&order, "tok_ok").send().await.expect(201);
    buyer.order_reaches(&order, "preparing").await;
    assert_eq!(world.books().live_charges(&order).await, 1);
}

pub async fn a_transfer_that_is_never_made_expires_with_its_order(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("haneul").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 10).await;
    let mut body = basket(&[(&tea, 1)]);
    body["pay_within_seconds"] = json!(3);
    let order = buyer.post("/v1/orders", &body).send().await.expect(201);
    let payment = transfer(&buyer, &order, "kakao").await;
    buyer.order_reaches(&order, "expired").await;
    let failed = buyer.becomes(&path(&payment), "failed").await;
    assert_eq!((&failed["failure_reason"], &failed["redirect_url"]), (&json!("net_cancelled"), &Value::Null));
    admin.stock_becomes(&tea, 10, 0, 0).await;
    // Too late at the bank: no money is taken.
    let page = payment["redirect_url"].as_str().unwrap().strip_prefix(&world.sandbox_url()).unwrap().to_owned();
    Client::anonymous(world.sandbox_url()).post(&format!("{page}/pay"), &json!({})).send().await;
    assert_eq!(world.books().net(&order).await, 0);
}
