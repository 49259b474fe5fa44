//! Many runs, each on one thread, and their combined result.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::names::{FAULTS, Fault, POINTS, Point};
use crate::run::{Outcome, run};
use crate::sim::lock;

/// One of this many runs is repeated, to check that it is reproducible.
const TWICE_EVERY: u64 = 64;

/// The seeds of the runs.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// The first seed.
    pub from: u64,
    /// Number of runs.
    pub seeds: u64,
    /// Runs in parallel.
    pub threads: usize,
}

/// A run in which an invariant was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// The invariant's short name.
    pub invariant: &'static str,
    /// What is wrong.
    pub detail: String,
}

/// The combined result of many runs.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Runs that were made.
    pub runs: u64,
    /// Runs that were made a second time.
    pub repeated: u64,
    /// Orders placed.
    pub orders: u64,
    /// Events written.
    pub events: u64,
    /// Simulated time, milliseconds.
    pub simulated_ms: u64,
    /// Faults by kind, in the order of [`Fault::ALL`].
    pub faults: Vec<u64>,
    /// Rare paths, in the order of [`Point::ALL`].
    pub points: Vec<u64>,
    /// The runs in which an invariant was broken, by seed.
    pub failures: Vec<Failure>,
}

impl Summary {
    /// How often a kind of fault occurred.
    #[must_use]
    pub fn fault(&self, fault: Fault) -> u64 {
        self.faults.get(fault.index()).copied().unwrap_or(0)
    }

    /// How often a rare path was taken.
    #[must_use]
    pub fn point(&self, point: Point) -> u64 {
        self.points.get(point.index()).copied().unwrap_or(0)
    }

    /// The rare paths that no run took.
    #[must_use]
    pub fn never_reached(&self) -> Vec<Point> {
        Point::ALL.iter().copied().filter(|point| self.point(*point) == 0).collect()
    }

    /// Faults of all kinds.
    #[must_use]
    pub fn all_faults(&self) -> u64 {
        self.faults.iter().sum()
    }

    fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.orders += outcome.orders as u64;
        self.events += outcome.events;
        self.simulated_ms += outcome.simulated_ms;
        self.faults.resize(FAULTS, 0);
        self.points.resize(POINTS, 0);
        let sums = self.faults.iter_mut().zip(&outcome.faults).chain(self.points.iter_mut().zip(&outcome.points));
        for (sum, count) in sums {
            *sum += u64::from(*count);
        }
        if let Some(broken) = &outcome.broken {
            self.fail(outcome.seed, broken.invariant, broken.detail.clone());
        }
    }

    fn fail(&mut self, seed: u64, invariant: &'static str, detail: String) {
        self.failures.push(Failure { seed, invariant, detail });
        self.failures.sort_by_key(|failure| failure.seed);
    }
}

impl Fleet {
    /// Makes the runs. `progress` is called with the results so far, from any thread, and returns
    /// whether to continue.
    pub fn sail(&self, progress: impl Fn(&Summary) -> bool + Sync) -> Summary {
        let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let summary = Mutex::new(Summary::default());
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= self.seeds {
                            return;
                        }
                        self.one(number, &summary);
                        if !progress(&lock(&summary)) {
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        summary.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn one(&self, number: u64, summary: &Mutex<Summary>) {
        let seed = self.from.saturating_add(number);
        let outcome = run(seed, false);
        let again = number.is_multiple_of(TWICE_EVERY).then(|| run(seed, false));
        let mut summary = lock(summary);
        summary.add(&outcome);
        if let Some(again) = again {
            summary.repeated += 1;
            if again.trace != outcome.trace {
                let detail =
                    format!("two runs of the seed went differently: {:016x} and {:016x}", outcome.trace, again.trace);
                summary.fail(seed, "repeat", detail);
            }
        }
    }
}
