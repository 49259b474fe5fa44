//! The invariants of the audit, and the list of its findings.

use std::collections::BTreeMap;

use jangbu_aggregates::DomainEvent;
use jangbu_kernel::{AggregateKind, Position, RecordedEvent, StreamId, Timestamp};
use serde::Serialize;

/// Findings that are kept with their text; further ones are only counted, so that a badly damaged
/// log does not fill the memory.
const KEPT: usize = 1_000;

macro_rules! invariants {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $statement:literal;)+) => {
        /// The rules that hold at every moment of the shop's life.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Invariant { $($(#[$doc])* $variant,)+ }

        impl Invariant {
            /// All of them, in the order of the report.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// The short name, as in `M2`.
            #[must_use]
            pub const fn code(self) -> &'static str { match self { $(Self::$variant => $code,)+ } }
            /// What has to hold.
            #[must_use]
            pub const fn statement(self) -> &'static str { match self { $(Self::$variant => $statement,)+ } }
        }
    };
}

invariants! {
    /// Nothing that was acknowledged is lost.
    L1 = "L1", "what was acknowledged is there: receipts, checkpoints and counters point into the log";
    /// Positions and versions have no gaps.
    L3 = "L3", "positions are 1..n and stream versions 1..n, without gaps";
    /// The hashes hold.
    L5 = "L5", "leaf hashes and sealed Merkle roots verify";
    /// Every event can be read.
    Decodes = "decodes", "every event fits its schema";
    /// A command acts once.
    L2 = "L2", "a command id has one append";
    /// The payments' sums and the books behind them agree.
    M1 = "M1", "captured less refunded equals the sum of the legs, per currency";
    /// Refunds stay within captures.
    M2 = "M2", "0 <= refunded <= captured <= total, at every moment";
    /// An order is paid once.
    M3 = "M3", "at most one captured payment per order, and the gateway's own list agrees";
    /// Totals add up.
    M5 = "M5", "lines less discount plus shipping is the total, and the legs sum to it";
    /// Points ledgers add up.
    M6 = "M6", "a points balance is the sum of its entries and never negative";
    /// Stock numbers are numbers of things.
    S1 = "S1", "on hand, reserved and allocated are never negative";
    /// What ended holds nothing.
    S2 = "S2", "a finished order holds no reservation";
    /// Nothing is sold twice.
    S3 = "S3", "no more is promised than is available and may be promised ahead";
    /// Levels are told.
    S4 = "S4", "that stock ran low, was depleted or came back is told once, by what made it so";
    /// Goods are somewhere.
    S5 = "S5", "at no location are there fewer than none, and no more of a transfer arrives than was sent";
    /// Every process ends.
    G1 = "G1", "every fulfilment ends";
    /// What was undone is undone.
    G2 = "G2", "a cancelled, expired or failed order holds nothing and has charged nothing";
    /// Nothing is sent unpaid.
    G3 = "G3", "no parcel leaves without captured money that was not given back";
    /// What comes back is paid for once.
    R1 = "R1", "no more comes back than was sold, and what came back is refunded or sent again once";
    /// A process knows what happened.
    W1 = "W1", "whatever a process learns from it is told in the same append";
    /// One live token.
    T1 = "T1", "at most one live refresh token in a family";
    /// The views tell the truth.
    P1 = "P1", "a read model equals the fold of the log at its checkpoint";
}

/// What has to be read completely before an invariant can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// The rows as they are stored.
    Rows,
    /// Every event from the first to the last.
    Events,
    /// Every event, and the gateway's own list.
    EventsAndBooks,
    /// The read models.
    ReadModels,
}

