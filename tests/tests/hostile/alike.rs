//! One list of hostile requests, sent to both engines: the same status, the same code,
//! the same pointers, and never a failure of the server.
//!
//! The list is generated: every place of every body is replaced by every value that parsers and
//! databases are known to handle badly.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Engine, Reply, World, fresh_key};

const JSON: &str = "application/json";
const NO_ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// A request that can be sent to any engine.
#[derive(Clone)]
struct Hostile {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
}

impl Hostile {
    fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), headers: Vec::new(), body: None }
    }
    fn post(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", JSON.to_owned())];
        Self { method: Method::POST, path: path.into(), headers, body: Some(body.into()) }
    }
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }
    fn by(self, method: Method) -> Self {
        Self { method, ..self }
    }

    fn shown(&self) -> String {
        let body = self.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let headers: String = format!("{:?}", self.headers).chars().take(200).collect();
        let body: String = body.chars().take(300).collect();
        format!("{} {} {headers} {body}", self.method, self.path.chars().take(200).collect::<String>())
    }

    async fn send(&self, client: &Client) -> (Reply, Duration) {
        let mut call = client.call(self.method.clone(), &self.path).key(fresh_key());
        for (name, value) in &self.headers {
            call = if *name == "idempotency-key" { call.without_key() } else { call };
            call = call.raw_header(name, value.as_bytes());
        }
        if let Some(body) = &self.body {
            call = call.bare_body(body.clone());
        }
        let began = Instant::now();
        (call.send().await, began.elapsed())
    }
}

/// An answer without the ids and times that differ from shop to shop.
#[derive(Debug, PartialEq)]
struct Verdict {
    status: u16,
    code: String,
    errors: Vec<(String, String)>,
}

impl Verdict {
    fn of(reply: &Reply, shown: &str) -> Self {
        if reply.status < 400 {
            return Self { status: reply.status, code: String::new(), errors: Vec::new() };
        }
        assert!(reply.status < 500, "{} for {shown}: {}", reply.status, reply.text());
        let problem = reply.problem();
        if problem["code"] == "account_locked" {
            // Whether a login is delayed after wrong passwords depends on the time.
            return Self { status: 401, code: "unauthenticated".to_owned(), errors: Vec::new() };
        }
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("a text: {problem}")).to_owned();
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let errors: Vec<_> = errors.iter().map(|error| (text(&error["pointer"]), text(&error["code"]))).collect();
        assert!(problem["code"] != "validation_failed" || !errors.is_empty(), "no pointer for {shown}: {problem}");
        Self { status: reply.status, code: text(&problem["code"]), errors }
    }
}

/// Values as JSON texts, for any place.
#[expect(clippy::too_many_lines, reason = "a table: one entry a request")]
fn values() -> Vec<String> {
    let text = |inner: &str| format!("\"{inner}\"");
    let mut values: Vec<String> = [
        "null",
        "true",
        "0",
        "-0",
        "-1",
        "1.0",
        "1e0",
        "1e400",
        "-1e400",
        "1e-400",
        "0.1",
        "NaN",
        "Infinity",
        "-Infinity",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "[]",
        "{}",
        "[null]",
        "{\"\":null}",
        "{\"a\":1,\"a\":1}",
        "undefined",
        "'x'",
        "01",
        "+1",
        ".5",
        "1.",
        "0x10",
        "tru",
        "/**/1",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    values.extend(
        [
            "",
            " ",
            "\\u0000",
            "a\\u0000b",
            "\\ud800",
            "\\udc00\\ud800",
            "\\ud83d\\ude00",
            "\\u001b[31m",
            "\\u202e",
            "\\ufeff",
            "\\uffff",
            "\\u0085",
            "\\x",
            "\\",
            "\u{0}",
            "\n",
            "' or 1=1 --",
            "${jndi:x}",
            "%00",
            "..\\/..\\/x",
            "1e400",
            "NaN",
            "-1",
            "1.5",
            "٣",
            "９",
            "9999-12-31T23:59:60Z",
            "0000-01-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-11-21T00:00:00+99:99",
            "01890A5D-AC96-774B-BCCE-B302099A8057",
            "{01890a5d-ac96-774b-bcce-b302099a8057}",
            "00000000-0000-0000-0000-000000000000",
        ]
        .into_iter()
        .map(text),
    );
    // 10 kB of Hangul, and text that grows when it is decomposed.
    values.push(text(&"가".repeat(3_334)));
    values.push(text(&"\u{1112}\u{1161}\u{11ab}".repeat(1_000)));
    values.push(text(&"🇰🇷".repeat(500)));
    values.push("9".repeat(60_000));
    values.push(text(&"9".repeat(60_000)));
    values.push(format!("0.{}1", "0".repeat(59_000)));
    values.push(format!("1{}", "0".repeat(400)));
    values.push(format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000)));
    values.push("{\"a\":".repeat(10_000));
    values.push(format!("[{}]", vec!["{}"; 15_000].join(",")));
    values
}

