//! Raw input that no well-behaved client sends: bytes that are not HTTP, requests that two readers
//! could read differently, and bodies that are not read.

use jangbu_api::ServerOptions;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::House;
use crate::serving::{Server, read_to_end, start, within};

async fn server(house: &House) -> Server {
    start(house, ServerOptions::default()).await
}

/// An answer as received from the connection.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// Asserts that it is a problem with this code, and returns it.
    fn problem(&self, code: &str) -> Value {
        assert!(self.head.contains("content-type: application/problem+json"), "{}{}", self.head, self.body);
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(self.status.into()), Some(code)));
        assert!(problem["trace_id"].is_string() && self.head.contains("x-request-id: "), "{problem}");
        problem
    }
}

/// Reads one answer with a declared length.
async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    within(stream.read_exact(&mut body)).await.unwrap();
    Answer { status: head[9..12].parse().unwrap(), head, body: String::from_utf8(body).unwrap() }
}

const LIVE: &str = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";

fn post(headers: &str, body: &str) -> String {
    format!("POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{headers}\r\n{body}")
}

/// Ambiguous requests: whatever follows them on the connection is not taken for a request of its
/// own.
fn shapes_of_smuggling() -> Vec<String> {
    vec![
        post("content-length: 2\r\ncontent-length: 3\r\n", "{}"),
        post("content-length: 2, 2\r\n", "{}"),
        post("content-length: +2\r\n", "{}"),
        post("content-length: -2\r\n", "{}"),
        post("content-length: 0x2\r\n", "{}"),
        post("content-length: 99999999999999999999999999\r\n", "{}"),
        post("content-length : 2\r\n", "{}"),
        post("content-length: 4\r\ntransfer-encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
        post("transfer-encoding: chunked\r\ncontent-length: 4\r\n", "2\r\n{}\r\n0\r\n\r\n"),
        post("transfer-encoding: xchunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
        post("transfer-encoding: chunked, identity\r\n", "2\r\n{}\r\n0\r\n\r\n"),
        post("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", "2\r\n{}\r\n0\r\n\r\n"),
        post("transfer-encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n"),
        post("transfer-encoding: chunked\r\n", "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        post("transfer-encoding: chunked\r\n", &format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(30_000))),
        post("x: a\r\n b\r\n", ""),
    ]
}

#[tokio::test]
async fn a_request_with_two_readings_is_refused_and_ends_the_connection() {
    let house = House::new().await;
    let server = server(&house).await;
    for shape in shapes_of_smuggling() {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(format!("{shape}{LIVE}").as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream).await;
        assert_eq!(answer.status, 400, "{shape}");
        answer.problem("validation_failed");
        assert_eq!(read_to_end(&mut stream).await, "", "a second answer to {shape}");
    }
}

#[tokio::test]
async fn what_is_no_request_gets_a_problem_too() {
    let house = House::new().await;
    let server = server(&house).await;
    let many_headers: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    for (sent, status, code) in [
        ("GET\r\n\r\n".to_owned(), 400, "validation_failed"),
        ("GET /livez\r\n\r\n".to_owned(), 400, "validation_failed"),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400, "validation_failed"),
        ("GET /v1/orders/\0 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), 400, "validation_failed"),
        ("GET /livez HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n".to_owned(), 400, "validation_failed"),
        ("\u{16}\u{3}\u{1}\u{2}\0".to_owned(), 400, "validation_failed"),
        (format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70_000)), 414, "uri_too_long"),
        (format!("GET /livez HTTP/1.1\r\nhost: x\r\n{many_headers}\r\n"), 431, "headers_too_large"),
        // No host, two of them, and one that is none (RFC 9112, section 3.2).
        ("GET /livez HTTP/1.1\r\n\r\n".to_owned(), 400, "validation_failed"),
        ("GET /livez HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned(), 400, "validation_failed"),
        ("GET /livez HTTP/1.1\r\nhost: a b/c\r\n\r\n".to_owned(), 400, "validation_failed"),
        ("FOO /livez HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), 405, "method_not_allowed"),
        ("get /livez HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), 405, "method_not_allowed"),
        ("CONNECT other.example:443 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), 404, "not_found"),
        ("GET //livez HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), 404, "not_found"),
        ("GET /docs/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), 404, "not_found"),
        ("GET /docs/%ff HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), 400, "validation_failed"),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // The server may have closed before everything was sent.
        let _ = stream.write_all(sent.as_bytes()).await;
        let answer = read_answer(&mut stream).await;
        let shown: String = sent.chars().take(80).collect();
        assert_eq!(answer.status, status, "{shown} -> {}", answer.body);
        answer.problem(code);
    }
}

#[tokio::test]
async fn old_and_unusual_but_proper_requests_are_answered() {
    let house = House::new().await;
    let server = server(&house).await;
    for (sent, answers) in [
        ("GET /livez HTTP/1.0\r\n\r\n", 1),
        ("GET http://other.example/livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 1),
        ("GET /livez HTTP/1.1\r\nhost: [::1]:8080\r\nconnection: close\r\n\r\n", 1),
        ("GET /livez HTTP/1.1\r\nhost: x\r\n\r\nGET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 2),
        (
            "GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            2,
        ),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let text = read_to_end(&mut stream).await;
        assert_eq!(text.matches(" 200 OK").count(), answers, "{sent} -> {text}");
    }
    // HTTP/2 with prior knowledge is not supported: the connection ends, and nothing hangs.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    read_to_end(&mut stream).await;
}

/// Requests that are rejected before their body is read, with the reason.
fn unread_bodies() -> Vec<(&'static str, u16, &'static str)> {
    vec![
        ("POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n", 401, "unauthenticated"),
        ("POST /v1/nothing HTTP/1.1\r\nhost: x\r\n", 404, "not_found"),
        ("PATCH /v1/orders HTTP/1.1\r\nhost: x\r\n", 405, "method_not_allowed"),
        ("POST /v1/auth/login HTTP/1.1\r\nhost: x\r\nif-match: 3\r\n", 400, "validation_failed"),
    ]
}

#[tokio::test]
async fn a_body_that_nobody_wants_does_not_cost_the_answer_or_the_connection() {
    const BODY: usize = 60_000;
    let house = House::new().await;
    let server = server(&house).await;
    for (head, status, code) in unread_bodies() {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(format!("{head}content-length: {BODY}\r\n\r\n").as_bytes()).await.unwrap();
        stream.write_all(&[b'x'; BODY / 2]).await.unwrap();
        // The answer comes while the body is still on its way.
        let answer = read_answer(&mut stream).await;
        assert_eq!(answer.status, status, "{head}");
        answer.problem(code);
        stream.write_all(&[b'x'; BODY / 2]).await.unwrap();
        stream.write_all(LIVE.as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut stream).await.status, 200, "the connection goes on after {head}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_while_it_arrives() {
    let house = House::new().await;
    let server = server(&house).await;
    for size in ["content-length: 500000", "transfer-encoding: chunked"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = post(&format!("{size}\r\n"), "");
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunked = size.ends_with("chunked");
        for _ in 0..10 {
            if chunked {
                stream.write_all(b"c350\r\n").await.unwrap();
            }
            stream.write_all(&[b' '; 50_000]).await.unwrap();
            if chunked {
                stream.write_all(b"\r\n").await.unwrap();
            }
        }
        if chunked {
            stream.write_all(b"0\r\n\r\n").await.unwrap();
        }
        let answer = read_answer(&mut stream).await;
        assert_eq!(answer.status, 413, "{}", answer.body);
        answer.problem("payload_too_large");
        stream.write_all(LIVE.as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut stream).await.status, 200);
    }
}

#[tokio::test]
async fn who_waits_to_be_asked_for_a_body_is_not_asked_in_vain() {
    let house = House::new().await;
    let server = server(&house).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_answer(&mut stream).await;
    assert_eq!(answer.status, 401, "no 100 before it");
    answer.problem("unauthenticated");
}

#[tokio::test]
async fn an_endless_body_is_given_up() {
    let house = House::new().await;
    let server = server(&house).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 401);
    // At some point the server stops reading: writing fails long before all of it was sent.
    let mut written: u64 = 0;
    let sending = async {
        while stream.write_all(&[b'x'; 65_536]).await.is_ok() {
            written += 65_536;
        }
    };
    within(sending).await;
    assert!(written < 500_000_000, "{written} bytes were taken");
}
