//! The states of a user and of a claim.

use std::collections::BTreeSet;

use jangbu_kernel::{Role, Sealed, Timestamp, UserId, named};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{EmailEvent, UserEvent, UserRegistered};
use crate::notice::{Locale, NoticeTopic};

/// How an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum UserStatus {
    /// May act.
    Active,
}

named!(UserStatus);

/// A user; before registration, nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    pub(super) account: Option<Account>,
}

/// What is known of a registered user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Account {
    password_hash: Sealed,
    contact: ContactDetails,
    pub(super) roles: BTreeSet<Role>,
    /// Whether a wrong password was given since the last right one.
    pub(super) login_failed: bool,
    unlocked_at: Option<Timestamp>,
    pub(super) locale: Option<Locale>,
    pub(super) muted: BTreeSet<NoticeTopic>,
}

/// Who somebody is to the shop. No decision reads it; it is here so that a profile is
/// shown from a snapshot, however often it was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContactDetails {
    /// The address, sealed.
    pub email: Sealed,
    /// The name, sealed.
    pub name: Sealed,
    /// The telephone number, sealed.
    pub phone: Option<Sealed>,
}

impl Account {
    fn new(registered: &UserRegistered) -> Self {
        Self {
            password_hash: registered.password_hash.clone(),
            contact: ContactDetails {
                email: registered.email.clone(),
                name: registered.name.clone(),
                phone: registered.phone.clone(),
            },
            roles: registered.roles.iter().copied().collect(),
            login_failed: false,
            unlocked_at: None,
            locale: None,
            muted: BTreeSet::new(),
        }
    }

    fn evolve(&mut self, event: &UserEvent) {
        match event {
            // Registration is decided once per stream. Earlier releases locked accounts; such a
            // lock has no effect any more.
            UserEvent::Registered(_) | UserEvent::Locked(_) => {}
            UserEvent::ContactDetailsChanged(changed) => {
                if let Some(name) = &changed.name {
                    self.contact.name = name.clone();
                }
                if changed.phone.is_some() || changed.phone_cleared {
                    self.contact.phone.clone_from(&changed.phone);
                }
            }
            UserEvent::RoleGranted(granted) => {
                self.roles.insert(granted.role);
            }
            UserEvent::RoleRevoked(revoked) => {
                self.roles.remove(&revoked.role);
            }
            UserEvent::LoginFailed(_) => self.login_failed = true,
            UserEvent::LoginSucceeded(_) => self.login_failed = false,
            UserEvent::Unlocked(unlocked) => {
                self.login_failed = false;
                self.unlocked_at = Some(unlocked.at);
            }
            UserEvent::NoticesChosen(chosen) => {
                self.locale = chosen.locale.or(self.locale);
                if let Some(muted) = &chosen.muted {
                    self.muted = muted.iter().copied().collect();
                }
            }
        }
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

    /// The status of the account; none before registration.
    #[must_use]
    pub fn status(&self) -> Option<UserStatus> {
        self.account.as_ref().map(|_| UserStatus::Active)
    }
    /// When the delays after wrong passwords were last removed by hand; delays that began before do
    /// not count.
    #[must_use]
    pub fn unlocked_at(&self) -> Option<Timestamp> {
        self.account.as_ref().and_then(|account| account.unlocked_at)
    }
    /// The contact details; none before registration.
    #[must_use]
    pub fn contact_details(&self) -> Option<&ContactDetails> {
        self.account.as_ref().map(|account| &account.contact)
    }
    /// The language in which the user wants to be told of things, if one was chosen.
    #[must_use]
    pub fn locale(&self) -> Option<Locale> {
        self.account.as_ref().and_then(|account| account.locale)
    }
    /// The topics that the user does not want to be told of, in a fixed order.
    pub fn muted(&self) -> impl Iterator<Item = NoticeTopic> {
        self.account.iter().flat_map(|account| account.muted.iter().copied())
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmailClaim {
    pub(super) claimed_by: Option<UserId>,
}

impl EmailClaim {
    pub(super) fn fold(&mut self, event: &EmailEvent) {
        match event {
            EmailEvent::Claimed(claimed) => self.claimed_by = Some(claimed.user_id),
        }
    }

    /// The user that the address belongs to.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        self.claimed_by
    }
}
