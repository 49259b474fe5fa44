//! Buyers and the shop are told of what happens, by mails that the sandbox catches.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, World, eventually};

const SHOP: &str = "desk@shop.example";

/// The shop with mail, from its next start on.
async fn with_mail(world: &mut World) {
    let mailbox = world.mailbox_url();
    for (name, value) in [
        ("JANGBU_SMTP_URL", mailbox.as_str()),
        ("JANGBU_MAIL_FROM", "한지 가게 <no-reply@shop.example>"),
        ("JANGBU_SHOP_NAME", "한지 가게"),
        ("JANGBU_SHOP_EMAIL", SHOP),
    ] {
        world.put_around_the_shop(name, value);
    }
    world.terminate_shop().await;
    world.start_shop().await;
}

fn sandbox(world: &World) -> Client {
    Client::anonymous(world.sandbox_url())
}

async fn mail_server(world: &World, fault: &str) {
    sandbox(world).post("/sandbox/faults", &json!({"mail": fault})).send().await.expect(200);
}

/// The mails to an address, the oldest first.
async fn mails(world: &World, to: &str) -> Vec<Value> {
    let listed = sandbox(world).read(&format!("/sandbox/mails?to={to}&limit=200")).await;
    listed["items"].as_array().unwrap().iter().rev().cloned().collect()
}

/// Waits until these are the subjects of the mails to an address, in any order.
async fn are_told(world: &World, to: &str, wanted: &[String]) -> Vec<Value> {
    let mut wanted = wanted.to_vec();
    wanted.sort();
    eventually(&format!("{to} has {wanted:?}"), async || {
        let mails = mails(world, to).await;
        let mut subjects: Vec<_> = mails.iter().map(|mail| mail["subject"].as_str().unwrap().to_owned()).collect();
        subjects.sort();
        (subjects == wanted).then_some(mails)
    })
    .await
}

fn number(order: &Value) -> &str {
    order["number"].as_str().unwrap()
}

/// Waits until the notice of this name about an order is in this state.
async fn notice(admin: &Client, order: &Value, name: &str, state: &str) -> Value {
    let path = format!("/v1/notices?order_id={}&state={state}", order["id"].as_str().unwrap());
    eventually(&format!("{name} is {state}"), async || {
        admin.read_all(&path).await.into_iter().find(|notice| notice["notice"] == name)
    })
    .await
}

pub async fn buyers_and_the_shop_are_told_once(world: &mut World) {
    with_mail(world).await;
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await;
    let tea = world.product(&admin, "보이차", 12_000, 10).await;
    let order = buyer.client.buy(&[(&tea, 2)]).await;
    let parcel = admin.parcel_of(&order, "ready").await;
    let tracking = parcel["tracking_number"].as_str().unwrap();
    let dispatch = json!({"carrier": parcel["carrier"], "tracking_number": tracking});
    let path = format!("/v1/shipments/{}/dispatch", parcel["id"].as_str().unwrap());
    admin.post(&path, &dispatch).send().await.expect(200);
    world.books().scan(tracking, "delivered").await.expect(200);
    buyer.client.order_reaches(&order, "delivered").await;
    let number = number(&order);
    let told = [
        format!("[한지 가게] 주문 {number}을 접수했습니다"),
        format!("[한지 가게] 주문 {number}의 결제를 확인했습니다"),
        format!("[한지 가게] 주문 {number}이 출고되었습니다"),
        format!("[한지 가게] 주문 {number}이 배송되었습니다"),
    ];
    let mails_of_one = are_told(world, &buyer.email, &told).await;
    let placed = mails_of_one.iter().find(|mail| mail["subject"] == told[0]).unwrap();
    assert_eq!(placed["from"], "한지 가게 <no-reply@shop.example>");
    let text = placed["text"].as_str().unwrap();
    assert!(text.contains("minji님") && text.contains("- 보이차 × 2: 24,000원"), "{text}");
    are_told(world, SHOP, &[format!("[한지 가게] 새 주문 {number}")]).await;
    for name in ["order_placed", "order_paid", "parcel_shipped", "order_delivered", "shop_order_placed"] {
        notice(&admin, &order, name, "sent").await;
    }

    // Neither a crash nor a rebuild tells anybody again.
    world.kill_shop().await;
    world.start_shop().await;
    world.run_well(&["replay"]).await;
    let choice = json!({"locale": "en", "muted": ["delivery"]});
    let profile = buyer.client.call(Method::PUT, "/v1/auth/notices").json(&choice).send().await.expect(200);
    assert_eq!((&profile["locale"], &profile["muted_notices"]), (&json!("en"), &json!(["delivery"])));
    let second = buyer.client.place(&[(&tea, 1)]).await;
    let cancel = format!("/v1/orders/{}/cancel", second["id"].as_str().unwrap());
    buyer.client.post(&cancel, &json!({})).send().await.expect(200);
    let number = second["number"].as_str().unwrap();
    let english =
        [format!("[한지 가게] We have your order {number}"), format!("[한지 가게] Your order {number} is cancelled")];
    are_told(world, &buyer.email, &[told.as_slice(), &english].concat()).await;
}

