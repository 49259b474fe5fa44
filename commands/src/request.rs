//! The requests to the write side, and its answers.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use jangbu_aggregates::{AnyCommand, Scope};
use jangbu_kernel::log::{LogError, Receipt, ReceiptKey};
use jangbu_kernel::{Actor, CommandId, CorrelationId, Position, RecordedEvent, Refusal, StreamId, Version};
use uuid::Uuid;

/// The caller of a command, and whose resources they may access.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Recorded in the events as the actor.
    pub actor: Actor,
    /// Whose resources the caller may access.
    pub scope: Scope,
}

impl Caller {
    /// The process manager itself.
    #[must_use]
    pub const fn process_manager() -> Self {
        Self { actor: Actor::System("process-manager"), scope: Scope::Any }
    }

    /// The worker that tells people of what happened.
    #[must_use]
    pub const fn notices() -> Self {
        Self { actor: Actor::System("notices"), scope: Scope::Any }
    }
}

/// A key that makes a repeated request return the first answer instead of acting again. Its scope
/// is the caller's actor in text form; for a registration without a login, the e-mail address is
/// added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The key as the caller gave it.
    pub key: String,
    /// SHA-256 over the request. Another request with the same key is refused.
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

/// A command with its context.
#[derive(Clone, Debug)]
pub struct Request {
    /// The command.
    pub command: AnyCommand,
    /// The caller.
    pub caller: Caller,
    /// The id of this command, recorded in its events.
    pub command_id: CommandId,
    /// The id that everything caused by one request shares.
    pub correlation_id: CorrelationId,
    /// The event that caused a process's command; if absent, the command's own id is recorded.
    pub causation_id: Option<Uuid>,
    /// W3C `traceparent` of the request.
    pub trace: Option<String>,
    /// The caller's key.
    pub idempotency: Option<Idempotency>,
    /// The primary stream must have one of these versions.
    pub if_match: Option<Vec<Version>>,
}

impl Request {
    /// The idempotency key with its scope; none if the request has no key.
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

/// The answer to a command that was carried out, now or before.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The primary stream of the command.
    pub stream: StreamId,
    /// Its version after the command; for a repeated request, the version in the first answer.
    pub version: Version,
    /// Position of the last event of the append. If nothing had to be done, a position that is
    /// known to include the reason for that.
    pub position: Position,
    /// Whether it comes from a receipt: the command had been carried out before.
    pub replayed: bool,
    /// The events of this append in all its streams, in order; empty if nothing had to be done or
    /// the request is a repeat.
    pub events: Arc<[Arc<RecordedEvent>]>,
}

impl Answer {
    /// The first answer again, if the request is the same.
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

/// The scope of the keys of a command that is sent without a login, such as a registration. All
/// callers without a login are one actor, so this scope keeps the keys of strangers apart.
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

/// Why a command was not carried out, or why that is unknown.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommandError {
    /// The shop refuses the command; nothing was written.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The primary stream has none of the versions that the caller named.
    #[error("the version is {actual}")]
    VersionConflict {
        /// The version that it has; 0 if it does not exist.
        actual: Version,
    },
    /// The key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Too much is waiting, or other nodes were faster too often; nothing was written.
    #[error("busy, try again in {retry_after:?}")]
    Busy {
        /// How long to wait before trying again.
        retry_after: Duration,
    },
    /// The store failed; nothing was written.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The stored data of a stream cannot be read, or no decision could be made from it. Nothing
    /// was written, and trying again does not help before a person has looked at it.
    #[error("{stream} cannot be read: {detail}")]
    Unreadable {
        /// The stream.
        stream: StreamId,
        /// What is wrong: types and positions, never a payload.
        detail: String,
    },
    /// The store can be read but not written for now, as with a full disk; nothing was written.
    #[error("the store cannot write: {0}")]
    ReadOnly(String),
    /// The commit was sent and its answer was lost, so it may have been carried out. Trying again
    /// with the same key is safe.
    #[error("the outcome is unknown: {0}")]
    OutcomeUnknown(String),
    /// The program is stopping; nothing was written.
    #[error("shutting down")]
    ShuttingDown,
}

impl CommandError {
    /// Whether the same request may succeed if it is repeated.
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
    /// The error of a command for a failure to read one stream.
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
