//! What was answered, and how fast.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Deserialize;

use super::wire::Answer;
use crate::report::per_second;

/// What was answered, and how fast.
pub struct Tally {
    /// Successful answers to requests that were sent before counting began.
    pub warmed_up: u64,
    /// Successful answers within the time that counts.
    pub in_time: u64,
    /// Answers by status; of the warm-up only the unsuccessful ones.
    pub statuses: BTreeMap<u16, u64>,
    /// Refusals by code.
    pub codes: BTreeMap<String, u64>,
    /// Microseconds to each successful answer.
    pub latency: Histogram<u64>,
    /// How long was counted.
    pub elapsed: Duration,
    /// Processor time of the load generator's thread, warm-up included.
    pub own_cpu: Duration,
}

/// Latencies are kept with three digits, up to two minutes.
const LONGEST_US: u64 = 120_000_000;

#[derive(Deserialize)]
struct Refusal {
    code: String,
}

impl Tally {
    /// Nothing counted yet.
    ///
    /// # Errors
    /// When the histogram cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            warmed_up: 0,
            in_time: 0,
            statuses: BTreeMap::new(),
            codes: BTreeMap::new(),
            latency: Histogram::new_with_bounds(1, LONGEST_US, 3)?,
            elapsed: Duration::ZERO,
            own_cpu: Duration::ZERO,
        })
    }

    pub(super) fn count(
        &mut self,
        answer: &Answer<'_>,
        took: Duration,
        counts: bool,
        in_time: bool,
    ) -> anyhow::Result<()> {
        let success = (200..300).contains(&answer.status);
        if !success {
            let code = serde_json::from_slice(answer.body).map_or_else(|_| "none".to_owned(), |Refusal { code }| code);
            *self.codes.entry(code).or_default() += 1;
        }
        self.in_time += u64::from(success && in_time);
        if success && !counts {
            self.warmed_up += 1;
            return Ok(());
        }
        *self.statuses.entry(answer.status).or_default() += 1;
        if success {
            self.latency.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).min(LONGEST_US))?;
        }
        Ok(())
    }

    /// How many were created after the warm-up.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.statuses.get(&201).copied().unwrap_or_default()
    }

    /// Answers of any kind.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Answers with a status of 5xx, also during the warm-up.
    #[must_use]
    pub fn server_errors(&self) -> u64 {
        self.statuses.range(500..).map(|(_, count)| count).sum()
    }

    /// Whether every answer had this status.
    #[must_use]
    pub fn only(&self, wanted: u16) -> bool {
        self.statuses.keys().all(|status| *status == wanted)
    }

    /// Nanoseconds of a processor that one request cost the load generator.
    #[must_use]
    pub fn own_ns(&self) -> u64 {
        let requests = u128::from(self.answers() + self.warmed_up).max(1);
        u64::try_from(self.own_cpu.as_nanos() / requests).unwrap_or(u64::MAX)
    }

    /// Successes a second.
    #[must_use]
    pub fn rate(&self) -> u64 {
        per_second(self.in_time, self.elapsed)
    }

    /// Latency at this quantile of the answers, in microseconds.
    #[must_use]
    pub fn quantile_us(&self, quantile: f64) -> u64 {
        self.latency.value_at_quantile(quantile)
    }
}
