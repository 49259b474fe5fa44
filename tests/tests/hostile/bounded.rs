//! Values that strangers send leave nothing behind: a thousand values leave the same metric series
//! as ten. The bounds of the maps that count callers are tested beside them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Engine, World};

/// Makes a request from a number; each number gives a new value.
type Made = fn(usize) -> String;

/// Everything that a client without a login can choose.
const KINDS: [(&str, Made); 16] = [
    ("a method", |n| request(&format!("M{n:06}"), "/v1/orders", "", "")),
    ("a method in lower case", |n| request(&format!("get{n}"), "/livez", "", "")),
    ("a path", |n| request("GET", &format!("/v1/nothing/{n}"), "", "")),
    ("an id", |n| request("GET", &format!("/v1/products/01890a5d-ac96-774b-bcce-{n:012x}"), "", "")),
    ("a file of the page", |n| request("GET", &format!("/docs/{n}.js"), "", "")),
    ("a query", |n| request("GET", &format!("/v1/products?field{n}={n}"), "", "")),
    ("a search", |n| request("GET", &format!("/v1/products?q=word{n}"), "", "")),
    ("a header", |n| request("GET", "/livez", &format!("x-made-up-{n}: {n}"), "")),
    ("a token", |n| request("GET", "/v1/orders", &format!("authorization: Bearer made.up.{n}"), "")),
    ("a scheme", |n| request("GET", "/v1/orders", &format!("authorization: Scheme{n} x"), "")),
    ("a key", |n| request("POST", "/v1/auth/register", &format!("idempotency-key: made-up-{n:06}"), "{}")),
    ("a trace", |n| {
        request("GET", "/livez", &format!("traceparent: 00-{:032x}-{:016x}-01\r\nx-request-id: r{n}", n + 1, n + 1), "")
    }),
    ("a caller behind a proxy", |n| {
        request("GET", "/v1/products?limit=1", &format!("x-forwarded-for: 2001:db8::{n:x}"), "")
    }),
    ("a gateway", |n| request("POST", &format!("/v1/hooks/payments/gateway{n}"), "", "{}")),
    ("a carrier", |n| request("POST", &format!("/v1/hooks/carriers/carrier{n}"), "", "{}")),
    ("a position and a version", |n| {
        request(
            "GET",
            "/v1/products",
            &format!("jangbu-min-position: {}\r\nif-none-match: \"{n}\"", n + 900_000_000),
            "",
        )
    }),
];

fn request(method: &str, path: &str, header: &str, body: &str) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: shop.example\r\ncontent-type: application/json\r\n");
    if !header.is_empty() {
        write!(head, "{header}\r\n").unwrap();
    }
    format!("{head}content-length: {}\r\n\r\n{body}", body.len())
}

/// Sends this many of each kind, in sequence on one connection per kind.
async fn feed(address: &str, numbers: std::ops::Range<usize>) {
    for (kind, made) in KINDS {
        let mut connection = TcpStream::connect(address).await.unwrap();
        for number in numbers.clone() {
            connection.write_all(made(number).as_bytes()).await.unwrap();
            let status = answered(&mut connection).await;
            assert!((200..500).contains(&status), "{kind} {number}: {status}");
        }
    }
}

/// Reads one answer to its end; returns its status.
async fn answered(connection: &mut TcpStream) -> u16 {
    let mut answer = Vec::new();
    let mut chunk = [0; 16_384];
    loop {
        let read = connection.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the connection goes on: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_ascii_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length:").map(|length| length.trim().parse::<usize>().unwrap())
        });
        if body.len() >= length.unwrap_or(0) {
            return head.split(' ').nth(1).unwrap().parse().unwrap();
        }
    }
}

/// Every metric with its labels.
async fn series(world: &World) -> BTreeSet<String> {
    let text = world.visitor().get("/metrics").send().await.text();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_leave_nothing_behind() {
    const FEW: usize = 10;
    const MANY: usize = 1_000;
    let mut world = World::start(Engine::Sqlite).await;
    let address = world.shop_address();
    feed(&address, 0..FEW).await;
    series(&world).await;
    let few = series(&world).await;
    feed(&address, FEW..FEW + MANY).await;
    let many = series(&world).await;
    let new: Vec<_> = many.difference(&few).take(5).collect();
    assert!(new.is_empty(), "{} series more, as {new:#?}", many.len() - few.len());
    world.check_the_end().await;
    world.remove().await;
}
