//! One pass over the whole log: what the store verifies, and the shop's invariants over every
//! intact event. The read models and the gateway's books are compared separately.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jangbu_aggregates::DomainEvent;
use jangbu_audit::gateway_books::GatewayCharge;
use jangbu_audit::{Auditor, End, Findings, Ground, Invariant, Seen, Violation};
use jangbu_kernel::Position;
use jangbu_kernel::log::LogError;
use jangbu_projections::{Compared, ComparedView};
use jangbu_store::row::StoredRow;
use jangbu_store::{Flaw, Ledger, Pages, Verification, verify_each};
use serde::Serialize;

/// The result of an audit.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether everything that was checked holds.
    pub ok: bool,
    /// Whether the log itself is intact.
    pub log_holds: bool,
    /// Whether the read models are the fold of the log; null: not checked.
    pub read_models_agree: Option<bool>,
    /// Whether the gateway's books have the same charges; null: not checked.
    pub gateway_agrees: Option<bool>,
    /// Events that were checked.
    pub events: u64,
    /// Streams that they belong to.
    pub streams: u64,
    /// Sealed roots that were recomputed.
    pub roots: u64,
    /// Receipts that were checked.
    pub receipts: u64,
    /// The Merkle root over all events, hexadecimal.
    pub root: String,
    /// Events after the newest sealed root: their hashes are right, but no root covers them yet.
    pub unsealed: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Events a second.
    pub events_per_second: u64,
    /// How often each invariant was broken; null: it was not checked.
    pub invariants: BTreeMap<&'static str, Option<u64>>,
    /// Why each of the unchecked ones was not checked.
    pub not_checked: BTreeMap<&'static str, String>,
    /// The first position at which the log is not intact.
    pub first_bad_position: Option<Position>,
    /// Findings in order of position, at most the first thousand of each part.
    pub violations: Vec<Violation>,
}

/// A log that has been read to its end, or as far as it is readable.
pub struct Audit {
    log: Verification,
    auditor: Auditor,
    took: Duration,
    read_models: Result<Findings, String>,
    books: Result<Findings, String>,
}

/// Reads and checks the log. `progress` is called with the position reached.
///
/// # Errors
/// When the store cannot be read. A broken invariant is not an error but part of the result.
pub async fn verify(log: &dyn Ledger, progress: impl FnMut(u64) + Send) -> Result<Audit, LogError> {
    let began = Instant::now();
    let mut auditor = Auditor::default();
    let verified = verify_each(log, Pages::default(), |row| observe(&mut auditor, row), progress).await?;
    for flaw in &verified.flaws {
        auditor.findings().report(invariant_of(flaw), flaw.position(), None, flaw.to_string());
    }
    Ok(Audit {
        log: verified,
        auditor,
        took: began.elapsed(),
        read_models: Err("the read models were not compared".to_owned()),
        books: Err("the gateway's books were not read".to_owned()),
    })
}

fn observe(auditor: &mut Auditor, row: StoredRow) {
    let position = row.position;
    let event = match row.into_event() {
        Ok(event) => event,
        Err(error) => return auditor.findings().report(Invariant::Decodes, position, None, error.to_string()),
    };
    match DomainEvent::try_from(&event) {
        Ok(domain) => auditor.observe(Seen { event: &event, domain: &domain }),
        Err(error) => auditor.findings().report(Invariant::Decodes, position, event.stream, error.to_string()),
    }
}

const fn invariant_of(flaw: &Flaw) -> Invariant {
    match flaw {
        Flaw::Position { .. } | Flaw::Version { .. } | Flaw::Counter { .. } | Flaw::Index { .. } => Invariant::L3,
        Flaw::Hash { .. }
        | Flaw::Unreadable { .. }
        | Flaw::Root { .. }
        | Flaw::RootAltered { .. }
        | Flaw::Frontier { .. }
        | Flaw::FrontierAltered { .. }
        | Flaw::RootGone { .. }
        | Flaw::FrontierGone { .. }
        | Flaw::Unsealed { .. }
        | Flaw::Truncated { .. } => Invariant::L5,
        Flaw::Lost { .. } | Flaw::Receipt { .. } | Flaw::Snapshot { .. } => Invariant::L1,
    }
}

impl Audit {
    /// Whether the log is readable to its end; if not, the read models cannot be compared with it.
    #[must_use]
    pub const fn rows_hold(&self) -> bool {
        self.log.handed_on
    }

    /// Compares the log with the list of one of the gateways. The list has to be read before the
    /// log, when the log had at least `as_of` events.
    pub fn compare_with_gateway(&mut self, gateway: &str, charges: &[GatewayCharge], as_of: Position) {
        let found = self.auditor.compare_with_gateway(gateway, charges, as_of);
        match &mut self.books {
            Ok(books) => books.add(found),
            Err(_) => self.books = Ok(found),
        }
    }

