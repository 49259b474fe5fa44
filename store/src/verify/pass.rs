//! One pass over rows and roots, without I/O.

use std::collections::HashMap;

use jangbu_kernel::log::SealedRoot;
use jangbu_kernel::{Position, Version};
use uuid::Uuid;

use super::{Flaw, MOST_FLAWS, Verification};
use crate::ledger::StoredFrontier;
use crate::merkle::MerkleFrontier;
use crate::row::StoredRow;

/// Seconds of work without a seal that mean that something is wrong. The sealer takes one second,
/// and a sealer that is restarted after a kill has only a moment to seal.
const SEALED_WITHIN_S: u64 = 30;
/// The same while there is no root at all: the first seal comes before the first request.
const FIRST_SEAL_WITHIN_S: u64 = 3;
/// A pause between two events counts as at most this much work, in milliseconds: a shop that was
/// idle or stopped had nothing to seal.
const PAUSE_MS: i64 = 2_000;

/// The state of a verification.
pub(super) struct Pass {
    frontier: MerkleFrontier,
    versions: HashMap<String, HashMap<Uuid, Version>>,
    streams: u64,
    roots: u64,
    receipts: u64,
    /// The newest seal when the pass began.
    seal: Option<StoredFrontier>,
    /// Whether the seal and its root fitted when the pass reached them.
    seal_fits: Option<bool>,
    root_of_seal_fits: Option<bool>,
    /// The first leaf from which the seal differs.
    seal_differs_from: Position,
    /// The newest root, and the newest seal that confirms the events before it.
    newest_root: Position,
    vouched_for: Position,
    /// Roots that do not fit, without a later one that does.
    doubtful: Vec<Position>,
    since_seal: Work,
    handed_on: bool,
    broken: bool,
    flaws: Vec<Flaw>,
}

/// How long the shop was at work, by the times of its events.
#[derive(Default)]
struct Work {
    milliseconds: u64,
    newest: Option<i64>,
}

impl Work {
    fn event(&mut self, at_ms: i64) {
        // A clock that was set back counts as no time.
        let since = self.newest.map_or(0, |before| at_ms.saturating_sub(before).clamp(0, PAUSE_MS));
        self.milliseconds = self.milliseconds.saturating_add(since.unsigned_abs());
        self.newest = Some(at_ms);
    }
}

impl Pass {
    pub(super) fn new(seal: Option<StoredFrontier>) -> Self {
        Self {
            frontier: MerkleFrontier::new(),
            versions: HashMap::new(),
            streams: 0,
            roots: 0,
            receipts: 0,
            seal,
            seal_fits: None,
            root_of_seal_fits: None,
            seal_differs_from: Position::FIRST,
            newest_root: Position::ZERO,
            vouched_for: Position::ZERO,
            doubtful: Vec::new(),
            since_seal: Work::default(),
            handed_on: true,
            broken: false,
            flaws: Vec::new(),
        }
    }

    /// The position of the last event so far.
    pub(super) const fn size(&self) -> Position {
        self.frontier.size()
    }

    /// The number of events that the newest root covers.
    pub(super) const fn newest_root(&self) -> Position {
        self.newest_root
    }

    /// Whether the rows cannot be checked any further.
    pub(super) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Notes a flaw.
    pub(super) fn note(&mut self, flaw: Flaw) {
        self.flaws.push(flaw);
        self.broken |= self.flaws.len() >= MOST_FLAWS;
    }

    /// Counts a receipt that was checked.
    pub(super) const fn receipt(&mut self) {
        self.receipts += 1;
    }

    /// Notes an event that the index of streams has no entry for, unless it already has a flaw.
    pub(super) fn is_not_in_index(&mut self, position: Position) {
        if !self.broken && !self.flaws.iter().any(|known| known.position() == position) {
            self.note(Flaw::Index { position, what: format!("does not lead to the event at position {position}") });
        }
    }

    /// Notes that the following rows cannot be read in their order.
    pub(super) fn breaks_off(&mut self, flaw: Flaw) {
        self.note(flaw);
        self.handed_on = false;
        self.broken = true;
    }

    /// Notes a root over more events than there are.
    pub(super) fn end_is_cut_off(&mut self, root: Position) {
        let sealed = self.seal.as_ref().map_or(root, |seal| seal.size.max(root));
        self.note(Flaw::Truncated { sealed, head: self.size() });
    }

    /// Checks a page of rows and the roots within it.
    pub(super) fn page(&mut self, rows: Vec<StoredRow>, sealed: Vec<SealedRoot>, each: &mut impl FnMut(StoredRow)) {
        let mut sealed = sealed.into_iter().peekable();
        for row in rows {
            let at_ms = row.recorded_at_ms;
            if !self.push(&row) {
                return;
            }
            self.since_seal.event(at_ms);
            if self.handed_on {
                each(row);
            }
            while let Some(root) = sealed.next_if(|root| root.size <= self.frontier.size()) {
                self.root(&root);
            }
            self.seal();
        }
    }

