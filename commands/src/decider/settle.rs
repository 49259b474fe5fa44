//! After the commit: answers, receipts, and what is to be decided anew.

use std::collections::HashMap;
use std::sync::Arc;

use jangbu_kernel::StreamId;
use jangbu_kernel::log::{AppendResult, LogError, Receipt, Snapshot};

use super::batch::{Batch, Decided, Job, Verdict};
use super::decide::replay;
use super::task::{Commit, Decider};
use crate::request::{Answer, CommandError};

impl Decider {
    /// Answers a batch that the log has answered; throws away what does not hold.
    pub fn settle(&mut self, batch: Batch, commit: Commit) {
        self.settled = batch.number;
        let mut again = Vec::new();
        match commit.results {
            Err(error) => {
                self.forget(&batch);
                self.fail(batch, error, &mut again);
                self.discard_open(&mut again);
            }
            Ok(results) => {
                let whole = results.iter().all(|result| matches!(result, AppendResult::Appended { .. }));
                if !whole {
                    self.forget(&batch);
                }
                let stale = self.drop_stale(&batch, &commit.current);
                let snapshots = Told { whole, stale: &stale, current: commit.current, head: commit.head }
                    .tell(self, batch, results, &mut again);
                if whole {
                    self.keep_snapshots(snapshots);
                }
                if !whole || stale.iter().any(|stream| self.open.touched.contains(stream)) {
                    self.discard_open(&mut again);
                }
            }
        }
        for job in again.into_iter().rev() {
            self.pending.push_front(job);
        }
        self.cache.shrink(self.settled);
        metrics::gauge!("jangbu_decider_cached_states").set(crate::measure::count(self.cache.len()));
    }

    /// Streams of the check list that other nodes have moved on; they leave the cache.
    fn drop_stale(&mut self, batch: &Batch, current: &Result<Vec<u64>, LogError>) -> Vec<StreamId> {
        let Ok(current) = current else { return Vec::new() };
        let stale: Vec<StreamId> = batch
            .to_check
            .iter()
            .zip(current)
            .filter(|((_, seen), current)| seen != *current)
            .map(|((stream, _), _)| *stream)
            .collect();
        for stream in &stale {
            self.cache.remove(*stream);
        }
        stale
    }

    fn forget(&mut self, batch: &Batch) {
        for stream in &batch.touched {
            self.cache.remove(*stream);
        }
    }

    /// Throws the open batch away; its jobs are decided anew (D2).
    fn discard_open(&mut self, again: &mut Vec<Job>) {
        let next = Batch::numbered(self.open.number + 1);
        let open = std::mem::replace(&mut self.open, next);
        self.forget(&open);
        for decided in open.decided {
            let followers = self.release_key(&decided.job, &decided.verdict);
            again.push(decided.job);
            again.extend(followers);
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

    fn appended(&mut self, job: Job, stream: StreamId, version: u64, events: Vec<Arc<jangbu_kernel::RecordedEvent>>) {
        let (position, recorded_at) =
            events.last().map_or((0, self.facts.now), |last| (last.position, last.meta.recorded_at));
        if let (Some(key), Some(given)) = (&job.key, &job.request.idempotency) {
            let receipt = Receipt { fingerprint: given.fingerprint, stream, version, position, recorded_at };
            self.receipts.put(key.clone(), receipt);
        }
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

/// What the log said of a batch, on its way to the callers.
struct Told<'a> {
    whole: bool,
    stale: &'a [StreamId],
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
        for Decided { job, verdict, reads } in batch.decided {
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
                    self.tell_nothing_written(decider, job, verdict, &reads, again);
                }
            }
            again.extend(followers);
        }
        batch.snapshots
    }

    fn tell_nothing_written(
        &self,
        decider: &Decider,
        job: Job,
        verdict: Verdict,
        reads: &[StreamId],
        again: &mut Vec<Job>,
    ) {
        if let Err(error) = &self.current {
            job.answer(Err(CommandError::Unavailable(error.to_string())));
        } else if !self.whole || reads.iter().any(|stream| self.stale.contains(stream)) {
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