pub async fn a_mail_server_that_hangs_slows_no_order(world: &mut World) {
    with_mail(world).await;
    let admin = world.admin().await;
    let buyer = world.buyer("jisoo").await;
    let tea = world.product(&admin, "보이차", 12_000, 100).await;
    mail_server(world, "hang").await;
    let began = Instant::now();
    let mut orders = Vec::new();
    for _ in 0..20 {
        orders.push(buyer.client.buy(&[(&tea, 1)]).await);
    }
    // A mail takes ten seconds here, and there are three for each order.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let waiting = notice(&admin, &orders[0], "order_placed", "waiting").await;
    assert_eq!(waiting["reason"], "timed_out");
    assert!(mails(world, &buyer.email).await.is_empty());

    mail_server(world, "off").await;
    let path = format!("/v1/notices/{}/send", waiting["id"].as_str().unwrap());
    // A server that was down is left alone for a while, whoever asks.
    let sent_path = format!("/v1/notices?order_id={}&state=sent", orders[0]["id"].as_str().unwrap());
    let sent = eventually("it is sent when the server is back", async || {
        admin.post(&path, &json!({})).send().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        admin.read_all(&sent_path).await.into_iter().find(|notice| notice["id"] == waiting["id"])
    })
    .await;
    assert!(sent["attempts"].as_u64() >= Some(2), "{sent}");
    admin.post(&path, &json!({})).send().await.expect(409);
    buyer.client.post(&path, &json!({})).send().await.expect(403);

    // What a server refuses for good is given up at once, and nothing of an address is kept.
    mail_server(world, "unknown").await;
    let order = buyer.client.place(&[(&tea, 1)]).await;
    let given_up = notice(&admin, &order, "order_placed", "given_up").await;
    assert_eq!((&given_up["reason"], &given_up["retry_at"]), (&json!("smtp_550"), &Value::Null));
    assert!(!given_up.to_string().contains("jisoo"), "{given_up}");
}

pub async fn what_is_sent_twice_by_a_crash_is_one_message(world: &mut World) {
    with_mail(world).await;
    let admin = world.admin().await;
    let buyer = world.buyer("haneul").await;
    let tea = world.product(&admin, "보이차", 12_000, 10).await;
    // The mails are taken, and the shop dies before it hears of that.
    mail_server(world, "lose").await;
    let order = buyer.client.place(&[(&tea, 1)]).await;
    let subject = format!("[한지 가게] 주문 {}을 접수했습니다", number(&order));
    are_told(world, &buyer.email, std::slice::from_ref(&subject)).await;
    world.kill_shop().await;
    mail_server(world, "off").await;
    world.start_shop().await;
    let twice = are_told(world, &buyer.email, &[subject.clone(), subject]).await;
    let ids: BTreeSet<_> = twice.iter().map(|mail| mail["message_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let sent = notice(&admin, &order, "order_placed", "sent").await;
    assert_eq!(sent["attempts"], 1, "{sent}");
}
