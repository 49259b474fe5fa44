//! `jangbu-simulate`: the whole shop on a simulated world, over many seeds.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;
use jangbu_simulation::{Failure, Fault, Fleet, ORDERS, Outcome, Point, Summary, run as run_seed};
use serde::Serialize;

/// The server's allocator, because this runs the server's parts.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often progress is printed.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Failing seeds after which the run ends: only the first ones are examined.
const MAX_FAILURES: usize = 20;
/// With fewer seeds, a rare path that was not taken means nothing.
const MIN_SEEDS_FOR_POINTS: u64 = 1_000;

/// Run the whole shop on a simulated world, fault upon fault, and check that it holds
#[derive(Debug, Parser)]
#[command(
    name = "jangbu-simulate",
    version,
    after_help = "\
A run is a shop with 50 orders and about 50 faults: lost and late answers, webhooks twice and
in disorder, nodes killed at any await, commits that fail or whose outcome is unknown, a second
node that writes the same streams, clocks that are put forward and back. Then the faults stop
and everything has to come to rest; the invariants are checked after every event and at rest.
A seed decides everything: the same seed is the same run.

Examples:
  jangbu-simulate --seeds 3000            from seed 1, on all cores
  jangbu-simulate --seeds 500 --from 9000
  jangbu-simulate --seed 4711             one run again, told line by line
  jangbu-simulate --seeds 3000 --json | jq .never_reached

Exit codes: 0 everything held; 1 a seed failed, or, over 1,000 seeds or more, one of the rare
paths was never taken."
)]
struct Arguments {
    /// How many seeds
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    from: u64,
    /// Run this seed only and tell its story
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Runs side by side; all cores when absent
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Machine-readable output: one JSON object
    #[arg(long)]
    json: bool,
}

/// The result, for programs.
#[derive(Serialize)]
struct Report {
    ok: bool,
    seeds: u64,
    repeated: u64,
    took_ms: u64,
    seeds_per_hour: u64,
    seeds_per_hour_and_core: u64,
    orders: u64,
    events: u64,
    simulated_hours: u64,
    faults: Vec<Count>,
    points: Vec<Count>,
    never_reached: Vec<&'static str>,
    failures: Vec<FailureLine>,
}

#[derive(Serialize)]
struct Count {
    name: &'static str,
    count: u64,
}

#[derive(Serialize)]
struct FailureLine {
    seed: u64,
    invariant: &'static str,
    detail: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = io::stdout().lock();
    let (held, printed) = match arguments.seed {
        Some(seed) => replay(seed, &mut out),
        None => many(&arguments, &mut out),
    };
    match printed {
        // A reader that closes the output early, as `head` does, does not turn a failed check into
        // a passed one.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(1)
        }
        Ok(()) | Err(_) => ExitCode::from(u8::from(!held)),
    }
}

/// Runs one seed and prints what happened; whether it passed, and whether printing succeeded.
fn replay(seed: u64, out: &mut impl Write) -> (bool, io::Result<()>) {
    let outcome = run_seed(seed, true);
    let story = outcome.story.iter().try_for_each(|line| writeln!(out, "{line}"));
    (outcome.broken.is_none(), story.and_then(|()| tell_end(&outcome, out)))
}

fn tell_end(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let faults: u32 = outcome.faults.iter().sum();
    writeln!(
        out,
        "seed {}: {} orders, {} events, {faults} faults, {} s of simulated time, trace {:016x}",
        outcome.seed,
        outcome.orders,
        outcome.events,
        outcome.simulated_ms / 1_000,
        outcome.trace
    )?;
    match &outcome.broken {
        Some(broken) => writeln!(out, "{} does NOT hold: {}", broken.invariant, broken.detail),
        None => writeln!(out, "everything held"),
    }
}

