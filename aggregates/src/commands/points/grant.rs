//! Grants points. Writes `points`, reads `user`: points are only granted to users who exist.

use jangbu_kernel::{Money, RefusalCode, StreamId, Timestamp, UserId};

use crate::checks;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::points::{GrantReference, Points, PointsCommand};
use crate::state::{Missing, States};
use crate::user::User;

/// Grants points.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantPoints {
    /// The user.
    pub user_id: UserId,
    /// The points, one for each won.
    pub amount: Money,
    /// What they are granted for; the same reference is one grant.
    pub reference: GrantReference,
    /// When they lapse.
    pub expires_at: Option<Timestamp>,
}

impl Command for GrantPoints {
    const RULES: Rules =
        Rules::new("grant_points", Reach::Any(Permission::PointsGrant), Key::Required, &[RefusalCode::ReferenceReused]);

    fn subject(&self) -> StreamId {
        StreamId::points(self.user_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::User(self.user_id))
    }

    fn looks_at(&self, _: &dyn States, streams: &mut Vec<StreamId>) {
        streams.push(StreamId::user(self.user_id));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        if append.before::<User>(self.user_id)?.status().is_none() {
            return Err(checks::not_found("user").into());
        }
        let (amount, reference, expires_at) = (self.amount, self.reference.clone(), self.expires_at);
        append.only::<Points>(self.user_id, &PointsCommand::Grant { amount, reference, expires_at })
    }
}
