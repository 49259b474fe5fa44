//! Verification of the whole log, the one implementation of it: positions and versions
//! without gaps, every leaf hash, every sealed root, and whatever stands beside the events
//! and tells how far they once went.
//!
//! Where to start: [`verify_each`]. `pass.rs` goes over the rows and roots, `beside.rs`
//! over frontier, counter, checkpoints, receipts and snapshots; [`Flaw`] is what they find.

mod beside;
mod flaw;
mod pass;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use jangbu_kernel::log::{LogError, SealedRoot};

use crate::ledger::Ledger;
use crate::row::StoredRow;
pub use flaw::Flaw;
use pass::Pass;

/// Flaws that are told one by one. A log that has more is not followed further.
const MOST_FLAWS: usize = 1_000;

/// How much is read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// Rows of the log.
    pub rows: usize,
    /// Sealed roots.
    pub roots: usize,
    /// Receipts.
    pub receipts: usize,
}

impl Default for Pages {
    fn default() -> Self {
        Self { rows: 4_000, roots: 10_000, receipts: 2_000 }
    }
}

/// What a verification came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Events that were read.
    pub events: u64,
    /// Streams they belong to.
    pub streams: u64,
    /// Sealed roots that hold.
    pub roots: u64,
    /// How many events the newest root that was met covers.
    pub sealed: u64,
    /// The Merkle root over the events.
    pub root: [u8; 32],
    /// Receipts that were looked at.
    pub receipts: u64,
    /// Whether every row was handed on; not where a row is altered or missing: what stands
    /// behind that says nothing about the shop.
    pub handed_on: bool,
    /// Whether all of it was looked at; not where the rows could not be followed to the end.
    pub complete: bool,
    /// What does not hold, in order of position, at most the first thousand.
    pub flaws: Vec<Flaw>,
}

impl Verification {
    /// What does not hold first.
    #[must_use]
    pub fn flaw(&self) -> Option<&Flaw> {
        self.flaws.first()
    }
}

/// Verifies the log from the first event to the present head. `progress` is told how
/// many events were read, page by page.
///
/// # Errors
/// When the store cannot be read. A flaw is not an error but the result.
pub async fn verify_log(log: &dyn Ledger, progress: impl FnMut(u64) + Send) -> Result<Verification, LogError> {
    verify_each(log, Pages::default(), |_| {}, progress).await
}

/// The same, and hands every row on, in order, up to the first that is altered or
/// missing. The next page is read meanwhile. Memory grows with the number of streams only.
///
/// # Errors
/// As [`verify_log`].
pub async fn verify_each(
    log: &dyn Ledger,
    pages: Pages,
    mut each: impl FnMut(StoredRow) + Send,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Verification, LogError> {
    // Before the first row: the log only grows, so whatever is told here has to be met.
    let marks = log.marks().await?;
    let mut pass = Pass::new(marks.frontier.clone());
    let mut roots = Roots { page: VecDeque::new(), at_once: pages.roots.max(1), read_to: 0, ended: false };
    let at_once = pages.rows.max(1);
    let mut rows = log.rows(0, at_once).await;
    while !pass.is_broken() {
        let (page, unreadable) = readable(log, pass.size(), at_once, rows).await?;
        let Some(last) = page.last().map(|row| row.position) else {
            if let Some(flaw) = unreadable {
                pass.breaks_off(flaw);
                break;
            }
            let Some(root) = roots.next(log).await? else { break };
            // It may be of events that came after the look above: look again.
            rows = log.rows(pass.size(), at_once).await;
            if rows.as_ref().is_ok_and(Vec::is_empty) {
                pass.end_is_cut_off(root.size);
                break;
            }
            continue;
        };
        let sealed = roots.up_to(log, last).await?;
        let next = Begun::ask(log.rows(last, at_once)).await;
        let not_in_index = Begun::ask(log.not_in_index(pass.size(), last)).await;
        pass.page(page, sealed, &mut each);
        not_in_index.answer().await?.into_iter().for_each(|position| pass.is_not_in_index(position));
        progress(pass.size());
        if let Some(flaw) = unreadable {
            pass.breaks_off(flaw);
        }
        rows = next.answer().await;
    }
    pass.settle();
    if !pass.is_broken() {
        beside::check(log, &mut pass, &marks, pages.receipts.max(1)).await?;
    }
    Ok(pass.finish())
}

/// A page as it was read; where the engine cannot read it whole, what stands before the
/// row that is to blame, and which that is.
async fn readable(
    log: &dyn Ledger,
    after: u64,
    at_once: usize,
    rows: Result<Vec<StoredRow>, LogError>,
) -> Result<(Vec<StoredRow>, Option<Flaw>), LogError> {
    let whole = match rows {
        Ok(rows) => return Ok((rows, None)),
        Err(error @ LogError::Damaged(_)) => error,
        Err(error) => return Err(error),
    };
    let mut good: Vec<StoredRow> = Vec::new();
    for _ in 0..at_once {
        let before = good.last().map_or(after, |row| row.position);
        match log.rows(before, 1).await {
            Ok(row) if row.is_empty() => break,
            Ok(row) => good.extend(row),
            Err(LogError::Damaged(reason)) => {
                return Ok((good, Some(Flaw::Unreadable { position: before + 1, reason })));
            }
            Err(error) => return Err(error),
        }
    }
    // Row by row all can be read: then it is not a row that is damaged.
    Err(whole)
}

/// A question that was asked before its answer is needed.
enum Begun<'a, T> {
    Asked(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
    Answered(T),
}

impl<'a, T> Begun<'a, T> {
    async fn ask(mut question: Pin<Box<dyn Future<Output = T> + Send + 'a>>) -> Self {
        let early = poll_fn(|context| {
            Poll::Ready(match question.as_mut().poll(context) {
                Poll::Ready(answer) => Some(answer),
                Poll::Pending => None,
            })
        });
        match early.await {
            Some(answer) => Self::Answered(answer),
            None => Self::Asked(question),
        }
    }

    async fn answer(self) -> T {
        match self {
            Self::Asked(question) => question.await,
            Self::Answered(answer) => answer,
        }
    }
}

/// The sealed roots in order, page by page.
struct Roots {
    page: VecDeque<SealedRoot>,
    at_once: usize,
    read_to: u64,
    ended: bool,
}

impl Roots {
    /// The next root, which stays the next.
    async fn next(&mut self, log: &dyn Ledger) -> Result<Option<SealedRoot>, LogError> {
        if self.page.is_empty() && !self.ended {
            self.page = log.sealed_roots(self.read_to, self.at_once).await?.into();
            self.ended = self.page.len() < self.at_once;
            self.read_to = self.page.back().map_or(self.read_to, |root| root.size);
        }
        Ok(self.page.front().copied())
    }

    /// The roots over no more than `size` events that were not handed out before.
    async fn up_to(&mut self, log: &dyn Ledger, size: u64) -> Result<Vec<SealedRoot>, LogError> {
        let mut found = Vec::new();
        while let Some(root) = self.next(log).await?.filter(|root| root.size <= size) {
            self.page.pop_front();
            found.push(root);
        }
        Ok(found)
    }
}
