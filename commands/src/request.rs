//! What the write side is asked, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use jangbu_aggregates::{AnyCommand, Scope};
use jangbu_kernel::log::{LogError, Receipt, ReceiptKey};
use jangbu_kernel::{Actor, CommandId, CorrelationId, RecordedEvent, Refusal, StreamId};
use uuid::Uuid;

/// The caller of a command, and whose things it may touch.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Written into the events as who acted.
    pub actor: Actor,
    /// Whose things the caller may touch.
    pub scope: Scope,
}

impl Caller {
    /// The process manager itself.
    #[must_use]
    pub const fn process_manager() -> Self {
        Self { actor: Actor::System("process-manager"), scope: Scope::Any }
    }
}

/// A key that makes a repeated request answer instead of act. Its scope is the
/// caller's actor in text form; of a sign-up without login, the address besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// As the caller gave it.
    pub key: String,
    /// SHA-256 over what the caller asked; another request under the key is refused.
    pub fingerprint: [u8; 32],
}

impl Idempotency {
    /// The key of its receipt, in a scope.
    pub(crate) fn receipt_key(&self, scope: String) -> ReceiptKey {
        ReceiptKey::new(scope, &self.key, |bytes| {
            let mut hash = [0; 32];
            hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
            hash
        })
    }
}

/// A command with everything around it.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is to be done.
    pub command: AnyCommand,
    /// Who asks.
    pub caller: Caller,
    /// The id of this command, written into its events.
    pub command_id: CommandId,
    /// Everything that one request set in motion carries one correlation id.
    pub correlation_id: CorrelationId,
    /// The event behind a process's command; the command's own id when absent.
    pub causation_id: Option<Uuid>,
    /// W3C `traceparent` of the request.
    pub trace: Option<String>,
    /// The caller's key.
    pub idempotency: Option<Idempotency>,
    /// The primary stream must have one of these versions.
    pub if_match: Option<Vec<u64>>,
}

impl Request {
    /// Whose idempotency key, and which; none without a key.
    pub(crate) fn receipt_key(&self) -> Option<ReceiptKey> {
        let given = self.idempotency.as_ref()?;
        let actor = &self.caller.actor;
        let scope = match self.command.anonymous_key_scope() {
            Some(scope) => scope_of_anonymous(actor, scope),
            None => actor.to_string(),
        };
        Some(given.receipt_key(scope))
    }

    /// A request without key, condition, cause or trace.
    #[must_use]
    pub fn new(
        command: impl Into<AnyCommand>,
        caller: Caller,
        command_id: CommandId,
        correlation_id: CorrelationId,
    ) -> Self {
        Self {
            command: command.into(),
            caller,
            command_id,
            correlation_id,
            causation_id: None,
            trace: None,
            idempotency: None,
            if_match: None,
        }
    }
}

/// What came of a command that was carried out, now or before.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The primary stream of the command.
    pub stream: StreamId,
    /// Its version after the command; for a replay, in the first answer.
    pub version: u64,
    /// Position of the last event of the append; when nothing had to be done, a
    /// position that is known to cover what made it so.
    pub position: u64,
    /// Answered from a receipt: the command had been carried out before.
    pub replayed: bool,
    /// The events of this append over all its streams, in order; empty when
    /// nothing had to be done or the answer is a replay.
    pub events: Arc<[Arc<RecordedEvent>]>,
}

impl Answer {
    /// The first answer again, when the request is the same.
    pub(crate) fn again(receipt: &Receipt, given: &Idempotency) -> Result<Self, CommandError> {
        if given.fingerprint != receipt.fingerprint {
            return Err(CommandError::KeyReused);
        }
        Ok(Self {
            stream: receipt.stream,
            version: receipt.version,
            position: receipt.position,
            replayed: true,
            events: [].into(),
        })
    }
}

/// The scope of the keys of a command that is sent without a login, such as a sign-up. All who
/// are not logged in are one actor; strangers must not meet in each other's keys.
pub(crate) fn scope_of_anonymous(actor: &Actor, scope: Uuid) -> String {
    match actor {
        Actor::Anonymous => format!("{actor}/{scope}"),
        Actor::User(_)
        | Actor::System(_)
        | Actor::Operator(_)
        | Actor::Gateway(_)
        | Actor::Carrier(_)
        | Actor::Unknown(_) => actor.to_string(),
    }
}

/// Why a command was not carried out, or why that is not known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommandError {
    /// The shop says no; nothing was written.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The primary stream is at none of the versions that the caller named.
    #[error("the version is {actual}")]
    VersionConflict {
        /// The version it has; 0: it does not exist.
        actual: u64,
    },
    /// The key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Too much is waiting, or other nodes kept winning the race; nothing was written.
    #[error("busy, try again in {retry_after:?}")]
    Busy {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// The store failed; nothing was written.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What is stored of a stream cannot be read, or no decision could be made of it; nothing
    /// was written, and asking again does not help before somebody has looked.
    #[error("{stream} cannot be read: {detail}")]
    Unreadable {
        /// Which stream.
        stream: StreamId,
        /// What is wrong: types and positions, never a payload.
        detail: String,
    },
    /// The store cannot write for now, as on a full disk, and can be read; nothing was written.
    #[error("the store cannot write: {0}")]
    ReadOnly(String),
    /// The commit was sent and its answer was lost: it may have been carried out.
    /// Asking again with the same key is safe.
    #[error("the outcome is unknown: {0}")]
    OutcomeUnknown(String),
    /// The program is stopping; nothing was written.
    #[error("shutting down")]
    ShuttingDown,
}

impl CommandError {
    /// Whether the same request may succeed when it is made again.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Unavailable(_) | Self::ReadOnly(_) | Self::OutcomeUnknown(_) => true,
            Self::Refused(_)
            | Self::VersionConflict { .. }
            | Self::KeyReused
            | Self::Unreadable { .. }
            | Self::ShuttingDown => false,
        }
    }
}

impl CommandError {
    /// What a failure to read one stream means to a command.
    pub(crate) fn reading(stream: StreamId, error: LogError) -> Self {
        match error {
            LogError::Damaged(detail) => Self::Unreadable { stream, detail },
            error @ (LogError::Unavailable(..) | LogError::ReadOnly(_) | LogError::OutcomeUnknown(_)) => error.into(),
        }
    }
}

impl From<LogError> for CommandError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::OutcomeUnknown(detail) => Self::OutcomeUnknown(detail),
            LogError::ReadOnly(detail) => Self::ReadOnly(detail),
            error @ (LogError::Unavailable(..) | LogError::Damaged(_)) => Self::Unavailable(error.to_string()),
        }
    }
}
