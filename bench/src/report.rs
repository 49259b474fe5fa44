//! Figures, what they are compared with, and the checks of a run.

use std::time::Duration;

use serde_json::{Value, json};

use super::load::Tally;

/// The goal of a figure.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// The lower goal, in thousandths of the unit.
    pub reach: u64,
    /// The higher goal, in thousandths of the unit; none for a figure that only must not regress.
    pub moonshot: Option<u64>,
    /// Whether more is better.
    pub more_is_better: bool,
    /// What is counted: a share of the yardstick, or a unit.
    pub unit: &'static str,
}

impl Goal {
    /// A share of a yardstick's rate, in thousandths.
    #[must_use]
    pub const fn share(reach: u64, moonshot: u64) -> Self {
        Self { reach, moonshot: Some(moonshot), more_is_better: true, unit: "" }
    }

    /// A share of a yardstick's rate below which the figure has regressed, in thousandths.
    #[must_use]
    pub const fn floor(reach: u64) -> Self {
        Self { reach, moonshot: None, more_is_better: true, unit: "" }
    }

    /// At least this many a second.
    #[must_use]
    pub const fn a_second(reach: u64, moonshot: u64) -> Self {
        Self { reach: reach * 1_000, moonshot: Some(moonshot * 1_000), more_is_better: true, unit: "/s" }
    }

    /// At most this many thousandths of the unit.
    #[must_use]
    pub const fn at_most(reach: u64, moonshot: u64, unit: &'static str) -> Self {
        Self { reach, moonshot: Some(moonshot), more_is_better: false, unit }
    }

    fn says(&self, value: u64) -> &'static str {
        let better = |than: u64| if self.more_is_better { value >= than } else { value <= than };
        match (self.moonshot.is_some_and(better), better(self.reach)) {
            (true, _) => "moonshot",
            (false, true) => "reach",
            (false, false) => "missed",
        }
    }
}

/// A line of the table: a case against its yardstick.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was measured, with its engine.
    pub name: String,
    /// The figure in its own unit.
    pub measured: String,
    /// The yardstick with its figure; empty when there is none.
    pub yardstick: String,
    /// Thousandths of the goal's unit.
    pub value: u64,
    /// Its goal.
    pub goal: Goal,
}

impl Row {
    fn cells(&self) -> [String; 7] {
        let with_unit = |value: u64| {
            let unit = self.goal.unit;
            format!("{}{}{unit}", thousandths(value), if unit.is_empty() { "" } else { " " })
        };
        [
            self.name.clone(),
            self.measured.clone(),
            self.yardstick.clone(),
            with_unit(self.value),
            with_unit(self.goal.reach),
            self.goal.moonshot.map_or_else(String::new, with_unit),
            self.goal.says(self.value).to_owned(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "measured": self.measured, "yardstick": self.yardstick,
            "value_thousandths": self.value, "unit": self.goal.unit, "reach_thousandths": self.goal.reach,
            "moonshot_thousandths": self.goal.moonshot, "verdict": self.goal.says(self.value),
        })
    }
}

const COLUMNS: [&str; 7] = ["case", "measured", "yardstick of the same run", "result", "reach", "moonshot", "verdict"];

/// The result of a case.
#[derive(Default)]
pub struct Report {
    case: String,
    figures: Vec<(String, Value)>,
    rows: Vec<Row>,
    checks: Vec<(String, bool)>,
}

impl Report {
    /// An empty report.
    #[must_use]
    pub fn new(case: &str) -> Self {
        Self { case: case.to_owned(), ..Self::default() }
    }

    /// Adds a figure; its name ends in its unit.
    pub fn figure(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.push((name.to_owned(), value.into()));
    }

    /// Adds a line of the table.
    pub fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Adds a check. A check that is added twice holds only if both do.
    pub fn check(&mut self, what: &str, holds: bool) {
        match self.checks.iter_mut().find(|(known, _)| known == what) {
            Some((_, all)) => *all &= holds,
            None => self.checks.push((what.to_owned(), holds)),
        }
    }

