//! Removes the delays after wrong passwords. Writes `user`.

use jangbu_kernel::{StreamId, UserId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::state::{Missing, States};
use crate::user::{User, UserCommand};

/// Removes the delays after wrong passwords. Writes `user`.
#[derive(Clone, Debug, PartialEq)]
pub struct UnlockUser {
    /// The user.
    pub user_id: UserId,
}

impl Command for UnlockUser {
    const RULES: Rules = Rules::new("unlock_user", Reach::Any(Permission::UsersWrite), Key::Optional, &[]);

    fn subject(&self) -> StreamId {
        StreamId::user(self.user_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::User(self.user_id))
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<User>(self.user_id, &UserCommand::Unlock)
    }
}
