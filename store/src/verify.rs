//! Verification of the whole log: positions and versions without gaps, every
//! leaf hash, every sealed root.

use std::collections::{HashMap, VecDeque};

use jangbu_kernel::log::{LogError, SealedRoot};
use uuid::Uuid;

use crate::ledger::Ledger;
use crate::merkle::MerkleFrontier;
use crate::row::StoredRow;

/// Rows read at once.
const PAGE: usize = 2_000;
/// Sealed roots read at once.
const ROOTS_PAGE: usize = 10_000;

/// The first thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A position is missing (or stands twice).
    #[error("position {expected} is missing: the next row has position {found}")]
    Position {
        /// The position that should follow.
        expected: u64,
        /// The one that does.
        found: u64,
    },
    /// A stream's versions have a gap or a repetition.
    #[error("the event at position {position} has version {found} in its stream instead of {expected}")]
    Version {
        /// Where.
        position: u64,
        /// The version that should follow.
        expected: u64,
        /// The one that does.
        found: u64,
    },
    /// A row is not what was appended.
    #[error("the event at position {position} was altered: its hash does not fit")]
    Hash {
        /// Where.
        position: u64,
    },
    /// A sealed root does not fit: a row and its hash were altered together, or the root was.
    #[error("the root sealed over positions 1 to {size} does not fit the log")]
    Root {
        /// How many events it covers; the altered one is among them.
        size: u64,
    },
    /// Sealed events are gone from the end.
    #[error("{sealed} events were sealed, but the log ends at position {head}")]
    Truncated {
        /// How many were sealed.
        sealed: u64,
        /// The last position there is.
        head: u64,
    },
}

/// What a verification came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Events that hold.
    pub events: u64,
    /// Sealed roots that hold.
    pub roots: u64,
    /// The Merkle root over the events that hold.
    pub root: [u8; 32],
    /// The first flaw, where the verification ended.
    pub flaw: Option<Flaw>,
}

/// Verifies row by row; memory grows with the number of streams only.
#[derive(Debug, Default)]
pub struct LogVerifier {
    frontier: MerkleFrontier,
    versions: HashMap<String, HashMap<Uuid, u64>>,
}

impl LogVerifier {
    /// Checks the next row of the log, in position order.
    ///
    /// # Errors
    /// The flaw.
    pub fn push(&mut self, row: &StoredRow) -> Result<(), Flaw> {
        let expected = self.frontier.size() + 1;
        if row.position != expected {
            return Err(Flaw::Position { expected, found: row.position });
        }
        let leaf = row.leaf_hash();
        if row.hash != leaf {
            return Err(Flaw::Hash { position: row.position });
        }
        let kind = match self.versions.get_mut(&row.stream_kind) {
            Some(kind) => kind,
            None => self.versions.entry(row.stream_kind.clone()).or_default(),
        };
        let version = kind.entry(row.stream_id).or_insert(0);
        if row.version != *version + 1 {
            return Err(Flaw::Version { position: row.position, expected: *version + 1, found: row.version });
        }
        *version = row.version;
        self.frontier.push(leaf);
        Ok(())
    }

    /// The tree over the rows so far.
    #[must_use]
    pub const fn frontier(&self) -> &MerkleFrontier {
        &self.frontier
    }

    /// Checks a sealed root whose size is the number of rows so far.
    ///
    /// # Errors
    /// The flaw.
    pub fn check_root(&self, sealed: &SealedRoot) -> Result<(), Flaw> {
        if sealed.size == self.frontier.size() && sealed.root == self.frontier.root() {
            return Ok(());
        }
        Err(Flaw::Root { size: sealed.size })
    }
}

/// Verifies the log from the first event to the present head. `progress` is
/// told the last position that holds, now and then.
///
/// # Errors
/// When the store cannot be read. A flaw is not an error but the result.
pub async fn verify_log(log: &dyn Ledger, mut progress: impl FnMut(u64) + Send) -> Result<Verification, LogError> {
    let mut verifier = LogVerifier::default();
    let mut roots = Roots::new(log).await?;
    let flaw = loop {
        let head = verifier.frontier.size();
        let mut rows = log.rows(head, PAGE).await?;
        if rows.is_empty() {
            let Some(root) = roots.next(log).await? else { break None };
            // The root may be of events that came after the look above: look again.
            rows = log.rows(head, PAGE).await?;
            if rows.is_empty() {
                break Some(Flaw::Truncated { sealed: root.size, head });
            }
        }
        if let Some(flaw) = check_page(log, &mut verifier, &mut roots, &rows).await? {
            break Some(flaw);
        }
        progress(verifier.frontier.size());
    };
    Ok(Verification { events: verifier.frontier.size(), roots: roots.held, root: verifier.frontier.root(), flaw })
}

async fn check_page(
    log: &dyn Ledger,
    verifier: &mut LogVerifier,
    roots: &mut Roots,
    rows: &[StoredRow],
) -> Result<Option<Flaw>, LogError> {
    for row in rows {
        if let Err(flaw) = verifier.push(row) {
            return Ok(Some(flaw));
        }
        while let Some(sealed) = roots.next(log).await? {
            if sealed.size > row.position {
                break;
            }
            if let Err(flaw) = verifier.check_root(&sealed) {
                return Ok(Some(flaw));
            }
            roots.pass();
        }
    }
    Ok(None)
}

/// The sealed roots in order, page by page.
struct Roots {
    page: VecDeque<SealedRoot>,
    read_to: u64,
    ended: bool,
    held: u64,
}

impl Roots {
    async fn new(log: &dyn Ledger) -> Result<Self, LogError> {
        let mut roots = Self { page: VecDeque::new(), read_to: 0, ended: false, held: 0 };
        roots.next(log).await?;
        Ok(roots)
    }

    /// The next root, not yet passed.
    async fn next(&mut self, log: &dyn Ledger) -> Result<Option<SealedRoot>, LogError> {
        if self.page.is_empty() && !self.ended {
            self.page = log.sealed_roots(self.read_to, ROOTS_PAGE).await?.into();
            self.ended = self.page.len() < ROOTS_PAGE;
            self.read_to = self.page.back().map_or(self.read_to, |root| root.size);
        }
        Ok(self.page.front().copied())
    }

    fn pass(&mut self) {
        self.page.pop_front();
        self.held += 1;
    }
}