    /// Adds the figures of a load, under this name.
    pub fn tally(&mut self, name: &str, tally: &Tally) {
        self.figure(
            name,
            json!({
                "per_second": tally.rate(),
                "created": tally.created(),
                "p50_us": tally.quantile_us(0.5),
                "p99_us": tally.quantile_us(0.99),
                "p99_9_us": tally.quantile_us(0.999),
                "worst_us": tally.latency.max(),
                "load_generator_cpu_ns": tally.own_ns(),
                "statuses": tally.statuses,
                "codes": tally.codes,
            }),
        );
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
            let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
            println!("{}", json!({"case": self.case, "rows": rows, "figures": figures, "checks": checks}));
            return;
        }
        println!("{}", self.case);
        for (name, value) in &self.figures {
            println!("  {name:<28} {value}");
        }
        for (what, holds) in &self.checks {
            println!("  {:<28} {what}", if *holds { "holds" } else { "DOES NOT HOLD" });
        }
        if !self.rows.is_empty() {
            println!("\n{}", markdown([self]));
        }
    }
}

/// The lines of several reports as one Markdown table.
#[must_use]
pub fn markdown<'a>(reports: impl IntoIterator<Item = &'a Report>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut table = line(&COLUMNS.map(ToOwned::to_owned));
    table.push_str(&line(&COLUMNS.map(|_| "---".to_owned())));
    for report in reports {
        for row in &report.rows {
            let mut cells = row.cells();
            if let Some(last) = cells.last_mut().filter(|_| !report.holds()) {
                last.push_str(", CHECK FAILED");
            }
            table.push_str(&line(&cells));
        }
    }
    table
}

/// A rate as a whole number; 0 for an empty duration.
#[must_use]
pub fn per_second(count: u64, elapsed: Duration) -> u64 {
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).max(1);
    u64::try_from(u128::from(count) * 1_000_000 / u128::from(micros)).unwrap_or(u64::MAX)
}

/// Nanoseconds of a duration per item.
#[must_use]
pub fn each(time: Duration, count: u64) -> u64 {
    u64::try_from(time.as_nanos() / u128::from(count.max(1))).unwrap_or(u64::MAX)
}

/// One figure as thousandths of another.
#[must_use]
pub fn ratio(value: u64, of: u64) -> u64 {
    u64::try_from(u128::from(value) * 1_000 / u128::from(of.max(1))).unwrap_or(u64::MAX)
}

/// The middle one; of an even number the upper of the two.
#[must_use]
pub fn median(values: impl IntoIterator<Item = u64>) -> u64 {
    let mut sorted: Vec<u64> = values.into_iter().collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn thousandths(value: u64) -> String {
    let (whole, rest) = (value / 1_000, value % 1_000);
    // Three digits are enough for a share, but would cut a large number.
    if whole >= 100 { whole.to_string() } else { format!("{whole}.{rest:03}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_knows_which_way_is_better() {
        let share = Goal::share(200, 450);
        assert_eq!([199, 200, 450].map(|value| share.says(value)), ["missed", "reach", "moonshot"]);
        let at_most = Goal::at_most(60_000, 20_000, "times");
        assert_eq!([60_001, 60_000, 20_000].map(|value| at_most.says(value)), ["missed", "reach", "moonshot"]);
    }

    #[test]
    fn a_failed_check_shows_in_the_table() {
        let mut report = Report::new("case");
        let (name, measured, yardstick) = ("place-order".to_owned(), "1/s".to_owned(), String::new());
        report.row(Row { name, measured, yardstick, value: 501, goal: Goal::share(200, 450) });
        assert!(markdown([&report]).ends_with("| 0.501 | 0.200 | 0.450 | moonshot |\n"));
        report.check("nothing is lost", true);
        report.check("nothing is lost", false);
        assert!(markdown([&report]).contains("CHECK FAILED"));
    }

    #[test]
    fn the_middle_is_found_and_ratios_do_not_overflow() {
        assert_eq!([median([]), median([3]), median([9, 1, 5])], [0, 3, 5]);
        assert_eq!([ratio(1, 4), ratio(u64::MAX, 1), ratio(7, 0)], [250, u64::MAX, 7_000]);
    }
}