    /// Checks the next row; returns whether the pass can go on after it.
    fn push(&mut self, row: &StoredRow) -> bool {
        let expected = self.size().next();
        if row.position != expected {
            self.breaks_off(Flaw::Position { expected, found: row.position });
            return false;
        }
        let leaf = row.leaf_hash();
        // What was stored is what was sealed: so the roots show whether other rows are correct.
        let stored = <[u8; 32]>::try_from(row.hash.as_slice()).unwrap_or(leaf);
        if row.hash != leaf {
            self.handed_on = false;
            self.note(Flaw::Hash { position: row.position });
        }
        let version = self.version(row);
        if row.version != version.next() {
            let flaw = Flaw::Version { position: row.position, expected: version.next(), found: row.version };
            *version = row.version;
            self.handed_on = false;
            self.note(flaw);
        } else {
            *version = row.version;
        }
        self.streams += u64::from(row.version == Version::FIRST);
        self.frontier.push(stored);
        !self.broken
    }

    /// The version that the row's stream has reached.
    fn version(&mut self, row: &StoredRow) -> &mut Version {
        if !self.versions.contains_key(&row.stream_kind) {
            self.versions.insert(row.stream_kind.clone(), HashMap::new());
        }
        self.versions.entry(row.stream_kind.clone()).or_default().entry(row.stream_id).or_default()
    }

    /// Checks a root whose last event is the last row.
    fn root(&mut self, sealed: &SealedRoot) {
        let fits = sealed.size == self.size() && sealed.root == self.frontier.root();
        self.newest_root = sealed.size;
        self.since_seal = Work::default();
        if self.seal.as_ref().is_some_and(|seal| seal.size == sealed.size) {
            self.root_of_seal_fits = Some(fits);
        }
        if fits {
            self.roots += 1;
            self.vouch(sealed.size);
        } else if self.doubtful.len() < MOST_FLAWS {
            self.doubtful.push(sealed.size);
        }
    }

    /// Checks the newest seal if its last event is the last row.
    fn seal(&mut self) {
        let Some(seal) = self.seal.as_ref().filter(|seal| seal.size == self.frontier.size()) else { return };
        let differs = self.frontier.differs_from(&seal.peaks);
        self.seal_fits = Some(differs.is_none());
        match differs {
            Some(first) => self.seal_differs_from = first,
            None => {
                self.since_seal = Work::default();
                self.vouch(self.size());
            }
        }
    }

    /// Called when a root or seal over the first `size` events fits them: an earlier root that does
    /// not fit was itself altered.
    fn vouch(&mut self, size: Position) {
        self.vouched_for = size;
        for size in std::mem::take(&mut self.doubtful) {
            self.note(Flaw::RootAltered { size });
        }
    }

    /// Notes what is wrong with roots and seal, after the last row.
    pub(super) fn settle(&mut self) {
        let first = self.seal_differs_from.max(self.vouched_for.next());
        if let Some(size) = self.doubtful.first().copied() {
            self.note(Flaw::Root { first: first.min(size), size });
        }
        if self.broken {
            return;
        }
        let altered = !self.doubtful.is_empty();
        if let Some(size) = self.seal.as_ref().map(|seal| seal.size) {
            let flaw = match (self.seal_fits, self.root_of_seal_fits) {
                // The seal is beyond the last row.
                (None, _) if size > self.size() => Some(Flaw::Truncated { sealed: size, head: self.size() }),
                (Some(true), None) => Some(Flaw::RootGone { size }),
                (Some(false), Some(true)) => Some(Flaw::FrontierAltered { size }),
                (Some(false), None) if !altered => Some(Flaw::Frontier { first: first.min(size), size }),
                (None | Some(_), _) => None,
            };
            if let Some(flaw) = flaw
                && !self.flaws.iter().any(|known| matches!(known, Flaw::Truncated { .. }))
            {
                self.note(flaw);
            }
        }
        let sealed = self.newest_root.max(self.vouched_for);
        let limit = if sealed == Position::ZERO { FIRST_SEAL_WITHIN_S } else { SEALED_WITHIN_S };
        let seconds = self.since_seal.milliseconds / 1_000;
        if seconds >= limit {
            self.note(Flaw::Unsealed { first: sealed.next(), head: self.size(), seconds });
        }
    }

    pub(super) fn finish(self) -> Verification {
        let mut flaws = self.flaws;
        flaws.sort_by_key(Flaw::position);
        Verification {
            events: self.frontier.size().get(),
            streams: self.streams,
            roots: self.roots,
            sealed: self.newest_root,
            root: self.frontier.root(),
            receipts: self.receipts,
            complete: !self.broken,
            handed_on: self.handed_on && !flaws.iter().any(Flaw::cuts_the_end_off),
            flaws,
        }
    }
}
