//! One pass over the whole log: chain, schemas, invariants.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use jangbu_aggregates::DomainEvent;
use jangbu_audit::gateway_books::GatewayCharge;
use jangbu_audit::{Auditor, End, Invariant, Seen, Violation};
use jangbu_kernel::log::{LogError, SealedRoot};
use jangbu_store::row::StoredRow;
use jangbu_store::{Flaw, Ledger, LogVerifier};
use serde::Serialize;

use crate::operator::RebuiltLine;

/// Rows of one page. A page is read while the one before is checked.
const PAGE: usize = 4_000;
/// Sealed roots read at once.
const ROOTS_PAGE: usize = 10_000;

/// What an audit came to.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether everything holds.
    pub ok: bool,
    /// Events that were checked.
    pub events: u64,
    /// Streams they belong to.
    pub streams: u64,
    /// Sealed roots that were recomputed.
    pub roots: u64,
    /// The Merkle root over all events, hexadecimal.
    pub root: String,
    /// Events behind the newest sealed root: their hashes hold, but no root vouches for them yet.
    pub unsealed: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Events a second.
    pub events_per_second: u64,
    /// How often each invariant was broken.
    pub invariants: BTreeMap<&'static str, u64>,
    /// The first position at which something does not hold.
    pub first_bad_position: Option<u64>,
    /// What was found, in order of position, at most the first thousand.
    pub violations: Vec<Violation>,
}

/// What is being checked. It is cut short where the log is damaged: what stands
/// behind that says nothing about the shop.
struct Pass {
    verifier: LogVerifier,
    auditor: Auditor,
    streams: u64,
    damaged: bool,
}

/// A log that has been read to its end.
pub struct Audit {
    pass: Pass,
    roots: Roots,
    took: Duration,
}

/// Reads and checks the log. `progress` is told how far it is.
///
/// # Errors
/// When the store cannot be read. What does not hold is no error but the result.
pub async fn verify(log: &dyn Ledger, mut progress: impl FnMut(u64)) -> Result<Audit, LogError> {
    let began = Instant::now();
    let mut pass = Pass { verifier: LogVerifier::default(), auditor: Auditor::default(), streams: 0, damaged: false };
    let mut roots = Roots::default();
    let mut rows = log.rows(0, PAGE).await?;
    while !rows.is_empty() && !pass.damaged {
        let after = rows.last().map_or(0, |row| row.position);
        let sealed = roots.up_to(log, after).await?;
        let check = tokio::task::spawn_blocking(move || {
            pass.page(rows, &sealed);
            pass
        });
        let (checked, next) = tokio::join!(check, log.rows(after, PAGE));
        pass = checked.map_err(|error| LogError::Damaged(format!("the check broke off: {error}")))?;
        rows = next?;
        progress(pass.verifier.frontier().size());
    }
    if !pass.damaged {
        roots.check_rest(log, &mut pass).await?;
    }
    Ok(Audit { pass, roots, took: began.elapsed() })
}

impl Audit {
    /// Holds the gateway's own list against the log.
    pub fn compare_with_gateway(&mut self, charges: &[GatewayCharge]) {
        if !self.pass.damaged {
            self.pass.auditor.compare_with_gateway(charges);
        }
    }

    /// Takes note of what a comparison of the read models found.
    pub fn compare_with_read_models(&mut self, views: &[RebuiltLine]) {
        let head = self.pass.verifier.frontier().size();
        for view in views.iter().filter(|view| view.differences.is_some_and(|differences| differences > 0)) {
            let detail = format!(
                "{} rows of {} differ from the fold of the log, the first: {}",
                view.differences.unwrap_or(0),
                view.projection,
                view.examples.join(", ")
            );
            self.pass.auditor.findings().report(Invariant::P1, head, None, detail);
        }
    }

