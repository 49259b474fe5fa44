//! Failures of the floors below, as problems of HTTP.

use jangbu_commands::CommandError;
use jangbu_commands::identity::IdentityError;
use jangbu_kernel::Version;
use jangbu_kernel::log::LogError;
use jangbu_kernel::ports::VaultError;
use jangbu_projections::QueryError;
use jangbu_projections::fold::FoldError;

use super::problem::{Code, FieldProblem, Problem};

/// Retry-After when the store is read-only, in seconds: an operator has to make room first.
const READ_ONLY_RETRY_S: u64 = 5;

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refusal) => refusal.into(),
            CommandError::VersionConflict { actual } => version_conflict(actual),
            CommandError::KeyReused => {
                Self::new(Code::IdempotencyKeyReused, "this key came with another request before, use a new one")
            }
            CommandError::Busy { retry_after } => {
                Self::new(Code::UpstreamUnavailable, "too much is waiting, try again")
                    .retry_after(retry_after.as_secs())
            }
            CommandError::Unavailable(cause) => Self::unavailable(cause),
            CommandError::Unreadable { stream, detail } => {
                Self::new(Code::StreamUnreadable, format!("{stream} cannot be read; staff have to look at it"))
                    .because(detail)
            }
            CommandError::ReadOnly(cause) => read_only(cause),
            CommandError::OutcomeUnknown(cause) => {
                let detail = "it is not known whether this was carried out; ask again with the same Idempotency-Key";
                Self::new(Code::UpstreamUnavailable, detail)
                    .retry_after(1)
                    .because(format!("the outcome of a commit is unknown: {cause}"))
            }
            CommandError::ShuttingDown => {
                Self::new(Code::UpstreamUnavailable, "this server is stopping, try again").retry_after(1)
            }
        }
    }
}

/// The version in `If-Match` is not this one.
pub(crate) fn version_conflict(actual: Version) -> Problem {
    let detail = match actual {
        Version::ZERO => "it does not exist yet, so that it has no version: leave If-Match out".to_owned(),
        actual => format!("the current version is {actual}"),
    };
    Problem::new(Code::VersionConflict, detail).at_version(actual)
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        match error {
            LogError::ReadOnly(cause) => read_only(cause),
            LogError::Damaged(cause) => unreadable(cause),
            error @ (LogError::Unavailable(..) | LogError::OutcomeUnknown(_)) => Self::unavailable(error.to_string()),
        }
    }
}

/// The stored data cannot be read: an operator has to look, and a retry does not help.
fn unreadable(cause: String) -> Problem {
    Problem::new(Code::StreamUnreadable, "something stored cannot be read; staff have to look at it").because(cause)
}

/// The store accepts no writes: an operator has to make room.
fn read_only(cause: String) -> Problem {
    let detail = "nothing can be written for now, as when the disk is full or the database was put back to an earlier state; reading goes on, try again later";
    Problem::new(Code::UpstreamUnavailable, detail).retry_after(READ_ONLY_RETRY_S).because(cause)
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<FoldError> for Problem {
    fn from(error: FoldError) -> Self {
        unreadable(error.to_string())
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::BadCursor => {
                Self::invalid_at("/query/cursor", "bad_cursor", "the cursor is not one that this list gave out")
            }
            QueryError::SearchTooLong => Self::invalid_at("/query/q", "too_long", error.to_string()),
            QueryError::SearchTooBroad => Self::invalid_at("/query/q", "too_broad", error.to_string()),
            QueryError::Unavailable(cause) => Self::unavailable(cause),
            QueryError::Corrupt(cause) => Self::internal(cause),
        }
    }
}

impl From<IdentityError> for Problem {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Invalid(errors) => Self::invalid(
                errors
                    .into_iter()
                    .map(|error| FieldProblem { pointer: error.pointer.into(), code: error.code, detail: error.detail })
                    .collect(),
            ),
            IdentityError::Command(error) => error.into(),
            IdentityError::BadCredentials => {
                Self::new(Code::Unauthenticated, "the e-mail address, the password or the token is wrong")
            }
            IdentityError::Delayed { retry_after } => {
                let wait = retry_after.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX).max(1);
                let detail = format!("too many wrong passwords were given for this address, try again in {wait} s");
                Self::new(Code::AccountLocked, detail).retry_after(wait)
            }
            IdentityError::Busy { retry_after } => {
                Self::new(Code::UpstreamUnavailable, "too many logins at once, try again")
                    .retry_after(retry_after.as_secs())
            }
            IdentityError::Unavailable(cause) => Self::unavailable(cause),
        }
    }
}
