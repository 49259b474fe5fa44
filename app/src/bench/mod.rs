//! `jangbu bench`: starts a real server as a process of its own, drives it over
//! HTTP, and checks the shop's invariants afterwards.

mod cases;
mod load;
mod report;
mod seed;
mod server;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use self::server::ServerUnderTest;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// The full path of placing an order: token, validation, prices, stock of 1-3
    /// lines, a fifth with points, receipt.
    PlaceOrder,
    /// Many buyers, one product, a bounded stock: exactly the stock is sold.
    FlashSale,
    /// From placed to paid to a parcel that is ready, with the sandbox gateway in a
    /// process of its own.
    Saga,
    /// Rebuilding every read model from the log.
    Replay,
}

/// What `jangbu bench` can be told.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  jangbu bench place-order                               embedded store, 60 s, 256 connections
  jangbu bench place-order --database-url postgres://... the same on Postgres
  jangbu bench flash-sale --units 1000 --attempts 10000
  jangbu bench saga --seconds 20 --connections 32
  jangbu bench replay --orders 50000

The server is a process of its own with a data folder of its own, on loopback. The
figures of a shared machine vary: compare medians of several rounds.")]
pub struct BenchArgs {
    /// What to measure.
    pub case: Case,
    /// Seconds that count.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// Seconds before, that do not count.
    #[arg(long, default_value_t = 5)]
    pub warmup: u64,
    /// Keep-alive connections, each with one request under way.
    #[arg(long, default_value_t = 256)]
    pub connections: usize,
    /// Products in the shop.
    #[arg(long, default_value_t = 10_000)]
    pub products: usize,
    /// Buyers in the shop.
    #[arg(long, default_value_t = 64)]
    pub buyers: usize,
    /// flash-sale: units for sale.
    #[arg(long, default_value_t = 1_000)]
    pub units: u32,
    /// flash-sale: attempts to buy one.
    #[arg(long, default_value_t = 10_000)]
    pub attempts: usize,
    /// replay: orders in the log.
    #[arg(long, default_value_t = 20_000)]
    pub orders: usize,
    /// Parts of the server that run; place-order can be measured with `api` alone.
    #[arg(long, default_value = "api,projector,process-manager")]
    pub roles: String,
    /// A Postgres database to use instead of the embedded store. It must be empty.
    #[arg(long, env = "JANGBU_BENCH_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Keep the data folder here instead of a temporary one.
    #[arg(long)]
    pub keep: Option<PathBuf>,
}

impl BenchArgs {
    fn measured(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
    fn warmup(&self) -> Duration {
        Duration::from_secs(self.warmup)
    }
}

/// Measures and prints. True when every check held.
///
/// # Errors
/// When the server cannot be started or driven.
pub async fn run(args: &BenchArgs, as_json: bool) -> anyhow::Result<bool> {
    let server = ServerUnderTest::start(args).await?;
    let outcome = match args.case {
        Case::PlaceOrder => cases::place_order(args, &server).await,
        Case::FlashSale => cases::flash_sale(args, &server).await,
        Case::Saga => cases::saga(args, &server).await,
        Case::Replay => cases::replay(args, &server).await,
    };
    // The server is stopped whether or not the case could be carried out.
    let finished = server.finish().await?;
    let mut report = outcome?;
    report.check("the server ended cleanly", finished.clean_exit);
    report.check("audit verify holds", finished.audit_holds);
    report.print(as_json);
    Ok(report.holds())
}
