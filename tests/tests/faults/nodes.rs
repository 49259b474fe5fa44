//! Two nodes on one Postgres, one of which is paused for longer than its lease.

use jangbu_tests::harness::load::{Journal, SHOPPERS, Shop, all_is_as_told};
use jangbu_tests::harness::{Client, World, eventually, times};

/// The message of a projector that finds another one in its place.
const FENCED: &str = "another projector has taken over";

pub async fn a_paused_node_is_fenced(world: &mut World) {
    let second = world.second_node().await;
    let there = format!("http://{}", second.address);
    let mut shop = Shop::open(world).await;
    // One buyer at each node.
    shop.buyers[1] = shop.buyers[1].at(&there);
    let onlooker = shop.admin.at(&there);
    let rounds = times(2, 6);
    let told = shop
        .under_load(async |journal| {
            for round in 0..rounds {
                journal.goes_on(SHOPPERS).await;
                // The owner of the read models is paused: first the node that started last, then in
                // turns. The other node then runs the process manager as well, until it is paused
                // itself.
                let (paused, awake) = if round % 2 == 0 { (&second, &shop.admin) } else { (world.shop(), &onlooker) };
                let before = paused.said().matches(FENCED).count();
                paused.pause();
                let seen = journal.count();
                read_models_follow(awake).await;
                orders_are_carried_on(awake, journal, seen).await;
                paused.resume();
                eventually("the one who slept finds out", async || {
                    (paused.said().matches(FENCED).count() > before).then_some(())
                })
                .await;
                journal.goes_on(SHOPPERS).await;
            }
        })
        .await;
    all_is_as_told(world, &shop, &told).await;
    assert!(second.terminate().await.success());
    println!("{rounds} pauses");
}

/// New events are shown, so one node maintains the read models.
pub async fn read_models_follow(there: &Client) {
    let product = serde_json::json!({"name": "보이차", "price": jangbu_tests::harness::krw(1_000)});
    eventually("somebody keeps the read models", async || {
        let made = there.post("/v1/products", &product).send().await;
        if made.status != 201 {
            return None;
        }
        let read = there.get("/v1/products?limit=1").header("jangbu-min-position", made.position().to_string());
        (read.header("prefer", "wait=5").send().await.status == 200).then_some(())
    })
    .await;
}

/// Newly paid orders are prepared, so one node runs the process manager.
async fn orders_are_carried_on(there: &Client, journal: &Journal<'_>, seen: usize) {
    eventually("somebody carries orders on", async || {
        for placed in journal.since(seen) {
            let path = format!("/v1/orders/{}", placed.order["id"].as_str().unwrap());
            let read = there.get(&path).try_send().await.ok().filter(|read| read.status == 200)?;
            if read.json()["status"] == "preparing" {
                return Some(());
            }
        }
        None
    })
    .await;
}
