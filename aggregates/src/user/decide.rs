//! What a user and a claim on an address decide.

use jangbu_kernel::time::to_millis;
use jangbu_kernel::{AggregateKind, Decider, Decision, Refusal, RefusalCode, Timestamp};

use super::command::{EmailCommand, UserCommand};
use super::event::{
    ContactDetailsChanged, EmailClaimed, EmailEvent, LoginFailed, LoginSucceeded, RoleGranted, RoleRevoked, UserEvent,
    UserLocked,
};
use super::state::{Account, EmailClaim, User, UserStatus};
use crate::checks;
use crate::facts::Facts;

impl Decider for User {
    const KIND: AggregateKind = AggregateKind::User;
    const STATE_VERSION: u16 = 1;
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
                | UserCommand::RecordLoginSuccess => checks::not_found("user").into(),
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
            UserCommand::RecordLoginFailure => account.record_failure(facts),
            UserCommand::RecordLoginSuccess => match account.not_locked(facts.now) {
                Err(refusal) => refusal.into(),
                Ok(()) if account.login_failures == 0 => Decision::AlreadyDone,
                Ok(()) => Decision::one(LoginSucceeded {}),
            },
        }
    }

    fn evolve(&mut self, event: &UserEvent) {
        self.fold(event);
    }
}

impl Account {
    fn not_locked(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.status(now) {
            UserStatus::Active => Ok(()),
            UserStatus::Locked => Err(account_locked()),
        }
    }

    fn record_failure(&self, facts: &Facts) -> Decision<UserEvent> {
        if let Err(refusal) = self.not_locked(facts.now) {
            return refusal.into();
        }
        let mut events = vec![LoginFailed {}.into()];
        if self.login_failures.saturating_add(1) >= facts.policy.max_login_failures {
            // A lock beyond the end of the calendar has no last moment: it cannot be written, the failure can.
            if let Some(until) = facts.now.checked_add_signed(facts.policy.lock_duration) {
                events.push(UserLocked { until: to_millis(until) }.into());
            }
        }
        Decision::Record(events)
    }
}

impl User {
    /// Whether this user may act now.
    ///
    /// # Errors
    /// `not_found` for nobody, `user_not_active` for somebody who may not.
    pub fn may_act(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.status(now) {
            None => Err(checks::not_found("user")),
            Some(UserStatus::Active) => Ok(()),
            Some(status @ UserStatus::Locked) => {
                let refusal = Refusal::new(RefusalCode::UserNotActive, "the account may not act now");
                Err(refusal.in_state(status.name(), []))
            }
        }
    }
}

fn account_locked() -> Refusal {
    Refusal::new(RefusalCode::AccountLocked, "too many wrong passwords, try again later").in_state("locked", [])
}

/// The address belongs to somebody.
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
