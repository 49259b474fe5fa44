//! Two variants of one load, measured in turn: with and without.

use std::io::Write as _;
use std::time::Duration;

use serde_json::json;

use super::{check_acknowledged, place_orders};
use crate::bench::Bench;
use crate::load::{Ammunition, Gun, Head, Request, Tally, fire};
use crate::offline::{Offline, Until};
use crate::report::{Goal, Report, Row, median, ratio};
use crate::server::{ALL_ROLES, ServerUnderTest};
use crate::shop::{self, PRICE};

/// Products of a shop without HTTP.
const OFFLINE_PRODUCTS: usize = 1_000;
const OFFLINE_BUYERS: usize = 64;

/// What an idempotency key costs. The API requires one on orders, so this is measured
/// below it: the same commands, decided and committed in this process, with a receipt and
/// without. HTTP would only make the difference smaller.
pub(super) async fn receipt(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("receipt");
    let (mut with, mut without, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    let time = Until::Time(Duration::from_secs(bench.args.seconds));
    for _ in 0..bench.args.rounds {
        let mut rates = [0, 0];
        for (rate, with_key) in rates.iter_mut().zip([true, false]) {
            let place = bench.place().await?;
            let offline = Offline::open(&place, OFFLINE_PRODUCTS, OFFLINE_BUYERS).await?;
            offline.orders(Until::Time(Duration::from_secs(bench.args.warmup)), with_key).await?;
            *rate = offline.orders(time, with_key).await?;
            offline.close().await;
            let audit = place.command(&["audit", "verify"]).await?;
            report.check("audit verify holds", audit.status.success());
        }
        let [keyed, plain] = rates;
        with.push(keyed);
        without.push(plain);
        shares.push(ratio(keyed, plain));
    }
    report.row(Row {
        name: format!("place-order with an idempotency key / without the receipt, {}, below HTTP", bench.engine()),
        measured: format!("{} orders/s", median(with)),
        yardstick: format!("without {}/s", median(without)),
        value: median(shares),
        goal: Goal::share(800, 950),
    });
    Ok(report)
}

/// The share of the machine that projections and process manager take.
pub(super) async fn roles(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("roles");
    let (mut all, mut alone, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=bench.args.rounds {
        let mut rates = [0, 0];
        for (rate, roles) in rates.iter_mut().zip([ALL_ROLES, "api"]) {
            let (server, shop) = bench.shop(roles).await?;
            let tally = place_orders(bench, &server, &shop, bench.args.connections).await?;
            report.tally(&format!("round_{round}_{roles}"), &tally);
            check_acknowledged(&mut report, &server, &[&tally]).await?;
            server.finish(&mut report).await?;
            *rate = tally.rate();
        }
        let [with, without] = rates;
        all.push(with);
        alone.push(without);
        shares.push(ratio(with, without));
    }
    report.row(Row {
        name: format!("place-order with projections and process manager / with them off, {}", bench.engine()),
        measured: format!("{} orders/s", median(all)),
        yardstick: format!("off {}/s", median(alone)),
        value: median(shares),
        goal: Goal::share(500, 750),
    });
    Ok(report)
}

/// How much rebuilding every read model slows down orders.
pub(super) async fn rebuild(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("rebuild");
    let (mut during, mut without, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=bench.args.rounds {
        let (server, mut shop) = bench.shop(&bench.args.roles).await?;
        // The first load is the yardstick, and makes the log that is rebuilt.
        let alone = place_orders(bench, &server, &shop, bench.args.connections).await?;
        report.tally(&format!("round_{round}_without"), &alone);
        report.check("the server came to rest between the loads", super::settle(&server).await?);
        shop.log_in().await?;
        let (both, rebuilds) = {
            let load = place_orders(bench, &server, &shop, bench.args.connections);
            let mut load = std::pin::pin!(load);
            let mut rebuilds = 0_u64;
            // One rebuild after the other, so that one runs for the whole of the load.
            let both = loop {
                tokio::select! {
                    tally = &mut load => break tally?,
                    rebuilt = server.command(&["replay"]) => {
                        report.check("every rebuild ended well", rebuilt?.status.success());
                        rebuilds += 1;
                    }
                }
            };
            (both, rebuilds)
        };
        report.figure(&format!("round_{round}_rebuilds_finished"), rebuilds);
        report.tally(&format!("round_{round}_during"), &both);
        during.push(both.rate());
        without.push(alone.rate());
        shares.push(ratio(both.rate(), alone.rate()));
        check_acknowledged(&mut report, &server, &[&alone, &both]).await?;
        server.finish(&mut report).await?;
    }
    report.row(Row {
        name: format!("place-order while all read models are rebuilt / without, {}", bench.engine()),
        measured: format!("{} orders/s", median(during)),
        yardstick: format!("without {}/s", median(without)),
        value: median(shares),
        goal: Goal::share(400, 700),
    });
    Ok(report)
}

/// Commands of the same kind on existing streams, and on streams that they begin: goods received
/// for a product whose stock has a history, and new products.
pub(super) async fn existing_stream(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("existing-stream");
    let (mut existing, mut fresh, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=bench.args.rounds {
        let (server, shop) = bench.shop(&bench.args.roles).await?;
        let admin = shop::admin(&server).await?.authorization().to_owned();
        let begin = vec![Head::post("/v1/products", &admin)];
        let path = |id: &String| Head::post(&format!("/v1/stock/{id}/receive"), &admin);
        let go_on: Vec<Head> = shop.products.iter().map(path).collect();
        let mut rates = [0, 0];
        for (rate, (name, heads, body)) in rates.iter_mut().zip([
            ("existing", go_on, json!({"quantity": 1})),
            ("fresh", begin, json!({"name": "새 상품", "price": {"amount": PRICE.to_string(), "currency": "KRW"}})),
        ]) {
            let tally = same_body(bench, &server, heads, serde_json::to_vec(&body)?).await?;
            report.tally(&format!("round_{round}_{name}"), &tally);
            report.check("nothing but success was answered", tally.codes.is_empty());
            report.check("the server came to rest between the loads", super::settle(&server).await?);
            *rate = tally.rate();
        }
        let [on_existing, on_fresh] = rates;
        existing.push(on_existing);
        fresh.push(on_fresh);
        shares.push(ratio(on_existing, on_fresh));
        server.finish(&mut report).await?;
    }
    report.row(Row {
        name: format!("a command on an existing stream / on a fresh one, {}", bench.engine()),
        measured: format!("{} commands/s", median(existing)),
        yardstick: format!("fresh {}/s", median(fresh)),
        value: median(shares),
        goal: Goal::share(500, 900),
    });
    Ok(report)
}

/// Posts the same body to one of several paths, repeatedly.
struct SameBody {
    heads: std::sync::Arc<[Head]>,
    body: Vec<u8>,
    random: fastrand::Rng,
}

impl Ammunition for SameBody {
    fn next(&mut self, request: &mut Request) -> bool {
        let _ = request.body.write_all(&self.body);
        let chosen = self.random.usize(0..self.heads.len().max(1));
        let Some(head) = self.heads.get(chosen) else { return false };
        request.finish(head, Some(self.random.u128(..)));
        true
    }
}

async fn same_body(bench: &Bench, server: &ServerUnderTest, heads: Vec<Head>, body: Vec<u8>) -> anyhow::Result<Tally> {
    let (heads, address) = (std::sync::Arc::from(heads), server.address()?);
    let guns = (0..bench.args.connections).map(|_| {
        let ammunition =
            SameBody { heads: std::sync::Arc::clone(&heads), body: body.clone(), random: fastrand::Rng::new() };
        Gun { address, ammunition }
    });
    fire(guns.collect(), bench.args.plan()).await
}
