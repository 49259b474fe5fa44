//! The yardsticks alone.

use crate::bench::Bench;
use crate::orders::{OrderPlan, Pay};
use crate::report::{Report, median};

/// Measures them as the other cases do, and what a request costs the load generator.
pub(super) async fn alone(bench: &Bench) -> anyhow::Result<Report> {
    let mut report = Report::new("yardsticks");
    let orders = OrderPlan::of_nothing_in_particular(Pay::SomeWithPoints);
    let place = bench.place().await?;
    let (mut echoes, mut disks, mut inserts) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=bench.args.rounds {
        let echo = bench.echo(&orders).await?;
        report.tally(&format!("round_{round}_echo"), &echo);
        echoes.push(echo.rate());
        disks.push(bench.fdatasync_us().await?);
        inserts.push(bench.inserts(&place).await?);
    }
    report.figure("typed_echo_per_second", median(echoes));
    report.figure("fdatasync_p50_us", median(disks));
    report.figure("raw_inserts_per_second", median(inserts));
    Ok(report)
}
