//! Clients that disconnect.

use jangbu_tests::harness::load::SHOPPERS;
use jangbu_tests::harness::{Client, LIMIT, World, basket, eventually, fresh_key, times};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How far a client gets before it disconnects.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Connected,
    InTheHead,
    InTheBody,
    BeforeTheAnswer,
    InTheAnswer,
    WhileFollowing,
    InAPipeline,
}

const STAGES: [Stage; 7] = [
    Stage::Connected,
    Stage::InTheHead,
    Stage::InTheBody,
    Stage::BeforeTheAnswer,
    Stage::InTheAnswer,
    Stage::WhileFollowing,
    Stage::InAPipeline,
];

/// A client that disconnects.
struct Caller<'a> {
    address: String,
    buyer: &'a Client,
    body: Vec<u8>,
    follow: String,
}

impl Caller<'_> {
    fn request(&self, key: &str) -> Vec<u8> {
        let head = format!(
            "POST /v1/orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             idempotency-key: {key}\r\ncontent-length: {}\r\n\r\n",
            self.buyer.token(),
            self.body.len(),
        );
        [head.as_bytes(), &self.body].concat()
    }

    /// Gets this far and disconnects, by FIN or by reset; returns the keys it used.
    async fn hang_up(&self, stage: Stage, politely: bool) -> Vec<String> {
        let mut connection = TcpStream::connect(&self.address).await.unwrap();
        let keys: Vec<String> =
            (0..if matches!(stage, Stage::InAPipeline) { 3 } else { 1 }).map(|_| fresh_key()).collect();
        let request = self.request(&keys[0]);
        let head = request.len() - self.body.len();
        let (sent, read) = match stage {
            Stage::Connected => (Vec::new(), 0),
            Stage::InTheHead => (request[..head / 2].to_vec(), 0),
            Stage::InTheBody => (request[..head + self.body.len() / 2].to_vec(), 0),
            Stage::BeforeTheAnswer => (request, 0),
            Stage::InTheAnswer => (request, 20),
            Stage::WhileFollowing => (self.follow.clone().into_bytes(), 40),
            Stage::InAPipeline => (keys.iter().flat_map(|key| self.request(key)).collect(), 20),
        };
        connection.write_all(&sent).await.unwrap();
        let mut answer = vec![0; read];
        tokio::time::timeout(LIMIT, connection.read_exact(&mut answer)).await.expect("an answer begins").unwrap();
        assert!(read == 0 || answer.starts_with(b"HTTP/1.1 20"), "{}", String::from_utf8_lossy(&answer));
        if !politely {
            // Sends a reset when it is closed.
            connection.set_zero_linger().unwrap();
        }
        keys
    }
}

pub async fn hanging_up_at_every_stage(world: &mut World) {
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 10_000).await;
    let first = buyer.place(&[(&tea, 1)]).await;
    let body = basket(&[(&tea, 1)]);
    let follow = format!(
        "GET /v1/orders/{}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        first["id"].as_str().unwrap(),
        buyer.token()
    );
    let caller =
        Caller { address: world.shop_address(), buyer: &buyer, body: serde_json::to_vec(&body).unwrap(), follow };
    let mut keys = Vec::new();
    for round in 0..times(2, 50) {
        for stage in STAGES {
            keys.extend(caller.hang_up(stage, round % 2 == 0).await);
        }
        // Another client is served all the time.
        buyer.read("/v1/auth/profile").await;
    }
    // A repeat under the same key gets the first answer, or is executed now: once.
    let mut ids = std::collections::BTreeSet::new();
    for chunk in keys.chunks(SHOPPERS) {
        let answers = chunk.iter().map(async |key| {
            let (one, other) = (ask(&buyer, &body, key).await, ask(&buyer, &body, key).await);
            assert_eq!(one["id"], other["id"]);
            one["id"].as_str().unwrap().to_owned()
        });
        ids.extend(futures::future::join_all(answers).await);
    }
    assert_eq!(ids.len(), keys.len(), "a key, an order");
    let count = keys.len() + 1;
    buyer.list_of(count, "/v1/orders?limit=200").await;
    admin.stock_becomes(&tea, 10_000, i64::try_from(count).unwrap(), 0).await;
    nothing_is_left_open(world).await;
    println!("{} hung up", keys.len());
}

async fn ask(buyer: &Client, body: &Value, key: &str) -> Value {
    buyer.post("/v1/orders", body).key(key).send().await.expect(201)
}

/// Waits until the server has closed every connection of clients that disconnected.
async fn nothing_is_left_open(world: &World) {
    eventually("the connections are let go", async || {
        // Listeners, the connections to database and gateway, and the few of this case's own
        // client.
        (world.shop().open_sockets() < 60).then_some(())
    })
    .await;
}
