//! Read models: rebuild, lag and queries.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use http::Method;
use jangbu_app::client::{Connection, text};
use serde_json::Value;

use super::{check_acknowledged, ms, place_orders, settle};
use crate::bench::Bench;
use crate::load::{Plan, fire};
use crate::offline::{Offline, Until};
use crate::orders::{OrderPlan, Pay};
use crate::report::{Goal, Report, Row, median, per_second, ratio};
use crate::server::ServerUnderTest;
use crate::shop::{self, Shop};
use crate::yardsticks::read_and_parse;

/// Limit for making a log.
const LOG_LIMIT: Duration = Duration::from_secs(600);
/// Products and buyers of a large log.
const SCENERY: (usize, usize) = (1_000, 64);
/// Requests of one kind whose quantiles are taken.
const ASKED: usize = 300;
const DEEP_LIMIT: u64 = 100;
/// Pause of the prober between two looks.
const PROBE_EVERY: Duration = Duration::from_millis(5);

/// All read models from the log, against reading and parsing it.
pub(super) async fn replay(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("replay");
    let (server, shop) = bench.shop(&bench.args.roles).await?;
    let orders = OrderPlan::of(&shop, Pay::SomeWithPoints).at_most(usize::try_from(bench.args.orders)?);
    let plan = Plan { warmup: Duration::ZERO, measured: LOG_LIMIT, pace: None };
    let tally = fire(orders.guns(&server, bench.args.connections), plan).await?;
    report.check("the server came to rest before the replay", settle(&server).await?);
    let events = server.place.count_events(None).await?;
    let (mut rates, mut parsed, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.args.rounds {
        let parse = read_and_parse(&server.place).await?;
        let begun = Instant::now();
        // Without comparing the result with the present read models, which is not part of the case.
        let output = server.command(&["replay", "--from-scratch"]).await?;
        let rate = per_second(events, begun.elapsed());
        report.check("every replay ended well", output.status.success());
        rates.push(rate);
        parsed.push(parse);
        shares.push(ratio(rate, parse));
    }
    report.figure("orders", tally.created());
    report.figure("events", events);
    let verified = server.command(&["replay", "--verify-only"]).await?;
    report.check("live and rebuilt read models are equal", verified.status.success());
    check_acknowledged(&mut report, &server, &[&tally]).await?;
    server.finish(&mut report).await?;
    let goal = if bench.on_postgres() { Goal::share(330, 500) } else { Goal::share(250, 500) };
    report.row(Row {
        name: format!("replay of all read models, {}", bench.engine()),
        measured: format!("{} events/s", median(rates)),
        yardstick: format!("read + typed parse {}/s", median(parsed)),
        value: median(shares),
        goal,
    });
    Ok(report)
}

/// How long after its acknowledgement an order shows in the list, at half the maximum.
pub(super) async fn lag(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("lag");
    let (mut p50s, mut p99s, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=bench.args.rounds {
        let (server, mut shop) = bench.shop(&bench.args.roles).await?;
        let most = place_orders(bench, &server, &shop, bench.args.connections).await?;
        report.tally(&format!("round_{round}_most"), &most);
        report.check("the server came to rest between the loads", settle(&server).await?);
        shop.log_in().await?;
        let half = (most.rate() / 2).max(1);
        let plan = Plan { pace: Some(half), ..bench.args.plan() };
        let orders = OrderPlan::of(&shop, Pay::SomeWithPoints);
        let load = fire(orders.guns(&server, bench.args.connections), plan);
        let (tally, mut lags) = tokio::try_join!(load, probe(&server, &shop, plan))?;
        report.tally(&format!("round_{round}_half"), &tally);
        report.check("the prober saw every order that it placed", lags.iter().all(Option::is_some));
        lags.sort_unstable();
        p50s.push(quantile(&lags, 50));
        p99s.push(quantile(&lags, 99));
        rates.push(half);
        check_acknowledged(&mut report, &server, &[&most, &tally]).await?;
        server.finish(&mut report).await?;
    }
    report.row(Row {
        name: format!("lag of the read models at half the maximum, p99, {}", bench.engine()),
        measured: format!("p50 {} ms at {} orders/s, the look itself included", ms(median(p50s)), median(rates)),
        yardstick: String::new(),
        value: median(p99s),
        goal: Goal::at_most(100_000, 20_000, "ms"),
    });
    Ok(report)
}

/// Places orders of its own beside the load and asks for a list that shows each. Returns the
/// microseconds from each acknowledgement to that answer, none where it did not come.
async fn probe(server: &ServerUnderTest, shop: &Shop, plan: Plan) -> anyhow::Result<Vec<Option<u64>>> {
    let address = server.address()?.to_string();
    let mut connection = Connection::open(&address).await?;
    let authorization = shop.buyers.first().context("a shop without buyers")?;
    let product = shop.products.first().context("a shop without products")?;
    let body = serde_json::json!({
        "lines": [{"product_id": product, "quantity": 1}],
        "shipping_address": {"recipient": "김민준", "phone": "010-1234-5678", "postal_code": "06236", "line1": "측정"},
    });
    let body = serde_json::to_vec(&body)?;
    tokio::time::sleep(plan.warmup).await;
    let begun = Instant::now();
    let mut lags = Vec::new();
    while begun.elapsed() < plan.measured {
        let key = uuid::Uuid::now_v7().to_string();
        let headers = [("authorization", authorization.as_str()), ("idempotency-key", key.as_str())];
        let placed = connection.send(Method::POST, "/v1/orders", &headers, body.clone()).await?;
        let acknowledged = Instant::now();
        anyhow::ensure!(placed.status.as_u16() == 201, "the prober's order was answered {}", placed.status);
        let position = placed.position.context("an answer without a position")?.to_string();
        let headers = [
            ("authorization", authorization.as_str()),
            ("jangbu-min-position", position.as_str()),
            ("prefer", "wait=30"),
        ];
        let shown = connection.send(Method::GET, "/v1/orders?limit=1", &headers, Vec::new()).await?;
        let took = u64::try_from(acknowledged.elapsed().as_micros()).unwrap_or(u64::MAX);
        lags.push(shown.status.is_success().then_some(took));
        tokio::time::sleep(PROBE_EVERY).await;
    }
    Ok(lags)
}

/// The value at this percentile; the values are sorted.
fn quantile(sorted: &[Option<u64>], percent: usize) -> u64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().flatten().unwrap_or_default()
}

/// Latency of pages of a long list.
pub(super) async fn order_list(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("order-list");
    let place = bench.place().await?;
    let offline = Offline::open(&place, SCENERY.0, SCENERY.1).await?;
    eprintln!("placing {} orders without HTTP ...", bench.args.orders);
    offline.orders(Until::Count(bench.args.orders), false).await?;
    offline.close_as_scenery().await?;
    let server = ServerUnderTest::start(place, &bench.args.roles).await?;
    report.check("the read models came to show the whole log", settle(&server).await?);
    report.figure("orders", bench.args.orders);
    let mut reader = ListReader::new(&server).await?;
    let mut first = Vec::new();
    for _ in 0..ASKED {
        first.push(Some(reader.page(None, 20).await?.1));
    }
    // Cursors cannot be constructed here, so a deep page is reached page by page.
    let (mut cursor, mut walked) = (None, 0);
    while walked < bench.args.orders / 2 {
        cursor = reader.page(cursor.as_deref(), DEEP_LIMIT).await?.0;
        anyhow::ensure!(cursor.is_some(), "the list ended after {walked} orders");
        walked += DEEP_LIMIT;
    }
    let mut deep = Vec::new();
    for _ in 0..ASKED {
        deep.push(Some(reader.page(cursor.as_deref(), 20).await?.1));
    }
    for (what, mut took) in [("first page", first), ("deep page", deep)] {
        took.sort_unstable();
        report.row(Row {
            name: format!("{what} of the order list at {} orders, p99, {}", bench.args.orders, bench.engine()),
            measured: format!("20 orders, p50 {} ms, worst {} ms", ms(quantile(&took, 50)), ms(quantile(&took, 100))),
            yardstick: String::new(),
            value: quantile(&took, 99),
            goal: Goal::at_most(20_000, 5_000, "ms"),
        });
    }
    server.finish(&mut report).await?;
    Ok(report)
}

struct ListReader {
    connection: Connection,
    authorization: String,
}

impl ListReader {
    async fn new(server: &ServerUnderTest) -> anyhow::Result<Self> {
        let authorization = shop::admin(server).await?.authorization().to_owned();
        Ok(Self { connection: Connection::open(&server.address()?.to_string()).await?, authorization })
    }

    /// The next cursor, and the microseconds that the page took.
    async fn page(&mut self, cursor: Option<&str>, limit: u64) -> anyhow::Result<(Option<String>, u64)> {
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let path = format!("/v1/orders?limit={limit}{cursor}");
        let headers = [("authorization", self.authorization.as_str())];
        let begun = Instant::now();
        let reply = self.connection.send(Method::GET, &path, &headers, Vec::new()).await?;
        let took = u64::try_from(begun.elapsed().as_micros())?;
        let page: Value = reply.json();
        anyhow::ensure!(reply.status.is_success(), "the list was answered {}: {page}", reply.status);
        Ok((text(&page, "next_cursor").ok().map(str::to_owned), took))
    }
}
