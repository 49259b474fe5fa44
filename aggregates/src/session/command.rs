//! The commands of a session.

use jangbu_kernel::UserId;

use super::event::SessionEndReason;

/// A command of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionCommand {
    /// Starts the session.
    Start {
        /// The user.
        user_id: UserId,
        /// SHA-256 of the refresh token, hexadecimal.
        token_hash: String,
    },
    /// Exchanges the token.
    Rotate {
        /// Hash of the presented token.
        presented_hash: String,
        /// How many exchanges led to it, if the token has the shop's own proof of that.
        presented_generation: Option<u64>,
        /// Hash of the next token.
        next_hash: String,
    },
    /// Ends the session.
    End {
        /// Logout, reuse of a token, or another cause.
        reason: SessionEndReason,
    },
}
