//! What happened to a user and to the claim on an address. Storage format.

use jangbu_kernel::{Role, Sealed, Timestamp, UserId, events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::notice::{Locale, NoticeTopic};

events! {
    /// What happened to a user.
    pub enum UserEvent {
        "user.registered" v 1 => Registered(UserRegistered),
        "user.contact_details_changed" v 1 => ContactDetailsChanged(ContactDetailsChanged),
        "user.role_granted" v 1 => RoleGranted(RoleGranted),
        "user.role_revoked" v 1 => RoleRevoked(RoleRevoked),
        "user.login_failed" v 1 => LoginFailed(LoginFailed),
        "user.login_succeeded" v 1 => LoginSucceeded(LoginSucceeded),
        "user.locked" v 1 => Locked(UserLocked),
        "user.unlocked" v 1 => Unlocked(UserUnlocked),
        "user.notices_chosen" v 1 => NoticesChosen(NoticesChosen),
    }
}

events! {
    /// What happened to a claim on an e-mail address.
    pub enum EmailEvent {
        "email.claimed" v 1 => Claimed(EmailClaimed),
    }
}

events! {
    /// What happened to the list of administrators.
    pub enum AdministratorsEvent {
        "administrators.listed" v 1 => Listed(AdministratorsListed),
        "administrators.added" v 1 => Added(AdministratorAdded),
        "administrators.removed" v 1 => Removed(AdministratorRemoved),
    }
}

/// The list began with those who had the role already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AdministratorsListed {
    /// Who.
    pub user_ids: Vec<UserId>,
}

/// Somebody became an administrator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AdministratorAdded {
    /// Who.
    pub user_id: UserId,
}

/// Somebody is no longer an administrator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AdministratorRemoved {
    /// Who.
    pub user_id: UserId,
}

/// Somebody signed up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserRegistered {
    /// The normalised address, sealed.
    pub email: Sealed,
    /// The name, sealed.
    pub name: Sealed,
    /// The telephone number, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Sealed>,
    /// The argon2id hash of the password in PHC form, sealed.
    pub password_hash: Sealed,
    /// The roles from the start.
    pub roles: Vec<Role>,
}

/// Name or telephone number were replaced; what is absent stayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContactDetailsChanged {
    /// The new name, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Sealed>,
    /// The new telephone number, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Sealed>,
    /// The telephone number was taken out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub phone_cleared: bool,
}

/// A role was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleGranted {
    /// Which.
    pub role: Role,
}

/// A role was taken away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleRevoked {
    /// Which.
    pub role: Role,
}

/// A wrong password was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoginFailed {}

/// The right password was given after wrong ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoginSucceeded {}

/// Too many wrong passwords in a row. Earlier releases wrote it; wrong passwords delay
/// log-ins now, and lock nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserLocked {
    /// No login before this moment.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub until: Timestamp,
}

/// The delays after wrong passwords were taken away by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserUnlocked {
    /// Wrong passwords before this moment do not count.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub at: Timestamp,
}

/// In which language the user is told of things, and of which not; what is absent stayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NoticesChosen {
    /// The language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// All topics that the user is not told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<Vec<NoticeTopic>>,
}

/// An address belongs to a user now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmailClaimed {
    /// To whom.
    pub user_id: UserId,
}
