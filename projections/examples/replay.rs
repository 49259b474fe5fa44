//! How fast the read models are, compared with what limits them: reading and parsing the log.
//!
//! `cargo run --release -p jangbu-projections --example replay -- FOLDER|postgres://...` takes an
//! existing log (`jangbu-bench replay --keep --folder FOLDER` makes one), rebuilds all existing
//! views in place, and follows the log from its beginning into a temporary folder. Nothing else may
//! use the log meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jangbu_aggregates::DomainEvent;
use jangbu_kernel::log::{EventLog, ReadFilter};
use jangbu_kernel::ports::Clock;
use jangbu_kernel::{Position, Timestamp};
use jangbu_projections::{Options, Projector, ReadModels, RebuildOptions};
use jangbu_store::postgres::PostgresStore;
use jangbu_store::sqlite::SqliteStore;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAGE: usize = 4_000;
const LIMIT: Duration = Duration::from_secs(600);

struct Standing;
impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }
}

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let place = std::env::args().nth(1).ok_or("which folder, or which database?")?;
    let log: Arc<dyn EventLog> = if place.starts_with("postgres") {
        Arc::new(PostgresStore::connect(&place, jangbu_store::postgres::Options::default()).await?)
    } else {
        Arc::new(SqliteStore::open_read_only(&place, jangbu_store::sqlite::Options::default())?)
    };
    let read = read_and_parse(&log).await?;
    let models = if place.starts_with("postgres") {
        ReadModels::connect_postgres(&place, Options::default()).await?
    } else {
        ReadModels::open_sqlite(place.as_ref(), Options::default()).await?
    };
    let projector = Projector::spawn(Arc::clone(&log), models.clone(), Arc::new(Standing));
    // A rebuild swaps at the position of the live tables, so it would wait for them.
    let head = log.head().await?;
    if !projector.wait_for(head, tokio::time::Instant::now() + LIMIT).await {
        return Err("not caught up in time".into());
    }
    let options =
        RebuildOptions { verify: std::env::args().any(|word| word == "--verify"), ..RebuildOptions::default() };
    let report = projector.rebuild(&[], options, |_| {}).await?;
    tell("rebuild", report.events, report.elapsed, read);
    for view in report.views.iter().filter(|view| view.differences.is_some_and(|differences| differences > 0)) {
        println!("{} differs: {:?}", view.name, view.examples);
    }
    projector.stop().await;
    models.close().await;
    if !place.starts_with("postgres") {
        let folder = tempfile::tempdir()?;
        let models = ReadModels::open_sqlite(folder.path(), Options::default()).await?;
        let begun = Instant::now();
        let projector = Projector::spawn(Arc::clone(&log), models.clone(), Arc::new(Standing));
        if !projector.wait_for(head, tokio::time::Instant::now() + LIMIT).await {
            return Err("not caught up in time".into());
        }
        tell("follow", head.get(), begun.elapsed(), read);
        projector.stop().await;
        models.close().await;
    }
    Ok(())
}

/// The baseline: the log read in pages, with every payload parsed into its type.
async fn read_and_parse(log: &Arc<dyn EventLog>) -> Result<f64, Failure> {
    let (begun, mut after) = (Instant::now(), Position::ZERO);
    loop {
        let (events, end) = log.read_all(after, PAGE, &ReadFilter::default()).await?;
        if events.is_empty() {
            break;
        }
        for event in &events {
            std::hint::black_box(DomainEvent::try_from(event)?);
        }
        after = end;
    }
    let rate = rate(after.get(), begun.elapsed());
    println!("{:10} {rate:10.0} events/s", "read+parse");
    Ok(rate)
}

#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "rates of a measurement are not money")]
fn rate(events: u64, elapsed: Duration) -> f64 {
    events as f64 / elapsed.as_secs_f64()
}

#[expect(clippy::float_arithmetic, reason = "rates of a measurement are not money")]
fn tell(what: &str, events: u64, elapsed: Duration, read: f64) {
    let rate = rate(events, elapsed);
    println!("{what:10} {rate:10.0} events/s, {:.3} of read+parse", rate / read);
}
