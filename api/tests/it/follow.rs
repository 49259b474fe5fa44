use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use jangbu_kernel::Role;
use serde_json::json;
use tower::ServiceExt as _;

use crate::house::{House, order_body, request};

/// Reads a stream until it contains a text, or the test has waited too long.
async fn until(body: &mut Body, wanted: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while !text.contains(wanted) {
            let frame = body.frame().await.expect("the stream goes on").unwrap();
            text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reading).await.unwrap_or_else(|_| panic!("no {wanted:?}"));
    text
}

#[tokio::test]
async fn a_follower_sees_what_was_and_what_comes_and_can_go_on_later() {
    let house = House::new().await;
    let staff = house.somebody(&[Role::Staff]).await;
    let buyer = house.somebody(&[Role::Customer]).await;
    let product = house.product(&staff, "1000", 5).await;
    let placed = house
        .post(&buyer, "/v1/orders", &[("idempotency-key", "to-be-followed")], &order_body(&product, 1))
        .await
        .expect(201);
    let order = format!("/v1/orders/{}", placed.body["id"].as_str().unwrap());

    let follow = |headers: &[(&str, &str)]| {
        let sent = request("GET", &format!("{order}/events"), &buyer, headers).body(Body::empty()).unwrap();
        house.router.clone().oneshot(sent)
    };
    let response = follow(&[]).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let text = until(&mut body, "\n\n").await;
    assert!(text.contains("event: order.placed") && text.contains("id: 1"), "{text}");

    house.post(&buyer, &format!("{order}/cancel"), &[], &json!({})).await.expect(200);
    let text = until(&mut body, "\n\n").await;
    assert!(text.contains("event: order.cancelled") && text.contains("id: 2"), "{text}");
    drop(body);

    let mut body = follow(&[("last-event-id", "1")]).await.unwrap().into_body();
    let text = until(&mut body, "\n\n").await;
    assert!(!text.contains("order.placed") && text.contains("order.cancelled"), "{text}");
    let sent =
        request("GET", &format!("{order}/events"), &buyer, &[("last-event-id", "x")]).body(Body::empty()).unwrap();
    house.send(sent).await.problem(400, "validation_failed");
}

#[tokio::test]
async fn one_user_does_not_hold_all_streams() {
    /// Streams that one user may have open.
    const OF_ONE: usize = 10;
    let house = House::new().await;
    let staff = house.somebody(&[Role::Staff]).await;
    let buyer = house.somebody(&[Role::Customer]).await;
    let product = house.product(&staff, "1000", 5).await;
    let placed = house
        .post(&buyer, "/v1/orders", &[("idempotency-key", "followed-by-many")], &order_body(&product, 1))
        .await
        .expect(201);
    let path = format!("/v1/orders/{}/events", placed.body["id"].as_str().unwrap());
    let follow = |token: &str| {
        let sent = request("GET", &path, token, &[]).body(Body::empty()).unwrap();
        house.router.clone().oneshot(sent)
    };
    let mut open = Vec::new();
    for _ in 0..OF_ONE {
        let response = follow(&buyer).await.unwrap();
        assert_eq!(response.status(), 200);
        open.push(response);
    }
    let refused = house.get(&buyer, &path).await.problem(429, "rate_limited");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    // Other users can follow, the buyer can use other routes, and a closed stream makes room for
    // another.
    assert_eq!(follow(&staff).await.unwrap().status(), 200);
    house.get(&buyer, "/v1/orders").await.expect(200);
    open.pop();
    assert_eq!(follow(&buyer).await.unwrap().status(), 200);
}
