//! After the commit: answers, receipts, and what is to be decided anew.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::processes::{FulfilmentEvent, FulfilmentParked};
use jangbu_kernel::log::{Append, AppendResult, LogError, Receipt, Snapshot};
use jangbu_kernel::{OrderId, RecordedEvent, StreamId};

use super::batch::{Batch, Decided, Job, Verdict};
use super::decide::replay;
use super::task::{Commit, Decider};
use crate::reader::decode;
use crate::request::{Answer, CommandError};

impl Decider {
    /// Answers a batch that the log has answered; throws away what does not hold.
    pub fn settle(&mut self, batch: Batch, commit: Commit) {
        self.settled = batch.number;
        let mut again = Vec::new();
        let spoiled = match commit.results {
            Err(error) => {
                let spoiled = batch.touched.keys().copied().collect();
                self.fail(batch, error, &mut again);
                spoiled
            }
            Ok(results) => {
                let mut spoiled = moved_on(&batch, &commit.current);
                spoiled.extend(not_carried_out(&batch, &results));
                let snapshots = Told { spoiled: &spoiled, current: commit.current, head: commit.head }
                    .tell(self, batch, results, &mut again);
                self.keep_snapshots(snapshots);
                spoiled
            }
        };
        if !spoiled.is_empty() {
            self.throw_away(spoiled, &mut again);
        }
        for job in again.into_iter().rev() {
            self.pending.push_front(job);
        }
        self.cache.shrink(self.settled);
        self.figures.cached_states.set(crate::measure::count(self.cache.len()));
    }

    /// States that are not what the log holds leave the cache; what the open batch decided
    /// on them is decided anew, and so is all that was decided on what that wrote (D2).
    pub fn throw_away(&mut self, mut spoiled: HashSet<StreamId>, again: &mut Vec<Job>) {
        let fallen = fallen(&self.open, &mut spoiled);
        for stream in &spoiled {
            self.cache.remove(*stream);
        }
        if !fallen.contains(&true) {
            return;
        }
        // The number stays: states that it wrote are marked with it.
        let number = self.open.number;
        let open = std::mem::replace(&mut self.open, Batch::numbered(number));
        let mut appends: Vec<Option<Append>> = open.appends.into_iter().map(Some).collect();
        for (mut decided, fallen) in open.decided.into_iter().zip(fallen) {
            if fallen {
                let followers = self.release_key(&decided.job, &decided.verdict);
                again.push(decided.job);
                again.extend(followers);
                continue;
            }
            if let Verdict::Accepted { append: place, .. } = &mut decided.verdict
                && let Some(append) = appends.get_mut(*place).and_then(Option::take)
            {
                *place = self.open.push(append);
            }
            self.open.decided.push(decided);
        }
    }

    /// The batch as a whole was not carried out, or nobody knows.
    fn fail(&mut self, batch: Batch, error: LogError, again: &mut Vec<Job>) {
        let failed = CommandError::from(error);
        for Decided { job, verdict, .. } in batch.decided {
            again.extend(self.release_key(&job, &verdict));
            let error = match (&verdict, &failed) {
                // It had nothing to write, so its outcome is no riddle; but what it was decided on may not stand.
                (
                    Verdict::AlreadyDone { .. } | Verdict::Refused(_) | Verdict::OtherVersion { .. },
                    CommandError::OutcomeUnknown(detail),
                ) => CommandError::Unavailable(detail.clone()),
                _ => failed.clone(),
            };
            job.answer(Err(error));
        }
    }

