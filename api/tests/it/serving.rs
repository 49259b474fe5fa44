//! The accept loop, over real connections.

use std::net::SocketAddr;
use std::time::Duration;

use jangbu_api::{ServerOptions, serve};
use jangbu_kernel::Role;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::house::{House, order_body};

pub struct Server {
    pub address: SocketAddr,
    pub stop: CancellationToken,
    pub task: JoinHandle<std::io::Result<()>>,
}

pub async fn start(house: &House, options: ServerOptions) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(listener, house.state.clone(), options, stop.clone()));
    Server { address, stop, task }
}

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("in time")
}

pub async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end too.
    let _ = within(stream.read_to_end(&mut text)).await;
    String::from_utf8_lossy(&text).into_owned()
}

const GET: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// Longer than any test waits, so that a connection is not ended by this limit instead of the
/// tested one.
const NEVER: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let house = House::new().await;
    let first_byte_timeout = Duration::from_millis(50);
    let options = ServerOptions { first_byte_timeout, header_timeout: NEVER, ..ServerOptions::default() };
    let server = start(&house, options).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(read_to_end(&mut silent).await, "");
}

#[tokio::test]
async fn a_client_that_does_not_end_its_head_is_let_go() {
    let house = House::new().await;
    let header_timeout = Duration::from_millis(50);
    let options = ServerOptions { first_byte_timeout: NEVER, header_timeout, ..ServerOptions::default() };
    let server = start(&house, options).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nhost:").await.unwrap();
    assert!(!read_to_end(&mut slow).await.contains("200 OK"));
}

/// A connection from an address of this machine.
async fn connect_from(address: [u8; 4], server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((address, 0))).unwrap();
    socket.connect(server.address).await.unwrap()
}

#[tokio::test]
async fn one_address_does_not_hold_all_connections() {
    const KEPT_ALIVE: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    let house = House::new().await;
    let options = ServerOptions { max_connections: 4, first_byte_timeout: NEVER, ..ServerOptions::default() };
    let server = start(&house, options).await;
    // Three quarters may be this address's; its oldest silent connection is closed for a further
    // one.
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(connect_from([127, 0, 0, 2], &server).await);
    }
    let mut used = Vec::new();
    for mut oldest in silent {
        let mut next = connect_from([127, 0, 0, 2], &server).await;
        assert_eq!(read_to_end(&mut oldest).await, "");
        next.write_all(KEPT_ALIVE).await.unwrap();
        let mut answer = [0; 15];
        within(next.read_exact(&mut answer)).await.unwrap();
        used.push(next);
    }
    // Connections in use stay open, and one more is closed.
    let mut beyond = connect_from([127, 0, 0, 2], &server).await;
    assert_eq!(read_to_end(&mut beyond).await, "");
    let mut other = connect_from([127, 0, 0, 3], &server).await;
    other.write_all(GET).await.unwrap();
    assert!(read_to_end(&mut other).await.starts_with("HTTP/1.1 200 OK"));
    drop(used);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_let_go() {
    let house = House::new().await;
    let options =
        ServerOptions { max_connections: 1, write_timeout: Duration::from_millis(50), ..ServerOptions::default() };
    let server = start(&house, options).await;
    let mut deaf = TcpStream::connect(server.address).await.unwrap();
    // More answers than the system buffers for a client that does not read them.
    let asked = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(500);
    deaf.write_all(asked.as_bytes()).await.unwrap();
    // Its connection counts until it is closed.
    let mut next = TcpStream::connect(server.address).await.unwrap();
    next.write_all(GET).await.unwrap();
    assert!(read_to_end(&mut next).await.starts_with("HTTP/1.1 200 OK"));
    drop(deaf);
}

#[tokio::test]
async fn more_connections_than_places_wait_for_their_turn() {
    let house = House::new().await;
    let server = start(&house, ServerOptions { max_connections: 1, ..ServerOptions::default() }).await;
    let holder = TcpStream::connect(server.address).await.unwrap();
    let mut waiting = TcpStream::connect(server.address).await.unwrap();
    waiting.write_all(GET).await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(50), waiting.read(&mut byte)).await;
    assert!(early.is_err(), "served beyond the limit");
    drop(holder);
    assert!(read_to_end(&mut waiting).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn the_end_waits_for_what_is_under_way_and_no_longer() {
    let house = House::new().await;
    let server =
        start(&house, ServerOptions { drain_timeout: Duration::from_secs(20), ..ServerOptions::default() }).await;
    // A request whose body is still on its way.
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    let body = "{\"email\": \"x@example.com\", \"password\": \"whatever it is\"}";
    let head = format!(
        "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body, so it has begun to handle the request.
    let mut interim = [0; 25];
    within(slow.read_exact(&mut interim)).await.unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100 Continue"));
    // An idle connection that is kept alive, and a stream of events.
    let idle = TcpStream::connect(server.address).await.unwrap();
    let mut stream = follow_an_order(&house, server.address).await;
    server.stop.cancel();
    assert!(read_to_end(&mut stream).await.ends_with("0\r\n\r\n"), "a stream is ended, not cut");
    slow.write_all(body.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut slow).await;
    assert!(answer.contains("401 Unauthorized") && answer.contains("application/problem+json"), "{answer}");
    within(server.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
    drop(idle);
}

async fn follow_an_order(house: &House, address: SocketAddr) -> TcpStream {
    let staff = house.somebody(&[Role::Staff]).await;
    let buyer = house.somebody(&[Role::Customer]).await;
    let product = house.product(&staff, "1000", 1).await;
    let placed = house
        .post(&buyer, "/v1/orders", &[("idempotency-key", "a-stream-of-it")], &order_body(&product, 1))
        .await
        .expect(201);
    let id = placed.body["id"].as_str().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /v1/orders/{id}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {buyer}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut seen = String::new();
    while !seen.contains("order.placed") {
        let mut buffer = [0; 4096];
        let read = within(stream.read(&mut buffer)).await.unwrap();
        assert!(read > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    stream
}

#[tokio::test]
async fn the_end_comes_even_when_a_client_does_not_let_go() {
    let house = House::new().await;
    let options = ServerOptions { drain_timeout: Duration::from_millis(100), ..ServerOptions::default() };
    let server = start(&house, options).await;
    let mut stuck = TcpStream::connect(server.address).await.unwrap();
    stuck.write_all(b"POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\nexpect: 100-continue\r\n\r\n").await.unwrap();
    let mut interim = [0; 25];
    within(stuck.read_exact(&mut interim)).await.unwrap();
    server.stop.cancel();
    within(server.task).await.unwrap().unwrap();
}