/// The commands with bodies, each with a valid one.
fn bodies() -> Vec<(Method, String, Value)> {
    let address =
        json!({"recipient": "김민지", "phone": "010-1", "postal_code": "06236", "line1": "서울", "line2": "1"});
    let line = json!({"product_id": NO_ID, "quantity": 1});
    let legs = json!([{"method": "card", "amount": {"amount": "1", "currency": "KRW"}, "card_token": "tok_ok"}]);
    let post = |path: &str, body: Value| (Method::POST, path.replace("{id}", NO_ID), body);
    vec![
        post(
            "/v1/orders",
            json!({"lines": [line], "shipping_address": address, "expected_total": "1", "pay_within_seconds": 60, "payment": {"legs": legs}}),
        ),
        post("/v1/orders/quote", json!({"lines": [line]})),
        post("/v1/shipping/quote", json!({"lines": [line], "postal_code": "63100"})),
        post("/v1/orders/{id}/cancel", json!({"reason": "x"})),
        post("/v1/payments", json!({"order_id": NO_ID, "legs": legs})),
        post("/v1/payments/{id}/refunds", json!({"amount": "1", "reason": "x"})),
        post(
            "/v1/products",
            json!({
                "name": "x", "description": "x", "category_id": NO_ID, "seller_id": NO_ID, "price": "1",
                "tax_class": "exempt", "image_urls": ["https://x.example/1"], "slug": "x", "metadata": {"x": "1"},
            }),
        ),
        (Method::PUT, format!("/v1/products/{NO_ID}/variant"), json!({"of": NO_ID, "options": {"x": "1"}})),
        post("/v1/categories", json!({"name": "x", "parent_id": NO_ID})),
        (Method::PUT, format!("/v1/categories/{NO_ID}"), json!({"name": "x", "parent_id": NO_ID})),
        (
            Method::PUT,
            format!("/v1/products/{NO_ID}"),
            json!({
                "name": "x", "description": "x", "price": {"amount": "1", "currency": "KRW"},
                "category_ids": [NO_ID], "seller_id": NO_ID, "tax_class": "taxable",
                "image_urls": ["https://x.example/1"], "slug": "x", "metadata": {"x": "1"},
            }),
        ),
        post("/v1/stock/{id}/receive", json!({"quantity": 1, "location": "main"})),
        post("/v1/stock/{id}/count", json!({"counted": 1, "location": "x", "reason": "x"})),
        post("/v1/stock/{id}/write-off", json!({"quantity": 1, "location": "x", "reason": "x"})),
        post("/v1/stock/{id}/transfers", json!({"from": "main", "to": "x", "quantity": 1})),
        post("/v1/stock/{id}/transfers/{id}/receive", json!({"quantity": 1})),
        post("/v1/stock/{id}/transfers/{id}/write-off", json!({"reason": "x"})),
        post("/v1/locations", json!({"code": "x", "name": "x"})),
        (Method::PUT, "/v1/locations/x".to_owned(), json!({"name": "x", "active": true})),
        (Method::PUT, format!("/v1/stock/{NO_ID}/threshold"), json!({"low": 1})),
        (Method::PUT, format!("/v1/stock/{NO_ID}/back-order"), json!({"limit": 1})),
        (Method::PUT, format!("/v1/stock/{NO_ID}/buyer-limit"), json!({"limit": 1})),
        post("/v1/stock/{id}/adjust", json!({"delta": 1, "location": "x", "reason": "x"})),
        post(
            "/v1/users/{id}/points/grant",
            json!({"amount": "1", "reference": "x", "expires_at": "2030-01-01T00:00:00Z"}),
        ),
        (Method::PUT, format!("/v1/users/{NO_ID}/roles"), json!({"roles": ["customer"]})),
        post("/v1/shipments/{id}/status", json!({"status": "delivered", "tracking_number": "x", "note": "x"})),
        (Method::PUT, format!("/v1/shipments/{NO_ID}/tracking-number"), json!({"tracking_number": "x", "reason": "x"})),
        post("/v1/shipments/{id}/dispatch", json!({"carrier": "x", "tracking_number": "x"})),
        post("/v1/sagas/{id}/resume", json!({"reason": "x"})),
        post("/v1/sagas/{id}/skip", json!({"reason": "x"})),
        post("/v1/sagas/{id}/compensate", json!({"reason": "x"})),
        post("/v1/orders/{id}/hold", json!({"reason": "x"})),
        post("/v1/orders/{id}/release", json!({"reason": "x"})),
        post("/v1/orders/{id}/refund", json!({"reason": "x", "restock": true})),
        post("/v1/orders/{id}/send-again", json!({"reason": "x", "restock": true})),
        post("/v1/orders/{id}/accept", json!({"reason": "x"})),
        post("/v1/auth/login", json!({"email": "x@example.com", "password": "long enough"})),
        post("/v1/auth/refresh", json!({"refresh_token": "x"})),
        post("/v1/auth/logout", json!({"refresh_token": "x"})),
        (Method::PUT, "/v1/auth/profile".to_owned(), json!({"name": "x", "phone": "010-1"})),
        (Method::PUT, "/v1/auth/notices".to_owned(), json!({"locale": "en", "muted": ["delivery"]})),
    ]
}

