//! More requests than can be written: the queue is full.

use std::path::PathBuf;

use futures::future::join_all;
use jangbu_tests::harness::strace::Fault;
use jangbu_tests::harness::{Client, Engine, World, basket, eventually, fresh_key, times};
use sqlx::{Connection as _, PgConnection};

/// Concurrent requests: more than fit into the queue, the decider and the batch that makes no
/// progress.
const CALLERS: usize = 1_500;
/// Rejected requests are repeated in groups of this size.
const AT_ONCE: usize = 32;
/// The most waiting orders, as the setting has it.
const QUEUE: &str = "64";
/// The memory that all waiting and rejected requests may take, in KiB: about 40 KiB each,
/// connections included.
const MOST_KIB: u64 = 64 * 1024;

/// A way to block commits.
enum Jam {
    Disk(Fault),
    Database(PgConnection),
}

impl Jam {
    async fn begin(world: &World) -> Self {
        match (world.engine(), world.database_url()) {
            (Engine::Postgres, Some(url)) => {
                let mut other = PgConnection::connect(url).await.unwrap();
                // Every append takes the counter row.
                sqlx::raw_sql("begin; select position from log_head where id = 1 for update")
                    .execute(&mut other)
                    .await
                    .unwrap();
                Self::Database(other)
            }
            (Engine::Sqlite | Engine::Postgres, _) => {
                let wal: PathBuf = world.data_dir().join("log.db-wal");
                let delay = "delay_enter=1000000";
                Self::Disk(Fault::begin(world.shop().pid(), &[wal], "fsync,fdatasync", delay).await)
            }
        }
    }

    async fn end(self) {
        match self {
            Self::Disk(fault) => fault.end().await,
            Self::Database(other) => other.close().await.unwrap(),
        }
    }
}

pub async fn a_full_queue_turns_away(world: &mut World) {
    assert!(world.terminate_shop().await.success());
    world.put_around_the_shop("JANGBU_COMMAND_QUEUE", QUEUE);
    world.start_shop().await;
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 900_000).await;
    let mut placed = 0;
    let mut memory = Vec::new();
    for _ in 0..times(3, 20) {
        memory.push(one_rush(world, &buyer, &tea).await);
        placed += i64::try_from(CALLERS).unwrap();
    }
    println!("{placed} orders; KiB more in each jam: {memory:?}");
    assert!(memory.iter().all(|more| *more < MOST_KIB), "{memory:?} KiB more");
    admin.stock_becomes(&tea, 900_000, placed, 0).await;
}

/// Sends all at once; a rejected client tries again when there is room. Returns how much more
/// memory the shop used while commits were blocked, in KiB: what is written later fills the caches,
/// which have bounds of their own.
async fn one_rush(world: &World, buyer: &Client, product: &str) -> u64 {
    let before = world.shop().resident_kib();
    let body = basket(&[(product, 1)]);
    let jam = Jam::begin(world).await;
    let turned_away = std::cell::Cell::new(0_usize);
    let callers = (0..CALLERS).map(async |_| {
        let key = fresh_key();
        let reply = buyer.post("/v1/orders", &body).key(&key).send().await;
        if reply.status == 201 {
            return None;
        }
        reply.expect_problem(503, "upstream_unavailable");
        let after: u64 = reply.header("retry-after").expect("it says when to come again").parse().unwrap();
        assert!(after >= 1);
        turned_away.set(turned_away.get() + 1);
        Some(key)
    });
    let ending = async {
        eventually("somebody is turned away", async || (turned_away.get() > 0).then_some(())).await;
        let more = world.shop().resident_kib().saturating_sub(before);
        jam.end().await;
        more
    };
    let (again, more) = futures::future::join(join_all(callers), ending).await;
    let again: Vec<String> = again.into_iter().flatten().collect();
    println!("{} of {CALLERS} were turned away", again.len());
    for some in again.chunks(AT_ONCE) {
        join_all(some.iter().map(async |key| {
            eventually("there is room again", async || {
                let reply = buyer.post("/v1/orders", &body).key(key).send().await;
                (reply.status != 503).then(|| reply.expect(201))
            })
            .await;
        }))
        .await;
    }
    more
}
