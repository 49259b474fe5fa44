//! Decides the waiting requests into the open batch.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use jangbu_aggregates::processes::walk::{Writes, looked_at};
use jangbu_aggregates::{DomainEvent, Missing, Outcome};
use jangbu_kernel::log::{Append, LogError, NewReceipt, Receipt, ReceiptKey, StreamWrite};
use jangbu_kernel::{EventId, EventMeta, NewEvent, RefusalCode, StreamId, Version};

use super::batch::{Decided, Job, Verdict};
use super::cache::{Cached, View};
use super::task::{CHUNK, Decider};
use super::walk::Along;
use crate::reader::fold;
use crate::request::{Answer, CommandError};

/// Rounds in which commands name the streams that they will read, before they are decided.
const PREFETCH_ROUNDS: usize = 4;
/// Streams that one decision may request one by one. An order of 50 lines reads about 105; a
/// decision that requests more is wrong.
pub(super) const MAX_MISSES: usize = 256;

impl Decider {
    /// Decides the waiting jobs, in order, until the open batch is closed.
    pub async fn decide_pending(&mut self) {
        let count = self.pending.len().min(CHUNK);
        let mut jobs: VecDeque<Job> = self.pending.drain(..count).collect();
        self.facts.now = self.world.clock.now();
        if let Err(error) = self.prefetch(&mut jobs).await {
            let error = CommandError::from(error);
            for job in jobs {
                job.answer(Err(error.clone()));
            }
            return;
        }
        while let Some(job) = jobs.pop_front() {
            if let Some(again) = self.decide_one(job).await {
                jobs.push_front(again);
            }
            if self.open.closed {
                break;
            }
        }
        while let Some(job) = jobs.pop_back() {
            self.pending.push_front(job);
        }
    }

    /// Looks up receipts and loads streams, with one read each for all the jobs.
    async fn prefetch(&mut self, jobs: &mut VecDeque<Job>) -> Result<(), LogError> {
        self.look_up_receipts(jobs).await?;
        for _ in 0..PREFETCH_ROUNDS {
            // Sorted, so that the same jobs always read the log in the same way.
            let mut wanted = BTreeSet::new();
            let mut ignored = Vec::new();
            let mut begun = Vec::new();
            for job in jobs.iter() {
                let view = View::new(&self.cache, &mut ignored);
                let command = &job.request.command;
                begun.clear();
                if job.rounds == 0 {
                    command.begins(&mut begun);
                }
                let named = command.streams(&view);
                let then = looked_at(&view, &named);
                let unknown = |stream: &StreamId| !self.cache.contains(*stream) && !begun.contains(stream);
                wanted.extend(named.into_iter().chain(then).filter(unknown));
                ignored.clear();
            }
            if wanted.is_empty() {
                break;
            }
            match self.load(wanted.into_iter().collect()).await {
                // One of the streams cannot be read. Each command then loads its own, and fails if
                // it needs that one.
                Err(LogError::Damaged(_)) => break,
                loaded => loaded?,
            };
        }
        Ok(())
    }

    /// Caches the streams that a command creates as empty, instead of reading that they do not
    /// exist. Only at its first try: after a conflict they are read.
    fn begin_streams(&mut self, job: &Job) -> Vec<StreamId> {
        let mut begun = Vec::new();
        if job.rounds == 0 {
            job.request.command.begins(&mut begun);
        }
        begun.retain(|stream| !self.cache.contains(*stream));
        for stream in &begun {
            self.cache.put(*stream, Cached::unwritten(*stream));
        }
        begun
    }

    /// Streams that a decision did not write may already exist, so they are not known to be empty.
    fn forget_unwritten(&mut self, begun: Vec<StreamId>, outcome: Option<&Outcome>) {
        let written = match outcome {
            Some(Outcome::Record(writes)) => writes.as_slice(),
            Some(Outcome::AlreadyDone | Outcome::Refused(_)) | None => &[],
        };
        for stream in begun.into_iter().filter(|stream| written.iter().all(|(other, _)| other != stream)) {
            self.cache.remove(stream);
        }
    }

    /// Looks up receipts of the keys whose requests have nothing to append. The others need no
    /// look-up, because the append finds their receipts.
    async fn look_up_receipts(&mut self, jobs: &mut VecDeque<Job>) -> Result<(), LogError> {
        let wanted: BTreeSet<ReceiptKey> = jobs
            .iter()
            .filter(|job| job.look_up_key && !job.key_is_new)
            .filter_map(|job| job.key.as_ref())
            .filter(|key| !self.receipts.contains(*key) && !self.keys.contains_key(*key))
            .cloned()
            .collect();
        if !wanted.is_empty() {
            let wanted: Vec<ReceiptKey> = wanted.into_iter().collect();
            let found = self.log.receipts(wanted.clone()).await?;
            for (key, receipt) in wanted.into_iter().zip(found) {
                if let Some(receipt) = receipt {
                    self.receipts.put(key, receipt);
                }
            }
        }
        for job in jobs {
            job.key_is_new |= job.look_up_key;
        }
        Ok(())
    }

