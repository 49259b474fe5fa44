//! A wrong password was given. Writes `user`.

use jangbu_kernel::{StreamId, UserId};

use crate::command::{Append, Command, Owner, Rules, Stop};
use crate::state::{Missing, States};
use crate::user::{User, UserCommand};

/// A wrong password was given. Writes `user`.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordLoginFailure {
    /// The user.
    pub user_id: UserId,
}

impl Command for RecordLoginFailure {
    const RULES: Rules = Rules::internal("record_login_failure");

    fn subject(&self) -> StreamId {
        StreamId::user(self.user_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::User(self.user_id))
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<User>(self.user_id, &UserCommand::RecordLoginFailure)
    }
}
