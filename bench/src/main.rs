//! Floor 6, the bench `jangbu-bench`: starts real servers as processes of their own,
//! drives them over HTTP, measures the machine's yardsticks in between, and checks the
//! shop's invariants afterwards.
//!
//! What never may live here: anything that the shop needs to run. From `app` it uses the parts of
//! its commands: a client, the configuration, the write side without HTTP.
//!
//! Start with [`mod@bench`], which is a run; [`args`] are the arguments; `cases/` is one file a
//! family of cases; [`load`] is the load generator; `yardsticks/` is what the figures are compared
//! with; [`offline`] makes large logs quickly. docs/BENCHMARKS.md says how to read the result.

mod args;
mod bench;
mod cases;
mod load;
mod machine;
mod moments;
mod offline;
mod orders;
mod place;
mod postgres;
mod report;
mod server;
mod shop;
mod yardsticks;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::BenchArgs;

/// The server's allocator: some cases decide and commit in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match jangbu_app::threads::run(bench::run(BenchArgs::parse())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(1)
        }
    }
}
