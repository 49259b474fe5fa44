//! A run: its arguments, what its cases share, and its result.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::OnceCell;

use crate::args::{BenchArgs, Case};
use crate::load::{Plan, Tally};
use crate::orders::OrderPlan;
use crate::place::Place;
use crate::postgres::{self, Cluster};
use crate::report::{self, Report};
use crate::server::ServerUnderTest;
use crate::shop::{PLENTY, Shop, Size};
use crate::yardsticks::{self, Echo};
use crate::{cases, machine};

/// Warm-up of the echo.
const ECHO_WARMUP: Duration = Duration::from_secs(1);

/// A run of the bench: its arguments, and what the cases share.
pub struct Bench {
    /// The arguments.
    pub args: BenchArgs,
    folder: PathBuf,
    cluster: Option<Cluster>,
    echo: OnceCell<Echo>,
    places: AtomicU32,
    // Removes the folder when dropped.
    _temporary: Option<tempfile::TempDir>,
}

impl Bench {
    async fn start(args: BenchArgs) -> anyhow::Result<Self> {
        let below = args.folder.clone().unwrap_or_else(std::env::temp_dir);
        std::fs::create_dir_all(&below)?;
        let mut temporary = Some(tempfile::Builder::new().prefix("jangbu-bench.").tempdir_in(&below)?);
        let folder = temporary.as_ref().map_or(below.clone(), |made| made.path().to_owned());
        if args.keep
            && let Some(kept) = temporary.take()
        {
            eprintln!("the data stays in {}", kept.keep().display());
        }
        let cluster = if args.postgres { Some(Cluster::start(&below).await?) } else { None };
        Ok(Self { args, folder, cluster, echo: OnceCell::new(), places: AtomicU32::new(0), _temporary: temporary })
    }

