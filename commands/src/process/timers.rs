//! Hands over the timers that are due.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::join_all;
use jangbu_aggregates::processes::process_of;
use jangbu_kernel::ports::DueTimer;
use jangbu_kernel::{CommandId, CorrelationId, OrderId, StreamId, Timestamp};
use uuid::Uuid;

use super::submit::{Cause, Submitted, Unreadable, submit, unkeyed};
use super::{Shared, parked};

/// Timers of one read of the queue.
const PAGE: usize = 500;

/// The most timers that one process has: each name is used for one.
const TIMERS_OF_ONE: usize = 7;

type Ringing = (StreamId, String, Timestamp);

/// Runs until the program stops.
pub(super) async fn run(shared: Arc<Shared>) {
    // The queue is a read model and a moment behind: timers that were handed over may still be in
    // it. Handing them over again would change nothing, but cost a decision each time.
    let mut rung: HashSet<Ringing> = HashSet::new();
    loop {
        // Neither recently handed over timers nor those of parked processes may keep others out of
        // the page.
        let parked = shared.known.parked.len().saturating_mul(TIMERS_OF_ONE);
        let limit = PAGE.saturating_add(rung.len()).saturating_add(parked);
        let due = match shared.deps.timers.due(shared.deps.world.clock.now(), limit).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "the timer queue cannot be read for now");
                Vec::new()
            }
        };
        let ringing: HashSet<Ringing> =
            due.iter().map(|timer| (timer.stream, timer.timer.clone(), timer.due_at)).collect();
        rung.retain(|timer| ringing.contains(timer));
        let fresh: Vec<DueTimer> = due
            .into_iter()
            .filter(|timer| !rung.contains(&(timer.stream, timer.timer.clone(), timer.due_at)))
            .filter(|timer| !shared.known.parked.contains(OrderId::new(timer.stream.id)))
            .collect();
        let idle = fresh.is_empty();
        let done = join_all(fresh.iter().map(|timer| ring(&shared, timer))).await;
        if done.contains(&false) {
            return;
        }
        // Timers of processes that were just parked are handed over when these go on.
        let heard = fresh.into_iter().filter(|timer| !shared.known.parked.contains(OrderId::new(timer.stream.id)));
        rung.extend(heard.map(|timer| (timer.stream, timer.timer, timer.due_at)));
        if idle {
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => return,
                () = tokio::time::sleep(shared.deps.options.timer_poll) => {}
            }
        } else if shared.stop.is_cancelled() {
            return;
        }
    }
}

/// Hands over a timer. False if the program is stopping.
async fn ring(shared: &Shared, timer: &DueTimer) -> bool {
    let process = process_of(timer.stream.kind);
    let Some(command) = process.and_then(|process| process.ring(timer.stream, &timer.timer, timer.due_at)) else {
        tracing::error!(stream = %timer.stream, timer = timer.timer, "a timer is not known here");
        return true;
    };
    let order_id = OrderId::new(timer.stream.id);
    let setting = format!("{}/{}", timer.timer, timer.due_at.timestamp_millis());
    let command_id = Uuid::new_v5(&timer.stream.id, setting.as_bytes());
    // An order's processes run for days, so the timers have a correlation of their own, tied to the
    // order.
    let cause = Cause { event_id: command_id, correlation_id: CorrelationId::new(order_id.uuid()), trace: None };
    match submit(shared, unkeyed(command, CommandId::new(command_id), &cause)).await {
        Submitted::Done => {}
        Submitted::Refused(refusal) => {
            tracing::error!(%order_id, timer = timer.timer, code = refusal.code.code(), "a process refused its timer");
        }
        Submitted::Unreadable(Unreadable { stream, reason }) => {
            return parked::park(shared, order_id, stream, reason).await;
        }
        Submitted::Stopped => return false,
    }
    shared.known.waiters.wake(order_id);
    true
}
