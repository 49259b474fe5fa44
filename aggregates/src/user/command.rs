//! The commands of a user and of a claim on an address.

use std::collections::BTreeSet;

use jangbu_kernel::{Role, Sealed, UserId};

use super::event::UserRegistered;
use crate::notice::{Locale, NoticeTopic};

/// A command of a user.
#[derive(Clone, Debug, PartialEq)]
pub enum UserCommand {
    /// Registers the user.
    Register(UserRegistered),
    /// Replaces name or telephone number.
    ChangeContactDetails {
        /// The new name, sealed.
        name: Option<Sealed>,
        /// The new telephone number, sealed.
        phone: Option<Sealed>,
        /// Removes the telephone number.
        clear_phone: bool,
    },
    /// Grants a role.
    GrantRole(Role),
    /// Revokes a role.
    RevokeRole(Role),
    /// A wrong password was given.
    RecordLoginFailure,
    /// The right password was given.
    RecordLoginSuccess,
    /// Removes the delays after wrong passwords.
    Unlock,
    /// Chooses in which language the user is told of things, and of which not; what is absent stays.
    ChooseNotices {
        /// The language.
        locale: Option<Locale>,
        /// All topics that the user is not to be told of.
        muted: Option<BTreeSet<NoticeTopic>>,
    },
}

/// A command of a claim on an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailCommand {
    /// Makes the address belong to a user.
    Claim {
        /// The user.
        user_id: UserId,
    },
}
