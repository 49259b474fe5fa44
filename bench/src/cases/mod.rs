//! The cases: one file a family. Each gives a report with its rows of the table.

mod commands;
mod contention;
mod logs;
mod order_time;
mod parcels;
mod placing;
mod reading;
mod sagas;
mod sides;
mod sustained;
mod yardsticks;

use std::time::{Duration, Instant};

use super::load::{Tally, fire};
use super::orders::{OrderPlan, Pay};
use super::report::Report;
use super::server::ServerUnderTest;
use super::shop::{self, Shop};
use crate::args::{BenchArgs, Case};
use crate::bench::Bench;

/// How long a server may take to come to rest after a load.
const REST_LIMIT: Duration = Duration::from_secs(1_800);
/// A token lives for five minutes.
const LOGIN_EVERY: Duration = Duration::from_secs(200);
/// A log that has not grown for this long is at rest.
const REST: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What the operator of a shop needs to know, in the order of docs/BENCHMARKS.md.
const ESSENTIALS: [Case; 6] =
    [Case::OrderTime, Case::Sustained, Case::NewBuyer, Case::Saga, Case::Replay, Case::PlaceOrder];

/// The cases that the engine has, in the order of docs/BENCHMARKS.md.
fn all(args: &BenchArgs) -> Vec<Case> {
    let on_postgres = args.postgres || args.database_url.is_some();
    let both = [
        Case::Yardsticks,
        Case::PlaceOrder,
        Case::OneClient,
        Case::OrderTime,
        Case::Sustained,
        Case::NewBuyer,
        Case::WorstAnswer,
        Case::Receipt,
        Case::FlashSale,
        Case::Buyers,
        Case::Saga,
        Case::Roles,
        Case::Rebuild,
        Case::ExistingStream,
        Case::Commands,
        Case::Replay,
        Case::Lag,
        Case::OrderList,
        Case::StockStream,
        Case::Growth,
        Case::StoredBytes,
        Case::Start,
        Case::Memory,
    ];
    let mut cases = both.to_vec();
    if on_postgres {
        cases.push(Case::TwoNodes);
    }
    cases
}

/// The cases that were asked for.
pub(super) fn of(args: &BenchArgs) -> Vec<Case> {
    if args.case == Case::All {
        return all(args);
    }
    if args.case == Case::Essentials {
        return ESSENTIALS.to_vec();
    }
    vec![args.case]
}

/// Runs a case.
pub(super) async fn run(bench: &Bench, case: Case) -> anyhow::Result<Report> {
    match case {
        Case::PlaceOrder => placing::place_order(bench).await,
        Case::OneClient => placing::one_client(bench).await,
        Case::OrderTime => order_time::order_time(bench).await,
        Case::Sustained => sustained::sustained(bench).await,
        Case::NewBuyer => placing::new_buyer(bench).await,
        Case::WorstAnswer => placing::worst_answer(bench).await,
        Case::Memory => placing::memory(bench).await,
        Case::Receipt => sides::receipt(bench).await,
        Case::Roles => sides::roles(bench).await,
        Case::Rebuild => sides::rebuild(bench).await,
        Case::ExistingStream => sides::existing_stream(bench).await,
        Case::Commands => commands::commands(bench).await,
        Case::FlashSale => contention::flash_sale(bench).await,
        Case::Buyers => contention::buyers(bench).await,
        Case::TwoNodes => contention::two_nodes(bench).await,
        Case::Saga => sagas::saga(bench).await,
        Case::Replay => reading::replay(bench).await,
        Case::Lag => reading::lag(bench).await,
        Case::OrderList => reading::order_list(bench).await,
        Case::StockStream => logs::stock_stream(bench).await,
        Case::Growth => logs::growth(bench).await,
        Case::StoredBytes => logs::stored_bytes(bench).await,
        Case::Start => logs::start(bench).await,
        Case::Yardsticks => yardsticks::alone(bench).await,
        Case::All | Case::Essentials | Case::EchoServer => anyhow::bail!("{case:?} is no case by itself"),
    }
}

