//! Data beside the events that tells how far they once went: anything that points beyond the last
//! event proves that events are lost.

use jangbu_kernel::log::LogError;
use jangbu_kernel::{Position, Version};

use super::Flaw;
use super::pass::Pass;
use crate::ledger::{KeptReceipt, Ledger, Marks, StrayEntry};

/// The most snapshots ahead of their streams that are reported.
const SNAPSHOTS: usize = 10;
/// The most entries of the index of streams without their event that are reported.
const STRAYS: usize = 10;

/// Checks all of this against the rows that were read. `before` was read before them.
pub(super) async fn check(
    log: &dyn Ledger,
    pass: &mut Pass,
    before: &Marks,
    receipts_at_once: usize,
) -> Result<(), LogError> {
    let head = pass.size();
    if let Some(counter) = before.counter.filter(|counter| *counter > head) {
        pass.note(Flaw::Lost { head, witness: format!("the counter of positions stands at {counter}") });
    }
    if let Some((reader, position)) = before.checkpoint.as_ref().filter(|(_, position)| *position > head) {
        pass.note(Flaw::Lost { head, witness: format!("{reader} has handled position {position}") });
    }
    receipts(log, pass, receipts_at_once).await?;
    index(log, pass).await?;
    for (stream, version) in log.snapshots_ahead(SNAPSHOTS).await? {
        pass.note(Flaw::Snapshot { stream, version, head });
    }
    let after = log.marks().await?;
    if let Some(counter) = after.counter.filter(|counter| *counter < head) {
        pass.note(Flaw::Counter { counter, head });
    }
    let frontier = after.frontier.map_or(Position::ZERO, |frontier| frontier.size);
    if frontier < pass.newest_root() {
        pass.note(Flaw::FrontierGone { size: pass.newest_root() });
    }
    Ok(())
}

/// Checks that the events exist to which the index of streams points.
async fn index(log: &dyn Ledger, pass: &mut Pass) -> Result<(), LogError> {
    let head = pass.size();
    for StrayEntry { stream, version, position } in log.strays_in_index(STRAYS).await? {
        let is_gone = position > head && log.rows(position.previous(), 1).await?.is_empty();
        pass.note(if is_gone {
            Flaw::Lost { head, witness: format!("the index of streams leads to position {position}") }
        } else {
            let what =
                format!("leads from version {version} of {stream} to position {position}, where another event is");
            Flaw::Index { position, what }
        });
    }
    Ok(())
}

/// Checks that each receipt names an event that exists, with its stream and version, and that this
/// event is no later than the append of the receipt.
async fn receipts(log: &dyn Ledger, pass: &mut Pass, at_once: usize) -> Result<(), LogError> {
    let head = pass.size();
    let mut furthest = head;
    let mut last: Option<KeptReceipt> = None;
    loop {
        let page = log.kept_receipts(last.as_ref(), at_once).await?;
        for receipt in &page {
            pass.receipt();
            if receipt.position > furthest && log.rows(receipt.position.previous(), 1).await?.is_empty() {
                furthest = receipt.position;
            }
            if receipt.position <= head
                && let Some(what) = misses(receipt)
            {
                pass.note(Flaw::Receipt { position: receipt.position, what });
            }
        }
        let full = page.len() >= at_once;
        last = page.into_iter().next_back();
        if !full || pass.is_broken() {
            break;
        }
    }
    if furthest > head {
        pass.note(Flaw::Lost { head, witness: format!("a receipt is of an append that ends at position {furthest}") });
    }
    Ok(())
}

/// What is wrong with a receipt, if anything.
fn misses(receipt: &KeptReceipt) -> Option<String> {
    let KeptReceipt { stream, version, .. } = receipt;
    match receipt.event_position {
        // An answer without a resource names version 0, and no event.
        _ if *version == Version::ZERO => None,
        None => Some(format!("names version {version} of {stream}, which the log does not have")),
        Some(later) if later > receipt.position => {
            Some(format!("names version {version} of {stream}, which came later, at position {later}"))
        }
        Some(_) => None,
    }
}