    /// The engine's name.
    #[must_use]
    pub const fn engine(&self) -> &'static str {
        if self.on_postgres() { "Postgres" } else { "embedded" }
    }

    /// Whether Postgres is measured.
    #[must_use]
    pub const fn on_postgres(&self) -> bool {
        self.args.postgres || self.args.database_url.is_some()
    }

    /// A place for a new shop.
    ///
    /// # Errors
    /// When no folder or database can be made.
    pub async fn place(&self) -> anyhow::Result<Place> {
        let number = self.places.fetch_add(1, Ordering::Relaxed) + 1;
        let data_dir = self.folder.join(format!("shop-{number}"));
        std::fs::create_dir_all(&data_dir)?;
        let name = format!("bench_{}_{number}", std::process::id());
        let database_url = match (&self.cluster, &self.args.database_url) {
            (Some(cluster), _) => Some(postgres::create_database(&cluster.url("postgres"), &name).await?),
            (None, Some(given)) if number == 1 => Some(given.clone()),
            (None, Some(given)) => Some(postgres::create_database(given, &name).await?),
            (None, None) => None,
        };
        Ok(Place::new(data_dir, database_url))
    }

    /// A new server with nothing in it.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn server(&self, roles: &str) -> anyhow::Result<ServerUnderTest> {
        ServerUnderTest::start(self.place().await?, roles).await
    }

    /// A new server with a shop of the requested size.
    ///
    /// # Errors
    /// When it does not start, or refuses.
    pub async fn shop(&self, roles: &str) -> anyhow::Result<(ServerUnderTest, Shop)> {
        let server = self.server(roles).await?;
        let shop = self.stock(&server).await?;
        Ok((server, shop))
    }

    /// Creates the shop of the requested size in a running server.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn stock(&self, server: &ServerUnderTest) -> anyhow::Result<Shop> {
        let (products, buyers) = (self.args.products, self.args.buyers);
        Shop::create(server, Size { products, units: PLENTY, buyers, with_points: true }).await
    }

    /// The typed echo of orders, with as many connections as the cases have.
    ///
    /// # Errors
    /// When the echo does not answer.
    pub async fn echo(&self, orders: &OrderPlan) -> anyhow::Result<Tally> {
        let echo = self.echo.get_or_try_init(Echo::start).await?;
        let measured = Duration::from_secs(self.args.echo_seconds);
        echo.measure(orders, self.args.connections, Plan { warmup: ECHO_WARMUP, measured, pace: None }).await
    }

    /// Processor time, in nanoseconds, that the typed echo takes for one order at a pace.
    ///
    /// # Errors
    /// When the echo does not answer.
    pub async fn echo_ns(&self, orders: &OrderPlan, connections: usize, pace: u64) -> anyhow::Result<u64> {
        let echo = self.echo.get_or_try_init(Echo::start).await?;
        let measured = Duration::from_secs(self.args.echo_seconds);
        let begun = echo.processor_time()?;
        let plan = Plan { warmup: Duration::ZERO, measured, pace: Some(pace) };
        let tally = echo.measure(orders, connections, plan).await?;
        Ok(report::each(echo.processor_time()?.saturating_sub(begun), tally.answers()))
    }

    /// The p99 of durable commits while nothing else runs but the same checkpoints, in
    /// microseconds.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn commit_p99_us(&self, place: &Place) -> anyhow::Result<u64> {
        match &place.database_url {
            Some(url) => yardsticks::postgres_commit_p99_us(url).await,
            None => yardsticks::embedded_commit_p99_us(&self.folder).await,
        }
    }

    /// The median of a durable write of 4 KiB beside the data, in microseconds.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn fdatasync_us(&self) -> anyhow::Result<u64> {
        yardsticks::fdatasync_p50_us(&self.folder).await
    }

    /// Rows of a log that the engine inserts in a second.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn inserts(&self, place: &Place) -> anyhow::Result<u64> {
        match &place.database_url {
            Some(url) => yardsticks::postgres_inserts_per_second(url).await,
            None => yardsticks::embedded_inserts_per_second(&self.folder).await,
        }
    }

    fn describe(&self, report: &mut Report) {
        report.figure("machine", machine::describe(&self.folder));
        report.figure("scheduling", machine::scheduling());
        let engine = match (&self.cluster, &self.args.database_url) {
            (Some(cluster), _) => format!("{}, defaults, fsync on, scheduled as the server", cluster.version()),
            (None, Some(_)) => "a Postgres of yours, scheduled as you started it".to_owned(),
            (None, None) => "SQLite, synchronous=FULL".to_owned(),
        };
        report.figure("engine", engine);
        report.figure("rounds", self.args.rounds);
    }

    async fn finish(self) -> anyhow::Result<()> {
        if let Some(echo) = self.echo.into_inner() {
            echo.stop().await?;
        }
        if let Some(cluster) = self.cluster {
            cluster.stop().await?;
        }
        Ok(())
    }
}

/// Measures and prints. True when every check held.
///
/// # Errors
/// When a server cannot be started or driven.
pub async fn run(args: BenchArgs) -> anyhow::Result<bool> {
    if args.case == Case::EchoServer {
        return yardsticks::echo::serve().await.map(|()| true);
    }
    machine::schedule(args.plain);
    machine::allow_many_files();
    let args = args.sized();
    let cases = cases::of(&args);
    let (out, as_json, several) = (args.out.clone(), args.json, cases.len() > 1);
    let bench = Bench::start(args).await?;
    let mut reports = Vec::new();
    let mut failed = false;
    for case in cases {
        match cases::run(&bench, case).await {
            Ok(mut report) => {
                bench.describe(&mut report);
                report.print(as_json);
                reports.push(report);
            }
            // One failed case does not end the others.
            Err(error) if several => {
                eprintln!("{case:?} could not be measured: {error:#}");
                failed = true;
            }
            Err(error) => return Err(error),
        }
    }
    bench.finish().await?;
    let table = report::markdown(&reports);
    if several && !as_json {
        println!("{table}");
    }
    if let Some(file) = out {
        std::fs::write(&file, table).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(!failed && reports.iter().all(Report::holds))
}