    /// Loads streams into the cache. Returns why one of them cannot be read, the last one if there
    /// are several.
    pub(super) async fn load(&mut self, streams: Vec<StreamId>) -> Result<Option<LogError>, LogError> {
        let wanted =
            streams.iter().map(|stream| (*stream, jangbu_aggregates::AnyState::state_version(stream.kind))).collect();
        let loaded = self.log.load(wanted).await?;
        let mut unreadable = None;
        for (stream, loaded) in streams.into_iter().zip(loaded) {
            // An unreadable stream fails the commands that need it, when they load it alone.
            match fold(self.log.as_ref(), stream, loaded).await {
                Ok((state, version, snapshot_version)) => {
                    self.cache.put(stream, Cached { state, version, snapshot_version });
                }
                Err(error @ LogError::Damaged(_)) => unreadable = Some(error),
                Err(error) => return Err(error),
            }
        }
        Ok(unreadable)
    }

    /// Loads a stream that a decision requested.
    pub(super) async fn load_one(&mut self, stream: StreamId) -> Result<(), CommandError> {
        let unreadable = match self.load(vec![stream]).await {
            Ok(None) => return Ok(()),
            Ok(Some(error)) | Err(error @ LogError::Damaged(_)) => error,
            Err(error) => return Err(error.into()),
        };
        // The same stream is only logged once, so that it does not fill the program's log.
        if self.named.put(stream, ()).is_none() {
            tracing::error!(%stream, error = %unreadable, "a stream cannot be read, commands that need it are not carried out");
        }
        Err(CommandError::Unreadable { stream, detail: unreadable.to_string() })
    }

    /// Decides one job. Returns it if it has to wait for the next batch. Puts it at the end of the
    /// queue if its key has to be looked up.
    async fn decide_one(&mut self, job: Job) -> Option<Job> {
        let mut job = self.by_key(job)?;
        let outcome = match self.outcome(&job).await {
            Ok(outcome) => outcome,
            Err(error) => {
                job.answer(Err(error));
                return None;
            }
        };
        self.cache.touch(&self.reads);
        let stream = job.request.command.subject();
        let version = self.cache.version(stream).unwrap_or(Version::ZERO);
        let wrong_version = job.request.if_match.as_ref().is_some_and(|wanted| !wanted.contains(&version));
        let verdict = match outcome {
            // A resource that is not the caller's must not show its version either.
            Outcome::Refused(refusal) if refusal.code == RefusalCode::NotFound => Verdict::Refused(refusal),
            _ if wrong_version => Verdict::OtherVersion { actual: version },
            Outcome::Refused(refusal) => Verdict::Refused(refusal),
            Outcome::AlreadyDone => Verdict::AlreadyDone { stream, version },
            Outcome::Record(writes) if writes.iter().all(|(_, events)| events.is_empty()) => {
                Verdict::AlreadyDone { stream, version }
            }
            Outcome::Record(writes) => {
                return match self.walk(&job, &writes).await {
                    Ok(along) => self.accept(job, writes, along),
                    Err(error) => {
                        job.answer(Err(error));
                        None
                    }
                };
            }
        };
        if job.key.is_some() && !job.key_is_new {
            // It may repeat a request that was carried out. All jobs that wait for this are looked
            // up with one read.
            job.look_up_key = true;
            self.pending.push_back(job);
            return None;
        }
        let rests_on = self.reads_and(std::iter::once(stream));
        self.open.decided.push(Decided { job, verdict, rests_on, at: Instant::now() });
        None
    }

    /// The streams that the current decision has read, and these ones.
    fn reads_and(&self, streams: impl Iterator<Item = StreamId>) -> Vec<StreamId> {
        let mut all = self.reads.clone();
        for stream in streams {
            if !all.contains(&stream) {
                all.push(stream);
            }
        }
        all
    }

    /// Answers a job whose key was used before, or lets it wait; returns it if its key is new.
    fn by_key(&mut self, job: Job) -> Option<Job> {
        let Some(key) = &job.key else { return Some(job) };
        if let Some(waiting) = self.keys.get_mut(key) {
            waiting.push(job);
            return None;
        }
        match self.receipts.get(key) {
            Some(receipt) => {
                let answer = replay(&job, receipt);
                job.answer(answer);
                None
            }
            None => Some(job),
        }
    }