/// The places of a body that can be replaced, the body itself included.
fn places(body: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match body {
        Value::Object(members) => members.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), into)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| places(item, &format!("{at}/{index}"), into));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn spoilt_bodies() -> Vec<Hostile> {
    const MARK: &str = "@@@";
    let values = values();
    let mut all = Vec::new();
    for (method, path, body) in bodies() {
        let mut found = Vec::new();
        places(&body, "", &mut found);
        for place in found {
            let mut marked = body.clone();
            *marked.pointer_mut(&place).unwrap() = json!(MARK);
            let marked = marked.to_string();
            for value in &values {
                let text = marked.replace(&format!("\"{MARK}\""), value);
                all.push(Hostile::post(&path, text).by(method.clone()));
            }
        }
    }
    all
}

/// Bodies that are invalid as a whole.
fn wrong_bodies() -> Vec<Hostile> {
    let good = json!({"lines": [{"product_id": NO_ID, "quantity": 1}]}).to_string();
    let orders = |body: &[u8]| Hostile::post("/v1/orders/quote", body);
    let mut all: Vec<Hostile> = [
        &b""[..],
        b" ",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        b"\xc3\x28",
        b"{\"lines\": \"\xed\xa0\x80\"}",
        b"{\"\xf4\x90\x80\x80\": 1}",
        b"{} {}",
        b"{}x",
        b"lines=1",
        b"<lines/>",
        b"{\"lines\": [}",
        b"\0",
    ]
    .into_iter()
    .map(orders)
    .collect();
    for kind in [
        "text/plain",
        "application/xml",
        "application/jsonx",
        "multipart/form-data; boundary=x",
        "",
        "json",
        "application/json/x",
    ] {
        all.push(orders(good.as_bytes()).with("content-type", kind));
    }
    for kind in ["application/json; charset=utf-16", "application/json; charset=euc-kr"] {
        all.push(orders(good.as_bytes()).with("content-type", kind));
    }
    for encoding in ["gzip", "br", "identity, gzip"] {
        all.push(orders(good.as_bytes()).with("content-encoding", encoding));
    }
    all.extend(files());
    let huge = format!("{{\"lines\": \"{}\"}}", "x".repeat(70_000));
    all.push(orders(huge.as_bytes()));
    all.push(orders(&[b' '; 65_536]));
    all.push(Hostile::post(format!("/v1/products/{NO_ID}/activate"), "{\"x\": 1}"));
    all.push(Hostile::post(format!("/v1/products/{NO_ID}/activate"), "[".repeat(60_000)));
    all
}

/// Files that are none, and files with rows of every kind.
fn files() -> Vec<Hostile> {
    let mut all = Vec::new();
    for kind in ["products", "stock"] {
        let csv = |body: Vec<u8>| Hostile::post(format!("/v1/imports/{kind}"), body).with("content-type", "text/csv");
        let lines = |body: String| {
            Hostile::post(format!("/v1/imports/{kind}"), body).with("content-type", "application/x-ndjson")
        };
        for body in
            [&b""[..], b"\0", b"id,\xff\n", b"name\n\"", b"name;price\n", b"product_id,quantity\n,,,\n", b"\xff\xfen\0"]
        {
            all.push(csv(body.to_vec()));
        }
        for value in values() {
            all.push(lines(format!("{{\"id\":{value},\"product_id\":{value},\"name\":{value},\"quantity\":{value}}}")));
            all.push(csv(format!("name,price,metadata\n{value},{value},{value}\n").into_bytes()));
            all.push(csv(format!("product_id,quantity,mode\n{value},{value},count\n").into_bytes()));
        }
        all.push(csv(b"name\n".to_vec()).with("content-encoding", "gzip"));
    }
    all
}

