//! The write path alone, comparable with a library that is used without an HTTP server.

use std::time::Duration;

use crate::bench::Bench;
use crate::offline::{Offline, Until};
use crate::report::{Goal, Report, Row, median};

/// Commands of one small event each, decided and committed in this process, many at once: new
/// products, each a stream of its own, and goods received for existing products. No HTTP, no key,
/// no read models. The goals are four and ten times what libraries of this field were measured to
/// do on a machine of this kind.
pub(super) async fn commands(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("commands");
    let (mut fresh, mut existing) = (Vec::new(), Vec::new());
    let warmup = Until::Time(Duration::from_secs(bench.args.warmup));
    let time = Until::Time(Duration::from_secs(bench.args.seconds));
    for round in 1..=bench.args.rounds {
        let place = bench.place().await?;
        let offline = Offline::open(&place, bench.args.products, 1).await?;
        offline.goods_received(warmup).await?;
        let before = offline.head().await?;
        let received = offline.goods_received(time).await?;
        let made = offline.products_made(time).await?;
        report.figure(&format!("round_{round}_events"), before.behind(offline.head().await?));
        offline.close().await;
        let audit = place.command(&["audit", "verify"]).await?;
        report.check("audit verify holds", audit.status.success());
        fresh.push(made);
        existing.push(received);
    }
    for (what, rate, goal) in [
        ("commands that begin a stream", median(fresh), Goal::a_second(64_000, 128_000)),
        ("commands on an existing stream", median(existing), Goal::a_second(50_000, 100_000)),
    ] {
        report.row(Row {
            name: format!("{what}, {}, below HTTP", bench.engine()),
            measured: format!("{rate} commands/s"),
            yardstick: String::new(),
            value: rate * 1_000,
            goal,
        });
    }
    Ok(report)
}