    /// The jobs that waited for what becomes of this one's key.
    fn release_key(&mut self, job: &Job, verdict: &Verdict) -> Vec<Job> {
        match &job.key {
            Some(key) if verdict.is_accepted() => self.keys.remove(key).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Counts a round and has the job decided anew, or gives up for now.
    fn try_again(&self, mut job: Job, again: &mut Vec<Job>) {
        job.rounds += 1;
        if job.rounds < self.options.max_rounds {
            again.push(job);
        } else {
            job.answer(Err(CommandError::Busy { retry_after: self.options.retry_after }));
        }
    }

    fn appended(&mut self, job: Job, stream: StreamId, version: u64, events: Vec<Arc<RecordedEvent>>) {
        let (position, recorded_at) =
            events.last().map_or((0, self.facts.now), |last| (last.position, last.meta.recorded_at));
        if let (Some(key), Some(given)) = (&job.key, &job.request.idempotency) {
            let receipt = Receipt { fingerprint: given.fingerprint, stream, version, position, recorded_at };
            self.receipts.put(key.clone(), receipt);
        }
        tell_what_waits(&events);
        job.answer(Ok(Answer { stream, version, position, replayed: false, events: events.into() }));
    }

    /// Keeps snapshots beside the work. Best effort: losing one costs time only.
    fn keep_snapshots(&self, snapshots: Vec<Snapshot>) {
        if snapshots.is_empty() {
            return;
        }
        let log = Arc::clone(&self.log);
        tokio::spawn(async move {
            if let Err(error) = log.save_snapshots(snapshots).await {
                tracing::warn!(%error, "snapshots could not be kept");
            }
        });
    }
}

/// Streams that were looked at and that other nodes have moved on.
fn moved_on(batch: &Batch, current: &Result<Vec<u64>, LogError>) -> HashSet<StreamId> {
    let current = current.as_deref().unwrap_or_default();
    let looked_at = batch.to_check.iter().zip(current);
    looked_at.filter(|((_, seen), current)| seen != *current).map(|((stream, _), _)| *stream).collect()
}

/// The streams of appends that the log did not take: the states in memory hold what it
/// does not.
fn not_carried_out(batch: &Batch, results: &[AppendResult]) -> HashSet<StreamId> {
    let refused = |decided: &&Decided| match decided.verdict {
        Verdict::Accepted { append, .. } => !matches!(results.get(append), Some(AppendResult::Appended { .. })),
        Verdict::AlreadyDone { .. } | Verdict::Refused(_) | Verdict::OtherVersion { .. } => false,
    };
    batch.decided.iter().filter(refused).flat_map(|decided| batch.written_by(decided)).collect()
}

/// Which decisions of a batch fall with these streams. What a fallen one wrote is spoiled
/// as well, for those before it too: the state in memory is that of all of them.
fn fallen(batch: &Batch, spoiled: &mut HashSet<StreamId>) -> Vec<bool> {
    let mut fallen = vec![false; batch.decided.len()];
    loop {
        let before = spoiled.len();
        for (decided, fallen) in batch.decided.iter().zip(&mut fallen).filter(|(_, fallen)| !**fallen) {
            if decided.rests_on.iter().any(|stream| spoiled.contains(stream)) {
                *fallen = true;
                spoiled.extend(batch.written_by(decided));
            }
        }
        if spoiled.len() == before {
            return fallen;
        }
    }
}

/// A process that waits for a person stands still until one comes: it is told where they
/// look first.
fn tell_what_waits(events: &[Arc<RecordedEvent>]) {
    for recorded in events.iter().filter(|event| event.event_type == FulfilmentParked::TYPE) {
        if let Ok(DomainEvent::Fulfilment(FulfilmentEvent::Parked(parked))) = decode(recorded) {
            let (order_id, reason) = (OrderId::new(recorded.stream.id), parked.reason);
            tracing::error!(%order_id, %reason, "the fulfilment of order {order_id} waits for a person: {reason}");
        }
    }
}

/// What the log said of a batch, on its way to the callers.
struct Told<'a> {
    /// Streams whose states in memory were not what the log holds.
    spoiled: &'a HashSet<StreamId>,
    current: Result<Vec<u64>, LogError>,
    head: Result<u64, LogError>,
}

impl Told<'_> {
    /// Answers, or has decided anew. Gives back the snapshots that are due.
    fn tell(
        self,
        decider: &mut Decider,
        batch: Batch,
        results: Vec<AppendResult>,
        again: &mut Vec<Job>,
    ) -> Vec<Snapshot> {
        let mut results: HashMap<usize, AppendResult> = results.into_iter().enumerate().collect();
        for Decided { job, verdict, rests_on } in batch.decided {
            let followers = decider.release_key(&job, &verdict);
            match verdict {
                Verdict::Accepted { append, stream, version } => match results.remove(&append) {
                    Some(AppendResult::Appended { events }) => decider.appended(job, stream, version, events),
                    Some(AppendResult::Duplicate { receipt }) => {
                        let answer = replay(&job, &receipt);
                        if let Some(key) = job.key.clone() {
                            decider.receipts.put(key, receipt);
                        }
                        job.answer(answer);
                    }
                    Some(AppendResult::Conflict { .. }) => decider.try_again(job, again),
                    None => job.answer(Err(CommandError::OutcomeUnknown("the log gave no answer".to_owned()))),
                },
                Verdict::AlreadyDone { .. } | Verdict::Refused(_) | Verdict::OtherVersion { .. } => {
                    self.tell_nothing_written(decider, job, verdict, &rests_on, again);
                }
            }
            again.extend(followers);
        }
        batch.snapshots.into_iter().filter(|snapshot| !self.spoiled.contains(&snapshot.stream)).collect()
    }

    fn tell_nothing_written(
        &self,
        decider: &Decider,
        job: Job,
        verdict: Verdict,
        rests_on: &[StreamId],
        again: &mut Vec<Job>,
    ) {
        if let Err(error) = &self.current {
            job.answer(Err(CommandError::Unavailable(error.to_string())));
        } else if rests_on.iter().any(|stream| self.spoiled.contains(stream)) {
            decider.try_again(job, again);
        } else {
            let answer = match (verdict, &self.head) {
                (Verdict::Refused(refusal), _) => Err(CommandError::Refused(refusal)),
                (Verdict::OtherVersion { actual }, _) => Err(CommandError::VersionConflict { actual }),
                (Verdict::AlreadyDone { stream, version } | Verdict::Accepted { stream, version, .. }, Ok(head)) => {
                    Ok(Answer { stream, version, position: *head, replayed: false, events: [].into() })
                }
                (Verdict::AlreadyDone { .. } | Verdict::Accepted { .. }, Err(error)) => {
                    Err(CommandError::Unavailable(error.to_string()))
                }
            };
            job.answer(answer);
        }
    }
}