/// Places orders over this many connections for one round, as fast as possible.
async fn place_orders(
    bench: &Bench,
    server: &ServerUnderTest,
    shop: &Shop,
    connections: usize,
) -> anyhow::Result<Tally> {
    let orders = OrderPlan::of(shop, Pay::SomeWithPoints);
    fire(orders.guns(server, connections), bench.args.plan()).await
}

/// Every acknowledged order is in the log.
async fn check_acknowledged(report: &mut Report, server: &ServerUnderTest, tallies: &[&Tally]) -> anyhow::Result<()> {
    let acknowledged: u64 = tallies.iter().map(|tally| tally.created() + tally.warmed_up).sum();
    let placed = server.place.count_events(Some("order.placed")).await?;
    report.check("every acknowledged order is in the log", placed >= acknowledged);
    report.check("nothing but 201 was answered", tallies.iter().all(|tally| tally.only(201)));
    Ok(())
}

/// Waits until read models and process manager have nothing more to do; false on a timeout.
async fn settle(server: &ServerUnderTest) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let (mut admin, mut login) = (shop::admin(server).await?, Instant::now());
    let (mut still_since, mut last_head) = (Instant::now(), 0);
    while begun.elapsed() < REST_LIMIT {
        let projections = admin.get("/v1/projections").await?;
        let items = projections.get("items").and_then(|items| items.as_array());
        let number = |item: &serde_json::Value, name: &str| item.get(name).and_then(serde_json::Value::as_u64);
        let lag = items.into_iter().flatten().filter_map(|item| number(item, "lag")).max().unwrap_or(u64::MAX);
        let head =
            items.into_iter().flatten().filter_map(|item| Some(number(item, "position")? + number(item, "lag")?));
        let head = head.max().unwrap_or_default();
        if lag > 0 || head != last_head {
            (still_since, last_head) = (Instant::now(), head);
        } else if still_since.elapsed() >= REST {
            return Ok(true);
        }
        tokio::time::sleep(LOOK_EVERY).await;
        if login.elapsed() > LOGIN_EVERY {
            (admin, login) = (shop::admin(server).await?, Instant::now());
        }
    }
    Ok(false)
}

/// `p50 / p99 / p99.9 / worst` of a load, in milliseconds.
fn latencies(tally: &Tally) -> String {
    let quantiles = [tally.quantile_us(0.5), tally.quantile_us(0.99), tally.quantile_us(0.999), tally.latency.max()];
    let [p50, p99, p99_9, worst] = quantiles.map(ms);
    format!("p50 {p50}, p99 {p99}, p99.9 {p99_9}, worst {worst} ms")
}

/// Microseconds as milliseconds with two digits.
fn ms(us: u64) -> String {
    format!("{}.{:02}", us / 1_000, us % 1_000 / 10)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use clap::{Parser as _, ValueEnum as _};

    use super::*;

    fn args(line: &[&str]) -> BenchArgs {
        BenchArgs::try_parse_from(["jangbu-bench"].iter().chain(line)).unwrap()
    }

    #[test]
    fn all_leaves_no_case_out() {
        let listed = all(&args(&["all", "--postgres"]));
        for case in Case::value_variants() {
            let is_one = !matches!(case, Case::All | Case::Essentials | Case::EchoServer);
            assert_eq!(listed.contains(case), is_one, "{case:?}");
        }
        assert!(!all(&args(&["all"])).contains(&Case::TwoNodes), "an embedded store has one node");
    }

    #[test]
    fn quick_makes_everything_small_and_keeps_what_is_smaller() {
        let quick = args(&["growth", "--quick", "--seconds", "2", "--rounds", "3"]).sized();
        assert_eq!((quick.seconds, quick.rounds), (2, 1));
        assert!(quick.events <= 200_000 && quick.products <= 1_000);
    }
}
