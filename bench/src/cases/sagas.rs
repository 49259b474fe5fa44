//! From placed to paid to a parcel that is ready.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jangbu_app::engine;
use jangbu_kernel::log::ReadFilter;
use jangbu_store::Store;

use super::place_orders;
use crate::bench::Bench;
use crate::load::{Plan, fire};
use crate::orders::{OrderPlan, Pay};
use crate::place::Place;
use crate::report::{Goal, Report, Row, median, per_second, ratio};

/// How long the sagas of a round may take.
const LIMIT: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Events read at once.
const PAGE: usize = 10_000;
const READY: &str = "shipment.ready";

/// So many orders by card at once; the time ends when the last parcel is ready.
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
        let mut ready = Ready::of(&server.place).await?;
        let begun = Instant::now();
        let plan = Plan { warmup: Duration::ZERO, measured: LIMIT, pace: None };
        let placed = fire(orders.guns(&server, bench.args.connections), plan).await?;
        let done = ready.wait(placed.created()).await?;
        let rate = per_second(done, begun.elapsed());
        report.tally(&format!("round_{round}_placed"), &placed);
        report.figure(&format!("round_{round}_sagas_per_second"), rate);
        report.check("every order came to a parcel that is ready", done == placed.created());
        rates.push(rate);
        usual.push(many.rate());
        shares.push(ratio(rate, many.rate()));
        ready.close().await;
        server.finish(&mut report).await?;
    }
    report.row(Row {
        name: format!("saga: placed, paid, parcel ready, {}", bench.engine()),
        measured: format!("{} sagas/s of {}", median(rates), bench.args.sagas),
        yardstick: format!("place-order {}/s", median(usual)),
        value: median(shares),
        goal: Goal::share(80, 250),
    });
    Ok(report)
}

/// Counts parcels that are ready, reading on from where it was, beside the server.
struct Ready {
    store: Arc<dyn Store>,
    filter: ReadFilter,
    after: u64,
    found: u64,
}

impl Ready {
    async fn of(place: &Place) -> anyhow::Result<Self> {
        let store = engine::open_for_reading(&place.settings()?).await?;
        let filter = ReadFilter { event_types: vec![READY.to_owned()], correlation_id: None };
        let after = store.head().await?;
        Ok(Self { store, filter, after, found: 0 })
    }

    async fn wait(&mut self, wanted: u64) -> anyhow::Result<u64> {
        let begun = Instant::now();
        while self.found < wanted && begun.elapsed() < LIMIT {
            let (page, read_to) = self.store.read_all(self.after, PAGE, &self.filter).await?;
            self.found += u64::try_from(page.len())?;
            if read_to == self.after {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            self.after = read_to;
        }
        Ok(self.found)
    }

    async fn close(self) {
        self.store.close().await;
    }
}