    /// What it all came to.
    #[must_use]
    pub fn finish(self, end: End) -> Report {
        let Self { mut pass, roots, took } = self;
        let events = pass.verifier.frontier().size();
        let root = pass.verifier.frontier().root();
        // Behind a damage nothing was read, so what is open there is not yet a finding.
        let findings = if pass.damaged { std::mem::take(pass.auditor.findings()) } else { pass.auditor.finish(end) };
        let violations = findings.in_order();
        Report {
            ok: findings.is_empty(),
            events,
            streams: pass.streams,
            roots: roots.seen,
            root: root.iter().map(|byte| format!("{byte:02x}")).collect(),
            unsealed: events.saturating_sub(roots.newest),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            events_per_second: crate::output::per_second(events, took),
            invariants: Invariant::ALL.iter().map(|invariant| (invariant.code(), findings.count(*invariant))).collect(),
            first_bad_position: violations.first().map(|violation| violation.position),
            violations,
        }
    }
}

impl Pass {
    fn page(&mut self, rows: Vec<StoredRow>, sealed: &[SealedRoot]) {
        let mut sealed = sealed.iter().peekable();
        for row in rows {
            if let Err(flaw) = self.verifier.push(&row) {
                return self.damage(&flaw);
            }
            self.streams += u64::from(row.version == 1);
            while let Some(root) = sealed.next_if(|root| root.size <= row.position) {
                if let Err(flaw) = self.verifier.check_root(root) {
                    return self.damage(&flaw);
                }
            }
            self.event(row);
        }
    }

    fn event(&mut self, row: StoredRow) {
        let position = row.position;
        let event = match row.into_event() {
            Ok(event) => event,
            Err(error) => return self.auditor.findings().report(Invariant::Decodes, position, None, error.to_string()),
        };
        match DomainEvent::try_from(&event) {
            Ok(domain) => self.auditor.observe(Seen { event: &event, domain: &domain }),
            Err(error) => {
                self.auditor.findings().report(Invariant::Decodes, position, event.stream, error.to_string());
            }
        }
    }

    fn damage(&mut self, flaw: &Flaw) {
        self.damaged = true;
        let (invariant, position) = match flaw {
            Flaw::Position { expected, .. } => (Invariant::L3, *expected),
            Flaw::Version { position, .. } => (Invariant::L3, *position),
            Flaw::Hash { position } => (Invariant::L5, *position),
            Flaw::Root { size } => (Invariant::L5, *size),
            Flaw::Truncated { head, .. } => (Invariant::L5, head + 1),
        };
        self.auditor.findings().report(invariant, position, None, flaw.to_string());
    }
}

/// The sealed roots in order.
#[derive(Default)]
struct Roots {
    waiting: VecDeque<SealedRoot>,
    read_to: u64,
    ended: bool,
    seen: u64,
    newest: u64,
}

impl Roots {
    /// The roots over no more than `size` events that were not handed out before.
    async fn up_to(&mut self, log: &dyn Ledger, size: u64) -> Result<Vec<SealedRoot>, LogError> {
        let mut found = Vec::new();
        loop {
            while let Some(root) = self.waiting.pop_front_if(|root| root.size <= size) {
                self.seen += 1;
                self.newest = root.size;
                found.push(root);
            }
            if !self.waiting.is_empty() || self.ended {
                return Ok(found);
            }
            let page = log.sealed_roots(self.read_to, ROOTS_PAGE).await?;
            self.ended = page.len() < ROOTS_PAGE;
            self.read_to = page.last().map_or(self.read_to, |root| root.size);
            self.waiting = page.into();
        }
    }

    /// A root that is left covers more events than there are: unless they came after
    /// the last look, the end of the log was cut off.
    async fn check_rest(&mut self, log: &dyn Ledger, pass: &mut Pass) -> Result<(), LogError> {
        let read = pass.verifier.frontier().size();
        let Some(root) = self.waiting.front() else { return Ok(()) };
        if log.rows(read, 1).await?.is_empty() {
            pass.damage(&Flaw::Truncated { sealed: root.size, head: read });
        }
        Ok(())
    }
}
