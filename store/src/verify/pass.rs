//! One pass over rows and roots, without I/O.

use std::collections::HashMap;

use jangbu_kernel::log::SealedRoot;
use uuid::Uuid;

use super::{Flaw, MOST_FLAWS, Verification};
use crate::ledger::StoredFrontier;
use crate::merkle::MerkleFrontier;
use crate::row::StoredRow;

/// Seconds of work without a seal that say something is wrong: the sealer takes one, and
/// one that starts anew after a kill has a moment to seal at most.
const SEALED_WITHIN_S: u64 = 30;
/// The same while there is no root at all: the first seal comes before the first request.
const FIRST_SEAL_WITHIN_S: u64 = 3;
/// A pause between two events counts as this much work at most, milliseconds: a shop that
/// stood still, or was stopped, had nothing to seal.
const PAUSE_MS: i64 = 2_000;

/// What is being verified.
pub(super) struct Pass {
    frontier: MerkleFrontier,
    versions: HashMap<String, HashMap<Uuid, u64>>,
    streams: u64,
    roots: u64,
    receipts: u64,
    /// The newest seal when the pass began.
    seal: Option<StoredFrontier>,
    /// What the seal and its root said when the pass came there.
    seal_fits: Option<bool>,
    root_of_seal_fits: Option<bool>,
    /// The first leaf at which the seal differs.
    seal_differs_from: u64,
    /// The newest root, and the newest that vouches for what is before it.
    newest_root: u64,
    vouched_for: u64,
    /// Roots that do not fit and have none behind them that does.
    doubtful: Vec<u64>,
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
        // A clock that was put back counts as none.
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
            seal_differs_from: 1,
            newest_root: 0,
            vouched_for: 0,
            doubtful: Vec::new(),
            since_seal: Work::default(),
            handed_on: true,
            broken: false,
            flaws: Vec::new(),
        }
    }

    /// Events so far.
    pub(super) const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// How many events the newest root covers.
    pub(super) const fn newest_root(&self) -> u64 {
        self.newest_root
    }

    /// Whether the rows cannot be followed any further.
    pub(super) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Takes note of a flaw.
    pub(super) fn note(&mut self, flaw: Flaw) {
        self.flaws.push(flaw);
        self.broken |= self.flaws.len() >= MOST_FLAWS;
    }

    /// A receipt was looked at.
    pub(super) const fn receipt(&mut self) {
        self.receipts += 1;
    }

    /// The index of streams does not lead to an event. One that was altered is told of already.
    pub(super) fn is_not_in_index(&mut self, position: u64) {
        if !self.broken && !self.flaws.iter().any(|known| known.position() == position) {
            self.note(Flaw::Index { position, what: format!("does not lead to the event at position {position}") });
        }
    }

    /// What follows cannot be read in its order.
    pub(super) fn breaks_off(&mut self, flaw: Flaw) {
        self.note(flaw);
        self.handed_on = false;
        self.broken = true;
    }

    /// There is a root over more events than there are.
    pub(super) fn end_is_cut_off(&mut self, root: u64) {
        let sealed = self.seal.as_ref().map_or(root, |seal| seal.size.max(root));
        self.note(Flaw::Truncated { sealed, head: self.size() });
    }

    /// Checks a page of rows and the roots that lie within it.
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

    /// Checks the next row; whether the pass can go on behind it.
    fn push(&mut self, row: &StoredRow) -> bool {
        let expected = self.size() + 1;
        if row.position != expected {
            self.breaks_off(Flaw::Position { expected, found: row.position });
            return false;
        }
        let leaf = row.leaf_hash();
        // What was stored is what was sealed: the roots tell whether other rows hold.
        let stored = <[u8; 32]>::try_from(row.hash.as_slice()).unwrap_or(leaf);
        if row.hash != leaf {
            self.handed_on = false;
            self.note(Flaw::Hash { position: row.position });
        }
        let version = self.version(row);
        if row.version != *version + 1 {
            let flaw = Flaw::Version { position: row.position, expected: *version + 1, found: row.version };
            *version = row.version;
            self.handed_on = false;
            self.note(flaw);
        } else {
            *version = row.version;
        }
        self.streams += u64::from(row.version == 1);
        self.frontier.push(stored);
        !self.broken
    }

    /// The version that the row's stream has so far.
    fn version(&mut self, row: &StoredRow) -> &mut u64 {
        if !self.versions.contains_key(&row.stream_kind) {
            self.versions.insert(row.stream_kind.clone(), HashMap::new());
        }
        self.versions.entry(row.stream_kind.clone()).or_default().entry(row.stream_id).or_insert(0)
    }

    /// Checks a root whose last event was the last row.
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

    /// Checks the newest seal when its last event was the last row.
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

    /// Something that was sealed over the first `size` events fits them: where a root
    /// before it does not, it is that root which was altered.
    fn vouch(&mut self, size: u64) {
        self.vouched_for = size;
        for size in std::mem::take(&mut self.doubtful) {
            self.note(Flaw::RootAltered { size });
        }
    }

    /// Says what is wrong with roots and seal, when the last row was met.
    pub(super) fn settle(&mut self) {
        let first = self.seal_differs_from.max(self.vouched_for + 1);
        if let Some(size) = self.doubtful.first().copied() {
            self.note(Flaw::Root { first: first.min(size), size });
        }
        if self.broken {
            return;
        }
        let altered = !self.doubtful.is_empty();
        if let Some(size) = self.seal.as_ref().map(|seal| seal.size) {
            let flaw = match (self.seal_fits, self.root_of_seal_fits) {
                // It lies behind the last row.
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
        let limit = if sealed == 0 { FIRST_SEAL_WITHIN_S } else { SEALED_WITHIN_S };
        let seconds = self.since_seal.milliseconds / 1_000;
        if seconds >= limit {
            self.note(Flaw::Unsealed { first: sealed + 1, head: self.size(), seconds });
        }
    }

    pub(super) fn finish(self) -> Verification {
        let mut flaws = self.flaws;
        flaws.sort_by_key(Flaw::position);
        Verification {
            events: self.frontier.size(),
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
