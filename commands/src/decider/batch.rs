//! A queued request, and the batch in which it is decided.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use jangbu_kernel::log::{Append, ReceiptKey, Snapshot};
use jangbu_kernel::{Refusal, StreamId, Version};
use tokio::sync::oneshot;

use crate::measure::Figures;
use crate::request::{Answer, CommandError, Request};

/// A request that waits for its answer.
pub(super) struct Job {
    pub request: Request,
    /// The idempotency key with its scope; made on the caller's task.
    pub key: Option<ReceiptKey>,
    /// The log was asked for a receipt of the key and had none. Receipts that are written later are
    /// seen by this decider itself, or by the append.
    pub key_is_new: bool,
    /// Set if the request has no append that would find out that the key was used before.
    pub look_up_key: bool,
    answer: oneshot::Sender<Result<Answer, CommandError>>,
    figures: Arc<Figures>,
    /// How often it was already decided.
    pub rounds: u32,
    /// When it was accepted.
    pub accepted: Instant,
}

impl Job {
    pub fn new(request: Request, answer: oneshot::Sender<Result<Answer, CommandError>>, figures: Arc<Figures>) -> Self {
        let key = request.receipt_key();
        Self {
            request,
            key,
            key_is_new: false,
            look_up_key: false,
            answer,
            figures,
            rounds: 0,
            accepted: Instant::now(),
        }
    }

    /// Sends the answer. It does not matter if the caller is gone.
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
        // The caller may be gone; what was decided is valid all the same.
        let _gone = self.answer.send(result);
    }
}

/// What was decided about a job; its caller is answered after the batch is committed.
pub(super) enum Verdict {
    /// Its append is in the batch, at this place.
    Accepted { append: usize, stream: StreamId, version: Version },
    /// There was nothing to do.
    AlreadyDone { stream: StreamId, version: Version },
    /// The shop refuses the command.
    Refused(Refusal),
    /// `If-Match` names another version.
    OtherVersion { actual: Version },
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
    /// The streams that were read or written.
    pub rests_on: Vec<StreamId>,
    /// When that was decided.
    pub at: Instant,
}

/// Jobs that are decided together and committed together.
#[derive(Default)]
pub(super) struct Batch {
    pub appends: Vec<Append>,
    pub decided: Vec<Decided>,
    /// The streams that its appends write, with the version each had before.
    pub touched: HashMap<StreamId, Version>,
    pub events: usize,
    pub bytes: usize,
    /// Whether it accepts no more jobs.
    pub closed: bool,
    /// The versions, as of this batch, of streams whose freshness is to be checked.
    pub to_check: Vec<(StreamId, Version)>,
    /// Snapshots to save once it is committed.
    pub snapshots: Vec<Snapshot>,
}

impl Batch {
    pub const fn is_empty(&self) -> bool {
        self.decided.is_empty()
    }

    /// Adds an append; returns its place.
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

    /// The streams of a decision that this batch writes. The decision wrote these itself, because
    /// it never only reads what others of its batch write (D4).
    pub fn written_by<'a>(&'a self, decided: &'a Decided) -> impl Iterator<Item = StreamId> + 'a {
        decided.rests_on.iter().copied().filter(|stream| self.touched.contains_key(stream))
    }
}
