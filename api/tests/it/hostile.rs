//! Invalid requests, and the one shape of the answers.

use axum::body::Body;
use jangbu_kernel::Role;
use serde_json::{Value, json};

use crate::house::{House, NOBODY, order_body, request};

const KEY: (&str, &str) = ("idempotency-key", "hostile-input-1");

/// Bodies that are no JSON object.
fn no_orders() -> Vec<(String, Vec<&'static str>)> {
    let texts = [
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "\"order\"".to_owned(),
        "{} {}".to_owned(),
        "[".repeat(30_000),
        "{\"a\":".repeat(10_000),
        "\u{feff}{}".to_owned(),
        "{\"lines\":[],\"lines\":[]}".to_owned(),
        "{\"lines\": [{\"product_id\": \"\\ud800\"}]}".to_owned(),
    ];
    texts.into_iter().map(|text| (text, vec![""])).collect()
}

/// Bodies of an order with the pointers that the answer has to report.
fn broken_orders() -> Vec<(String, Vec<&'static str>)> {
    let good = || order_body(NOBODY, 1);
    let with = |pointer: &str, value: Value| {
        let mut body = good();
        *body.pointer_mut(pointer).unwrap() = value;
        body.to_string()
    };
    let plus = |name: &str, value: Value| {
        let mut body = good();
        body[name] = value;
        body.to_string()
    };
    let address = "/shipping_address/recipient";
    vec![
        ("{}".to_owned(), vec!["/lines", "/shipping_address"]),
        (plus("coupon", json!("x")), vec!["/coupon"]),
        (plus("a/b~c", json!(1)), vec!["/a~1b~0c"]),
        (with("/lines", json!([])), vec!["/lines"]),
        (with("/lines", json!({})), vec!["/lines"]),
        (with("/lines", json!(null)), vec!["/lines"]),
        (with("/lines/0", json!(7)), vec!["/lines/0"]),
        (with("/lines/0/quantity", json!(0)), vec!["/lines/0/quantity"]),
        (with("/lines/0/quantity", json!(-1)), vec!["/lines/0/quantity"]),
        (with("/lines/0/quantity", json!(1000)), vec!["/lines/0/quantity"]),
        (with("/lines/0/quantity", json!(1.5)), vec!["/lines/0/quantity"]),
        (with("/lines/0/quantity", json!("1")), vec!["/lines/0/quantity"]),
        (with("/lines/0/quantity", json!(true)), vec!["/lines/0/quantity"]),
        (with("/lines/0/quantity", json!(u64::MAX)), vec!["/lines/0/quantity"]),
        (with("/lines/0/product_id", json!("1")), vec!["/lines/0/product_id"]),
        (with("/lines/0/product_id", json!("{01890a5d-ac96-774b-bcce-b302099a8057}")), vec!["/lines/0/product_id"]),
        (with(address, json!("")), vec![address]),
        (with(address, json!("   ")), vec![address]),
        (with(address, json!("a\u{0}b")), vec![address]),
        (with(address, json!("\u{1b}[31m")), vec![address]),
        (with(address, json!("가".repeat(101))), vec![address]),
        (with(address, json!(["김"])), vec![address]),
        (plus("expected_total", json!(53000)), vec!["/expected_total"]),
        (plus("expected_total", json!(530.5)), vec!["/expected_total"]),
        (plus("expected_total", json!("-1")), vec!["/expected_total"]),
        (plus("expected_total", json!("1e9")), vec!["/expected_total"]),
        (plus("expected_total", json!("0.5")), vec!["/expected_total"]),
        (plus("expected_total", json!({"amount": 1, "currency": "KRW"})), vec!["/expected_total/amount"]),
        (plus("expected_total", json!({"amount": "1", "currency": "won"})), vec!["/expected_total/currency"]),
        (plus("payment", json!({"legs": []})), vec!["/payment/legs"]),
        (plus("payment", json!({"legs": [{}]})), vec!["/payment/legs/0/method", "/payment/legs/0/amount"]),
        (plus("payment", json!({"legs": [{"method": "card", "amount": "1"}]})), vec!["/payment/legs/0/card_token"]),
        (
            plus("payment", json!({"legs": [{"method": "points", "amount": "1", "card_token": "x"}]})),
            vec!["/payment/legs/0/card_token"],
        ),
        (
            json!({"lines": [{"product_id": 1, "quantity": 0}, {}], "shipping_address": {"recipient": ""}}).to_string(),
            vec![
                "/lines/0/product_id",
                "/lines/0/quantity",
                "/lines/1/product_id",
                "/lines/1/quantity",
                "/shipping_address/recipient",
                "/shipping_address/phone",
                "/shipping_address/postal_code",
                "/shipping_address/line1",
            ],
        ),
    ]
}

