//! What can be asked of a session.

use jangbu_kernel::UserId;

use super::event::SessionEndReason;

/// What can be asked of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionCommand {
    /// Begin.
    Start {
        /// For whom.
        user_id: UserId,
        /// SHA-256 of the refresh token, hexadecimal.
        token_hash: String,
    },
    /// Exchange the token.
    Rotate {
        /// Hash of the token shown.
        presented_hash: String,
        /// How many exchanges led to it, when it bears this shop's own proof of that.
        presented_generation: Option<u64>,
        /// Hash of the next one.
        next_hash: String,
    },
    /// Be over.
    End {
        /// Logout, reuse of a token, or another cause.
        reason: SessionEndReason,
    },
}
