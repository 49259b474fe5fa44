//! Has lapsed points written off, so that balances also fall when a ledger is not used.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::join_all;
use jangbu_aggregates::commands::ExpirePoints;
use jangbu_kernel::ports::LapsedPoints;
use jangbu_kernel::{CommandId, CorrelationId, UserId};

use super::Shared;
use super::submit::{Cause, Submitted, submit, unkeyed};

/// Ledgers of one read of the queue.
const PAGE: usize = 500;
/// The number of ledgers that were asked but are still in the queue after which a round ends: the
/// queue is a read model, and if it is far behind it is given time.
const MOST_ASKED: usize = 5_000;
/// Reads of the queue in one round.
const MOST_LOOKS: usize = 10_000;
/// The number of ledgers whose failure is remembered, so that it is logged only once.
const MOST_TOLD: usize = 10_000;

/// Runs until the program stops.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut told = HashSet::new();
    loop {
        if !round(&shared, &mut told).await {
            return;
        }
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(shared.deps.options.expire_points_every) => {}
        }
    }
}

/// Asks every ledger with lapsed points, each once. A ledger that stays in the queue because of a
/// failure is asked again in the next round. False if the program is stopping.
async fn round(shared: &Shared, told: &mut HashSet<UserId>) -> bool {
    let mut asked: HashSet<LapsedPoints> = HashSet::new();
    for _ in 0..MOST_LOOKS {
        let now = shared.deps.world.clock.now();
        let lapsed = match shared.deps.timers.lapsed_points(now, PAGE.saturating_add(asked.len())).await {
            Ok(lapsed) => lapsed,
            Err(error) => {
                tracing::warn!(%error, "which points have lapsed cannot be read for now");
                break;
            }
        };
        let waiting: HashSet<LapsedPoints> = lapsed.iter().copied().collect();
        asked.retain(|ledger| waiting.contains(ledger));
        let fresh: Vec<LapsedPoints> = lapsed.into_iter().filter(|ledger| !asked.contains(ledger)).collect();
        if fresh.is_empty() {
            break;
        }
        let done = join_all(fresh.iter().map(|ledger| write_off(shared, ledger.user_id))).await;
        for (ledger, done) in fresh.iter().zip(done) {
            match done {
                WrittenOff::Done => {
                    told.remove(&ledger.user_id);
                }
                WrittenOff::Not(reason) => tell(told, ledger.user_id, &reason),
                WrittenOff::Stopped => return false,
            }
        }
        asked.extend(fresh);
        if asked.len() >= MOST_ASKED || shared.stop.is_cancelled() {
            break;
        }
    }
    !shared.stop.is_cancelled()
}

/// The result of asking a ledger.
enum WrittenOff {
    /// The lapsed points are written off, now or before.
    Done,
    /// They cannot be written off for now; the next round asks again.
    Not(String),
    /// The program is stopping.
    Stopped,
}

async fn write_off(shared: &Shared, user_id: UserId) -> WrittenOff {
    // The same grant may lapse twice, when a payment releases what it held of it, so each write-off
    // has a command id of its own.
    let command_id = CommandId::new(shared.deps.world.ids.new_id());
    let correlation_id = CorrelationId::new(command_id.uuid());
    let cause = Cause { event_id: command_id.uuid(), correlation_id, trace: None };
    match submit(shared, unkeyed(ExpirePoints { user_id }, command_id, &cause)).await {
        Submitted::Done => WrittenOff::Done,
        Submitted::Refused(refusal) => WrittenOff::Not(refusal.code.code().to_owned()),
        Submitted::Unreadable(unreadable) => WrittenOff::Not(unreadable.reason),
        Submitted::Stopped => WrittenOff::Stopped,
    }
}

/// Logs once for each ledger that its lapsed points remain.
fn tell(told: &mut HashSet<UserId>, user_id: UserId, reason: &str) {
    if told.len() < MOST_TOLD && told.insert(user_id) {
        tracing::error!(%user_id, reason, "lapsed points of user {user_id} cannot be written off; it is tried again");
    }
}
