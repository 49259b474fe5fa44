//! A request on its way, and the batch it is decided in.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jangbu_kernel::log::{Append, ReceiptKey, Snapshot};
use jangbu_kernel::{Refusal, StreamId};
use tokio::sync::oneshot;

use crate::measure::Figures;
use crate::request::{Answer, CommandError, Request};

/// A request that waits for its answer.
pub(super) struct Job {
    pub request: Request,
    /// Whose idempotency key, and which; made on the caller's task.
    pub key: Option<ReceiptKey>,
    /// The log was asked for a receipt of the key and had none. Later ones are seen by
    /// this decider itself, or by the append.
    pub key_is_new: bool,
    /// Without an append nobody would find out that the key was used before.
    pub look_up_key: bool,
    answer: oneshot::Sender<Result<Answer, CommandError>>,
    figures: Arc<Figures>,
    /// How often it was decided already.
    pub rounds: u32,
}

impl Job {
    pub fn new(request: Request, answer: oneshot::Sender<Result<Answer, CommandError>>, figures: Arc<Figures>) -> Self {
        let key = request.receipt_key();
        Self { request, key, key_is_new: false, look_up_key: false, answer, figures, rounds: 0 }
    }

    /// Answers. A caller who has gone changes nothing.
    pub fn answer(self, result: Result<Answer, CommandError>) {
        let outcome = match &result {
            Ok(answer) if answer.replayed => "replayed",
            Ok(answer) if answer.events.is_empty() => "already_done",
            Ok(_) => "accepted",
            Err(CommandError::Refused(_)) => "refused",
            Err(CommandError::VersionConflict { .. }) => "version_conflict",
            Err(CommandError::KeyReused) => "key_reused",
            Err(CommandError::Busy { .. }) => "busy",
            Err(CommandError::Unavailable(_)) => "unavailable",
            Err(CommandError::Unreadable { .. }) => "unreadable",
            Err(CommandError::ReadOnly(_)) => "read_only",
            Err(CommandError::OutcomeUnknown(_)) => "outcome_unknown",
            Err(CommandError::ShuttingDown) => "shutting_down",
        };
        self.figures.commands.count(self.request.command.name(), outcome);
        // The caller may have gone away; what was decided stands all the same.
        let _gone = self.answer.send(result);
    }
}

/// What was decided about a job, to be told when its batch is committed.
pub(super) enum Verdict {
    /// Its append is in the batch, at this place.
    Accepted { append: usize, stream: StreamId, version: u64 },
    /// There was nothing to do.
    AlreadyDone { stream: StreamId, version: u64 },
    /// The shop says no.
    Refused(Refusal),
    /// `If-Match` names another version.
    OtherVersion { actual: u64 },
}

impl Verdict {
    pub const fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted { .. })
    }
}

/// A job with its verdict.
pub(super) struct Decided {
    pub job: Job,
    pub verdict: Verdict,
    /// The streams that were looked at or written.
    pub rests_on: Vec<StreamId>,
}

/// Jobs that are decided together and committed together.
#[derive(Default)]
pub(super) struct Batch {
    /// Batches are numbered from 1.
    pub number: u64,
    pub appends: Vec<Append>,
    pub decided: Vec<Decided>,
    /// The streams that its appends write, with the version each had before.
    pub touched: HashMap<StreamId, u64>,
    pub events: usize,
    pub bytes: usize,
    /// Takes no more jobs.
    pub closed: bool,
    /// The versions, as of this batch, of streams whose freshness is to be checked.
    pub to_check: Vec<(StreamId, u64)>,
    /// To be kept once it is committed.
    pub snapshots: Vec<Snapshot>,
}

impl Batch {
    pub fn numbered(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    pub const fn is_empty(&self) -> bool {
        self.decided.is_empty()
    }

    /// Takes an append in; gives its place.
    pub fn push(&mut self, append: Append) -> usize {
        for write in &append.writes {
            self.touched.entry(write.stream).or_insert(write.expected_version);
        }
        let events = || append.writes.iter().flat_map(|write| &write.events);
        self.events += events().count();
        self.bytes += events().map(|event| event.payload.len()).sum::<usize>();
        self.appends.push(append);
        self.appends.len() - 1
    }

    /// What of the streams that a decision rests on this batch writes: those that it wrote
    /// itself, since what others of its batch write is never only looked at (D4).
    pub fn written_by<'a>(&'a self, decided: &'a Decided) -> impl Iterator<Item = StreamId> + 'a {
        decided.rests_on.iter().copied().filter(|stream| self.touched.contains_key(stream))
    }

    /// All streams that its decisions rest on.
    pub fn rests_on(&self) -> HashSet<StreamId> {
        self.decided.iter().flat_map(|decided| decided.rests_on.iter().copied()).collect()
    }
}