    /// The outcome of the command on the states in memory; loads the streams that it requests.
    async fn outcome(&mut self, job: &Job) -> Result<Outcome, CommandError> {
        let begun = self.begin_streams(job);
        let outcome = self.decide(job).await;
        self.forget_unwritten(begun, outcome.as_ref().ok());
        outcome
    }

    async fn decide(&mut self, job: &Job) -> Result<Outcome, CommandError> {
        let command = &job.request.command;
        let broken = |detail| CommandError::Unreadable { stream: command.subject(), detail };
        self.facts.scope = job.request.caller.scope;
        for _ in 0..MAX_MISSES {
            self.reads.clear();
            let view = View::new(&self.cache, &mut self.reads);
            // A decision should never panic. If one does, it must not take the whole program down.
            // It only reads the states, so they are intact afterwards.
            let decided = catch_unwind(AssertUnwindSafe(|| command.decide(&view, &self.facts))).map_err(|_| {
                tracing::error!(command = command.name(), "a decision broke off, its command is not carried out");
                broken(format!("the decision of {} broke off", command.name()))
            })?;
            let missing = match decided {
                Err(Missing(stream)) => stream,
                Ok(outcome) => match self.not_loaded(command.subject(), &outcome) {
                    Some(stream) => stream,
                    None => return Ok(outcome),
                },
            };
            self.load_one(missing).await?;
        }
        Err(broken(format!("{} looks at no end of streams", command.name())))
    }

    fn not_loaded(&self, primary: StreamId, outcome: &Outcome) -> Option<StreamId> {
        let written = match outcome {
            Outcome::Record(writes) => writes.as_slice(),
            Outcome::AlreadyDone | Outcome::Refused(_) => &[],
        };
        std::iter::once(primary)
            .chain(written.iter().map(|(stream, _)| *stream))
            .find(|stream| !self.cache.contains(*stream))
    }

    /// Adds a decision and its consequences to the open batch and to the states. Returns the job if
    /// it has to wait for the next batch (D4).
    fn accept(&mut self, job: Job, writes: Writes, along: Along) -> Option<Job> {
        let written: Vec<StreamId> =
            writes.iter().map(|(stream, _)| *stream).chain(along.streams(self.exclusive)).collect();
        let only_read = |stream: &&StreamId| !written.contains(stream);
        if self.reads.iter().filter(only_read).any(|stream| self.open.touched.contains_key(stream)) {
            self.open.closed = true;
            return Some(job);
        }
        let rests_on = self.reads_and(written.into_iter());
        let request = &job.request;
        let meta = EventMeta {
            correlation_id: request.correlation_id,
            causation_id: request.causation_id.unwrap_or_else(|| request.command_id.uuid()),
            command_id: request.command_id,
            actor: request.caller.actor.clone(),
            trace: request.trace.clone(),
            recorded_at: self.facts.now,
        };
        let writes = self.writes(writes, along, &meta);
        let stream = job.request.command.subject();
        let version = self.cache.version(stream).unwrap_or(Version::ZERO);
        if let Some(key) = &job.key {
            self.keys.insert(key.clone(), Vec::new());
        }
        let receipt = job.key.clone().zip(job.request.idempotency.as_ref()).map(|(key, given)| NewReceipt {
            key,
            fingerprint: given.fingerprint,
            stream,
            version,
        });
        let append = self.open.push(Append { writes, meta, receipt });
        let verdict = Verdict::Accepted { append, stream, version };
        self.open.decided.push(Decided { job, verdict, rests_on, at: Instant::now() });
        self.open.closed |=
            self.open.events >= self.options.max_batch_events || self.open.bytes >= self.options.max_batch_bytes;
        None
    }

    /// Wraps events for the log and folds them into the state, in place. `version` is that of a
    /// stream which is not in memory, because it cannot be read.
    pub(super) fn write(&mut self, stream: StreamId, events: &[DomainEvent], version: Version) -> StreamWrite {
        let mut wrapped = Vec::with_capacity(events.len());
        for event in events {
            wrapped.push(NewEvent {
                event_id: EventId::new(self.world.ids.new_id()),
                event_type: event.event_type(),
                schema_version: event.schema_version(),
                payload: event.payload_json(),
            });
        }
        let mut expected_version = version;
        if let Some(cached) = self.cache.get_mut(stream) {
            expected_version = cached.version;
            for event in events {
                cached.state.evolve(event);
            }
            cached.version = cached.version.plus(events.len() as u64);
        }
        StreamWrite { stream, expected_version, events: wrapped, meta: None }
    }
}

/// Repeats the first answer, or refuses another request with the same key.
pub(super) fn replay(job: &Job, receipt: &Receipt) -> Result<Answer, CommandError> {
    job.request.idempotency.as_ref().map_or(Err(CommandError::KeyReused), |given| Answer::again(receipt, given))
}
