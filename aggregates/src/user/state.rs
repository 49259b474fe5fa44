//! What a user and a claim keep in mind.

use std::collections::BTreeSet;

use jangbu_kernel::{Role, Sealed, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::event::{EmailEvent, UserEvent, UserRegistered};

/// How an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// May act.
    Active,
    /// Too many wrong passwords; active again after a while.
    Locked,
}

impl UserStatus {
    /// Every status.
    pub const ALL: [Self; 2] = [Self::Active, Self::Locked];

    /// The word for it, snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Locked => "locked",
        }
    }

    /// The status with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// A user; before registration, nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub(super) account: Option<Account>,
}

/// What is known of a registered user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Account {
    password_hash: Sealed,
    pub(super) roles: BTreeSet<Role>,
    /// Wrong passwords in a row since the last right one or the last lock.
    pub(super) login_failures: u32,
    pub(super) locked_until: Option<Timestamp>,
}

impl Account {
    fn new(registered: &UserRegistered) -> Self {
        Self {
            password_hash: registered.password_hash.clone(),
            roles: registered.roles.iter().copied().collect(),
            login_failures: 0,
            locked_until: None,
        }
    }

    fn evolve(&mut self, event: &UserEvent) {
        match event {
            // Registration is decided once a stream. Name and number are for reading, not for deciding.
            UserEvent::Registered(_) | UserEvent::ContactDetailsChanged(_) => {}
            UserEvent::RoleGranted(granted) => {
                self.roles.insert(granted.role);
            }
            UserEvent::RoleRevoked(revoked) => {
                self.roles.remove(&revoked.role);
            }
            UserEvent::LoginFailed(_) => self.login_failures = self.login_failures.saturating_add(1),
            UserEvent::LoginSucceeded(_) => {
                self.login_failures = 0;
                self.locked_until = None;
            }
            UserEvent::Locked(locked) => {
                self.login_failures = 0;
                self.locked_until = Some(locked.until);
            }
        }
    }

    pub(super) fn status(&self, now: Timestamp) -> UserStatus {
        if self.locked_until.is_some_and(|until| now < until) { UserStatus::Locked } else { UserStatus::Active }
    }
}

impl User {
    pub(super) fn fold(&mut self, event: &UserEvent) {
        match (&mut self.account, event) {
            (Some(account), event) => account.evolve(event),
            (None, UserEvent::Registered(registered)) => self.account = Some(Account::new(registered)),
            (None, _) => {}
        }
    }

    /// How the account stands at a moment; none before registration.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Option<UserStatus> {
        self.account.as_ref().map(|account| account.status(now))
    }
    /// Until when no login counts, whether or not that moment has passed.
    #[must_use]
    pub fn locked_until(&self) -> Option<Timestamp> {
        self.account.as_ref().and_then(|account| account.locked_until)
    }
    /// The roles, in a fixed order; none before registration.
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        self.account.iter().flat_map(|account| account.roles.iter().copied())
    }
    /// The argon2id hash of the password in PHC form, sealed.
    #[must_use]
    pub fn password_hash(&self) -> Option<&Sealed> {
        self.account.as_ref().map(|account| &account.password_hash)
    }
}

/// A claim on an address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EmailClaim {
    pub(super) claimed_by: Option<UserId>,
}

impl EmailClaim {
    pub(super) fn fold(&mut self, event: &EmailEvent) {
        match event {
            EmailEvent::Claimed(claimed) => self.claimed_by = Some(claimed.user_id),
        }
    }

    /// Whose address it is.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        self.claimed_by
    }
}
