//! What happened to a login. Storage format.

use jangbu_kernel::{Timestamp, UserId, events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

events! {
    /// What happened to a session.
    pub enum SessionEvent {
        "session.started" v 1 => Started(SessionStarted),
        "session.rotated" v 1 => Rotated(SessionRotated),
        "session.reuse_detected" v 1 => ReuseDetected(ReuseDetected),
        "session.ended" v 1 => Ended(SessionEnded),
    }
}

/// Somebody logged in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionStarted {
    /// Who.
    pub user_id: UserId,
    /// SHA-256 of the refresh token, hexadecimal.
    pub token_hash: String,
    /// When the token dies unused.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub expires_at: Timestamp,
    /// 0 when the token says of itself how many exchanges led to it. Absent: it is of the
    /// kind that earlier releases gave out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// The refresh token was exchanged for the next one of its family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionRotated {
    /// SHA-256 of the new token, hexadecimal.
    pub token_hash: String,
    /// When the new token dies unused.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub expires_at: Timestamp,
    /// How many exchanges led to the new token. Absent: it is of the kind that earlier
    /// releases gave out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// When it was exchanged: for a moment the exchange may be asked for again.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "jangbu_kernel::time::millis::option")]
    #[schemars(with = "Option<Timestamp>")]
    pub rotated_at: Option<Timestamp>,
}

/// A token that had been exchanged before was used again: it was stolen, or its
/// owner is confused; either way the family ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReuseDetected {}

/// The session is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionEnded {
    /// Why.
    pub reason: SessionEndReason,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionEndReason {
    /// Its owner logged out.
    LoggedOut,
    /// A rotated token was used again.
    TokenReused,
}
