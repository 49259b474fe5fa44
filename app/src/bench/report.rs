//! Figures, and the checks behind them.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// What was answered, and how fast.
pub struct Tally {
    /// Created before counting began.
    pub warmed_up: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Refusals by code.
    pub codes: BTreeMap<String, u64>,
    /// Microseconds to each 201.
    pub latency: Histogram<u64>,
    /// How long was counted.
    pub elapsed: Duration,
}

/// Answers are told apart by three digits, up to two minutes.
const LONGEST_US: u64 = 120_000_000;

impl Tally {
    /// Nothing counted yet.
    ///
    /// # Errors
    /// When the histogram cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            warmed_up: 0,
            statuses: BTreeMap::new(),
            codes: BTreeMap::new(),
            latency: Histogram::new_with_bounds(1, LONGEST_US, 3)?,
            elapsed: Duration::ZERO,
        })
    }
    /// How many were created while it counted.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.statuses.get(&201).copied().unwrap_or_default()
    }
    /// Answers that blame the server.
    #[must_use]
    pub fn server_errors(&self) -> u64 {
        self.statuses.range(500..).map(|(_, count)| count).sum()
    }
}

/// The result of a case.
#[derive(Default)]
pub struct Report {
    case: &'static str,
    figures: Vec<(String, Value)>,
    checks: Vec<(String, bool)>,
}

impl Report {
    /// An empty report.
    #[must_use]
    pub fn new(case: &'static str) -> Self {
        Self { case, ..Self::default() }
    }

    /// Adds a figure; its name ends in its unit.
    pub fn figure(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.push((name.to_owned(), value.into()));
    }

    /// Adds a check.
    pub fn check(&mut self, what: &str, holds: bool) {
        self.checks.push((what.to_owned(), holds));
    }

    /// Adds the figures of a load.
    pub fn tally(&mut self, tally: &Tally) {
        self.figure("created", tally.created());
        self.figure("created_per_second", per_second(tally.created(), tally.elapsed));
        for (name, quantile) in [("p50_us", 0.5), ("p99_us", 0.99), ("p99_9_us", 0.999)] {
            self.figure(name, tally.latency.value_at_quantile(quantile));
        }
        self.figure("worst_us", tally.latency.max());
        self.figure("statuses", json!(tally.statuses));
        if !tally.codes.is_empty() {
            self.figure("codes", json!(tally.codes));
        }
        self.check("no server error", tally.server_errors() == 0);
    }

    /// Whether every check held.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|(_, holds)| *holds)
    }

    /// Prints the report on standard output.
    pub fn print(&self, as_json: bool) {
        if as_json {
            let figures: serde_json::Map<String, Value> = self.figures.iter().cloned().collect();
            let checks: serde_json::Map<String, Value> =
                self.checks.iter().map(|(what, holds)| (what.clone(), json!(holds))).collect();
            println!("{}", json!({"case": self.case, "figures": figures, "checks": checks}));
            return;
        }
        println!("{}", self.case);
        for (name, value) in &self.figures {
            println!("  {name:<24} {value}");
        }
        for (what, holds) in &self.checks {
            println!("  {:<24} {what}", if *holds { "holds" } else { "DOES NOT HOLD" });
        }
    }
}

/// A whole rate; nothing in no time.
#[must_use]
pub fn per_second(count: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1_000) / millis
}
