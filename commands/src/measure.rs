//! Counts in the type that metrics take, and the metrics of the decider.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use metrics::{Counter, Gauge, Histogram};

/// A count as a metric's value, at most 2^32 - 1.
pub(crate) fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The metrics of the decider. They are created once, because looking one up by its name and labels
/// takes longer than counting.
pub(crate) struct Figures {
    pub queue_depth: Gauge,
    pub cached_states: Gauge,
    pub batch_events: Histogram,
    pub commit_seconds: Histogram,
    pub stages: Stages,
    /// By command and outcome.
    pub commands: Labelled,
    /// Commands of processes that were decided in a walk, by command and outcome.
    pub walked: Labelled,
}

impl Figures {
    /// Must be called after the recorder of metrics is installed.
    pub fn new() -> Self {
        Self {
            queue_depth: metrics::gauge!("jangbu_command_queue_depth"),
            cached_states: metrics::gauge!("jangbu_decider_cached_states"),
            batch_events: metrics::histogram!("jangbu_command_batch_events"),
            commit_seconds: metrics::histogram!("jangbu_commit_seconds"),
            stages: Stages::new(),
            commands: Labelled::new(
                |command, outcome| metrics::counter!("jangbu_commands_total", "command" => command, "outcome" => outcome),
            ),
            walked: Labelled::new(
                |command, outcome| metrics::counter!("jangbu_process_commands_total", "command" => command, "outcome" => outcome),
            ),
        }
    }
}

/// The stages of a command, between these moments: accepted, decided, sent to the log, durable
/// there, answered.
const STAGES: [&str; 4] = ["queued", "batched", "committed", "settled"];

/// How long commands stay in each stage.
pub(crate) struct Stages([Histogram; 4]);

impl Stages {
    fn new() -> Self {
        Self(STAGES.map(|stage| metrics::histogram!("jangbu_command_stage_seconds", "stage" => stage)))
    }

    /// Records the moments of one command, in their order.
    pub fn record(&self, moments: [Instant; 5]) {
        for (stage, between) in self.0.iter().zip(moments.windows(2)) {
            if let [from, to] = between {
                stage.record(to.saturating_duration_since(*from).as_secs_f64());
            }
        }
    }
}

type Label = &'static str;

/// Counters of one name that differ in two labels. Their number is limited, because all labels are
/// constants of the program.
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
