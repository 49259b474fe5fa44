//! Follows the log and tells each fact once; tries again what was not delivered.

use std::collections::{BTreeSet, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jangbu_kernel::log::LogError;
use jangbu_kernel::{NoticeId, Position, RecordedEvent};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::tell::{self, Halt};
use super::{Deps, NOTICES};
use crate::lease::{Ended, Lease};
use crate::process::reader::{Next, Reader};
use crate::process::submit::Backoff;

/// The name of the lease. Storage format.
const LEASE: &str = "notices";
/// The name of the checkpoint. Storage format.
const READER: &str = "notices";
/// How long messages under way may take when the work ends.
const PATIENCE: Duration = Duration::from_secs(3);
/// The notices whose streams cannot be read that are remembered, so that they are not looked at with
/// every poll.
const MOST_PASSED_OVER: usize = 1_000;

/// Runs until the program stops.
pub(super) async fn run(deps: Arc<Deps>, stop: CancellationToken) {
    let lease = Lease::new(LEASE, deps.lease.clone(), stop.clone());
    while let Some(until) = lease.wait().await {
        let turn = stop.child_token();
        let mut work = JoinSet::new();
        work.spawn(follow(Arc::clone(&deps), turn.clone()));
        let ended = tokio::select! {
            biased;
            ended = lease.keep(until) => Some(ended),
            _ = work.join_next() => stop.is_cancelled().then_some(Ended::Stopped),
        };
        turn.cancel();
        while work.join_next().await.is_some() {}
        match ended {
            Some(Ended::Lost) => tracing::warn!("the lease of the notices is lost; standing by"),
            Some(Ended::Stopped) => return lease.give_back().await,
            // It has ended by itself: the supervisor has to notice.
            None => return,
        }
    }
}

/// What a task has worked on.
enum Done {
    /// A fact, which is told, or passed over.
    Fact(Position),
    /// A notice that was tried again.
    Again(NoticeId),
    /// A notice that cannot be tried again, because its stream cannot be read.
    PassedOver(NoticeId),
    /// Nothing, because the program is stopping.
    Nothing,
}

/// The messages under way.
struct Window {
    deps: Arc<Deps>,
    stop: CancellationToken,
    tasks: JoinSet<Done>,
    /// The facts that are not told yet.
    facts: BTreeSet<Position>,
    /// The notices that are being tried again.
    again: HashSet<NoticeId>,
    /// The notices that are left alone in this turn: they stay in the read model.
    passed_over: HashSet<NoticeId>,
    read_to: Position,
}

/// How some work ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Done,
    /// It can never be done.
    PassedOver,
    /// The program is stopping.
    Stopped,
}

impl Window {
    /// The position up to which everybody was told.
    fn finished(&self) -> Position {
        self.facts.first().map_or(self.read_to, |position| position.previous())
    }

    fn room(&self) -> usize {
        self.deps.options.at_once.max(2).saturating_sub(self.tasks.len())
    }

    /// How many more notices may be tried again: half of the room stays for what is new.
    fn room_again(&self) -> usize {
        (self.deps.options.at_once.max(2) / 2).saturating_sub(self.again.len()).min(self.room())
    }

    fn tell(&mut self, fact: Arc<RecordedEvent>) {
        let (deps, stop) = (Arc::clone(&self.deps), self.stop.clone());
        let position = fact.position;
        self.facts.insert(position);
        self.tasks.spawn(async move {
            match patiently(&deps, &stop, position.to_string(), || tell::fact(&deps, &stop, &fact)).await {
                Ending::Done | Ending::PassedOver => Done::Fact(position),
                Ending::Stopped => Done::Nothing,
            }
        });
    }

    fn try_again(&mut self, id: NoticeId) {
        if !self.again.insert(id) {
            return;
        }
        let (deps, stop) = (Arc::clone(&self.deps), self.stop.clone());
        self.tasks.spawn(async move {
            match patiently(&deps, &stop, id.to_string(), || tell::again(&deps, &stop, id)).await {
                Ending::Done => Done::Again(id),
                Ending::PassedOver => Done::PassedOver(id),
                Ending::Stopped => Done::Nothing,
            }
        });
    }

    fn close(&mut self, done: Done) {
        match done {
            Done::Fact(position) => {
                self.facts.remove(&position);
            }
            Done::Again(id) => {
                self.again.remove(&id);
            }
            Done::PassedOver(id) => {
                self.again.remove(&id);
                if self.passed_over.len() < MOST_PASSED_OVER {
                    self.passed_over.insert(id);
                }
            }
            // It stays open: it is repeated after the next start.
            Done::Nothing => {}
        }
    }

    /// Lets what is under way finish; what takes longer is repeated after the next start.
    async fn drain(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, self.tasks.join_next()).await {
            self.close(ended.unwrap_or(Done::Nothing));
        }
        self.tasks.shutdown().await;
    }
}

