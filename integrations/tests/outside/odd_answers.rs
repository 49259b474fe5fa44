//! Servers with invalid answers: none of them may become an outcome.

use std::time::Duration;

use jangbu_integrations::OutboundPolicy;
use jangbu_kernel::gateway::{ChargeOutcome, ChargeRequest};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use uuid::Uuid;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{charge, gateway_at, impatient, policy, quick_breaker};

fn body(request: &ChargeRequest) -> Value {
    json!({
        "id": "ch_1", "idempotency_key": request.idempotency_key, "order_id": request.order_id,
        "payment_id": request.payment_id, "amount": "53000", "currency": "KRW", "refunded": "0",
        "status": "captured", "created_at": "2026-11-21T00:00:00.000Z",
    })
}

async fn server(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

async fn requests(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

async fn detail(answer: ResponseTemplate, request: ChargeRequest) -> String {
    let server = server(answer).await;
    match gateway_at(&server.uri(), policy()).charge(request).await {
        ChargeOutcome::Unknown { detail } => detail,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_unknown() {
    let request = charge("tok_ok");
    let without = |field: &str| {
        let mut body = body(&request);
        body.as_object_mut().unwrap().remove(field);
        body
    };
    let with = |field: &str, value: Value| {
        let mut body = body(&request);
        body[field] = value;
        body
    };
    let json_of = |body: Value| ResponseTemplate::new(200).set_body_json(body);
    let odd = [
        ResponseTemplate::new(200),
        ResponseTemplate::new(200).set_body_raw("{\"status\":", "application/json"),
        ResponseTemplate::new(200).set_body_raw("<html>captured</html>", "text/html"),
        // The right content under the wrong content type is not trusted either.
        ResponseTemplate::new(200).set_body_raw(body(&request).to_string(), "text/plain"),
        ResponseTemplate::new(200).set_body_raw(format!("\"{}\"", "x".repeat(1_000_000)), "application/json"),
        ResponseTemplate::new(301).insert_header("location", "http://127.0.0.1:1/"),
        ResponseTemplate::new(204),
        ResponseTemplate::new(400).set_body_json(json!({"code": "invalid_request", "detail": ""})),
        ResponseTemplate::new(401).set_body_json(body(&request)),
        ResponseTemplate::new(404).set_body_raw("not found", "text/plain"),
        ResponseTemplate::new(429),
        json_of(json!(null)),
        json_of(json!({})),
        json_of(without("id")),
        json_of(without("amount")),
        json_of(with("amount", json!(53000))),
        json_of(with("amount", json!("53,000"))),
        json_of(with("currency", json!("WON"))),
        json_of(with("status", json!("succeeded"))),
        json_of(with("idempotency_key", json!(Uuid::now_v7()))),
    ];
    for answer in odd {
        let detail = detail(answer, request.clone()).await;
        assert!(detail.starts_with("the answer cannot be understood"), "{detail}");
    }
    let fine = server(json_of(body(&request))).await;
    let outcome = gateway_at(&fine.uri(), policy()).charge(request).await;
    assert!(matches!(outcome, ChargeOutcome::Captured { .. }), "{outcome:?}");
}

#[tokio::test]
async fn another_amount_is_reported_as_it_was_charged() {
    let request = charge("tok_ok");
    let mut body = body(&request);
    body["amount"] = json!("53001");
    let server = server(ResponseTemplate::new(201).set_body_json(body)).await;
    let outcome = gateway_at(&server.uri(), policy()).charge(request).await;
    assert_eq!(outcome, ChargeOutcome::Captured { reference: "ch_1".to_owned(), amount: super::won(53_001) });
}

#[tokio::test]
async fn a_page_that_is_not_found_says_nothing_about_a_charge() {
    let key = Uuid::now_v7();
    let lost = server(ResponseTemplate::new(404).set_body_raw("no such page", "text/html")).await;
    assert!(matches!(gateway_at(&lost.uri(), policy()).inquire(key).await, ChargeOutcome::Unknown { .. }));
    let other = server(ResponseTemplate::new(404).set_body_json(json!({"code": "not_found"}))).await;
    assert!(matches!(gateway_at(&other.uri(), policy()).inquire(key).await, ChargeOutcome::Unknown { .. }));
    let known = server(ResponseTemplate::new(404).set_body_json(json!({"code": "charge_not_found"}))).await;
    assert_eq!(gateway_at(&known.uri(), policy()).inquire(key).await, ChargeOutcome::NotFound);
    // "There is no such charge" is not an answer to a request to make one.
    let outcome = gateway_at(&known.uri(), policy()).charge(charge("tok_ok")).await;
    assert!(matches!(outcome, ChargeOutcome::Unknown { .. }));
}

#[tokio::test]
async fn errors_of_the_server_are_tried_again_under_the_same_key_and_then_unknown() {
    let server = server(ResponseTemplate::new(500)).await;
    let request = charge("tok_ok");
    let key = request.idempotency_key.to_string();
    let outcome = gateway_at(&server.uri(), OutboundPolicy { attempts: 3, ..policy() }).charge(request).await;
    assert_eq!(outcome, ChargeOutcome::Unknown { detail: "the service failed with status 500".to_owned() });
    let received = server.received_requests().await.unwrap();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|request| request.headers["idempotency-key"] == *key));
}

#[tokio::test]
async fn a_lost_answer_is_not_tried_again() {
    let slow_headers = server(ResponseTemplate::new(500).set_delay(Duration::from_secs(30))).await;
    let outcome = gateway_at(&slow_headers.uri(), impatient()).charge(charge("tok_ok")).await;
    assert_eq!(outcome, ChargeOutcome::Unknown { detail: "no answer within the timeout".to_owned() });
    assert_eq!(requests(&slow_headers).await, 1);
}

#[tokio::test]
async fn a_connection_that_breaks_is_not_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let connections = tokio::spawn(async move {
        let mut connections = 0_usize;
        // Ends when no connection has come for longer than any retry pauses.
        while let Ok(Ok((mut stream, _))) = tokio::time::timeout(Duration::from_millis(500), listener.accept()).await {
            connections += 1;
            let mut some = [0_u8; 16];
            stream.read_exact(&mut some).await.unwrap();
        }
        connections
    });
    let outcome = gateway_at(&base_url, policy()).charge(charge("tok_ok")).await;
    let broke = "the connection broke before the answer was read".to_owned();
    assert_eq!(outcome, ChargeOutcome::Unknown { detail: broke });
    assert_eq!(connections.await.unwrap(), 1);
}

#[tokio::test]
async fn the_breaker_opens_and_recovers() {
    let server = MockServer::start().await;
    let down = Mock::given(any()).respond_with(ResponseTemplate::new(503)).mount_as_scoped(&server).await;
    let open_for = Duration::from_millis(200);
    let gateway =
        gateway_at(&server.uri(), OutboundPolicy { attempts: 1, breaker: quick_breaker(open_for), ..policy() });
    for _ in 0..2 {
        gateway.inquire(Uuid::now_v7()).await;
    }
    assert_eq!(requests(&server).await, 2);
    let refused = gateway.charge(charge("tok_ok")).await;
    assert_eq!(refused, ChargeOutcome::Unknown { detail: "not sent: the circuit breaker is open".to_owned() });
    assert_eq!(requests(&server).await, 2);

    drop(down);
    let answer = ResponseTemplate::new(404).set_body_json(json!({"code": "charge_not_found"}));
    Mock::given(any()).respond_with(answer).mount(&server).await;
    super::eventually(async || (gateway.inquire(Uuid::now_v7()).await == ChargeOutcome::NotFound).then_some(())).await;
    assert_eq!(gateway.inquire(Uuid::now_v7()).await, ChargeOutcome::NotFound);
}

#[tokio::test]
async fn lost_answers_open_the_breaker_too() {
    let server = server(ResponseTemplate::new(200).set_delay(Duration::from_secs(30))).await;
    let policy = OutboundPolicy {
        timeout: Duration::from_millis(100),
        breaker: quick_breaker(Duration::from_secs(60)),
        ..policy()
    };
    let gateway = gateway_at(&server.uri(), policy);
    for _ in 0..2 {
        gateway.inquire(Uuid::now_v7()).await;
    }
    let refused = gateway.inquire(Uuid::now_v7()).await;
    assert_eq!(refused, ChargeOutcome::Unknown { detail: "not sent: the circuit breaker is open".to_owned() });
    assert_eq!(requests(&server).await, 2);
}

#[tokio::test]
async fn declines_do_not_open_the_breaker() {
    let request = charge("tok_declined");
    let mut body = body(&request);
    body["status"] = json!("declined");
    let server = server(ResponseTemplate::new(402).set_body_json(body)).await;
    let breaker = quick_breaker(Duration::from_secs(60));
    let gateway = gateway_at(&server.uri(), OutboundPolicy { breaker, ..policy() });
    for _ in 0..5 {
        let outcome = gateway.charge(request.clone()).await;
        assert_eq!(outcome, ChargeOutcome::Declined { code: "declined".to_owned() });
    }
}

#[tokio::test]
async fn only_so_many_calls_are_under_way() {
    let server = server(ResponseTemplate::new(200).set_delay(Duration::from_secs(30))).await;
    let policy = OutboundPolicy {
        timeout: Duration::from_secs(2),
        at_once: 2,
        queue_timeout: Duration::from_millis(50),
        ..policy()
    };
    let gateway = gateway_at(&server.uri(), policy);
    let under_way: Vec<_> = (0..2)
        .map(|_| {
            let gateway = gateway.clone();
            tokio::spawn(async move { gateway.inquire(Uuid::now_v7()).await })
        })
        .collect();
    super::eventually(async || (requests(&server).await == 2).then_some(())).await;
    let refused = gateway.inquire(Uuid::now_v7()).await;
    assert_eq!(refused, ChargeOutcome::Unknown { detail: "not sent: too many calls are under way".to_owned() });
    assert_eq!(requests(&server).await, 2);
    under_way.into_iter().for_each(|call| call.abort());
}
