//! The command line of `jangbu-bench`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use super::load::Plan;
use super::server::ALL_ROLES;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Placing orders as fast as it goes: token, validation, prices, stock of 1-3 lines,
    /// a fifth with points, receipt; and its p99 at 70 % of that (against: typed echo, fdatasync)
    PlaceOrder,
    /// One client at a time (against: fdatasync)
    OneClient,
    /// Processor time of an unpaid order and of one carried to a ready parcel, at paced loads
    /// (against: typed echo, /livez)
    OrderTime,
    /// The highest paced rate of mixed orders that everything keeps up with, found by halving;
    /// and at 70 % of it the p99 of an answer and the time from paid to a ready parcel
    /// (against: bare commits)
    Sustained,
    /// The first order of a new buyer (against: the next one of the same buyer)
    NewBuyer,
    /// The worst answer at 8 and at 32 clients
    WorstAnswer,
    /// Commands with an idempotency key against the same without, below HTTP
    Receipt,
    /// Many buyers, one product, a bounded stock: exactly the stock is sold (against: place-order)
    FlashSale,
    /// 200 and 2,000 buyers at once of a stock of 100: exactly 100 orders, the others a typed 409
    Buyers,
    /// From placed to paid to a parcel that is ready, the gateway in a process of its own
    /// (against: place-order)
    Saga,
    /// place-order with projections and process manager, against `api` alone
    Roles,
    /// place-order while all read models are rebuilt, against without
    Rebuild,
    /// Two nodes on one Postgres, on different and on the same products, against one node
    TwoNodes,
    /// Commands on existing streams, against commands that begin one
    ExistingStream,
    /// Commands of one event each without HTTP, on fresh and on existing streams
    Commands,
    /// Rebuilding all read models (against: reading and parsing the log)
    Replay,
    /// How far the read models are behind at half of place-order's maximum
    Lag,
    /// The first and a deep page of the order list at --orders orders
    OrderList,
    /// A stock stream of --facts facts, loaded cold
    StockStream,
    /// place-order with --events events in the log, against an empty one
    Growth,
    /// Bytes on disk, against the events' own bytes
    StoredBytes,
    /// From the start of the process to ready, with --start-events events
    Start,
    /// Memory of the server at rest and under load
    Memory,
    /// The yardsticks alone, and what a request costs the load generator
    Yardsticks,
    /// What somebody who runs a shop needs to know, and one table at the end: order-time,
    /// sustained, new-buyer, saga, replay, place-order
    Essentials,
    /// Every case that the engine has, and one table at the end
    All,
    /// The typed echo; the bench starts it
    #[value(hide = true)]
    EchoServer,
}

/// Measure a real server over HTTP and check the invariants afterwards
#[derive(Clone, Debug, Parser)]
#[command(
    name = "jangbu-bench",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  jangbu-bench place-order                          embedded store, 3 rounds of 60 s, 256 connections
  jangbu-bench place-order --postgres               the same on a Postgres that it starts itself
  jangbu-bench flash-sale --units 1000 --attempts 10000
  jangbu-bench order-list --orders 1000000          with as many orders as docs/BENCHMARKS.md
  jangbu-bench essentials --postgres                what a shop needs to know, about an hour
  jangbu-bench all --quick                          everything in small, in some minutes
  jangbu-bench all --out BENCH.md                   everything in full, in some hours

Each case starts servers as processes of their own (the program `jangbu` beside this one) on
loopback with folders of their own,
measures its yardsticks in between, holds the log against the shop's invariants
afterwards, and prints medians over the rounds with ratios to the yardsticks. Everything
runs under SCHED_RR (`chrt -r 1`) where that is allowed; the report says whether it was.
Exit code 1 when a check did not hold; a figure that misses its goal is no failure."
)]
pub struct BenchArgs {
    /// What to measure
    #[arg(hide_possible_values = false)]
    pub case: Case,
    /// Seconds of a round that count
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// Seconds of a round before, that do not count
    #[arg(long, default_value_t = 5)]
    pub warmup: u64,
    /// Seconds that the typed echo is measured in a round
    #[arg(long, default_value_t = 10)]
    pub echo_seconds: u64,
    /// Rounds, of which the median is taken
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Small and quick: 1 round of 5 s, 1,000 products, small logs; for trying things out
    #[arg(long)]
    pub quick: bool,
    /// Keep-alive connections, each with one request under way
    #[arg(long, default_value_t = 256)]
    pub connections: usize,
    /// Products in the shop
    #[arg(long, default_value_t = 10_000)]
    pub products: usize,
    /// Buyers in the shop
    #[arg(long, default_value_t = 64)]
    pub buyers: usize,
    /// new-buyer: people who sign up and buy
    #[arg(long, default_value_t = 400)]
    pub new_buyers: usize,
    /// place-order: measure the latency at this percentage of the maximum too; 0 does not
    #[arg(long, default_value_t = 70, value_parser = clap::value_parser!(u64).range(0..=100))]
    pub at_load: u64,
    /// flash-sale: units for sale
    #[arg(long, default_value_t = 1_000)]
    pub units: u32,
    /// flash-sale: attempts to buy one
    #[arg(long, default_value_t = 10_000)]
    pub attempts: usize,
    /// saga: orders that are carried through
    #[arg(long, default_value_t = 20_000)]
    pub sagas: usize,
    /// replay, order-list: orders in the log
    #[arg(long, default_value_t = 100_000)]
    pub orders: u64,
    /// stock-stream: facts in the stream
    #[arg(long, default_value_t = 1_000_000)]
    pub facts: u64,
    /// growth: events in the log
    #[arg(long, default_value_t = 10_000_000)]
    pub events: u64,
    /// start: events in the log
    #[arg(long, default_value_t = 1_000_000)]
    pub start_events: u64,
    /// Parts of the server that run
    #[arg(long, default_value = ALL_ROLES)]
    pub roles: String,
    /// Use Postgres and start one for it, with its own defaults, from Debian's package
    #[arg(long)]
    pub postgres: bool,
    /// Use this empty Postgres database instead; cases that need more make them beside it
    #[arg(long, env = "JANGBU_BENCH_DATABASE_URL", hide_env_values = true, conflicts_with = "postgres")]
    pub database_url: Option<String>,
    /// Make the data folders below this one, which has to be on a real disk [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Keep the data folders instead of removing them
    #[arg(long)]
    pub keep: bool,
    /// Do not ask for SCHED_RR: kinder to others on the machine, worse figures
    #[arg(long)]
    pub plain: bool,
    /// Write the table of Markdown into this file too
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Machine-readable output: one JSON object a case
    #[arg(long)]
    pub json: bool,
}

impl BenchArgs {
    /// With everything in small when that is wanted.
    #[must_use]
    pub fn sized(self) -> Self {
        if !self.quick {
            return self;
        }
        Self {
            seconds: self.seconds.min(5),
            warmup: self.warmup.min(1),
            echo_seconds: self.echo_seconds.min(2),
            rounds: 1,
            products: self.products.min(1_000),
            buyers: self.buyers.min(16),
            new_buyers: self.new_buyers.min(40),
            sagas: self.sagas.min(2_000),
            orders: self.orders.min(20_000),
            facts: self.facts.min(50_000),
            events: self.events.min(200_000),
            start_events: self.start_events.min(100_000),
            ..self
        }
    }

    /// How a round is carried out.
    #[must_use]
    pub const fn plan(&self) -> Plan {
        Plan { warmup: Duration::from_secs(self.warmup), measured: Duration::from_secs(self.seconds), pace: None }
    }
}
