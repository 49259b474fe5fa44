//! Counts as the metrics take them, and the figures of the decider.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram};

/// A count as a metric's value; beyond four billion it says four billion.
pub(crate) fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The figures of the decider. They are made once: to find one among all by its name and
/// labels takes longer than to count.
pub(crate) struct Figures {
    pub queue_depth: Gauge,
    pub cached_states: Gauge,
    pub batch_events: Histogram,
    pub commit_seconds: Histogram,
    /// By command and outcome.
    pub commands: Labelled,
    /// Commands of processes that were decided in a walk, by command and outcome.
    pub walked: Labelled,
}

impl Figures {
    /// The recorder of metrics is installed by now.
    pub fn new() -> Self {
        Self {
            queue_depth: metrics::gauge!("jangbu_command_queue_depth"),
            cached_states: metrics::gauge!("jangbu_decider_cached_states"),
            batch_events: metrics::histogram!("jangbu_command_batch_events"),
            commit_seconds: metrics::histogram!("jangbu_commit_seconds"),
            commands: Labelled::new(
                |command, outcome| metrics::counter!("jangbu_commands_total", "command" => command, "outcome" => outcome),
            ),
            walked: Labelled::new(
                |command, outcome| metrics::counter!("jangbu_process_commands_total", "command" => command, "outcome" => outcome),
            ),
        }
    }
}

type Label = &'static str;

/// Counters of one name, which differ in two labels; there are as many as there are words of
/// the program for both.
pub(crate) struct Labelled {
    make: fn(Label, Label) -> Counter,
    made: Mutex<HashMap<(Label, Label), Counter>>,
}

impl Labelled {
    fn new(make: fn(Label, Label) -> Counter) -> Self {
        Self { make, made: Mutex::default() }
    }

    /// Counts one more.
    pub fn count(&self, one: Label, other: Label) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry((one, other)).or_insert_with(|| (self.make)(one, other)).increment(1);
    }
}
