//! Signing up. Touches `user` and `email`: an address belongs to one user only if
//! its claim and the registration stand or fall together.

use super::append::decide;
use crate::command::{Outcome, RegisterUser};
use crate::facts::Facts;
use crate::state::{Missing, States};
use crate::user::{EmailClaim, EmailCommand, User, UserCommand, UserRegistered};

/// Registers a user and claims the address.
///
/// # Errors
/// [`Missing`]: a stream that is not loaded.
pub fn register_user(states: &impl States, facts: &Facts, command: &RegisterUser) -> Result<Outcome, Missing> {
    decide(states, facts, |append| {
        append.ask::<EmailClaim>(command.email_claim, &EmailCommand::Claim { user_id: command.user_id })?;
        let registered = UserRegistered {
            email: command.email.clone(),
            name: command.name.clone(),
            phone: command.phone.clone(),
            password_hash: command.password_hash.clone(),
            roles: command.roles.clone(),
        };
        append.ask::<User>(command.user_id, &UserCommand::Register(registered))?;
        Ok(())
    })
}
