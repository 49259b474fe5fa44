//! Floor 3, the audit: holds a log, event by event, against the shop's invariants.
//!
//! The checks do not reuse the aggregates' own folds: a rule that is wrong there
//! would excuse itself here. Each group is a pure fold over (envelope, event) in a
//! file of its own; a new invariant is a line in [`finding`] and a fold. `jangbu audit
//! verify` feeds them a real log, the simulation every log that it makes.
//!
//! What never may live here: I/O, a clock, and the code under audit (an aggregate's
//! `evolve` or `decide`). Where to start: [`Auditor`], then `money.rs`.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a check names the events it looks at; most are none of its business"
)]

mod commands;
pub mod finding;
pub mod gateway_books;
mod money;
mod points;
mod process;
mod sessions;
mod stock;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::wildcard_imports, reason = "tests")]
mod spec;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::wildcard_imports, reason = "tests")]
mod story;

pub use finding::{Check, End, Findings, Ground, Invariant, Seen, Violation};

/// Every check of the domain's invariants.
pub struct Auditor {
    payments: money::Payments,
    checks: Vec<Box<dyn Check>>,
    findings: Findings,
}

impl Default for Auditor {
    fn default() -> Self {
        Self {
            payments: money::Payments::default(),
            checks: vec![
                Box::<commands::Commands>::default(),
                Box::<money::Totals>::default(),
                Box::<points::Ledgers>::default(),
                Box::<stock::Stock>::default(),
                Box::<process::Fulfilments>::default(),
                Box::<sessions::Sessions>::default(),
            ],
            findings: Findings::default(),
        }
    }
}

impl Auditor {
    /// Looks at the next event.
    pub fn observe(&mut self, seen: Seen<'_>) {
        self.payments.observe(seen, &mut self.findings);
        for check in &mut self.checks {
            check.observe(seen, &mut self.findings);
        }
    }

    /// Holds a gateway's own list against what the log says it took. Where the shop was at
    /// work meanwhile, `as_of` is a position that the log had before the list was read: what
    /// moved behind it is left out.
    #[must_use]
    pub fn compare_with_gateway(
        &self,
        gateway: &str,
        charges: &[gateway_books::GatewayCharge],
        as_of: u64,
    ) -> Findings {
        let mut findings = Findings::default();
        self.payments.compare_with_gateway(gateway, charges, as_of, &mut findings);
        findings
    }

    /// The findings so far, to add what other parts of the audit see.
    pub fn findings(&mut self) -> &mut Findings {
        &mut self.findings
    }

    /// What was found, once the log is at its end.
    #[must_use]
    pub fn finish(mut self, end: End) -> Findings {
        self.payments.finish(end, &mut self.findings);
        for check in &mut self.checks {
            check.finish(end, &mut self.findings);
        }
        self.findings
    }
}