/// Invalid paths and queries.
#[expect(clippy::too_many_lines, reason = "a table: one entry a request")]
fn wrong_addresses() -> Vec<Hostile> {
    let odd = [
        "%00",
        "%0",
        "%",
        "%zz",
        "%ff",
        "%ed%a0%80",
        "%c0%80",
        "%2e%2e",
        "%2f",
        "%5c",
        "..",
        "*",
        "%ea%b0%80",
        "+",
        "%20",
        "a;b",
        "01890a5d-ac96-774b-bcce-b302099a8057%00",
        "01890A5D-AC96-774B-BCCE-B302099A8057",
        "1%0d%0ax:1",
        "%e2%80%ae",
    ];
    let long = "9".repeat(8_000);
    let hangul = "%EA%B0%80".repeat(3_334);
    let mut all = Vec::new();
    let texts = odd.iter().copied().chain([long.as_str(), hangul.as_str()]);
    for text in texts {
        for path in [
            "/v1/orders/@",
            "/v1/orders/by-number/@",
            "/v1/orders/@/history",
            "/v1/orders/@/notes",
            "/v1/orders/@/returns",
            "/v1/returns/@",
            "/v1/returns?status=@",
            "/v1/returns?late=@",
            "/v1/products/@",
            "/v1/products/by-slug/@",
            "/v1/products?variant_of=@",
            "/v1/products?facets=@",
            "/v1/categories/@",
            "/v1/categories?parent=@",
            "/v1/categories?top=@",
            "/v1/payments/@",
            "/v1/stock/@",
            "/v1/stock/@/movements",
            "/v1/locations/@",
            "/v1/shipments/tracking/@",
            "/v1/audit/streams/@",
            "/v1/audit/streams/order-@",
            "/v1/users/@",
            "/v1/sagas/@",
            "/@",
            "/docs/@",
            "/v1/orders?cursor=@",
            "/v1/orders?limit=@",
            "/v1/orders?from=@",
            "/v1/orders?status=@",
            "/v1/orders?desk=@",
            "/v1/orders?email=@",
            "/v1/orders?number=@",
            "/v1/orders?product_id=@",
            "/v1/orders?q=@",
            "/v1/orders?user_id=@",
            "/v1/orders?@=1",
            "/v1/orders?@",
            "/v1/products?q=@",
            "/v1/products?min_price=@",
            "/v1/products?in_stock=@",
            "/v1/products?category=@",
            "/v1/products?sort=@",
            "/v1/users?cursor=@",
            "/v1/sagas?stuck_seconds=@",
            "/v1/notices?state=@",
            "/v1/notices?order_id=@",
            "/v1/orders/01890a5d-ac96-774b-bcce-b302099a8057?as_of=@",
        ] {
            all.push(Hostile::get(path.replace('@', text)));
        }
    }
    let many: String = (0..5_000).map(|n| format!("a{n}=1&")).collect();
    all.push(Hostile::get(format!("/v1/products?{many}")));
    all.push(Hostile::get(format!("/v1/products?{}", "q=1&".repeat(5_000))));
    all.push(Hostile::get(format!("/v1/products?{}", "&".repeat(20_000))));
    // Well-formed cursors with false content.
    for keys in
        [r#"[{"s":"a\u0000b"},{"u":"01890a5d-ac96-774b-bcce-b302099a8057"}]"#, r#"[{"t":9223372036854775807}]"#, "[]"]
    {
        for list in ["products:newest", "products:name", "products", "orders", "users"] {
            let cursor = format!(r#"{{"list":"{list}","keys":{keys}}}"#);
            all.push(Hostile::get(format!("/v1/products?cursor={}", base64url(cursor.as_bytes()))));
        }
    }
    for (method, path) in [
        (Method::DELETE, "/v1/orders"),
        (Method::PATCH, "/v1/orders"),
        (Method::TRACE, "/v1/orders"),
        (Method::OPTIONS, "/v1/orders"),
        (Method::PUT, "/v1/auth/login"),
        (Method::from_bytes(b"BREW").unwrap(), "/v1/orders"),
        (Method::POST, "/livez"),
    ] {
        all.push(Hostile::get(path).by(method));
    }
    all
}

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().enumerate().fold(0_usize, |bits, (index, byte)| bits | usize::from(*byte) << (16 - 8 * index));
        for place in 0..=chunk.len() {
            text.push(char::from(ALPHABET[bits >> (18 - 6 * place) & 63]));
        }
    }
    text
}

