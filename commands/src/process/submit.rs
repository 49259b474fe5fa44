//! Submits commands to the decider until they have a final answer.

use std::time::Duration;

use jangbu_aggregates::AnyCommand;
use jangbu_kernel::{CommandId, CorrelationId, Refusal, RefusalCode, StreamId};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{ProcessOptions, Shared};
use crate::decider::Commands;
use crate::request::{Caller, CommandError, Idempotency, Request};

/// The cause of a command, which its events name.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub event_id: Uuid,
    pub correlation_id: CorrelationId,
    pub trace: Option<String>,
}

/// The result of a command.
#[derive(Debug)]
pub(crate) enum Submitted {
    /// Carried out, now or before.
    Done,
    /// The shop refuses it, for good.
    Refused(Refusal),
    /// Something that it needs cannot be read, and trying again does not help.
    Unreadable(Unreadable),
    /// The program is stopping; the command is carried out after the next start.
    Stopped,
}

/// A stream that cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable {
    pub stream: StreamId,
    /// What is wrong with it: types and positions, never a payload.
    pub reason: String,
}

/// Pauses that double, up to a limit.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub const fn new(options: &ProcessOptions) -> Self {
        Self { next: options.retry_first, longest: options.retry_longest }
    }

    /// Waits; false if the program is stopping.
    pub async fn wait(&mut self, stop: &CancellationToken) -> bool {
        let wait = self.next;
        self.next = self.next.saturating_mul(2).min(self.longest);
        tokio::select! {
            biased;
            () = stop.cancelled() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }
}

/// A request of the process manager that leaves a receipt with a key of its own.
pub(super) fn keyed(command: impl Into<AnyCommand>, command_id: CommandId, key: String, cause: &Cause) -> Request {
    let mut request = unkeyed(command, command_id, cause);
    // The key is made from the cause of the command, so it also identifies its content.
    request.idempotency = Some(Idempotency { key, fingerprint: [0; 32] });
    request
}

/// A request that is identified by other means than its id, and leaves no receipt.
pub(super) fn unkeyed(command: impl Into<AnyCommand>, command_id: CommandId, cause: &Cause) -> Request {
    let mut request = Request::new(command, Caller::process_manager(), command_id, cause.correlation_id);
    request.causation_id = Some(cause.event_id);
    request.trace.clone_from(&cause.trace);
    request
}

/// Submits a command, and tries again as long as that may help.
pub(super) async fn submit(shared: &Shared, request: Request) -> Submitted {
    submit_to(&shared.deps.commands, &shared.deps.options, &shared.stop, request).await
}

/// The same for a worker of its own.
pub(crate) async fn submit_to(
    commands: &Commands,
    options: &ProcessOptions,
    stop: &CancellationToken,
    request: Request,
) -> Submitted {
    let mut backoff = Backoff::new(options);
    let mut warned = false;
    loop {
        let error = match commands.execute(request.clone()).await {
            Ok(_) => return Submitted::Done,
            Err(CommandError::Refused(refusal)) => return Submitted::Refused(refusal),
            Err(CommandError::ShuttingDown) => return Submitted::Stopped,
            Err(CommandError::Unreadable { stream, detail }) => {
                return Submitted::Unreadable(Unreadable { stream, reason: detail });
            }
            Err(error @ (CommandError::VersionConflict { .. } | CommandError::KeyReused)) => {
                // This cannot happen: no version is named, and the key belongs to this command
                // alone.
                tracing::error!(command = request.command.name(), %error, "a command of the program itself is malformed");
                return Submitted::Refused(Refusal::new(RefusalCode::SagaStateConflict, error.to_string()));
            }
            Err(error) => error,
        };
        if !warned && !matches!(error, CommandError::Busy { .. }) {
            warned = true;
            tracing::warn!(command = request.command.name(), %error, "a command of the program itself is tried again");
        }
        if !backoff.wait(stop).await {
            return Submitted::Stopped;
        }
    }
}
