use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use jangbu_api::RateLimit;
use jangbu_kernel::Role;
use serde_json::json;
use tower::ServiceExt as _;

use crate::house::{House, request};

#[tokio::test]
async fn a_caller_has_so_many_requests_and_others_have_theirs() {
    let house = House::with_limits(RateLimit::parse("5/hour").unwrap(), None).await;
    let one = house.somebody(&[Role::Customer]).await;
    let other = house.somebody(&[Role::Customer]).await;
    for left in (0..5).rev() {
        let answer = house.get(&one, "/v1/orders").await.expect(200);
        assert!(answer.header("ratelimit").starts_with(&format!("\"caller\";r={left};")), "{answer:?}");
        assert_eq!(answer.header("ratelimit-policy"), "\"caller\";q=5;w=3600");
    }
    let refused = house.get(&one, "/v1/orders").await.problem(429, "rate_limited");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    assert!(refused.header("ratelimit").starts_with("\"caller\";r=0;"));
    house.get(&other, "/v1/orders").await.expect(200);
    // By address; logins have a limit of their own, so those of this test do not count here.
    for _ in 0..5 {
        house.get("", "/v1/orders").await.problem(401, "unauthenticated");
    }
    house.get("", "/v1/orders").await.problem(429, "rate_limited");
    house.get("", "/livez").await.expect(200);
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_caller_has_an_allowance() {
    let house = House::with_limits(RateLimit::parse("2/hour").unwrap(), None).await;
    let look = async |peer: [u8; 4], caller: &str| {
        let mut asked = request("GET", "/v1/products", "", &[("x-forwarded-for", caller)]).body(Body::empty()).unwrap();
        asked.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 1))));
        house.router.clone().oneshot(asked).await.unwrap().status().as_u16()
    };
    let (proxy, stranger) = ([10, 0, 0, 1], [192, 0, 2, 1]);
    for _ in 0..2 {
        assert_eq!(look(proxy, "203.0.113.1").await, 200);
    }
    assert_eq!(look(proxy, "198.51.100.7, 203.0.113.1").await, 429, "what stands left of a caller is its own word");
    assert_eq!(look(proxy, "203.0.113.2").await, 200);
    for name in ["203.0.113.3", "203.0.113.4"] {
        assert_eq!(look(stranger, name).await, 200);
    }
    assert_eq!(look(stranger, "203.0.113.5").await, 429, "nobody believes a stranger");
}

#[tokio::test]
async fn log_ins_are_counted_apart_by_block_of_addresses() {
    let house = House::with_limits(RateLimit::parse("50/hour").unwrap(), RateLimit::parse("4/hour").unwrap()).await;
    let login = json!({"email": "nobody@example.com", "password": "not the password"});
    let posts = ["register", "login", "refresh", "logout"].map(|name| format!("/v1/auth/{name}"));
    for ([flooding, neighbour], other) in [
        (["192.0.2.7", "::ffff:192.0.2.8"], "192.0.3.7"),
        (["2001:db8:1:2::7", "2001:db8:1:2:ffff::8"], "2001:db8:1:3::7"),
    ] {
        // Each of the four requests counts, whatever its body.
        for (path, left) in posts.iter().zip((0..4).rev()) {
            let answer = house.post_from(flooding, path, &json!({})).await.problem(400, "validation_failed");
            assert!(answer.header("ratelimit").starts_with(&format!("\"auth\";r={left};")), "{answer:?}");
            assert_eq!(answer.header("ratelimit-policy"), "\"auth\";q=4;w=3600");
        }
        for address in [flooding, neighbour] {
            let refused = house.post_from(address, "/v1/auth/login", &login).await.problem(429, "rate_limited");
            assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
        }
        // Other clients can log in, and the limited one can use all other routes.
        house.post_from(other, "/v1/auth/login", &login).await.problem(401, "unauthenticated");
        let products = request("GET", "/v1/products", "", &[]).body(Body::empty()).unwrap();
        house.send_from(flooding.parse().unwrap(), products).await.expect(200);
    }
}

#[tokio::test]
async fn an_ipv6_network_is_one_caller() {
    let house = House::with_limits(RateLimit::parse("2/hour").unwrap(), None).await;
    let look = async |address: &str| {
        let products = request("GET", "/v1/products", "", &[]).body(Body::empty()).unwrap();
        house.send_from(address.parse().unwrap(), products).await.status.as_u16()
    };
    assert_eq!([look("2001:db8::1").await, look("2001:db8::2").await, look("2001:db8::3").await], [200, 200, 429]);
    assert_eq!(look("2001:db8:0:1::1").await, 200);
    assert_eq!([look("192.0.2.1").await, look("::ffff:192.0.2.1").await, look("192.0.2.1").await], [200, 200, 429]);
    assert_eq!(look("192.0.2.2").await, 200);
}

#[tokio::test]
async fn only_known_web_pages_may_call() {
    let house = House::new().await;
    let preflight = |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,idempotency-key"),
        ];
        request("OPTIONS", "/v1/orders", "", &headers).body(Body::empty()).unwrap()
    };
    let answer = house.send(preflight("https://shop.example.com")).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), "https://shop.example.com");
    assert!(answer.header("access-control-allow-headers").contains("idempotency-key"));
    let answer = house.send(preflight("https://evil.example.com")).await;
    assert!(answer.headers.get("access-control-allow-origin").is_none());
    // A web page can read a rejection, too.
    let sent = request("GET", "/v1/orders", "", &[("origin", "https://shop.example.com")]);
    let answer = house.send(sent.body(Body::empty()).unwrap()).await.problem(401, "unauthenticated");
    assert_eq!(answer.header("access-control-allow-origin"), "https://shop.example.com");
}