/// Follows the log until the turn ends.
async fn follow(deps: Arc<Deps>, stop: CancellationToken) {
    if !begin(&deps, &stop).await {
        return;
    }
    let types = NOTICES.iter().map(|notice| notice.fact.to_owned()).collect();
    let (log, checkpoints) = (deps.commands.log(), &deps.checkpoints);
    let resumed = Reader::resume(log, checkpoints, &deps.reading, &stop, READER, types);
    let Some(mut reader) = resumed.await else { return };
    let mut window = Window {
        deps: Arc::clone(&deps),
        stop: stop.clone(),
        tasks: JoinSet::new(),
        facts: BTreeSet::new(),
        again: HashSet::new(),
        passed_over: HashSet::new(),
        read_to: reader.done(),
    };
    let mut look_at = Instant::now();
    loop {
        let (room, flush) = (window.room(), reader.write_due());
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = window.tasks.join_next() => window.close(ended.unwrap_or(Done::Nothing)),
            () = sleep_until(look_at), if window.room_again() > 0 => {
                look_for_due(&mut window).await;
                look_at = Instant::now() + deps.options.poll;
            }
            next = reader.next(room), if room > 0 => match next {
                Next::Page(facts, read_to) => {
                    window.read_to = read_to;
                    facts.into_iter().filter(|fact| is_young(&deps, fact)).for_each(|fact| window.tell(fact));
                }
                Next::Stopped => break,
            },
            () = at(flush), if flush.is_some() => reader.write().await,
        }
        reader.finished(window.finished()).await;
    }
    window.drain().await;
    reader.finished(window.finished()).await;
    reader.write().await;
}

/// Sets the checkpoint of a log that was never followed to its head: what happened before is not
/// told. False if the turn ends first.
async fn begin(deps: &Deps, stop: &CancellationToken) -> bool {
    let log = deps.commands.log();
    let mut watch = log.watch_head();
    let mut backoff = Backoff::new(&deps.reading);
    loop {
        let begun = async {
            if deps.checkpoints.checkpoint(READER).await? > Position::ZERO {
                return Ok(true);
            }
            let head = log.head().await?;
            if head > Position::ZERO {
                deps.checkpoints.advance(READER, head).await?;
            }
            Ok::<bool, LogError>(head > Position::ZERO)
        };
        match begun.await {
            Ok(true) => return true,
            // The log is empty.
            Ok(false) => {
                let changed = stop.run_until_cancelled(timeout(deps.options.poll, watch.changed())).await;
                if changed.is_none() || changed == Some(Ok(false)) {
                    return false;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "where the notices begin cannot be read for now");
                if !backoff.wait(stop).await {
                    return false;
                }
            }
        }
    }
}

fn is_young(deps: &Deps, fact: &RecordedEvent) -> bool {
    deps.world.clock.now() - fact.meta.recorded_at < deps.options.oldest
}

async fn look_for_due(window: &mut Window) {
    // Those that were just tried may still be in the read model.
    let known = window.again.len().saturating_add(window.passed_over.len());
    let limit = window.room_again().saturating_add(known);
    match window.deps.timers.due_notices(window.deps.world.clock.now(), limit).await {
        Ok(due) => {
            let room = window.room_again();
            let is_fresh = |id: &NoticeId| !window.again.contains(id) && !window.passed_over.contains(id);
            let fresh: Vec<_> = due.into_iter().filter(is_fresh).take(room).collect();
            fresh.into_iter().for_each(|id| window.try_again(id));
        }
        Err(error) => tracing::warn!(%error, "which notices are to be tried again cannot be read for now"),
    }
}

/// Works until that is done, as long as the log cannot be read for now; what can never be read is
/// passed over, and so is what breaks off.
async fn patiently<W: Future<Output = Result<(), Halt>>>(
    deps: &Deps,
    stop: &CancellationToken,
    what: String,
    work: impl Fn() -> W,
) -> Ending {
    let mut backoff = Backoff::new(&deps.reading);
    loop {
        let Ok(done) = AssertUnwindSafe(work()).catch_unwind().await else {
            tracing::error!(what, "telling somebody of {what} broke off, they are not told");
            return Ending::PassedOver;
        };
        match done {
            Ok(()) => return Ending::Done,
            Err(Halt::Stopped) => return Ending::Stopped,
            Err(Halt::Unread(error @ LogError::Damaged(_))) => {
                tracing::error!(what, %error, "nobody can be told of {what}, because it cannot be read");
                return Ending::PassedOver;
            }
            Err(Halt::Unread(error)) => {
                tracing::warn!(what, %error, "what somebody is to be told cannot be read for now");
                if !backoff.wait(stop).await {
                    return Ending::Stopped;
                }
            }
        }
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
