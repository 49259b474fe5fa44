//! The process is killed: at random moments, and at chosen ones.

use std::os::unix::process::ExitStatusExt as _;

use jangbu_tests::harness::load::{SHOPPERS, Shop, all_is_as_told};
use jangbu_tests::harness::{Engine, World, eventually, strace, times};

/// The signal of `kill -9`.
const KILLED: Option<i32> = Some(9);

pub async fn killed_at_random(world: &mut World) {
    let shop = Shop::open(world).await;
    // The amount of work before each kill is random; the seeds differ so that the engines do, too.
    let mut random = fastrand::Rng::with_seed(if world.engine() == Engine::Sqlite { 1 } else { 2 });
    let cycles = times(6, 100);
    let told = shop
        .under_load(async |journal| {
            let mut seen = 0;
            for _ in 0..cycles {
                journal.goes_on(random.usize(1..=6 * SHOPPERS)).await;
                world.kill_shop().await;
                world.start_shop().await;
                seen = journal.word_is_kept(seen).await;
            }
            journal.goes_on(SHOPPERS).await;
        })
        .await;
    all_is_as_told(world, &shop, &told).await;
    println!("{cycles} kills");
}

/// The first calls are those of the start, the later ones come under load.
fn chosen() -> Vec<usize> {
    let short = [1, 2, 4, 9, 25];
    if times(0, 1) == 0 { short.to_vec() } else { (1..=40).chain((45..=200).step_by(5)).collect() }
}

pub async fn killed_at_each_sync(world: &mut World) {
    killed_at_each(world, "fsync,fdatasync").await;
}

pub async fn killed_at_each_write(world: &mut World) {
    killed_at_each(world, "write,pwrite64").await;
}

/// Kills the shop when it is about to make the k-th of these calls on its log, for each k.
async fn killed_at_each(world: &mut World, calls: &str) {
    let shop = Shop::open(world).await;
    let log = ["log.db", "log.db-wal"].map(|name| world.data_dir().join(name));
    let told = shop
        .under_load(async |journal| {
            let mut seen = 0;
            for k in chosen() {
                journal.goes_on(1).await;
                world.kill_shop().await;
                world.put_before_the_shop(strace::from_the_start(&log, calls, &format!("signal=KILL:when={k}")));
                let killed = match world.begin_shop().await {
                    Ok(()) => {
                        eventually("the load leads to the call", async || world.shop_has_ended()).await;
                        world.shop_ends().await
                    }
                    Err(stillborn) => stillborn.status,
                };
                assert_eq!(killed.signal(), KILLED, "at call {k} of {calls}");
                world.put_before_the_shop(Vec::new());
                world.start_shop().await;
                seen = journal.word_is_kept(seen).await;
            }
            journal.goes_on(SHOPPERS).await;
        })
        .await;
    all_is_as_told(world, &shop, &told).await;
    println!("{} kills at {calls}", chosen().len());
}