#[tokio::test]
async fn a_broken_order_names_everything_that_is_wrong_with_it() {
    let house = House::new().await;
    let customer = house.somebody(&[Role::Customer]).await;
    let head = house.state.commands.log().head().await.unwrap();
    for (body, pointers) in no_orders().into_iter().chain(broken_orders()) {
        let answer = house.send_json("POST", &customer, "/v1/orders", &[KEY], &body).await;
        let answer = answer.problem(400, "validation_failed");
        assert_eq!(answer.pointers(), pointers, "{} -> {}", body.chars().take(200).collect::<String>(), answer.text);
    }
    assert_eq!(house.state.commands.log().head().await.unwrap(), head, "nothing was written");
}

#[tokio::test]
async fn what_is_judged_after_reading_an_order_is_named_at_once_too() {
    let house = House::new().await;
    let customer = house.somebody(&[Role::Customer]).await;
    let line = |quantity: u32| json!({"product_id": NOBODY, "quantity": quantity});
    let mut body = order_body(NOBODY, 1);
    body["lines"] = json!([line(1_000_000), line(1), line(1_000)]);
    body["shipping_address"]["postal_code"] = json!("00000");
    // A won has no decimals, and only the goods tell that the currency is won.
    body["expected_total"] = json!("0.5");
    body["payment"] = json!({"legs": [
        {"method": "points", "amount": "1.5"}, {"method": "barter"}, {"method": "points", "amount": "1"}
    ]});
    let answer = house.post(&customer, "/v1/orders", &[KEY], &body).await.problem(400, "validation_failed");
    let (lines, address) = (["/lines/0/quantity", "/lines/2/quantity"], "/shipping_address/postal_code");
    let legs = ["/payment/legs/0/amount", "/payment/legs/1/method"];
    assert_eq!(answer.pointers(), [lines[0], lines[1], address, "/expected_total", legs[0], legs[1]]);
    let quote = house.post(&customer, "/v1/orders/quote", &[], &body).await.problem(400, "validation_failed");
    assert_eq!(quote.pointers(), [lines[0], lines[1], address]);
    let payment = json!({"order_id": NOBODY, "legs": body["payment"]["legs"].clone()});
    let payment = house.post(&customer, "/v1/payments", &[KEY], &payment).await.problem(400, "validation_failed");
    assert_eq!(payment.pointers(), ["/legs/0/amount", "/legs/1/method"]);
}

#[tokio::test]
async fn a_sign_up_names_everything_that_is_wrong_with_it() {
    let house = House::new().await;
    let body = json!({"email": "nobody", "password": "short", "name": 7, "phone": "call me", "age": 30});
    let answer = house.post("", "/v1/auth/register", &[], &body).await.problem(400, "validation_failed");
    assert_eq!(answer.pointers(), ["/age", "/email", "/password", "/name", "/phone"]);
    assert_eq!(answer.body["errors"][1]["code"], "invalid_email");
    let customer = house.somebody(&[Role::Customer]).await;
    let change = json!({"name": 7, "phone": "call me"}).to_string();
    let answer = house.send_json("PUT", &customer, "/v1/auth/profile", &[], &change).await;
    assert_eq!(answer.problem(400, "validation_failed").pointers(), ["/name", "/phone"]);
}

#[tokio::test]
async fn an_unknown_payment_method_is_named_as_such() {
    let house = House::new().await;
    let customer = house.somebody(&[Role::Customer]).await;
    let mut body = order_body(NOBODY, 1);
    body["payment"] = json!({"legs": [{"method": "barter", "amount": "1", "sheep": 3}]});
    let answer = house.post(&customer, "/v1/orders", &[KEY], &body).await.problem(422, "payment_method_invalid");
    assert_eq!(answer.pointers(), ["/payment/legs/0/method"]);
    body["payment"] = json!({"legs": [{"method": "barter"}, {"method": "points", "amount": "1"}, {"method": "song"}]});
    let answer = house.post(&customer, "/v1/orders", &[KEY], &body).await.problem(422, "payment_method_invalid");
    assert_eq!(answer.pointers(), ["/payment/legs/0/method", "/payment/legs/2/method"]);
}

