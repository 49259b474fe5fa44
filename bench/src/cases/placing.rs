//! Placing orders: how many, how fast, with how much memory.

use std::time::Duration;

use super::{check_acknowledged, latencies, ms, place_orders, settle};
use crate::bench::Bench;
use crate::load::{Plan, fire};
use crate::moments::Moments;
use crate::orders::{OrderPlan, Pay};
use crate::report::{Goal, Report, Row, median, ratio};
use crate::shop::{PLENTY, Shop, Size};

/// The maximum against the typed echo, then the latency at a part of the maximum against
/// a durable write.
pub(super) async fn place_order(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("place-order");
    let (mut rates, mut echoes, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    let (mut p99s, mut disks, mut times) = (Vec::new(), Vec::new(), Vec::new());
    let mut inserts = Vec::new();
    for round in 1..=bench.args.rounds {
        let (server, mut shop) = bench.shop(&bench.args.roles).await?;
        let orders = OrderPlan::of(&shop, Pay::SomeWithPoints);
        let echo = bench.echo(&orders).await?;
        report.tally(&format!("round_{round}_echo"), &echo);
        inserts.push(bench.inserts(&server.place).await?);
        shop.log_in().await?;
        let mut moments = Moments::read(&server).await?;
        let most = place_orders(bench, &server, &shop, bench.args.connections).await?;
        report.figure(&format!("round_{round}_stages_us"), moments.since(&server).await?);
        report.tally(&format!("round_{round}"), &most);
        let rate = most.rate();
        let mut tallies = vec![most];
        rates.push(rate);
        echoes.push(echo.rate());
        shares.push(ratio(rate, echo.rate()));
        if bench.args.at_load > 0 {
            report.check("the server came to rest between the loads", settle(&server).await?);
            let disk = bench.fdatasync_us().await?;
            shop.log_in().await?;
            let plan = Plan { pace: Some((rate * bench.args.at_load / 100).max(1)), ..bench.args.plan() };
            let orders = OrderPlan::of(&shop, Pay::SomeWithPoints);
            let mut moments = Moments::read(&server).await?;
            let paced = fire(orders.guns(&server, bench.args.connections), plan).await?;
            let stages = format!("round_{round}_at_{}_percent_stages_us", bench.args.at_load);
            report.figure(&stages, moments.since(&server).await?);
            report.tally(&format!("round_{round}_at_{}_percent", bench.args.at_load), &paced);
            p99s.push(paced.quantile_us(0.99));
            disks.push(disk);
            times.push(ratio(paced.quantile_us(0.99), disk));
            tallies.push(paced);
        }
        check_acknowledged(&mut report, &server, &tallies.iter().collect::<Vec<_>>()).await?;
        server.finish(&mut report).await?;
    }
    report.figure("raw_inserts_per_second", median(inserts));
    report.row(Row {
        name: format!("place-order, {}, {} connections", bench.engine(), bench.args.connections),
        measured: format!("{} orders/s", median(rates)),
        yardstick: format!("typed echo {}/s", median(echoes)),
        value: median(shares),
        goal: Goal::floor(100),
    });
    if bench.args.at_load > 0 {
        report.row(Row {
            name: format!("p99 of place-order at {} % load, {}", bench.args.at_load, bench.engine()),
            measured: format!("{} ms", ms(median(p99s))),
            yardstick: format!("fdatasync p50 {} ms", ms(median(disks))),
            value: median(times),
            goal: Goal::at_most(60_000, 20_000, "times"),
        });
    }
    Ok(report)
}

/// One request at a time: what a commit costs when no other request shares it.
pub(super) async fn one_client(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("one-client");
    let (mut p50s, mut disks, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=bench.args.rounds {
        let (server, shop) = bench.shop(&bench.args.roles).await?;
        let disk = bench.fdatasync_us().await?;
        let tally = place_orders(bench, &server, &shop, 1).await?;
        report.tally(&format!("round_{round}"), &tally);
        p50s.push(tally.quantile_us(0.5));
        disks.push(disk);
        times.push(ratio(tally.quantile_us(0.5), disk));
        check_acknowledged(&mut report, &server, &[&tally]).await?;
        server.finish(&mut report).await?;
    }
    report.row(Row {
        name: format!("one client at a time, p50, {}", bench.engine()),
        measured: format!("{} ms", ms(median(p50s))),
        yardstick: format!("fdatasync p50 {} ms", ms(median(disks))),
        value: median(times),
        goal: Goal::at_most(6_000, 3_000, "times"),
    });
    Ok(report)
}

/// The worst answer while few clients send requests.
pub(super) async fn worst_answer(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("worst-answer");
    for clients in [8, 32] {
        let (mut worst, mut rates, mut told) = (Vec::new(), Vec::new(), String::new());
        for round in 1..=bench.args.rounds {
            let (server, shop) = bench.shop(&bench.args.roles).await?;
            let tally = place_orders(bench, &server, &shop, clients).await?;
            report.tally(&format!("clients_{clients}_round_{round}"), &tally);
            worst.push(tally.latency.max());
            rates.push(tally.rate());
            told = latencies(&tally);
            check_acknowledged(&mut report, &server, &[&tally]).await?;
            server.finish(&mut report).await?;
        }
        report.row(Row {
            name: format!("worst answer in {} s, {clients} clients, {}", bench.args.seconds, bench.engine()),
            measured: format!("{} orders/s; last round {told}", median(rates)),
            yardstick: String::new(),
            value: median(worst),
            goal: Goal::at_most(100_000, 20_000, "ms"),
        });
    }
    Ok(report)
}

/// The first order of a new buyer against the next one of the same buyer, one at a time.
pub(super) async fn new_buyer(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("new-buyer");
    let mut figures: [Vec<u64>; 3] = Default::default();
    for round in 1..=bench.args.rounds {
        let server = bench.server(&bench.args.roles).await?;
        let size =
            Size { products: bench.args.products, units: PLENTY, buyers: bench.args.new_buyers, with_points: false };
        let shop = Shop::create(&server, size).await?;
        report.check("the server came to rest before the load", settle(&server).await?);
        let orders = || OrderPlan::of(&shop, Pay::Nobody).one_of_each_buyer();
        let plan = Plan { warmup: Duration::ZERO, ..bench.args.plan() };
        let first = fire(orders().guns(&server, 1), plan).await?;
        let next = fire(orders().guns(&server, 1), plan).await?;
        for (name, tally) in [("first", &first), ("next", &next)] {
            report.tally(&format!("round_{round}_{name}"), tally);
        }
        check_acknowledged(&mut report, &server, &[&first, &next]).await?;
        server.finish(&mut report).await?;
        let [first, next] = [first, next].map(|tally| tally.quantile_us(0.5));
        figures.iter_mut().zip([first, next, ratio(first, next)]).for_each(|(figure, value)| figure.push(value));
    }
    let [first, next, times] = figures.map(median);
    report.row(Row {
        name: format!("first order of a new buyer, p50, {}", bench.engine()),
        measured: format!("{} ms of {} buyers", ms(first), bench.args.new_buyers),
        yardstick: format!("the next one {} ms", ms(next)),
        value: times,
        goal: Goal::at_most(1_500, 1_200, "times"),
    });
    Ok(report)
}

/// What the server takes of the machine's memory.
pub(super) async fn memory(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("memory");
    let (mut at_rest, mut under_load) = (Vec::new(), Vec::new());
    for round in 1..=bench.args.rounds {
        let server = bench.server(&bench.args.roles).await?;
        report.check("the server came to rest after its start", settle(&server).await?);
        let (now, _) = server.memory()?;
        at_rest.push(now);
        let shop = bench.stock(&server).await?;
        let tally = place_orders(bench, &server, &shop, bench.args.connections).await?;
        let (_, most) = server.memory()?;
        under_load.push(most);
        report.tally(&format!("round_{round}"), &tally);
        check_acknowledged(&mut report, &server, &[&tally]).await?;
        server.finish(&mut report).await?;
    }
    let mut row = |what: &str, values: Vec<u64>, reach, moonshot| {
        let value = median(values);
        report.row(Row {
            name: format!("memory of `serve` {what}, {}", bench.engine()),
            measured: "resident set".to_owned(),
            yardstick: String::new(),
            value,
            goal: Goal::at_most(reach, moonshot, "MB"),
        });
    };
    row("at rest", at_rest, 40_000, 20_000);
    row("under the place-order load, at most", under_load, 300_000, 150_000);
    Ok(report)
}