/// Runs many seeds; whether all passed, and whether printing succeeded.
fn many(arguments: &Arguments, out: &mut impl Write) -> (bool, io::Result<()>) {
    let threads = arguments
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get))
        .max(1);
    let fleet = Fleet { from: arguments.from, seeds: arguments.seeds, threads };
    let began = Instant::now();
    let told = Mutex::new(began);
    let summary = fleet.sail(|summary| {
        // Called from any thread; one that finds the lock taken prints nothing.
        if let Ok(mut told) = told.try_lock()
            && told.elapsed() >= TELL_EVERY
        {
            *told = Instant::now();
            let rate = per_second(summary.runs, began.elapsed());
            let failed = summary.failures.len();
            let _ = writeln!(
                io::stderr(),
                "simulating: {} of {} seeds, {rate} seeds/s, {} faults, {failed} failed",
                summary.runs,
                arguments.seeds,
                summary.all_faults()
            );
        }
        summary.failures.len() < MAX_FAILURES
    });
    let report = Report::new(&summary, began.elapsed(), threads);
    let printed = if arguments.json { print_json(&report, out) } else { print(&report, out) };
    (report.ok, printed)
}

impl Report {
    fn new(summary: &Summary, took: Duration, threads: usize) -> Self {
        let judged = summary.runs >= MIN_SEEDS_FOR_POINTS;
        let never: Vec<Point> = if judged { summary.never_reached() } else { Vec::new() };
        let runs = summary.runs.saturating_add(summary.repeated);
        let hourly = per_second(runs.saturating_mul(3_600), took);
        Self {
            ok: summary.failures.is_empty() && never.is_empty(),
            seeds: summary.runs,
            repeated: summary.repeated,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            seeds_per_hour: hourly,
            seeds_per_hour_and_core: hourly / u64::try_from(threads).unwrap_or(1),
            orders: summary.orders,
            events: summary.events,
            simulated_hours: summary.simulated_ms / 3_600_000,
            faults: Fault::ALL.iter().map(|fault| Count { name: fault.name(), count: summary.fault(*fault) }).collect(),
            points: Point::ALL.iter().map(|point| Count { name: point.name(), count: summary.point(*point) }).collect(),
            never_reached: never.into_iter().map(Point::name).collect(),
            failures: summary.failures.iter().map(FailureLine::from).collect(),
        }
    }
}

impl From<&Failure> for FailureLine {
    fn from(failure: &Failure) -> Self {
        Self { seed: failure.seed, invariant: failure.invariant, detail: failure.detail.clone() }
    }
}

fn print_json(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let line = serde_json::to_string(report)?;
    writeln!(out, "{line}")
}

fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    print_counts(&report.faults, ["fault", "thrown"], out)?;
    print_counts(&report.points, ["rare path", "taken"], out)?;
    writeln!(
        out,
        "{} seeds of {ORDERS} orders and {} more to see that they repeat, {} orders, {} events, {} simulated hours, in {}.{} s: {} seeds an hour, {} on one core",
        report.seeds,
        report.repeated,
        report.orders,
        report.events,
        report.simulated_hours,
        report.took_ms / 1_000,
        report.took_ms % 1_000 / 100,
        report.seeds_per_hour,
        report.seeds_per_hour_and_core,
    )?;
    for name in &report.never_reached {
        writeln!(out, "never taken: {name}")?;
    }
    for failure in &report.failures {
        writeln!(out, "seed {}: {} does NOT hold: {}", failure.seed, failure.invariant, failure.detail)?;
    }
    if let Some(failure) = report.failures.first() {
        writeln!(out, "see what happened: jangbu-simulate --seed {}", failure.seed)?;
    }
    writeln!(out, "{}", if report.ok { "everything held" } else { "the simulation FAILED" })
}

fn print_counts(counts: &[Count], [name, number]: [&str; 2], out: &mut impl Write) -> io::Result<()> {
    let width = counts.iter().map(|count| count.name.len()).chain([name.len()]).max().unwrap_or_default();
    writeln!(out, "{name:width$}  {number}")?;
    counts.iter().try_for_each(|count| writeln!(out, "{:width$}  {}", count.name, count.count))
}

/// A rate, as a whole number a second.
fn per_second(things: u64, took: Duration) -> u64 {
    let micros = took.as_micros().max(1);
    u64::try_from(u128::from(things) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
