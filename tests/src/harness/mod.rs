//! What every scenario uses: the program as child processes, a client, and a way to wait for a
//! condition.
//!
//! A scenario is an `async fn(&mut World)`. [`run`] gives it a shop, a sandbox and a database of
//! its own. If it succeeds, the shop has to stop cleanly and its log has to pass the audit; if it
//! fails, the output of the processes is shown.

mod client;
mod cluster;
mod database;
pub mod load;
mod program;
mod shopping;
pub mod strace;
mod wire;
mod world;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;

pub use client::{Call, Client, Reply, fresh_key};
pub use cluster::{Cluster, Stop};
pub use database::Database;
pub use program::{Program, Stillborn, behind, beside_the_tests, jangbu, run_to_end};
pub use shopping::{Buyer, basket, by_card, krw, number};
pub use wire::{Cut, Wire};
pub use world::{ADMIN_EMAIL, ADMIN_PASSWORD, Engine, World};

/// Limit for everything that a scenario waits for; longer means that something is broken.
pub const LIMIT: Duration = Duration::from_secs(60);
/// The pause between two checks.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs a scenario in a world of its own.
pub async fn run(engine: Engine, scenario: impl AsyncFnOnce(&mut World)) {
    run_in(World::start(engine).await, scenario).await;
}

/// Whether the long forms are requested (`./test all`). They differ from the short ones only in how
/// often something is done.
pub fn is_long() -> bool {
    std::env::var_os("JANGBU_TEST_LONG").is_some_and(|value| value != "0")
}

/// The number of repetitions: of the short form, and of the long one.
pub fn times(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}

/// Runs a scenario in this world, and removes the world.
pub async fn run_in(mut world: World, scenario: impl AsyncFnOnce(&mut World)) {
    let outcome = AssertUnwindSafe(async {
        scenario(&mut world).await;
        world.check_the_end().await;
    })
    .catch_unwind()
    .await;
    if let Err(cause) = outcome {
        world.show_logs();
        world.remove().await;
        std::panic::resume_unwind(cause);
    }
    world.remove().await;
}

/// Checks repeatedly until there is a value.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(LIMIT, looking).await.unwrap_or_else(|_| panic!("never happened: {what}"))
}
