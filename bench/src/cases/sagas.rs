//! From placed to paid to a parcel that is ready.

use std::time::{Duration, Instant};

use super::parcels::Parcels;
use super::place_orders;
use crate::bench::Bench;
use crate::load::{Plan, fire};
use crate::orders::{OrderPlan, Pay};
use crate::report::{Goal, Report, Row, median, per_second, ratio};

/// How long the sagas of a round may take.
const LIMIT: Duration = Duration::from_secs(600);

/// Places this many orders by card at once; the time ends when the last parcel is ready.
pub(super) async fn saga(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("saga");
    let (mut rates, mut usual, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=bench.args.rounds {
        let (server, shop) = bench.shop(&bench.args.roles).await?;
        let many = place_orders(bench, &server, &shop, bench.args.connections).await?;
        report.tally(&format!("round_{round}_place_order"), &many);
        server.finish(&mut report).await?;

        let (server, shop) = bench.shop(&bench.args.roles).await?;
        let orders = OrderPlan::of(&shop, Pay::Card).at_most(bench.args.sagas);
        let mut parcels = Parcels::of(&server.place).await?;
        let begun = Instant::now();
        let plan = Plan { warmup: Duration::ZERO, measured: LIMIT, pace: None };
        let placed = fire(orders.guns(&server, bench.args.connections), plan).await?;
        let done = parcels.wait(placed.created(), LIMIT).await?;
        let rate = per_second(done, begun.elapsed());
        report.tally(&format!("round_{round}_placed"), &placed);
        report.figure(&format!("round_{round}_sagas_per_second"), rate);
        report.check("every order came to a parcel that is ready", done == placed.created());
        rates.push(rate);
        usual.push(many.rate());
        shares.push(ratio(rate, many.rate()));
        parcels.close().await;
        server.finish(&mut report).await?;
    }
    report.row(Row {
        name: format!("saga: placed, paid, parcel ready, {}", bench.engine()),
        measured: format!("{} sagas/s of {}", median(rates.iter().copied()), bench.args.sagas),
        yardstick: format!("place-order {}/s", median(usual)),
        value: median(shares),
        goal: Goal::share(80, 250),
    });
    if bench.on_postgres() {
        report.row(Row {
            name: "sagas completed, Postgres".to_owned(),
            measured: format!("of {}", bench.args.sagas),
            yardstick: String::new(),
            value: median(rates).saturating_mul(1_000),
            goal: Goal::a_second(700, 1_200),
        });
    }
    Ok(report)
}
