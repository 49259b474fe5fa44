//! What somebody is. Touches `user`, and `administrators` where that role comes or goes:
//! roles are replaced in one append or not at all, and the last administrator stays one.

use std::collections::BTreeSet;

use jangbu_kernel::{Role, StreamId, UserId};

use super::append::decide;
use crate::command::Outcome;
use crate::facts::Facts;
use crate::state::{Missing, States};
use crate::user::{Administrators, AdministratorsCommand, User, UserCommand};

/// How roles change.
#[derive(Clone, Copy, Debug)]
pub enum RoleChange<'a> {
    /// To exactly these.
    Set(&'a [Role]),
    /// By one more.
    Grant(Role),
    /// By one less.
    Revoke(Role),
}

/// Changes somebody's roles.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn change_roles(
    states: &impl States,
    facts: &Facts,
    user_id: UserId,
    change: RoleChange<'_>,
) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        let user = append.before::<User>(user_id)?;
        user.may_act()?;
        let held: BTreeSet<Role> = user.roles().collect();
        let mut wanted = held.clone();
        match change {
            RoleChange::Set(roles) => wanted = roles.iter().copied().collect(),
            RoleChange::Grant(role) => {
                wanted.insert(role);
            }
            RoleChange::Revoke(role) => {
                wanted.remove(&role);
            }
        }
        for role in wanted.difference(&held) {
            append.ask::<User>(user_id, &UserCommand::GrantRole(*role))?;
        }
        for role in held.difference(&wanted) {
            append.ask::<User>(user_id, &UserCommand::RevokeRole(*role))?;
        }
        let list = match (held.contains(&Role::Admin), wanted.contains(&Role::Admin)) {
            (false, true) => AdministratorsCommand::Add(user_id),
            (true, false) => AdministratorsCommand::Remove(user_id),
            (true, true) | (false, false) => return Ok(()),
        };
        append.ask::<Administrators>(StreamId::administrators().id, &list)?;
        Ok(())
    })
}
