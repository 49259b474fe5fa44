//! Verification of the whole log, in one implementation: positions and versions without gaps, every
//! leaf hash, every sealed root, and the data beside the events that tells how far they once went.
//!
//! Where to start: [`verify_each`]. `pass.rs` checks the rows and roots, `beside.rs` the frontier,
//! counter, checkpoints, receipts and snapshots; [`Flaw`] is what they find.

mod beside;
mod flaw;
mod pass;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use jangbu_kernel::Position;
use jangbu_kernel::log::{LogError, SealedRoot};

use crate::ledger::Ledger;
use crate::row::StoredRow;
pub use flaw::Flaw;
use pass::Pass;

/// The most flaws that are reported. A log that has more is not checked further.
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

/// The result of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Events that were read.
    pub events: u64,
    /// Streams that they belong to.
    pub streams: u64,
    /// Sealed roots that are correct.
    pub roots: u64,
    /// The last position under the newest root that was found.
    pub sealed: Position,
    /// The Merkle root over the events.
    pub root: [u8; 32],
    /// Receipts that were checked.
    pub receipts: u64,
    /// Whether every row was passed on. Not so if a row is altered or missing: the rows after it
    /// say nothing about the shop.
    pub handed_on: bool,
    /// Whether everything was checked. Not so if the rows could not be read to the end.
    pub complete: bool,
    /// The flaws in order of position, at most the first thousand.
    pub flaws: Vec<Flaw>,
}

impl Verification {
    /// The position of the last event that was read.
    #[must_use]
    pub const fn end(&self) -> Position {
        Position::new(self.events)
    }

    /// The first flaw.
    #[must_use]
    pub fn flaw(&self) -> Option<&Flaw> {
        self.flaws.first()
    }
}

/// Verifies the log from the first event to the present head. `progress` is called after each page
/// with the number of events that were read.
///
/// # Errors
/// When the store cannot be read. A flaw is not an error but the result.
pub async fn verify_log(log: &dyn Ledger, progress: impl FnMut(u64) + Send) -> Result<Verification, LogError> {
    verify_each(log, Pages::default(), |_| {}, progress).await
}

/// The same, and passes every row to `each`, in order, up to the first that is altered or missing.
/// The next page is read at the same time. Memory grows only with the number of streams.
///
/// # Errors
/// As [`verify_log`].
pub async fn verify_each(
    log: &dyn Ledger,
    pages: Pages,
    mut each: impl FnMut(StoredRow) + Send,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Verification, LogError> {
    // Read before the first row: the log only grows, so the rows must reach everything that is
    // marked here.
    let marks = log.marks().await?;
    let mut pass = Pass::new(marks.frontier.clone());
    let mut roots = Roots { page: VecDeque::new(), at_once: pages.roots.max(1), read_to: Position::ZERO, ended: false };
    let at_once = pages.rows.max(1);
    let mut rows = log.rows(Position::ZERO, at_once).await;
    while !pass.is_broken() {
        let (page, unreadable) = readable(log, pass.size(), at_once, rows).await?;
        let Some(last) = page.last().map(|row| row.position) else {
            if let Some(flaw) = unreadable {
                pass.breaks_off(flaw);
                break;
            }
            let Some(root) = roots.next(log).await? else { break };
            // The root may be of events that were appended since the read above, so read again.
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
        progress(pass.size().get());
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

/// The page as it was read. If the engine cannot read all of it, the rows before the unreadable
/// one, and the flaw for that one.
async fn readable(
    log: &dyn Ledger,
    after: Position,
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
                return Ok((good, Some(Flaw::Unreadable { position: before.next(), reason })));
            }
            Err(error) => return Err(error),
        }
    }
    // Row by row all can be read, so it is not a row that is damaged.
    Err(whole)
}

/// A read that is started before its result is needed.
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

/// The sealed roots in order, read page by page.
struct Roots {
    page: VecDeque<SealedRoot>,
    at_once: usize,
    read_to: Position,
    ended: bool,
}

impl Roots {
    /// The next root, which is not consumed.
    async fn next(&mut self, log: &dyn Ledger) -> Result<Option<SealedRoot>, LogError> {
        if self.page.is_empty() && !self.ended {
            self.page = log.sealed_roots(self.read_to, self.at_once).await?.into();
            self.ended = self.page.len() < self.at_once;
            self.read_to = self.page.back().map_or(self.read_to, |root| root.size);
        }
        Ok(self.page.front().copied())
    }

    /// The roots over at most `size` events that were not returned before.
    async fn up_to(&mut self, log: &dyn Ledger, size: Position) -> Result<Vec<SealedRoot>, LogError> {
        let mut found = Vec::new();
        while let Some(root) = self.next(log).await?.filter(|root| root.size <= size) {
            self.page.pop_front();
            found.push(root);
        }
        Ok(found)
    }
}
