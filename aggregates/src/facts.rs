//! What the outside gives to a decision.

use std::sync::Arc;

use jangbu_kernel::{Timestamp, UserId};

use crate::policy::Policy;

/// Whose things the command may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Anybody's: staff, operators, the shop itself.
    Any,
    /// Only what belongs to this user; all else does not exist for the caller.
    Own(UserId),
}

/// Time, rules and the caller's reach. Nothing is minted inside a decision.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Now, whole milliseconds.
    pub now: Timestamp,
    /// The shop's numbers.
    pub policy: Arc<Policy>,
    /// Whose things the command may touch.
    pub scope: Scope,
}
