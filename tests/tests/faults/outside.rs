//! The gateway and the carrier are killed and come back while orders are under way.

use jangbu_tests::harness::load::{SHOPPERS, Shop, all_is_as_told};
use jangbu_tests::harness::{World, times};

pub async fn the_outside_world_restarts_amid_sagas(world: &mut World) {
    let shop = Shop::open(world).await;
    let rounds = times(3, 30);
    let told = shop
        .under_load(async |journal| {
            for round in 0..rounds {
                journal.goes_on(2 * SHOPPERS).await;
                world.kill_sandbox().await;
                // The shop works without it, also after a start.
                journal.goes_on(SHOPPERS).await;
                if round % 3 == 1 {
                    world.kill_shop().await;
                    world.start_shop().await;
                }
                world.start_sandbox().await;
            }
            journal.goes_on(SHOPPERS).await;
        })
        .await;
    all_is_as_told(world, &shop, &told).await;
    println!("{rounds} restarts of the gateway and the carrier");
}