    /// Notes why the gateway's list was not compared with the log.
    pub fn without_gateway(&mut self, why: impl Into<String>) {
        self.books = Err(why.into());
    }

    /// Notes why the read models were not compared.
    pub fn without_read_models(&mut self, why: impl Into<String>) {
        self.read_models = Err(why.into());
    }

    /// Notes that the read models are present but unreadable.
    pub fn read_models_are_damaged(&mut self, why: &str) {
        let mut findings = Findings::default();
        findings.report(Invariant::P1, self.log.end(), None, format!("the read models cannot be read: {why}"));
        self.read_models = Ok(findings);
    }

    /// Adds the findings of a comparison with the read models.
    pub fn compare_with_read_models(&mut self, views: &[ComparedView]) {
        let mut findings = Findings::default();
        let mut left_out = Vec::new();
        for ComparedView { name, position, outcome, .. } in views {
            match outcome {
                Compared::Rows { differences: 0, .. } => {}
                Compared::Rows { differences, examples } => {
                    let examples: Vec<_> =
                        examples.iter().map(|example| format!("{} {}", example.id, example.what)).collect();
                    let detail = format!(
                        "{differences} rows of {name} differ from the fold of the log, the first: {}",
                        examples.join(", ")
                    );
                    findings.report(Invariant::P1, *position, None, detail);
                }
                Compared::Ahead => {
                    let head = self.log.end();
                    let detail = format!("the log ends at position {head}, but {name} shows it up to {position}");
                    self.auditor.findings().report(Invariant::L1, head.next(), None, detail);
                    self.log.handed_on = false;
                    left_out.push(*name);
                }
                Compared::OtherVersion | Compared::Missing => left_out.push(name),
            }
        }
        self.read_models = if findings.is_empty() && !left_out.is_empty() {
            Err(format!("{} cannot be compared", left_out.join(", ")))
        } else {
            Ok(findings)
        };
    }

    /// The result.
    #[must_use]
    pub fn finish(self, end: End) -> Report {
        let Self { log, mut auditor, took, read_models, books } = self;
        // Events after the damage were not read, so a process that seems open need not be.
        let findings = if log.handed_on { auditor.finish(end) } else { std::mem::take(auditor.findings()) };
        let none = Findings::default();
        let (models, charges) = (read_models.as_ref().unwrap_or(&none), books.as_ref().unwrap_or(&none));
        let unchecked = Unchecked { log: &log, read_models: read_models.as_ref().err(), books: books.as_ref().err() };
        let mut invariants = BTreeMap::new();
        let mut not_checked = BTreeMap::new();
        for invariant in Invariant::ALL {
            let count = findings.count(*invariant) + models.count(*invariant) + charges.count(*invariant);
            // An invariant that was found broken is reported as broken, even if other checks were
            // left out.
            let why = unchecked.why(*invariant).filter(|_| count == 0);
            invariants.insert(invariant.code(), why.is_none().then_some(count));
            not_checked.extend(why.map(|why| (invariant.code(), why)));
        }
        let log_violations = findings.in_order();
        let first_bad_position = log_violations.first().map(|violation| violation.position);
        let mut violations = log_violations;
        violations.extend(models.in_order().into_iter().chain(charges.in_order()));
        violations.sort_by_key(|violation| violation.position);
        Report {
            ok: violations.is_empty(),
            log_holds: findings.is_empty(),
            read_models_agree: read_models.as_ref().ok().map(Findings::is_empty),
            gateway_agrees: books.as_ref().ok().map(Findings::is_empty),
            events: log.events,
            streams: log.streams,
            roots: log.roots,
            receipts: log.receipts,
            root: log.root.iter().map(|byte| format!("{byte:02x}")).collect(),
            unsealed: log.sealed.behind(log.end()),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            events_per_second: crate::output::per_second(log.events, took),
            invariants,
            not_checked,
            first_bad_position,
            violations,
        }
    }
}

/// The checks that were left out, and why.
struct Unchecked<'a> {
    log: &'a Verification,
    read_models: Option<&'a String>,
    books: Option<&'a String>,
}

impl Unchecked<'_> {
    fn why(&self, invariant: Invariant) -> Option<String> {
        let unread = (!self.log.handed_on).then(|| {
            let first = self.log.flaw().map_or(self.log.end().next(), Flaw::position);
            format!("the log is damaged at position {first}: what follows says nothing about the shop")
        });
        match invariant.ground() {
            Ground::Rows => {
                (!self.log.complete).then(|| format!("the log cannot be followed behind position {}", self.log.events))
            }
            Ground::Events => unread,
            Ground::EventsAndBooks => unread.or_else(|| self.books.cloned()),
            Ground::ReadModels => self.read_models.cloned(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
