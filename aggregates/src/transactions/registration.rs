//! Signing up. Touches `user` and `email`: an address belongs to one user only if
//! its claim and the registration stand or fall together. Reads the claims on its other
//! spellings. An administrator is put on the list of them in the same append.

use jangbu_kernel::{Role, StreamId};

use super::append::decide;
use crate::command::{Outcome, RegisterUser};
use crate::facts::Facts;
use crate::state::{Missing, States};
use crate::user::{
    Administrators, AdministratorsCommand, EmailClaim, EmailCommand, User, UserCommand, UserRegistered, email_taken,
};

/// Registers a user and claims the address.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn register_user(states: &impl States, facts: &Facts, command: &RegisterUser) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        for claim in &command.other_claims {
            if append.before::<EmailClaim>(*claim)?.user_id().is_some_and(|owner| owner != command.user_id) {
                return Err(email_taken().into());
            }
        }
        append.ask::<EmailClaim>(command.email_claim, &EmailCommand::Claim { user_id: command.user_id })?;
        let registered = UserRegistered {
            email: command.email.clone(),
            name: command.name.clone(),
            phone: command.phone.clone(),
            password_hash: command.password_hash.clone(),
            roles: command.roles.clone(),
        };
        append.ask::<User>(command.user_id, &UserCommand::Register(registered))?;
        if command.roles.contains(&Role::Admin) {
            let add = AdministratorsCommand::Add(command.user_id);
            append.ask::<Administrators>(StreamId::administrators().id, &add)?;
        }
        Ok(())
    })
}
