//! Writes off a user's points that have lapsed. Writes `points`.
//!
//! A timer of the shop sends it, so that a balance falls even if nobody uses the ledger.

use jangbu_kernel::{StreamId, UserId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::points::{Points, PointsCommand};
use crate::state::{Missing, States};

/// Writes off the points that have lapsed and that no payment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpirePoints {
    /// The user.
    pub user_id: UserId,
}

impl Command for ExpirePoints {
    const RULES: Rules = Rules::internal("expire_points");

    fn subject(&self) -> StreamId {
        StreamId::points(self.user_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::User(self.user_id))
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Points>(self.user_id, &PointsCommand::WriteOff)
    }
}
