//! Ends what has lapsed and what nobody asks about: points are written off, so that balances also
//! fall when a ledger is not used, and returns end whose goods were not sent back.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::join_all;
use jangbu_aggregates::AnyCommand;
use jangbu_aggregates::commands::{ExpirePoints, LapseReturn};
use jangbu_kernel::log::LogError;
use jangbu_kernel::ports::{LapsedPoints, LapsedReturn};
use jangbu_kernel::{CommandId, CorrelationId, StreamId, Timestamp};

use super::Shared;
use super::submit::{Cause, Submitted, submit, unkeyed};

/// Rows of one read of a queue.
const PAGE: usize = 500;
/// The number of those that were asked but are still in the queue after which a round ends: the
/// queue is a read model, and if it is far behind it is given time.
const MOST_ASKED: usize = 5_000;
/// Reads of a queue in one round.
const MOST_LOOKS: usize = 10_000;
/// The number of those whose failure is remembered, so that it is logged only once.
const MOST_TOLD: usize = 10_000;

/// What lapses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    Points,
    Returns,
}

/// Something that has lapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Lapsed {
    Points(LapsedPoints),
    Return(LapsedReturn),
}

impl Lapsed {
    fn stream(self) -> StreamId {
        match self {
            Self::Points(ledger) => StreamId::points(ledger.user_id),
            Self::Return(lapsed) => StreamId::of_return(lapsed.return_id),
        }
    }

    fn command(self) -> AnyCommand {
        match self {
            Self::Points(ledger) => ExpirePoints { user_id: ledger.user_id }.into(),
            Self::Return(lapsed) => LapseReturn { return_id: lapsed.return_id }.into(),
        }
    }
}

impl Queue {
    async fn read(self, shared: &Shared, now: Timestamp, limit: usize) -> Result<Vec<Lapsed>, LogError> {
        let timers = &shared.deps.timers;
        Ok(match self {
            Self::Points => timers.lapsed_points(now, limit).await?.into_iter().map(Lapsed::Points).collect(),
            Self::Returns => timers.lapsed_returns(now, limit).await?.into_iter().map(Lapsed::Return).collect(),
        })
    }
}

/// Runs until the program stops.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut told = HashSet::new();
    loop {
        for queue in [Queue::Points, Queue::Returns] {
            if !round(&shared, queue, &mut told).await {
                return;
            }
        }
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(shared.deps.options.expire_points_every) => {}
        }
    }
}

/// Ends all that has lapsed of a queue, each once. What stays in the queue because of a failure is
/// asked again in the next round. False if the program is stopping.
async fn round(shared: &Shared, queue: Queue, told: &mut HashSet<StreamId>) -> bool {
    let mut asked: HashSet<Lapsed> = HashSet::new();
    for _ in 0..MOST_LOOKS {
        let now = shared.deps.world.clock.now();
        let lapsed = match queue.read(shared, now, PAGE.saturating_add(asked.len())).await {
            Ok(lapsed) => lapsed,
            Err(error) => {
                tracing::warn!(%error, ?queue, "what has lapsed cannot be read for now");
                break;
            }
        };
        let waiting: HashSet<Lapsed> = lapsed.iter().copied().collect();
        asked.retain(|lapsed| waiting.contains(lapsed));
        let fresh: Vec<Lapsed> = lapsed.into_iter().filter(|lapsed| !asked.contains(lapsed)).collect();
        if fresh.is_empty() {
            break;
        }
        let done = join_all(fresh.iter().map(|lapsed| end(shared, *lapsed))).await;
        for (lapsed, done) in fresh.iter().zip(done) {
            match done {
                Ended::Done => {
                    told.remove(&lapsed.stream());
                }
                Ended::Not(reason) => tell(told, lapsed.stream(), &reason),
                Ended::Stopped => return false,
            }
        }
        asked.extend(fresh);
        if asked.len() >= MOST_ASKED || shared.stop.is_cancelled() {
            break;
        }
    }
    !shared.stop.is_cancelled()
}

/// The result of ending something.
enum Ended {
    /// It has ended, now or before.
    Done,
    /// It cannot be ended for now; the next round asks again.
    Not(String),
    /// The program is stopping.
    Stopped,
}

async fn end(shared: &Shared, lapsed: Lapsed) -> Ended {
    // The same grant may lapse twice, when a payment releases what it held of it, so each attempt
    // has a command id of its own.
    let command_id = CommandId::new(shared.deps.world.ids.new_id());
    let correlation_id = CorrelationId::new(command_id.uuid());
    let cause = Cause { event_id: command_id.uuid(), correlation_id, trace: None };
    match submit(shared, unkeyed(lapsed.command(), command_id, &cause)).await {
        Submitted::Done => Ended::Done,
        Submitted::Refused(refusal) => Ended::Not(refusal.code.code().to_owned()),
        Submitted::Unreadable(unreadable) => Ended::Not(unreadable.reason),
        Submitted::Stopped => Ended::Stopped,
    }
}

/// Logs once for each stream that what has lapsed remains.
fn tell(told: &mut HashSet<StreamId>, stream: StreamId, reason: &str) {
    if told.len() < MOST_TOLD && told.insert(stream) {
        tracing::error!(%stream, reason, "what has lapsed in {stream} cannot be ended; it is tried again");
    }
}
