//! After the commit: answers, receipts, and requests that have to be decided again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::processes::{FulfilmentEvent, FulfilmentParked};
use jangbu_kernel::log::{AppendResult, LogError, Receipt, Snapshot};
use jangbu_kernel::{OrderId, Position, RecordedEvent, StreamId, Version};

use super::batch::{Batch, Decided, Job, Verdict};
use super::decide::replay;
use super::task::{Commit, Decider};
use crate::reader::decode;
use crate::request::{Answer, CommandError};

impl Decider {
    /// Answers a batch after the log has answered, and discards invalid states.
    pub fn settle(&mut self, batch: Batch, commit: Commit) {
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
                let snapshots =
                    Told { spoiled: &spoiled, current: commit.current, head: commit.head, between: commit.between }
                        .tell(self, batch, results, &mut again);
                self.keep_snapshots(snapshots);
                spoiled
            }
        };
        for stream in spoiled {
            self.cache.remove(stream);
        }
        for job in again.into_iter().rev() {
            self.pending.push_front(job);
        }
        self.cache.shrink();
        self.figures.cached_states.set(crate::measure::count(self.cache.len()));
    }

    /// The batch as a whole failed, or its outcome is unknown.
    fn fail(&mut self, batch: Batch, error: LogError, again: &mut Vec<Job>) {
        let failed = CommandError::from(error);
        for Decided { job, verdict, .. } in batch.decided {
            again.extend(self.release_key(&job, &verdict));
            let error = match (&verdict, &failed) {
                // It had nothing to write, so its outcome is not unknown; but the states that it
                // was decided on may be invalid.
                (
                    Verdict::AlreadyDone { .. } | Verdict::Refused(_) | Verdict::OtherVersion { .. },
                    CommandError::OutcomeUnknown(detail),
                ) => CommandError::Unavailable(detail.clone()),
                _ => failed.clone(),
            };
            job.answer(Err(error));
        }
    }

    /// The jobs that waited for the outcome of a job with the same key.
    fn release_key(&mut self, job: &Job, verdict: &Verdict) -> Vec<Job> {
        match &job.key {
            Some(key) if verdict.is_accepted() => self.keys.remove(key).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Counts a round and lets the job be decided again, or gives up for now.
    fn try_again(&self, mut job: Job, again: &mut Vec<Job>) {
        job.rounds += 1;
        if job.rounds < self.options.max_rounds {
            again.push(job);
        } else {
            job.answer(Err(CommandError::Busy { retry_after: self.options.retry_after }));
        }
    }

    fn appended(&mut self, job: Job, stream: StreamId, version: Version, events: Vec<Arc<RecordedEvent>>) {
        let (position, recorded_at) =
            events.last().map_or((Position::ZERO, self.facts.now), |last| (last.position, last.meta.recorded_at));
        if let (Some(key), Some(given)) = (&job.key, &job.request.idempotency) {
            let receipt = Receipt { fingerprint: given.fingerprint, stream, version, position, recorded_at };
            self.receipts.put(key.clone(), receipt);
        }
        tell_what_waits(&events);
        job.answer(Ok(Answer { stream, version, position, replayed: false, events: events.into() }));
    }

    /// Saves snapshots in the background. This is best effort: losing a snapshot only costs time.
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

/// Streams that were read and that other nodes have written since.
fn moved_on(batch: &Batch, current: &Result<Vec<Version>, LogError>) -> HashSet<StreamId> {
    let current = current.as_deref().unwrap_or_default();
    let looked_at = batch.to_check.iter().zip(current);
    looked_at.filter(|((_, seen), current)| seen != *current).map(|((stream, _), _)| *stream).collect()
}

/// The streams of appends that the log refused: their states in memory have events that the log
/// does not have.
fn not_carried_out(batch: &Batch, results: &[AppendResult]) -> HashSet<StreamId> {
    let refused = |decided: &&Decided| match decided.verdict {
        Verdict::Accepted { append, .. } => !matches!(results.get(append), Some(AppendResult::Appended { .. })),
        Verdict::AlreadyDone { .. } | Verdict::Refused(_) | Verdict::OtherVersion { .. } => false,
    };
    batch.decided.iter().filter(refused).flat_map(|decided| batch.written_by(decided)).collect()
}

/// Logs a process that waits for a person, because it does not go on before one acts.
fn tell_what_waits(events: &[Arc<RecordedEvent>]) {
    for recorded in events.iter().filter(|event| event.event_type == FulfilmentParked::TYPE) {
        if let Ok(DomainEvent::Fulfilment(FulfilmentEvent::Parked(parked))) = decode(recorded) {
            let (order_id, reason) = (OrderId::new(recorded.stream.id), parked.reason);
            tracing::error!(%order_id, %reason, "the fulfilment of order {order_id} waits for a person: {reason}");
        }
    }
}

/// The log's results for a batch, on their way to the callers.
struct Told<'a> {
    /// Streams whose states in memory did not match the log.
    spoiled: &'a HashSet<StreamId>,
    current: Result<Vec<Version>, LogError>,
    head: Result<Position, LogError>,
    /// When the append was started, and when it was answered.
    between: [Instant; 2],
}

impl Told<'_> {
    /// Answers the jobs, or lets them be decided again. Returns the snapshots that are due.
    fn tell(
        self,
        decider: &mut Decider,
        batch: Batch,
        results: Vec<AppendResult>,
        again: &mut Vec<Job>,
    ) -> Vec<Snapshot> {
        let mut results: HashMap<usize, AppendResult> = results.into_iter().enumerate().collect();
        for Decided { job, verdict, rests_on, at } in batch.decided {
            let followers = decider.release_key(&job, &verdict);
            let [sent, synced] = self.between;
            decider.figures.stages.record([job.accepted, at, sent, synced, Instant::now()]);
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
