//! The rate that a shop keeps up with, and the latencies of answers and parcels below it.

use std::time::Duration;

use anyhow::Context as _;
use jangbu_app::client::Shopper;

use super::parcels::Parcels;
use super::{check_acknowledged, ms, place_orders, settle};
use crate::bench::Bench;
use crate::load::{Plan, Tally, fire};
use crate::orders::{OrderPlan, Pay};
use crate::report::{Goal, Report, Row, median, ratio};
use crate::server::ServerUnderTest;
use crate::shop::{self, Shop};

/// Rates that are tried; each trial halves the remaining interval.
const TRIALS: u32 = 5;
/// The part of the sustained rate at which latencies are taken.
const PART_PERCENT: u64 = 70;
/// How long the parcels of a load may take after it.
const LIMIT: Duration = Duration::from_secs(600);

/// The highest paced rate of mixed orders after which read models and process manager are
/// less than a second behind; then, at a part of it, the latency of an answer and of a parcel.
pub(super) async fn sustained(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("sustained");
    let mut figures: [Vec<u64>; 6] = Default::default();
    for round in 1..=bench.args.rounds {
        let measured = one_round(bench, round, &mut report).await?;
        figures.iter_mut().zip(measured).for_each(|(figure, value)| figure.push(value));
    }
    let [rate, p99, commit, times, half, slowest] = figures.map(median);
    let engine = bench.engine();
    let mut row = |name: String, measured: String, yardstick: String, value, goal| {
        report.row(Row { name, measured, yardstick, value, goal });
    };
    let goal = if bench.on_postgres() { Goal::a_second(2_500, 5_000) } else { Goal::a_second(4_000, 8_000) };
    row(
        format!("sustained mixed orders, {engine}"),
        format!("{rate} orders/s for {} s", bench.args.seconds),
        String::new(),
        rate.saturating_mul(1_000),
        goal,
    );
    let at = format!("at {PART_PERCENT} % of sustained, {engine}");
    let yardstick = format!("bare commits, p99 {} ms", ms(commit));
    row(format!("p99 {at}"), format!("{} ms", ms(p99)), yardstick.clone(), p99, Goal::at_most(15_000, 5_000, "ms"));
    let goal = Goal::at_most(3_000, 1_500, "times");
    row(format!("p99 {at}, against commits"), format!("{} ms", ms(p99)), yardstick, times, goal);
    let goal = Goal::at_most(100_000, 20_000, "ms");
    row(format!("from paid to a ready parcel, p50 {at}"), String::new(), String::new(), half * 1_000, goal);
    let goal = Goal::at_most(300_000, 60_000, "ms");
    row(format!("from paid to a ready parcel, p99 {at}"), String::new(), String::new(), slowest * 1_000, goal);
    Ok(report)
}

/// Sustained rate, p99 and that of a commit in microseconds, their ratio, and both waits for a
/// parcel in milliseconds.
async fn one_round(bench: &Bench, round: u32, report: &mut Report) -> anyhow::Result<[u64; 6]> {
    let (server, mut shop) = bench.shop(&bench.args.roles).await?;
    let most = place_orders(bench, &server, &shop, bench.args.connections).await?;
    report.tally(&format!("round_{round}_most"), &most);
    report.check("the server came to rest between the loads", settle(&server).await?);
    let mut parcels = Parcels::of(&server.place).await?;
    let (mut low, mut high) = (0, most.rate());
    let mut tallies = vec![most];
    for _ in 0..TRIALS {
        let rate = u64::midpoint(low, high).max(1);
        let trial = trial(bench, &server, &mut shop, rate, &mut parcels).await?;
        eprintln!("{rate} orders/s: {}", trial.tell());
        *(if trial.is_sustained(rate) { &mut low } else { &mut high }) = rate;
        tallies.push(trial.tally);
        report.check("the server came to rest between the loads", settle(&server).await?);
    }
    report.check("some rate was sustained", low > 0);
    let commit = bench.commit_p99_us(&server.place).await?;
    let at_part = trial(bench, &server, &mut shop, (low * PART_PERCENT / 100).max(1), &mut parcels).await?;
    let paid = parcels.requested();
    report.check("every paid order came to a parcel that is ready", parcels.wait(paid, LIMIT).await? >= paid);
    report.tally(&format!("round_{round}_at_{PART_PERCENT}_percent"), &at_part.tally);
    let p99 = at_part.tally.quantile_us(0.99);
    tallies.push(at_part.tally);
    check_acknowledged(report, &server, &tallies.iter().collect::<Vec<_>>()).await?;
    let waits = [50, 99].map(|percent| parcels.wait_ms(percent));
    parcels.close().await;
    server.finish(report).await?;
    let [half, slowest] = waits;
    Ok([low, p99, commit, ratio(p99, commit), half, slowest])
}

/// State at the end of a paced load.
struct Trial {
    tally: Tally,
    /// Events a second that the load appended.
    events: u64,
    /// Events that the slowest read model had not applied.
    unshown: u64,
    /// Payments a second that were requested.
    payments: u64,
    /// Payments whose parcel was not ready.
    under_way: u64,
}

impl Trial {
    /// Whether everything kept up: answers, read models, parcels.
    fn is_sustained(&self, rate: u64) -> bool {
        self.tally.rate() * 100 >= rate * 99 && self.unshown <= self.events && self.under_way <= self.payments
    }

    fn tell(&self) -> String {
        let Self { tally, events, unshown, payments, under_way } = self;
        format!(
            "{} answered, {unshown} events not shown of {events}/s, {under_way} parcels not ready of {payments}/s",
            tally.rate()
        )
    }
}

async fn trial(
    bench: &Bench,
    server: &ServerUnderTest,
    shop: &mut Shop,
    rate: u64,
    parcels: &mut Parcels,
) -> anyhow::Result<Trial> {
    shop.log_in().await?;
    let mut admin = shop::admin(server).await?;
    let begun = parcels.begin_again().await?;
    let plan = Plan { pace: Some(rate), ..bench.args.plan() };
    let orders = OrderPlan::of(shop, Pay::SomeWithPoints);
    let tally = fire(orders.guns(server, bench.args.connections), plan).await?;
    let unshown = unshown(&mut admin).await?;
    let head = parcels.read().await?;
    let seconds = (plan.warmup + plan.measured).as_secs().max(1);
    let (payments, under_way) = (parcels.requested() / seconds, parcels.under_way());
    Ok(Trial { tally, events: begun.behind(head) / seconds, unshown, payments, under_way })
}

async fn unshown(admin: &mut Shopper) -> anyhow::Result<u64> {
    let projections = admin.get("/v1/projections").await?;
    let items = projections.get("items").and_then(|items| items.as_array()).context("no list of read models")?;
    Ok(items.iter().filter_map(|item| item.get("lag")?.as_u64()).max().unwrap_or_default())
}