#[tokio::test]
async fn what_a_caller_sent_never_comes_back() {
    let house = House::new().await;
    let customer = house.somebody(&[Role::Customer]).await;
    let mut body = order_body(NOBODY, 1);
    body["payment"] = json!({"legs": [{"method": "card", "amount": "1", "card_token": "tok_secret_42", "extra": 1}]});
    let answer = house.post(&customer, "/v1/orders", &[KEY], &body).await.problem(400, "validation_failed");
    assert!(!answer.text.contains("tok_secret_42"));
    let body = json!({"email": "x@example.com", "password": ["hunter2hunter2"]});
    let answer = house.post("", "/v1/auth/login", &[], &body).await.problem(400, "validation_failed");
    assert!(!answer.text.contains("hunter2"));
}

#[tokio::test]
async fn a_compressed_body_is_refused_for_what_it_is() {
    let house = House::new().await;
    let body = json!({"email": "x@example.com", "password": "not the password"});
    for coding in ["gzip", "GZIP", "br", "identity, gzip", "x"] {
        for path in ["/v1/auth/login", "/v1/hooks/payments/sandbox"] {
            let answer = house.post("", path, &[("content-encoding", coding)], &body).await;
            let answer = answer.problem(415, "unsupported_media_type");
            assert_eq!(answer.header("accept-encoding"), "identity", "{coding} {path}");
        }
    }
    for coding in ["identity", "Identity", ""] {
        let answer = house.post("", "/v1/auth/login", &[("content-encoding", coding)], &body).await;
        answer.problem(401, "unauthenticated");
    }
    // An empty body with a content coding.
    let staff = house.somebody(&[Role::Staff]).await;
    let path = format!("/v1/products/{NOBODY}/activate");
    house.send_json("POST", &staff, &path, &[("content-encoding", "gzip")], "").await.problem(404, "not_found");
}

#[tokio::test]
async fn broken_queries_paths_and_headers_are_named() {
    let house = House::new().await;
    let staff = house.somebody(&[Role::Staff]).await;
    for (path, pointer) in [
        ("/v1/orders?limit=0", "/query/limit"),
        ("/v1/orders?limit=201", "/query/limit"),
        ("/v1/orders?limit=ten", "/query/limit"),
        ("/v1/orders?cursor=%21%21", "/query/cursor"),
        ("/v1/orders?status=lost", "/query/status"),
        ("/v1/orders?from=yesterday", "/query/from"),
        ("/v1/orders?user_id=me", "/query/user_id"),
        ("/v1/orders?sort=up", "/query/sort"),
        ("/v1/orders?limit=1&limit=2", "/query/limit"),
        ("/v1/orders?status=%ff", "/query"),
        ("/v1/orders?status=%4", "/query"),
        ("/v1/products?min_price=cheap", "/query/min_price"),
        ("/v1/products?in_stock=maybe", "/query/in_stock"),
        ("/v1/products?q=%00", "/query/q"),
        ("/v1/orders/1", "/path/id"),
        ("/v1/orders/%00", "/path"),
        ("/v1/orders/01890a5dac96774bbcceb302099a8057", "/path/id"),
        (&format!("/v1/orders/{NOBODY}?as_of=0"), "/query/as_of"),
        (&format!("/v1/orders/{NOBODY}?as_of=now"), "/query/as_of"),
    ] {
        let answer = house.get(&staff, path).await.problem(400, "validation_failed");
        assert_eq!(answer.pointers(), [pointer], "{path}");
    }
    for (name, value, pointer) in [
        ("idempotency-key", "short", "/headers/Idempotency-Key"),
        ("idempotency-key", "with a space", "/headers/Idempotency-Key"),
        ("if-match", "3", "/headers/If-Match"),
        ("jangbu-wait-for", "ever", "/headers/Jangbu-Wait-For"),
        ("jangbu-min-position", "x", "/headers/Jangbu-Min-Position"),
    ] {
        let answer = house.post(&staff, "/v1/orders", &[(name, value)], &order_body(NOBODY, 1)).await;
        assert_eq!(answer.problem(400, "validation_failed").pointers(), [pointer], "{name}: {value}");
    }
    let long = "k".repeat(256);
    let answer = house.post(&staff, "/v1/orders", &[("idempotency-key", &long)], &order_body(NOBODY, 1)).await;
    answer.problem(400, "validation_failed");
}

