//! The roles of a user. Writes `user`, and `administrators` if that role is granted or revoked:
//! roles are replaced in one append or not at all, and the last administrator keeps the role.

use std::collections::BTreeSet;

use jangbu_kernel::{RefusalCode, Role, StreamId, UserId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::state::{Missing, States};
use crate::user::{Administrators, AdministratorsCommand, User, UserCommand};

/// A change of roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleChange {
    /// Has exactly these afterwards.
    Set(Vec<Role>),
    /// Adds one.
    Grant(Role),
    /// Removes one.
    Revoke(Role),
}

impl RoleChange {
    fn of(&self, held: &BTreeSet<Role>) -> BTreeSet<Role> {
        let mut wanted = held.clone();
        match self {
            Self::Set(roles) => wanted = roles.iter().copied().collect(),
            Self::Grant(role) => {
                wanted.insert(*role);
            }
            Self::Revoke(role) => {
                wanted.remove(role);
            }
        }
        wanted
    }
}

/// Changes a user's roles.
#[derive(Clone, Debug, PartialEq)]
pub struct SetRoles {
    /// The user.
    pub user_id: UserId,
    /// How their roles change.
    pub change: RoleChange,
}

impl Command for SetRoles {
    const RULES: Rules =
        Rules::new("set_roles", Reach::Any(Permission::UsersWrite), Key::Optional, &[RefusalCode::LastAdministrator]);

    fn subject(&self) -> StreamId {
        StreamId::user(self.user_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::User(self.user_id))
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let user = append.before::<User>(self.user_id)?;
        user.may_act()?;
        let held: BTreeSet<Role> = user.roles().collect();
        let wanted = self.change.of(&held);
        for role in wanted.difference(&held) {
            append.ask::<User>(self.user_id, &UserCommand::GrantRole(*role))?;
        }
        for role in held.difference(&wanted) {
            append.ask::<User>(self.user_id, &UserCommand::RevokeRole(*role))?;
        }
        let list = match (held.contains(&Role::Admin), wanted.contains(&Role::Admin)) {
            (false, true) => AdministratorsCommand::Add(self.user_id),
            (true, false) => AdministratorsCommand::Remove(self.user_id),
            (true, true) | (false, false) => return Ok(()),
        };
        append.only::<Administrators>(StreamId::administrators().id, &list)
    }
}
