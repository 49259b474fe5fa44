//! Floor 3, the audit: checks a log, event by event, against the shop's invariants.
//!
//! The checks do not reuse the aggregates' own folds, because a wrong rule there would hide itself
//! here. Each group is a pure fold over (envelope, event) in a file of its own and names the events
//! it looks at; a new invariant is a line in [`finding`] and a fold, a new event a line in
//! `coverage.rs`. `jangbu audit verify` runs them on a real log, the simulation on every log that
//! it makes.
//!
//! What never may live here: I/O, a clock, and the code under audit (an aggregate's
//! `evolve` or `decide`). Where to start: [`Auditor`], then `money.rs`.

mod commands;
#[cfg(test)]
mod coverage;
pub mod finding;
pub mod gateway_books;
mod money;
mod points;
mod process;
mod returns;
mod sessions;
mod stock;
mod stock_levels;
mod walks;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::wildcard_imports, reason = "tests")]
mod spec;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::wildcard_imports, reason = "tests")]
mod story;

use std::collections::HashMap;

use jangbu_aggregates::DomainEvent;
use jangbu_kernel::Position;

pub use finding::{Check, End, Findings, Ground, Invariant, Looks, Seen, Violation};

/// The checks, except that of the payments.
fn checks() -> Vec<Box<dyn Check>> {
    vec![
        Box::<commands::Commands>::default(),
        Box::<money::Totals>::default(),
        Box::<points::Ledgers>::default(),
        Box::<stock::Stock>::default(),
        Box::<stock_levels::StockLevels>::default(),
        Box::<process::Fulfilments>::default(),
        Box::<returns::Returns>::default(),
        Box::<sessions::Sessions>::default(),
        Box::<walks::Walks>::default(),
    ]
}

/// The checks that look at an event.
#[derive(Default)]
struct Eyes {
    payments: bool,
    checks: Vec<usize>,
}

/// Every check of the domain's invariants.
pub struct Auditor {
    payments: money::Payments,
    checks: Vec<Box<dyn Check>>,
    /// By event type.
    eyes: HashMap<&'static str, Eyes>,
    findings: Findings,
}

impl Default for Auditor {
    fn default() -> Self {
        let (payments, checks) = (money::Payments::default(), checks());
        let eyes = |event_type| {
            let looking = checks.iter().enumerate().filter(|(_, check)| check.looks().at(event_type));
            Eyes { payments: payments.looks().at(event_type), checks: looking.map(|(index, _)| index).collect() }
        };
        let eyes = DomainEvent::types().map(|info| (info.event_type, eyes(info.event_type))).collect();
        Self { payments, checks, eyes, findings: Findings::default() }
    }
}

impl Auditor {
    /// Processes the next event.
    pub fn observe(&mut self, seen: Seen<'_>) {
        let Some(eyes) = self.eyes.get(seen.domain.event_type()) else { return };
        if eyes.payments {
            self.payments.observe(seen, &mut self.findings);
        }
        for index in &eyes.checks {
            if let Some(check) = self.checks.get_mut(*index) {
                check.observe(seen, &mut self.findings);
            }
        }
    }

    /// Compares a gateway's own list with the charges in the log. If the shop was running
    /// meanwhile, `as_of` is a position that the log had before the list was read: orders with
    /// later changes are left out.
    #[must_use]
    pub fn compare_with_gateway(
        &self,
        gateway: &str,
        charges: &[gateway_books::GatewayCharge],
        as_of: Position,
    ) -> Findings {
        let mut findings = Findings::default();
        self.payments.compare_with_gateway(gateway, charges, as_of, &mut findings);
        findings
    }

    /// The findings so far, so that other parts of the audit can add theirs.
    pub fn findings(&mut self) -> &mut Findings {
        &mut self.findings
    }

    /// The findings, after the end of the log.
    #[must_use]
    pub fn finish(mut self, end: End) -> Findings {
        self.payments.finish(end, &mut self.findings);
        for check in &mut self.checks {
            check.finish(end, &mut self.findings);
        }
        self.findings
    }
}
