//! SIGTERM under load, and while some clients keep their connections.

use std::time::{Duration, Instant};

use jangbu_tests::harness::load::{SHOPPERS, Shop, all_is_as_told};
use jangbu_tests::harness::{World, eventually, times};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The promised limits: 10 s for requests under way, 6 s for the processes, 2 s for the read
/// models; and some more for a busy machine.
const LONGEST: Duration = Duration::from_secs(30);

pub async fn sigterm_under_load(world: &mut World) {
    let shop = Shop::open(world).await;
    let cycles = times(2, 20);
    let mut slowest = Duration::ZERO;
    let told = shop
        .under_load(async |journal| {
            let mut seen = 0;
            for _ in 0..cycles {
                journal.goes_on(3 * SHOPPERS).await;
                let held = hold_on(world, &shop).await;
                let begun = Instant::now();
                let status = world.terminate_shop().await;
                slowest = slowest.max(begun.elapsed());
                assert!(status.success(), "the shop ended with {status}");
                drop(held);
                // It had time to write everything: the log is complete as it is.
                world.run_well(&["audit", "verify"]).await;
                world.start_shop().await;
                seen = journal.word_is_kept(seen).await;
            }
            journal.goes_on(SHOPPERS).await;
        })
        .await;
    println!("{cycles} ends, the slowest took {slowest:?}");
    assert!(slowest < LONGEST, "an end took {slowest:?}");
    all_is_as_told(world, &shop, &told).await;
}

/// A client that follows an order, one that is silent, and one that never finishes its request.
async fn hold_on(world: &World, shop: &Shop) -> Vec<TcpStream> {
    let order = eventually("a first order shows", async || {
        shop.admin.read("/v1/orders?limit=1").await["items"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    let token = shop.admin.token();
    let follow = format!("GET /v1/orders/{order}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    let half =
        "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{";
    let mut held = Vec::new();
    for said in [follow.as_str(), "", half] {
        let mut connection = TcpStream::connect(world.shop_address()).await.unwrap();
        connection.write_all(said.as_bytes()).await.unwrap();
        held.push(connection);
    }
    let mut first = [0; 12];
    held[0].read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    held
}
