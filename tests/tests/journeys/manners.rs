//! How the API answers: malformed requests, conditions, clients that wait, and clients that
//! disconnect.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Client, LIMIT, World, basket, by_card, eventually, fresh_key, number};

const JSON: &str = "application/json";
const NO_ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// A malformed request, and the code of its answer.
struct Malformed {
    method: Method,
    path: String,
    content_type: &'static str,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
}

fn post(path: &str, body: impl Into<Vec<u8>>) -> Malformed {
    let (method, path) = (Method::POST, path.to_owned());
    Malformed { method, path, content_type: JSON, body: body.into(), status: 400, code: "validation_failed" }
}

fn get(path: &str) -> Malformed {
    let (method, path) = (Method::GET, path.to_owned());
    Malformed { method, path, content_type: "", body: Vec::new(), status: 400, code: "validation_failed" }
}

impl Malformed {
    fn of(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }
    fn by(self, method: Method) -> Self {
        Self { method, ..self }
    }
    fn gives(self, status: u16, code: &'static str) -> Self {
        Self { status, code, ..self }
    }
}

/// The order that is varied, as text, so that it can be malformed.
fn order_text(product: &str, quantity: &str, more: &str) -> String {
    let address = r#"{"recipient":"a","phone":"010-1","postal_code":"06236","line1":"b"}"#;
    format!(r#"{{"lines":[{{"product_id":"{product}","quantity":{quantity}}}],"shipping_address":{address}{more}}}"#)
}

fn bodies(product: &str) -> Vec<Malformed> {
    let order = |quantity: &str, more: &str| post("/v1/orders", order_text(product, quantity, more));
    let deep = format!(r#","payment":{}1{}"#, "[".repeat(5_000), "]".repeat(5_000));
    let huge = format!(r#","x":"{}""#, "y".repeat(70_000));
    let lone_surrogate = r#","expected_total":"\ud800""#;
    let card = |amount: &str| {
        post(
            "/v1/payments",
            format!(r#"{{"order_id":"{NO_ID}","legs":[{{"method":"card","amount":{amount},"card_token":"tok_ok"}}]}}"#),
        )
    };
    vec![
        post("/v1/orders", ""),
        post("/v1/orders", "{"),
        post("/v1/orders", "null"),
        post("/v1/orders", "[]"),
        post("/v1/orders", "\"order\""),
        post("/v1/orders", "{}"),
        post("/v1/orders", b"\xff\xfe\x00".to_vec()),
        post("/v1/orders", b"\xef\xbb\xbf{}".to_vec()),
        order("1", &deep),
        order("1", &huge).gives(413, "payload_too_large"),
        order("1", lone_surrogate),
        order("1", r#","coupon":"x""#),
        order("1", r#","lines":[]"#),
        order("1", r#","expected_total":1000"#),
        order("1", r#","expected_total":"1e3""#),
        order("1", r#","expected_total":"NaN""#),
        order("1", r#","expected_total":{"amount":"1","currency":"XXY"}"#),
        order("1", r#","expected_total":"1""#).gives(422, "total_changed"),
        order("0", ""),
        order("-1", ""),
        order("1000", ""),
        order("1.5", ""),
        order("1e400", ""),
        order("NaN", ""),
        order("\"1\"", ""),
        order("99999999999999999999999", ""),
        order("null", ""),
        order("true", ""),
        post("/v1/orders", order_text("1", "1", "")),
        post("/v1/orders", order_text("../../etc", "1", "")),
        post("/v1/orders", order_text(NO_ID, "1", "")).gives(404, "not_found"),
        order("1", "").of("text/plain").gives(415, "unsupported_media_type"),
        order("1", "").of("").gives(415, "unsupported_media_type"),
        order("1", "").of("application/x-www-form-urlencoded").gives(415, "unsupported_media_type"),
        card("20000"),
        card("\"-1\""),
        card("\"0.5\""),
        card("{\"amount\":\"1\"}"),
        card("\"20000\"").gives(404, "not_found"),
        post("/v1/payments", format!(r#"{{"order_id":"{NO_ID}","legs":[]}}"#)),
        post("/v1/payments", format!(r#"{{"order_id":"{NO_ID}","legs":[{{"method":"barter","amount":"1"}}]}}"#))
            .gives(422, "payment_method_invalid"),
        post("/v1/auth/register", r#"{"email":"a@b.example","password":"long enough","name":"a\u0000b"}"#),
        post("/v1/auth/register", r#"{"email":"nobody","password":"x","name":""}"#),
        post("/v1/auth/login", r#"{"email":"a@b.example","password":"\u0000"}"#),
        post("/v1/auth/refresh", r#"{"refresh_token":7}"#),
        post("/v1/products", r#"{"name":"a\u0000b","price":"1000"}"#),
        post("/v1/products", r#"{"name":"a","price":1000}"#),
        post("/v1/products", r#"{"name":"a","price":"-1"}"#),
        post(&format!("/v1/stock/{product}/receive"), r#"{"quantity":0}"#),
        post(&format!("/v1/stock/{product}/receive"), r#"{"quantity":18446744073709551616}"#),
        post(&format!("/v1/stock/{NO_ID}/receive"), r#"{"quantity":1}"#).gives(404, "not_found"),
    ]
}

fn paths(product: &str) -> Vec<Malformed> {
    let not_found = |path: &str| get(path).gives(404, "not_found");
    vec![
        get("/v1/orders/1"),
        get("/v1/orders/%00"),
        get("/v1/orders/%ff"),
        get("/v1/orders/01890a5dac96774bbcceb302099a8057"),
        get("/v1/payments/x"),
        get("/v1/stock/x"),
        get("/v1/orders?limit=0"),
        get("/v1/orders?limit=201"),
        get("/v1/orders?limit=-1"),
        get("/v1/orders?limit=ten"),
        get("/v1/orders?limit=1&limit=2"),
        get("/v1/orders?status=nonsense"),
        get("/v1/orders?from=yesterday"),
        get("/v1/orders?cursor=nonsense"),
        get("/v1/orders?cursor=%00"),
        get("/v1/orders?cursor=AAAA"),
        get("/v1/orders?unknown=1"),
        get("/v1/orders?user_id=1"),
        get("/v1/orders?status=%ff"),
        get("/v1/products?min_price=cheap"),
        get("/v1/products?in_stock=maybe"),
        get("/v1/products?sort=colour"),
        get("/v1/payments?cursor=nonsense"),
        get("/v1/shipments?cursor=nonsense"),
        get(&format!("/v1/orders/{NO_ID}?as_of=then")),
        not_found(&format!("/v1/orders/{NO_ID}")),
        not_found(&format!("/v1/orders/{NO_ID}/history")),
        not_found(&format!("/v1/orders/{NO_ID}/events")),
        not_found(&format!("/v1/payments/{NO_ID}")),
        not_found(&format!("/v1/products/{NO_ID}")),
        not_found("/v1/orders/by-number/nothing"),
        not_found("/v1/shipments/tracking/nothing"),
        not_found("/v1/nothing"),
        not_found("/v3"),
        get("/v1/orders").by(Method::DELETE).gives(405, "method_not_allowed"),
        get(&format!("/v1/products/{product}")).by(Method::PATCH).gives(405, "method_not_allowed"),
        get("/v1/auth/login").gives(405, "method_not_allowed"),
    ]
}

pub async fn a_malformed_request_is_a_problem_of_the_caller(world: &mut World) {
    let admin = world.admin().await;
    let tea = world.product(&admin, "보이차", 20_000, 5_000).await;
    let head = world.run_well(&["events", "list", "--json", "--limit", "100000"]).await.lines().count();
    for case in bodies(&tea).into_iter().chain(paths(&tea)) {
        let Malformed { method, path, content_type, body, status, code } = case;
        let shown = format!(
            "{method} {path} {content_type} {}",
            String::from_utf8_lossy(&body).chars().take(200).collect::<String>()
        );
        let mut call = admin.call(method.clone(), &path).key(fresh_key());
        if !content_type.is_empty() {
            call = call.body(content_type, body);
        } else if !body.is_empty() {
            call = call.bare_body(body);
        }
        let reply = call.send().await;
        assert_eq!(reply.status, status, "{shown}\n{}", reply.text());
        let problem = reply.problem();
        assert_eq!(problem["code"], code, "{shown}\n{problem}");
        assert_eq!(problem["instance"], path.split('?').next().unwrap(), "{shown}");
    }
    a_broken_address_names_its_field(&admin, &tea).await;
    malformed_headers(&admin, &tea).await;
    let after = world.run_well(&["events", "list", "--json", "--limit", "100000"]).await.lines().count();
    assert_eq!(head, after, "what was refused wrote nothing");
}

async fn a_broken_address_names_its_field(admin: &Client, product: &str) {
    let mut body = basket(&[(product, 1)]);
    body["shipping_address"]["phone"] = json!(7);
    body["shipping_address"]["city"] = json!("서울");
    let problem = admin.post("/v1/orders", &body).send().await.expect_problem(400, "validation_failed");
    let errors = problem["errors"].as_array().unwrap();
    for pointer in ["/shipping_address/phone", "/shipping_address/city"] {
        let named = errors.iter().any(|error| error["pointer"] == pointer && error["code"].is_string());
        assert!(named, "{pointer}: {problem}");
    }
}

async fn malformed_headers(admin: &Client, product: &str) {
    let body = basket(&[(product, 1)]);
    for (name, value) in [
        ("if-match", "7"),
        ("jangbu-wait-for", "the end"),
        ("jangbu-min-position", "-1"),
        ("idempotency-key", "with a blank"),
    ] {
        let call = admin.post("/v1/orders", &body);
        let call = if name == "idempotency-key" { call.without_key() } else { call };
        call.header(name, value).send().await.expect_problem(400, "validation_failed");
    }
}

pub async fn versions_and_positions_are_kept(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 20_000, 100).await;
    let placed = buyer.post("/v1/orders", &basket(&[(&tea, 1)])).send().await;
    let order = placed.expect(201);
    assert_eq!(placed.version(), order["version"].as_u64().unwrap());
    let path = format!("/v1/orders/{}", order["id"].as_str().unwrap());

    // A read with the position of a write's answer shows that write.
    for _ in 0..10 {
        let answer = buyer.post("/v1/orders", &basket(&[(&tea, 1)])).send().await;
        let list = buyer.get("/v1/orders").header("jangbu-min-position", answer.position().to_string());
        let items = list.header("prefer", "wait=20").send().await.expect(200)["items"].clone();
        assert_eq!(items[0]["id"], answer.json()["id"], "newest first");
    }
    // A position that this log never assigned, as after a restore, is rejected at once instead of
    // awaited.
    let future = buyer.get(&path).header("jangbu-min-position", "999999999").send().await;
    future.expect_problem(409, "position_unknown");
    assert!(future.header("retry-after").is_none());

    let read = buyer.get(&path).send().await;
    assert_eq!(read.expect(200)["version"], read.version());
    let tag = read.header("etag").unwrap().to_owned();
    let unchanged = buyer.get(&path).header("if-none-match", &tag).send().await;
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));

    let cancel = format!("{path}/cancel");
    let stale = buyer.post(&cancel, &json!({})).header("if-match", "\"77\"").send().await;
    stale.expect_problem(412, "version_conflict");
    buyer.order_reaches(&order, "placed").await;
    let done = buyer.post(&cancel, &json!({})).header("if-match", &tag).send().await;
    assert_eq!(done.expect(200)["status"], "cancelled");
    assert!(done.version() > read.version() && done.position() > placed.position());
    // The version has changed: a client with the old one is told so.
    let late = buyer.post(&cancel, &json!({})).header("if-match", &tag).send().await;
    assert!(matches!(late.status, 200 | 412), "{} {}", late.status, late.text());

    let paid = buyer.buy(&[(&tea, 1)]).await;
    let confirm = format!("/v1/orders/{}/confirm-delivery", paid["id"].as_str().unwrap());
    let problem = buyer.post(&confirm, &json!({})).send().await.expect_problem(409, "order_state_conflict");
    assert_eq!(problem["current_state"], "preparing", "{problem}");
    assert!(problem["allowed_commands"].is_array(), "{problem}");
}

pub async fn a_wait_has_stages_and_an_end(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 20_000, 100).await;
    let waiting = |call: crate::harness::Call, seconds: u32, stage: &str| {
        call.header("prefer", format!("wait={seconds}")).header("jangbu-wait-for", stage)
    };
    let place = || buyer.post("/v1/orders", &basket(&[(&tea, 1)]));

    let committed = waiting(place(), 20, "committed").send().await;
    assert_eq!(committed.expect(201)["status"], "placed");
    let projected = waiting(place(), 20, "projected").send().await;
    let order = projected.expect(201);
    assert_eq!(projected.header("preference-applied"), Some("wait=20"));
    // It shows in every list without a further wait.
    assert_eq!(buyer.read("/v1/orders?limit=1").await["items"][0]["id"], order["id"]);

    let mut at_once = basket(&[(&tea, 1)]);
    at_once["payment"] = json!({"legs": [{"method": "card", "amount": "20000", "card_token": "tok_ok"}]});
    let settled = waiting(buyer.post("/v1/orders", &at_once), 20, "settled").send().await;
    let order = settled.expect(201);
    assert!(matches!(order["status"].as_str(), Some("paid" | "preparing")), "{order}");
    assert_eq!(order["total"]["amount"], "20000");

    // No answer takes longer than the requested wait; it has what is known by then.
    let order = buyer.place(&[(&tea, 1)]).await;
    let slow = buyer.post("/v1/payments", &by_card(&order, "tok_timeout_charged"));
    let answer = waiting(slow, 0, "settled").send().await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let payment = answer.json();
    assert_eq!(payment["order_id"], order["id"]);
    assert_ne!(payment["status"], "captured");
    buyer.becomes(&format!("/v1/payments/{}", payment["id"].as_str().unwrap()), "captured").await;
    buyer.order_reaches(&order, "preparing").await;
}

pub async fn a_caller_who_hangs_up_leaves_nothing_half_done(world: &mut World) {
    /// Clients that disconnect at different moments.
    const CALLERS: usize = 24;
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 20_000, 100).await;
    let body = serde_json::to_vec(&basket(&[(&tea, 1)])).unwrap();
    let keys: Vec<_> = (0..CALLERS).map(|_| fresh_key()).collect();
    for (index, key) in keys.iter().enumerate() {
        let head = format!(
            "POST /v1/orders HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             idempotency-key: {key}\r\ncontent-length: {}\r\n\r\n",
            world.shop_address(),
            buyer.token(),
            body.len(),
        );
        let request = [head.as_bytes(), &body].concat();
        // Every second one disconnects after the whole request, the others in the middle of it.
        let sent = if index % 2 == 0 { request.len() } else { request.len() * index / CALLERS };
        let mut connection = TcpStream::connect(world.shop_address()).await.unwrap();
        connection.write_all(&request[..sent]).await.unwrap();
        drop(connection);
    }
    // A repeat under the same key gets the first answer, or is executed now: once.
    let request: Value = serde_json::from_slice(&body).unwrap();
    for key in &keys {
        let reply = buyer.post("/v1/orders", &request).key(key).body(JSON, body.clone()).send().await;
        reply.expect(201);
    }
    let count = i64::try_from(CALLERS).unwrap();
    admin.stock_becomes(&tea, 100, count, 0).await;
    for order in buyer.list_of(CALLERS, "/v1/orders?limit=7").await {
        assert_eq!((order["status"].as_str(), number(&order["total"])), (Some("placed"), 20_000));
    }
    garbage_is_answered_or_closed(world).await;
}

/// What is not HTTP ends the connection and has no other effect.
async fn garbage_is_answered_or_closed(world: &World) {
    for garbage in [&b"\x16\x03\x01\x02\x00"[..], b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", &[b'a'; 20_000]] {
        let mut connection = TcpStream::connect(world.shop_address()).await.unwrap();
        // The server may close before everything was sent.
        let _ = connection.write_all(garbage).await;
        let _ = connection.shutdown().await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(LIMIT, connection.read_to_end(&mut answer)).await.expect("it is closed");
        if read.is_ok() && !answer.is_empty() {
            assert!(answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
        }
    }
    eventually("the server answers", async || (world.visitor().get("/livez").send().await.status == 200).then_some(()))
        .await;
}
