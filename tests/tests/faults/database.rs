//! The database server closes connections, goes away, and its answers get lost.

use jangbu_tests::harness::load::{SHOPPERS, Shop, all_is_as_told};
use jangbu_tests::harness::{Cluster, Cut, Stop, Wire, World, basket, eventually, fresh_key, run_in, times};
use serde_json::Value;

pub async fn connections_are_cut_by_the_server(world: &mut World) {
    let shop = Shop::open(world).await;
    let mut cut = 0;
    let told = shop
        .under_load(async |journal| {
            let mut seen = 0;
            for _ in 0..times(5, 100) {
                journal.goes_on(SHOPPERS).await;
                cut += world.database().unwrap().cut_connections().await;
                journal.goes_on(1).await;
                seen = journal.word_is_kept(seen).await;
            }
        })
        .await;
    assert!(world.shop_has_ended().is_none());
    all_is_as_told(world, &shop, &told).await;
    println!("{cut} connections cut");
}

/// On a server of its own, because other cases use the shared one.
pub async fn the_database_stops_and_starts() {
    let cluster = Cluster::start().await;
    run_in(World::start_on_server(&cluster.url()).await, async |world| {
        let shop = Shop::open(world).await;
        let told = shop
            .under_load(async |journal| {
                let mut seen = 0;
                for round in 0..times(2, 12) {
                    journal.goes_on(SHOPPERS).await;
                    cluster.stop(if round % 2 == 0 { Stop::Immediate } else { Stop::Fast }).await;
                    it_says_that_it_cannot(world, &shop).await;
                    the_log_tells(world, "not ready any more: log", round + 1).await;
                    cluster.go_on().await;
                    journal.goes_on(SHOPPERS).await;
                    the_log_tells(world, "ready again: log", round + 1).await;
                    seen = journal.word_is_kept(seen).await;
                }
            })
            .await;
        assert!(world.shop_has_ended().is_none(), "it recovers without a restart");
        all_is_as_told(world, &shop, &told).await;
    })
    .await;
    cluster.remove().await;
}

async fn it_says_that_it_cannot(world: &World, shop: &Shop) {
    let visitor = world.visitor();
    assert_eq!(visitor.get("/livez").send().await.status, 200, "it lives");
    let ready = visitor.get("/readyz").send().await;
    assert_eq!(ready.status, 503, "{}", ready.text());
    let placed = shop.buyers[0].post("/v1/orders", &basket(&[(&shop.product, 1_000_000)])).send().await;
    assert!(matches!(placed.status, 400 | 503), "{}", placed.text());
    for path in ["/v1/orders", "/v1/products"] {
        let read = shop.admin.get(path).send().await;
        let problem = read.expect_problem(503, "upstream_unavailable");
        assert!(read.header("retry-after").is_some(), "{problem}");
    }
}

/// One line each time, however often clients ask meanwhile; a server that stops or starts may cause
/// one more in between.
async fn the_log_tells(world: &World, what: &str, times: usize) {
    let told = eventually(what, async || {
        let told = world.shop().said().lines().filter(|line| line.contains(what)).count();
        (told >= times).then_some(told)
    })
    .await;
    assert!(told <= 2 * times, "{what}: {told} lines for {times} times");
}

/// The connection is cut before the append, while it is under way, and after its commit. Whatever
/// was answered, a repeat under the same key gets the final answer, and there is exactly one order.
pub async fn answers_to_appends_are_lost(world: &mut World) {
    let wire = Wire::to(world.database_url().unwrap()).await;
    world.put_around_the_shop("JANGBU_DATABASE_URL", &wire.url);
    assert!(world.terminate_shop().await.success());
    world.start_shop().await;
    let admin = world.admin().await;
    let buyer = world.buyer("minji").await.client;
    let tea = world.product(&admin, "보이차", 12_000, 1_000).await;
    let body = basket(&[(&tea, 1)]);
    let mut placed: i64 = 0;
    let short = [Cut::BeforeItIsSent, Cut::AtOnceAfterSending, Cut::AfterTheAnswerCame];
    for cut in short.repeat(times(3, 30)).into_iter().chain([Cut::ForGoodAfterTheAnswerCame].repeat(times(1, 3))) {
        let key = fresh_key();
        // The queries of readers name events of orders, and none of stock.
        wire.cut_at(&["order.placed", "stock.reserved"], cut);
        let first = buyer.post("/v1/orders", &body).key(&key).send().await;
        assert!(wire.has_cut(), "{cut:?}: the append came by");
        let known: Option<Value> = match (first.status, cut) {
            (201, _) => Some(first.json()),
            (503, Cut::ForGoodAfterTheAnswerCame) => {
                let detail = first.json()["detail"].as_str().unwrap().to_owned();
                assert!(detail.contains("not known") && first.header("retry-after").is_some(), "{detail}");
                None
            }
            _ => panic!("{cut:?} was answered {} {}", first.status, first.text()),
        };
        wire.mend();
        let again = eventually("it is answered", async || {
            let reply = buyer.post("/v1/orders", &body).key(&key).send().await;
            (reply.status != 503).then_some(reply)
        })
        .await;
        placed += 1;
        let order = again.expect(201);
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{cut:?}: it was carried out the first time");
        assert!(known.is_none_or(|known| known == order), "{cut:?}");
        buyer.order_reaches(&order, "placed").await;
    }
    admin.stock_becomes(&tea, 1_000, placed, 0).await;
    assert_eq!(buyer.read_all("/v1/orders?limit=200").await.len(), usize::try_from(placed).unwrap());
    println!("{placed} orders");
}

/// The projector does not get the confirmation that its rows and checkpoints are committed.
/// Applying the same events again would corrupt the rows, or park their streams.
pub async fn answers_to_read_models_are_lost(world: &mut World) {
    let wire = Wire::to(world.database_url().unwrap()).await;
    world.put_around_the_shop("JANGBU_DATABASE_URL", &wire.url);
    assert!(world.terminate_shop().await.success());
    world.start_shop().await;
    let shop = Shop::open(world).await;
    let rounds = times(6, 100);
    let told = shop
        .under_load(async |journal| {
            for round in 0..rounds {
                journal.goes_on(3).await;
                // The log commits with a statement of its own; this keyword is the read models'.
                let cut = if round % 3 == 2 { Cut::AtOnceAfterSending } else { Cut::AfterTheAnswerCame };
                wire.cut_at(&["COMMIT"], cut);
                eventually("a commit came by", async || wire.has_cut().then_some(())).await;
                // A connection that is cut at every statement makes no progress, so the next cut
                // waits for a success.
                crate::nodes::read_models_follow(&shop.admin).await;
            }
        })
        .await;
    all_is_as_told(world, &shop, &told).await;
    // A parked stream would differ from the replay that was compared above.
    println!("{rounds} lost answers");
}
