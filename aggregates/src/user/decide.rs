//! What a user and a claim on an address decide.

use jangbu_kernel::time::to_millis;
use jangbu_kernel::{AggregateKind, Decider, Decision, Refusal, RefusalCode};

use super::command::{EmailCommand, UserCommand};
use super::event::{
    ContactDetailsChanged, EmailClaimed, EmailEvent, LoginFailed, LoginSucceeded, NoticesChosen, RoleGranted,
    RoleRevoked, UserEvent, UserUnlocked,
};
use super::state::{EmailClaim, User, UserStatus};
use crate::checks;
use crate::facts::Facts;

impl Decider for User {
    const KIND: AggregateKind = AggregateKind::User;
    const STATE_VERSION: u16 = 3;
    type Event = UserEvent;
    type Command = UserCommand;
    type Facts = Facts;

    fn decide(&self, command: &UserCommand, facts: &Facts) -> Decision<UserEvent> {
        let Some(account) = &self.account else {
            return match command {
                UserCommand::Register(registered) => Decision::one(registered.clone()),
                UserCommand::ChangeContactDetails { .. }
                | UserCommand::GrantRole(_)
                | UserCommand::RevokeRole(_)
                | UserCommand::RecordLoginFailure
                | UserCommand::RecordLoginSuccess
                | UserCommand::Unlock
                | UserCommand::ChooseNotices { .. } => checks::not_found("user").into(),
            };
        };
        match command {
            UserCommand::Register(_) => Decision::AlreadyDone,
            UserCommand::ChangeContactDetails { name: None, phone: None, clear_phone: false } => Decision::AlreadyDone,
            UserCommand::ChangeContactDetails { name, phone, clear_phone } => Decision::one(ContactDetailsChanged {
                name: name.clone(),
                phone: phone.clone(),
                phone_cleared: *clear_phone,
            }),
            UserCommand::GrantRole(role) if account.roles.contains(role) => Decision::AlreadyDone,
            UserCommand::GrantRole(role) => Decision::one(RoleGranted { role: *role }),
            UserCommand::RevokeRole(role) if account.roles.contains(role) => Decision::one(RoleRevoked { role: *role }),
            UserCommand::RevokeRole(_) => Decision::AlreadyDone,
            UserCommand::RecordLoginFailure => Decision::one(LoginFailed {}),
            UserCommand::RecordLoginSuccess if account.login_failed => Decision::one(LoginSucceeded {}),
            UserCommand::RecordLoginSuccess => Decision::AlreadyDone,
            UserCommand::Unlock => Decision::one(UserUnlocked { at: to_millis(facts.now) }),
            UserCommand::ChooseNotices { locale, muted } => {
                let locale = locale.filter(|locale| account.locale != Some(*locale));
                let muted = muted.as_ref().filter(|muted| account.muted != **muted);
                if locale.is_none() && muted.is_none() {
                    return Decision::AlreadyDone;
                }
                let muted = muted.map(|muted| muted.iter().copied().collect());
                Decision::one(NoticesChosen { locale, muted })
            }
        }
    }

    fn evolve(&mut self, event: &UserEvent) {
        self.fold(event);
    }
}

impl User {
    /// Whether this user may act.
    ///
    /// # Errors
    /// `not_found` if there is no such user.
    pub fn may_act(&self) -> Result<(), Refusal> {
        match self.status() {
            None => Err(checks::not_found("user")),
            Some(UserStatus::Active) => Ok(()),
        }
    }
}

/// The refusal for an address that belongs to another user.
pub(crate) fn email_taken() -> Refusal {
    Refusal::new(RefusalCode::EmailTaken, "the address has an account already").at("/email")
}

impl Decider for EmailClaim {
    const KIND: AggregateKind = AggregateKind::Email;
    const STATE_VERSION: u16 = 1;
    type Event = EmailEvent;
    type Command = EmailCommand;
    type Facts = Facts;

    fn decide(&self, command: &EmailCommand, _: &Facts) -> Decision<EmailEvent> {
        let EmailCommand::Claim { user_id } = command;
        match self.claimed_by {
            None => Decision::one(EmailClaimed { user_id: *user_id }),
            Some(owner) if owner == *user_id => Decision::AlreadyDone,
            Some(_) => email_taken().into(),
        }
    }

    fn evolve(&mut self, event: &EmailEvent) {
        self.fold(event);
    }
}