impl Invariant {
    /// What has to be read for it. Until then the invariant is not checked, which is not the same
    /// as broken 0 times.
    #[must_use]
    pub const fn ground(self) -> Ground {
        match self {
            Self::L1 | Self::L3 | Self::L5 => Ground::Rows,
            Self::Decodes
            | Self::L2
            | Self::M1
            | Self::M2
            | Self::M5
            | Self::M6
            | Self::S1
            | Self::S2
            | Self::S3
            | Self::S4
            | Self::S5
            | Self::G1
            | Self::G2
            | Self::G3
            | Self::R1
            | Self::W1
            | Self::T1 => Ground::Events,
            Self::M3 => Ground::EventsAndBooks,
            Self::P1 => Ground::ReadModels,
        }
    }
}

impl Serialize for Invariant {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.code())
    }
}

/// A place where an invariant does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The invariant that does not hold.
    pub invariant: Invariant,
    /// The position in the log at which it showed.
    pub position: Position,
    /// The stream it is about.
    pub stream: Option<StreamId>,
    /// What is wrong, one sentence without personal data.
    pub detail: String,
}

/// All findings, bounded.
#[derive(Debug, Default)]
pub struct Findings {
    kept: Vec<Violation>,
    counts: BTreeMap<Invariant, u64>,
}

impl Findings {
    /// Records a violation.
    pub fn report(
        &mut self,
        invariant: Invariant,
        position: Position,
        stream: impl Into<Option<StreamId>>,
        detail: impl Into<String>,
    ) {
        *self.counts.entry(invariant).or_default() += 1;
        if self.kept.len() < KEPT {
            self.kept.push(Violation { invariant, position, stream: stream.into(), detail: detail.into() });
        }
    }

    /// Adds another list of findings.
    pub fn add(&mut self, other: Self) {
        for (invariant, count) in other.counts {
            *self.counts.entry(invariant).or_default() += count;
        }
        let room = KEPT.saturating_sub(self.kept.len());
        self.kept.extend(other.kept.into_iter().take(room));
    }

    /// Whether there are no findings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How often an invariant was broken.
    #[must_use]
    pub fn count(&self, invariant: Invariant) -> u64 {
        self.counts.get(&invariant).copied().unwrap_or(0)
    }

    /// The findings in order of position, at most the first thousand.
    #[must_use]
    pub fn in_order(&self) -> Vec<Violation> {
        let mut found = self.kept.clone();
        found.sort_by_key(|violation| violation.position);
        found
    }
}

/// An event as the checks see it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The envelope.
    pub event: &'a RecordedEvent,
    /// Its decoded content.
    pub domain: &'a DomainEvent,
}

impl Seen<'_> {
    /// Records a violation at this event.
    pub fn report(&self, findings: &mut Findings, invariant: Invariant, detail: impl Into<String>) {
        findings.report(invariant, self.event.position, self.event.stream, detail);
    }
}

/// What is known after the last event.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// The wall clock.
    pub now: Timestamp,
    /// How long a process may make no progress before that is a finding.
    pub patience: chrono::TimeDelta,
}

/// The events that a check looks at. It is given no others.
#[derive(Clone, Copy, Debug)]
pub struct Looks {
    /// All events of these kinds of streams.
    pub kinds: &'static [AggregateKind],
    /// And these types.
    pub types: &'static [&'static str],
}

impl Looks {
    /// Whether it looks at events of this type.
    #[must_use]
    pub fn at(&self, event_type: &str) -> bool {
        let (kind, _) = event_type.split_once('.').unwrap_or((event_type, ""));
        self.types.contains(&event_type) || self.kinds.iter().any(|looked_at| looked_at.name() == kind)
    }
}

/// A pure fold over the log that checks some invariants.
pub trait Check: Send {
    /// Its name in the table of coverage.
    fn name(&self) -> &'static str;
    /// Which events it looks at.
    fn looks(&self) -> Looks;
    /// Processes the next event.
    fn observe(&mut self, seen: Seen<'_>, findings: &mut Findings);
    /// Checks what remains at the end of the log.
    fn finish(&mut self, _end: End, _findings: &mut Findings) {}
}