/// Invalid headers, on an otherwise valid request.
fn wrong_headers() -> Vec<Hostile> {
    let body = json!({"quantity": 1}).to_string();
    let request = || Hostile::post(format!("/v1/stock/{NO_ID}/receive"), body.clone());
    let long = "x".repeat(20_000);
    let odd = [
        "",
        " ",
        "short",
        "with a space in it",
        "\t",
        "가나다라마바사아",
        "\u{ff}\u{fe}",
        "'\"'\"'\"'\"",
        "3",
        "\"3",
        "*,\"1\"",
        "W/\"1\"",
        "\"1\",,\"2\"",
        "-1",
        "1.5",
        "18446744073709551616",
        "wait=-1",
        "wait=1e400",
        "wait=NaN",
        "wait=99999999999999999999",
        "wait=\"",
        ",;=",
        "committed, settled",
        "Bearer",
        "Bearer ",
        "Bearer a.b.c",
        "Basic YTpi",
    ];
    let mut all = Vec::new();
    for name in ["idempotency-key", "if-match", "jangbu-wait-for", "traceparent", "x-request-id"] {
        for value in odd.iter().copied().chain([long.as_str()]) {
            all.push(request().with(name, value));
        }
    }
    for name in
        ["jangbu-min-position", "if-none-match", "prefer", "last-event-id", "accept", "accept-encoding", "range"]
    {
        for value in odd.iter().copied().filter(|value| !value.starts_with("wait=9")).chain([long.as_str()]) {
            all.push(Hostile::get(format!("/v1/orders/{NO_ID}")).with(name, value));
        }
    }
    all
}

/// Invalid tokens, forged without a login.
fn wrong_tokens() -> Vec<Hostile> {
    let long = "x".repeat(30_000);
    let tokens = [
        "",
        "Bearer",
        "Bearer ",
        "bearer x",
        "Bearer a.b.c",
        "Bearer ..",
        "Bearer \u{ff}",
        "Basic YTpi",
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        "Bearer eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
        "Digest x",
        "Bearer a b c",
        "x",
    ];
    tokens
        .into_iter()
        .map(str::to_owned)
        .chain([format!("Bearer {long}")])
        .map(|token| Hostile::get("/v1/orders").with("authorization", token))
        .collect()
}

/// How long answers took, for the report: no test depends on it.
#[derive(Default)]
struct Slowest(Duration, String);

impl Slowest {
    fn see(&mut self, took: Duration, shown: &str) {
        if took > self.0 {
            *self = Self(took, shown.to_owned());
        }
    }
}

async fn compare(sqlite: &Client, postgres: &Client, all: &[Hostile], slowest: &mut Slowest) {
    for hostile in all {
        let shown = hostile.shown();
        let (one, other) = futures::join!(hostile.send(sqlite), hostile.send(postgres));
        let mut verdicts = Vec::new();
        for (engine, (reply, took)) in [(Engine::Sqlite, one), (Engine::Postgres, other)] {
            let shown = format!("{engine:?} {shown}");
            slowest.see(took, &shown);
            verdicts.push(Verdict::of(&reply, &shown));
        }
        assert_eq!(verdicts[0], verdicts[1], "the engines differ for {shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_engines_take_hostile_input_alike() {
    let (mut sqlite, mut postgres) = (World::start(Engine::Sqlite).await, World::start(Engine::Postgres).await);
    let mut slowest = Slowest::default();
    compare(&sqlite.visitor(), &postgres.visitor(), &wrong_tokens(), &mut slowest).await;
    let mut count = 0;
    for part in [spoilt_bodies(), wrong_bodies(), wrong_addresses(), wrong_headers()] {
        // On a slow machine a token expires before all of them are sent.
        for some in part.chunks(500) {
            compare(&sqlite.admin().await, &postgres.admin().await, some, &mut slowest).await;
            count += some.len();
        }
    }
    println!("{count} hostile requests to each engine; the slowest answer took {:?}: {}", slowest.0, slowest.1);
    sqlite.check_the_end().await;
    postgres.check_the_end().await;
    sqlite.remove().await;
    postgres.remove().await;
}
