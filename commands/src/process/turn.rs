//! Lets one node at a time process the orders, and write off lapsed points.
//!
//! If two nodes did this, the result would be the same, because repeated work changes nothing; but
//! each would do all the work, and they would conflict in every stream. So the node that holds the
//! lease works, and the others check from time to time whether it is free.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jangbu_kernel::Position;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::submit::Backoff;
use super::{Shared, Since, catch_up, dispatcher, lapses, parked, timers};
use crate::lease::{Ended, Lease};

/// The name of the lease. Storage format.
const LEASE: &str = "process-manager";
/// How long the parts may finish their current work when another node has taken over.
const PATIENCE: Duration = Duration::from_secs(6);

/// Runs until the program stops, or a part fails.
pub(super) async fn run(shared: Arc<Shared>) {
    let lease = Lease::new(LEASE, shared.deps.lease.clone(), shared.stop.clone());
    while let Some(until) = lease.wait().await {
        let turn = shared.turn();
        if !parked::resume(&turn).await {
            return lease.give_back().await;
        }
        let stop = turn.stop.clone();
        let mut parts = JoinSet::new();
        parts.spawn(work(turn));
        set_active(&shared, true);
        let ended = tokio::select! {
            biased;
            ended = lease.keep(until) => Some(ended),
            _ = parts.join_next() => shared.stop.is_cancelled().then_some(Ended::Stopped),
        };
        stop.cancel();
        finish(parts, ended).await;
        set_active(&shared, false);
        match ended {
            Some(Ended::Lost) => tracing::warn!("the process manager's lease is lost; standing by"),
            Some(Ended::Stopped) => return lease.give_back().await,
            // A part has ended by itself: the supervisor of this task has to notice.
            None => return,
        }
    }
}

/// The work of a node in its turn, until the turn ends or a part fails.
async fn work(mut turn: Shared) {
    let Some(fresh) = head(&turn).await else { return };
    let Some(walked) = catch_up::run(&turn).await else { return };
    turn.since = Since { walked, fresh };
    let turn = Arc::new(turn);
    let mut parts = JoinSet::new();
    parts.spawn(dispatcher::run(Arc::clone(&turn)));
    parts.spawn(timers::run(Arc::clone(&turn)));
    parts.spawn(lapses::run(Arc::clone(&turn)));
    parts.spawn(parked::run(Arc::clone(&turn)));
    let _first = parts.join_next().await;
    if turn.stop.is_cancelled() {
        while parts.join_next().await.is_some() {}
    }
}

/// The head of the log when the turn begins; none if it ends before that can be read.
async fn head(turn: &Shared) -> Option<Position> {
    let mut backoff = Backoff::new(&turn.deps.options);
    loop {
        match turn.deps.commands.log().head().await {
            Ok(head) => return Some(head),
            Err(error) => tracing::warn!(%error, "the head of the log cannot be read for now"),
        }
        if !backoff.wait(&turn.stop).await {
            return None;
        }
    }
}

fn set_active(shared: &Shared, active: bool) {
    shared.known.active.store(active, Ordering::Relaxed);
    if !active {
        shared.known.under_way.store(0, Ordering::Relaxed);
    }
    metrics::gauge!("jangbu_process_manager_active").set(if active { 1.0 } else { 0.0 });
}

/// Lets the parts finish their current work. When the program stops, its own time limit applies.
async fn finish(mut parts: JoinSet<()>, ended: Option<Ended>) {
    let finished = async { while parts.join_next().await.is_some() {} };
    if ended == Some(Ended::Stopped) {
        finished.await;
    } else if timeout(PATIENCE, finished).await.is_err() {
        parts.shutdown().await;
    }
}
