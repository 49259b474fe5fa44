//! Processor time that the server takes for an order, at a load well below its maximum. Gateway,
//! carrier and database are processes of their own and not included.

use std::time::Duration;

use super::check_acknowledged;
use super::parcels::Parcels;
use crate::bench::Bench;
use crate::load::{Ammunition, Gun, Head, Plan, Request, fire};
use crate::orders::{OrderPlan, Pay};
use crate::report::{Goal, Report, Row, each, median, ratio};
use crate::server::ServerUnderTest;
use crate::shop::Shop;

/// Connections: more than are ever busy at these rates.
const CONNECTIONS: usize = 32;
/// How long the server is still measured after the last answer or parcel, so that read models and
/// timers have followed by then.
const REST: Duration = Duration::from_secs(1);
/// How long the last parcels may take.
const LIMIT: Duration = Duration::from_secs(120);

/// What an order's time is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Yardstick {
    /// The server's half of a typed echo at the same pace.
    Echo,
    /// An answer of `/livez`, as fast as they come.
    Livez,
}

/// A load whose processor time per order is measured.
struct Weighed {
    name: &'static str,
    pay: Pay,
    per_second: u64,
    yardstick: Yardstick,
    goal: Goal,
}

const LOADS: [Weighed; 4] = [
    Weighed {
        name: "an unpaid order, 1,000/s",
        pay: Pay::Nobody,
        per_second: 1_000,
        yardstick: Yardstick::Echo,
        goal: Goal::at_most(12_000, 6_000, "echoes"),
    },
    Weighed {
        name: "an order to a ready parcel, 200/s",
        pay: Pay::Card,
        per_second: 200,
        yardstick: Yardstick::Echo,
        goal: Goal::at_most(60_000, 30_000, "echoes"),
    },
    Weighed {
        name: "an unpaid order, 300/s",
        pay: Pay::Nobody,
        per_second: 300,
        yardstick: Yardstick::Livez,
        goal: Goal::at_most(38_000, 19_000, "answers of /livez"),
    },
    Weighed {
        name: "an order to a ready parcel, 90/s",
        pay: Pay::Card,
        per_second: 90,
        yardstick: Yardstick::Livez,
        goal: Goal::at_most(265_000, 130_000, "answers of /livez"),
    },
];

/// Processor time per order, for each of the loads.
pub(super) async fn order_time(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("order-time");
    let mut figures: Vec<[Vec<u64>; 3]> = LOADS.iter().map(|_| Default::default()).collect();
    for round in 1..=bench.args.rounds {
        let (server, mut shop) = bench.shop(&bench.args.roles).await?;
        let mut parcels = Parcels::of(&server.place).await?;
        for (load, [orders, yardsticks, times]) in LOADS.iter().zip(&mut figures) {
            shop.log_in().await?;
            let yardstick = match load.yardstick {
                Yardstick::Echo => bench.echo_ns(&OrderPlan::of(&shop, load.pay), CONNECTIONS, load.per_second).await?,
                Yardstick::Livez => livez_ns(bench, &server).await?,
            };
            let order = weigh(bench, &server, &shop, load, &mut parcels, (&mut report, round)).await?;
            orders.push(order);
            yardsticks.push(yardstick);
            times.push(ratio(order, yardstick));
        }
        parcels.close().await;
        server.finish(&mut report).await?;
    }
    for (load, [orders, yardsticks, times]) in LOADS.iter().zip(figures) {
        let what = if load.yardstick == Yardstick::Echo { "echo" } else { "/livez" };
        report.row(Row {
            name: format!("processor time of {}, {}", load.name, bench.engine()),
            measured: format!("{} us of the server", median(orders) / 1_000),
            yardstick: format!("{what} {} us", thousandths(median(yardsticks))),
            value: median(times),
            goal: load.goal,
        });
    }
    Ok(report)
}

/// Nanoseconds of processor time per order of a load, with all that follows from it.
async fn weigh(
    bench: &Bench,
    server: &ServerUnderTest,
    shop: &Shop,
    load: &Weighed,
    parcels: &mut Parcels,
    (report, round): (&mut Report, u32),
) -> anyhow::Result<u64> {
    parcels.begin_again().await?;
    let before = server.processor_time()?;
    let plan = Plan { pace: Some(load.per_second), warmup: Duration::ZERO, ..bench.args.plan() };
    let tally = fire(OrderPlan::of(shop, load.pay).guns(server, CONNECTIONS), plan).await?;
    if load.pay == Pay::Card {
        let ready = parcels.wait(tally.created(), LIMIT).await?;
        report.check("every paid order came to a parcel that is ready", ready == tally.created());
    }
    tokio::time::sleep(REST).await;
    let used = server.processor_time()?.saturating_sub(before);
    report.tally(&format!("round_{round}_{}", load.name.replace(' ', "_")), &tally);
    check_acknowledged(report, server, &[&tally]).await?;
    Ok(each(used, tally.created()))
}

/// Nanoseconds of processor time per answer of `/livez`.
async fn livez_ns(bench: &Bench, server: &ServerUnderTest) -> anyhow::Result<u64> {
    let measured = Duration::from_secs(bench.args.echo_seconds);
    let before = server.processor_time()?;
    let address = server.address()?;
    let guns = (0..CONNECTIONS).map(|_| Gun { address, ammunition: Livez(Head::get("/livez")) });
    let plan = Plan { warmup: Duration::ZERO, measured, pace: None };
    let tally = fire(guns.collect(), plan).await?;
    let used = server.processor_time()?.saturating_sub(before);
    Ok(each(used, tally.answers()).max(1))
}

/// Asks whether the server is alive.
struct Livez(Head);

impl Ammunition for Livez {
    fn next(&mut self, request: &mut Request) -> bool {
        request.finish(&self.0, None);
        true
    }
}

fn thousandths(ns: u64) -> String {
    format!("{}.{}", ns / 1_000, ns % 1_000 / 100)
}