#[tokio::test]
async fn the_frameworks_own_rejections_have_the_same_shape() {
    let house = House::new().await;
    let customer = house.somebody(&[Role::Customer]).await;
    for path in ["/v1", "/v1/nothing", "/v1/orders/", "/v2/orders"] {
        let answer = house.get(&customer, path).await.problem(404, "not_found");
        assert_eq!(answer.body["instance"], path);
    }
    let answer = house.send_json("DELETE", &customer, "/v1/orders", &[], "{}").await.problem(405, "method_not_allowed");
    let allow = answer.header("allow");
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    let answer =
        house.send_json("PATCH", &customer, "/v1/auth/login", &[], "{}").await.problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "POST");
    for content_type in ["text/plain", "application/xml", "application/jsonx", ""] {
        let sent = request("POST", "/v1/orders", &customer, &[KEY, ("content-type", content_type)]);
        house.send(sent.body(Body::from("{}")).unwrap()).await.problem(415, "unsupported_media_type");
    }
    let big = format!("{{\"x\": \"{}\"}}", "x".repeat(70_000));
    house.send_json("POST", &customer, "/v1/orders", &[KEY], &big).await.problem(413, "payload_too_large");
    let declared = request(
        "POST",
        "/v1/orders",
        &customer,
        &[KEY, ("content-length", "99999999"), ("content-type", "application/json")],
    );
    house.send(declared.body(Body::empty()).unwrap()).await.problem(413, "payload_too_large");
}

#[tokio::test]
async fn what_moves_something_needs_a_key() {
    let house = House::new().await;
    let staff = house.somebody(&[Role::Staff]).await;
    for (path, body) in [
        ("/v1/orders".to_owned(), order_body(NOBODY, 1)),
        ("/v1/payments".to_owned(), json!({"order_id": NOBODY, "legs": [{"method": "points", "amount": "1"}]})),
        (format!("/v1/payments/{NOBODY}/refunds"), json!({"amount": "1", "reason": "x"})),
        (format!("/v1/stock/{NOBODY}/receive"), json!({"quantity": 1})),
        (format!("/v1/stock/{NOBODY}/count"), json!({"counted": 1})),
        (format!("/v1/stock/{NOBODY}/write-off"), json!({"quantity": 1, "reason": "x"})),
        (format!("/v1/stock/{NOBODY}/adjust"), json!({"delta": 1, "reason": "x"})),
        (format!("/v1/users/{NOBODY}/points/grant"), json!({"amount": "1", "reference": "x"})),
    ] {
        house.post(&staff, &path, &[], &body).await.problem(428, "idempotency_key_required");
    }
}

#[tokio::test]
async fn an_unsigned_message_from_outside_is_refused() {
    let house = House::new().await;
    for path in ["/v1/hooks/payments/sandbox", "/v1/hooks/carriers/sandbox"] {
        house.post("", path, &[], &json!({})).await.problem(401, "unauthenticated");
    }
    house.post("", "/v1/hooks/payments/nobody", &[], &json!({})).await.problem(404, "not_found");
}

#[tokio::test]
async fn names_of_a_request_are_taken_or_made() {
    let house = House::new().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let sent = request("GET", "/v1/orders", "", &[("traceparent", &parent), ("x-request-id", "mine-1")]);
    let answer = house.send(sent.body(Body::empty()).unwrap()).await.problem(401, "unauthenticated");
    assert_eq!((answer.body["trace_id"].as_str(), answer.header("x-request-id")), (Some(trace), "mine-1"));
    let sent = request("GET", "/v1/orders", "", &[("traceparent", "nonsense"), ("x-request-id", "with a space")]);
    let answer = house.send(sent.body(Body::empty()).unwrap()).await.problem(401, "unauthenticated");
    assert_ne!(answer.header("x-request-id"), "with a space");
}
