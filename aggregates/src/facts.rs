//! What a decision gets from the outside.

use std::sync::Arc;

use jangbu_kernel::{Timestamp, UserId};

use crate::policy::Policy;

/// Whose things the command may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Anybody's: staff, operators, the shop itself.
    Any,
    /// Only what belongs to this user; everything else does not exist for the caller.
    Own(UserId),
}

/// Time, rules and the caller's scope. A decision has no clock and no random source of its own.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The current time, in whole milliseconds.
    pub now: Timestamp,
    /// The shop's policy.
    pub policy: Arc<Policy>,
    /// Whose things the command may touch.
    pub scope: Scope,
}
