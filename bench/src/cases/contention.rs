//! Many requests that compete for the same stock or streams.

use std::time::Duration;

use super::{check_acknowledged, latencies, place_orders, settle};
use crate::bench::Bench;
use crate::load::{Plan, Tally, fire};
use crate::orders::{OrderPlan, Pay};
use crate::report::{Goal, Report, Row, median, per_second, ratio};
use crate::server::ServerUnderTest;
use crate::shop::{Shop, Size};

/// A stock, and how many buyers order from it at once.
const STOCK: u32 = 100;
const CROWDS: [usize; 2] = [200, 2_000];
/// The refusal of those for whom nothing is left.
const TOO_LATE: &str = "insufficient_stock";
/// Limit for the answers to all buyers.
const CROWD_LIMIT: Duration = Duration::from_secs(120);

/// Many buyers, few units, against orders of everything.
pub(super) async fn flash_sale(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("flash-sale");
    let (units, attempts) = (bench.args.units, bench.args.attempts);
    let (mut sales, mut usual, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=bench.args.rounds {
        let (server, mut shop) = bench.shop(&bench.args.roles).await?;
        let many = place_orders(bench, &server, &shop, bench.args.connections).await?;
        report.tally(&format!("round_{round}_place_order"), &many);
        report.check("the server came to rest between the loads", settle(&server).await?);
        shop.log_in().await?;
        let sale = sale(&server, &shop, units, bench.args.connections, attempts).await?;
        report.tally(&format!("round_{round}_sale"), &sale);
        check_sold(&mut report, &sale, units, attempts);
        let answers = per_second(sale.answers(), sale.elapsed);
        sales.push(answers);
        usual.push(many.rate());
        shares.push(ratio(answers, many.rate()));
        let placed = server.place.count_events(Some("order.placed")).await?;
        let acknowledged = many.created() + many.warmed_up + sale.created();
        report.check("every acknowledged order is in the log", placed >= acknowledged);
        server.finish(&mut report).await?;
    }
    report.row(Row {
        name: format!("flash-sale, {attempts} buyers of {units} units, exactly {units} sold, {}", bench.engine()),
        measured: format!("{} answers/s", median(sales)),
        yardstick: format!("place-order {}/s", median(usual)),
        value: median(shares),
        goal: Goal::share(700, 1_200),
    });
    Ok(report)
}

/// Buyers who order at once, each on a connection of its own; on Postgres also at two nodes.
pub(super) async fn buyers(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("buyers");
    let most_nodes = if bench.on_postgres() { 2 } else { 1 };
    for nodes in 1..=most_nodes {
        let mut server = bench.server(&bench.args.roles).await?;
        if nodes == 2 {
            server.another_node(&bench.args.roles).await?;
        }
        let size = Size { products: 1, units: STOCK, buyers: bench.args.buyers, with_points: false };
        let mut shop = Shop::create(&server, size).await?;
        for crowd in CROWDS {
            let (mut sold, mut told) = (Vec::new(), String::new());
            for round in 1..=bench.args.rounds {
                shop.log_in().await?;
                let tally = sale(&server, &shop, STOCK, crowd, crowd).await?;
                report.tally(&format!("nodes_{nodes}_buyers_{crowd}_round_{round}"), &tally);
                check_sold(&mut report, &tally, STOCK, crowd);
                sold.push(tally.created());
                told = latencies(&tally);
            }
            let exactly = u64::from(STOCK) * 1_000;
            report.row(Row {
                name: format!("{crowd} buyers at once of a stock of {STOCK}, {}, {nodes} node(s)", bench.engine()),
                measured: format!("{} orders, all others 409 {TOO_LATE}; orders {told}", median(sold.clone())),
                yardstick: String::new(),
                value: median(sold) * 1_000,
                goal: Goal { reach: exactly, moonshot: Some(exactly), more_is_better: true, unit: "orders" },
            });
        }
        server.finish(&mut report).await?;
    }
    Ok(report)
}

/// Two nodes on one Postgres against one.
pub(super) async fn two_nodes(bench: &Bench) -> anyhow::Result<Report> {
    anyhow::ensure!(bench.on_postgres(), "two nodes need a Postgres: --postgres or --database-url");
    let mut report = Report::new("two-nodes");
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for round in 1..=bench.args.rounds {
        for (kind, rates) in ["one_node", "different_products", "same_products"].into_iter().zip(&mut rates) {
            let mut server = bench.server(&bench.args.roles).await?;
            if kind != "one_node" {
                server.another_node(&bench.args.roles).await?;
            }
            let shop = bench.stock(&server).await?;
            let orders = OrderPlan::of(&shop, Pay::SomeWithPoints);
            let mut guns = Vec::new();
            for number in 0..bench.args.connections {
                let node = number % server.nodes.len();
                let orders =
                    if kind == "different_products" { orders.part(node, server.nodes.len()) } else { orders.clone() };
                guns.extend(server.nodes.get(node).map(|address| orders.gun(*address, number)));
            }
            let tally = fire(guns, bench.args.plan()).await?;
            report.tally(&format!("round_{round}_{kind}"), &tally);
            check_acknowledged(&mut report, &server, &[&tally]).await?;
            server.finish(&mut report).await?;
            rates.push(tally.rate());
        }
    }
    let [one, different, same] = rates;
    for (what, two) in [("different", different), ("the same", same)] {
        let shares = two.iter().zip(&one).map(|(two, one)| ratio(*two, *one));
        report.row(Row {
            name: format!("two nodes on one Postgres, place-order on {what} products"),
            value: median(shares),
            measured: format!("{} orders/s", median(two.clone())),
            yardstick: format!("one node {}/s", median(one.clone())),
            goal: Goal::share(700, 1_300),
        });
    }
    Ok(report)
}

/// Puts one more product on sale and makes the given number of attempts to buy one of it.
async fn sale(
    server: &ServerUnderTest,
    shop: &Shop,
    units: u32,
    connections: usize,
    attempts: usize,
) -> anyhow::Result<Tally> {
    let wanted = shop.with_new_product(server, units).await?;
    let orders = OrderPlan::of(&wanted, Pay::Nobody).at_most(attempts);
    let plan = Plan { warmup: Duration::ZERO, measured: CROWD_LIMIT, pace: None };
    fire(orders.guns(server, connections), plan).await
}

fn check_sold(report: &mut Report, tally: &Tally, units: u32, attempts: usize) {
    let sold = u64::from(units).min(attempts as u64);
    report.check("exactly the stock was sold", tally.created() == sold);
    let refused = tally.codes.get(TOO_LATE).copied().unwrap_or_default();
    report.check("everybody else was told insufficient_stock", refused + sold == attempts as u64);
    let typed = tally.statuses.keys().all(|status| matches!(status, 201 | 409));
    report.check("nothing but 201 and 409 was answered", typed);
}
