//! Five thousand connections, many of which are slow.

use std::time::{Duration, Instant};

use futures::future::join_all;
use jangbu_tests::harness::{World, basket, times};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// Concurrent connections.
const ALL: usize = 5_000;
/// Other open files of the process.
const BESIDE: u64 = 500;
/// Connections for each kind of slowness.
const SLOW: usize = 100;
/// The usual limit at the start of a process; the shop raises it by itself.
const USUAL_LIMIT: u32 = 1_024;
/// How long the server lets a slow client keep a connection, with room to spare.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pause between two checks of the server.
const PAUSE: Duration = Duration::from_millis(50);
/// Open sockets of a server without clients: listeners, the database, the gateway.
const FEW: usize = 60;
/// The additional memory that the shop may use while all of them are open, in KiB: 40 KiB for each.
const MEMORY_KIB: u64 = 200_000;

pub async fn five_thousand_connections(world: &mut World) {
    let limit = getrlimit(Resource::Nofile);
    assert!(
        limit.maximum.is_none_or(|most| most >= ALL as u64 + BESIDE),
        "the system allows {:?} open files, this takes {}",
        limit.maximum,
        ALL as u64 + BESIDE
    );
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    assert!(world.terminate_shop().await.success());
    let lowered = format!("ulimit -Sn {USUAL_LIMIT} && exec \"$@\"");
    world.put_before_the_shop(["sh", "-c", &lowered, "sh"].map(ToOwned::to_owned).to_vec());
    world.start_shop().await;

    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 10_000).await;
    for _ in 0..times(1, 3) {
        let before = world.shop().resident_kib();
        let idle = open_all(world, ALL - 4 * SLOW, "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n", 12).await;
        let silent = open_all(world, SLOW, "", 0).await;
        let heads = open_all(world, SLOW, "GET /livez HTTP/1.1\r\nho", 0).await;
        let half =
            "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{";
        let bodies = open_all(world, SLOW, half, 0).await;
        // More than the system buffers for a client that does not read.
        let asked = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200);
        let deaf = open_all(world, SLOW, &asked, 0).await;

        for _ in 0..20 {
            buyer.post("/v1/orders", &basket(&[(&tea, 1)])).send().await.expect(201);
            buyer.read("/v1/orders?limit=1").await;
        }
        // On a machine that is slow to open all of them, the first ones have been closed by then.
        println!("{} sockets are open at once", world.shop().open_sockets());
        let used = world.shop().resident_kib().saturating_sub(before);
        println!("{ALL} connections: {used} KiB more");
        assert!(used < MEMORY_KIB, "{used} KiB for {ALL} connections");
        for (kind, connections) in [("silent", silent), ("slow heads", heads), ("slow bodies", bodies), ("idle", idle)]
        {
            let begun = Instant::now();
            join_all(connections.into_iter().map(ends)).await;
            println!("{kind}: the last one ended {:?} later", begun.elapsed());
        }
        // A client that does not read does not see the end either, so the server's sockets are
        // counted.
        let begun = Instant::now();
        within_patience(async {
            while world.shop().open_sockets() > FEW {
                tokio::time::sleep(PAUSE).await;
            }
        })
        .await;
        println!("deaf: the last one ended {:?} later", begun.elapsed());
        drop(deaf);
    }
    buyer.post("/v1/orders", &basket(&[(&tea, 1)])).send().await.expect(201);
}

/// The hard limit of open files on some machines.
const FEW_FILES: usize = 256;
/// Pause between two requests on a connection that is to stay open.
const STAYS: Duration = Duration::from_secs(2);

/// A client opens more connections than the shop may have files and keeps them in use.
pub async fn few_files_carry_orders_on(world: &mut World) {
    assert!(world.terminate_shop().await.success());
    let lowered = format!("ulimit -n {FEW_FILES} && exec \"$@\"");
    world.put_before_the_shop(["sh", "-c", &lowered, "sh"].map(ToOwned::to_owned).to_vec());
    world.start_shop().await;
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 100).await;
    let address: std::net::SocketAddr = world.shop_address().parse().unwrap();
    let mut hoard = tokio::task::JoinSet::new();
    for _ in 0..2 * FEW_FILES {
        // Another address than the buyer's.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
        let mut connection = socket.connect(address).await.unwrap();
        hoard.spawn(async move {
            let mut answer = [0; 4_096];
            // Until the server closes it.
            while connection.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.is_ok()
                && connection.read(&mut answer).await.is_ok_and(|read| read > 0)
            {
                tokio::time::sleep(STAYS).await;
            }
        });
    }
    for _ in 0..times(3, 20) {
        buyer.buy(&[(&tea, 1)]).await;
    }
    println!("{} sockets of {FEW_FILES} files", world.shop().open_sockets());
    hoard.shutdown().await;
}

/// Opens this many connections, sends this text on each and reads this many bytes of an answer.
async fn open_all(world: &World, count: usize, said: &str, read: usize) -> Vec<TcpStream> {
    let address = world.shop_address().parse().unwrap();
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let some = (all.len()..count.min(all.len() + 200)).map(async |_| {
            let socket = TcpSocket::new_v4().unwrap();
            // A small window, so that a client that does not read is noticed early.
            socket.set_recv_buffer_size(4_096).unwrap();
            let mut connection = socket.connect(address).await.unwrap();
            connection.write_all(said.as_bytes()).await.unwrap();
            let mut answer = vec![0; read];
            connection.read_exact(&mut answer).await.unwrap();
            assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 200"));
            connection
        });
        all.extend(join_all(some).await);
    }
    all
}

/// Reads until the server has closed the connection.
async fn ends(mut connection: TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = within_patience(connection.read_to_end(&mut rest)).await;
}

async fn within_patience<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("the server lets go of a slow client")
}
