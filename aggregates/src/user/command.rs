//! What can be asked of a user and of a claim on an address.

use jangbu_kernel::{Role, Sealed, UserId};

use super::event::UserRegistered;

/// What can be asked of a user.
#[derive(Clone, Debug, PartialEq)]
pub enum UserCommand {
    /// Begin to exist.
    Register(UserRegistered),
    /// Replace name or telephone number.
    ChangeContactDetails {
        /// The new name, sealed.
        name: Option<Sealed>,
        /// The new telephone number, sealed.
        phone: Option<Sealed>,
        /// Take the telephone number out.
        clear_phone: bool,
    },
    /// Give a role.
    GrantRole(Role),
    /// Take a role away.
    RevokeRole(Role),
    /// A wrong password was given.
    RecordLoginFailure,
    /// The right password was given.
    RecordLoginSuccess,
    /// Take the delays after wrong passwords away.
    Unlock,
}

/// What can be asked of a claim on an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailCommand {
    /// Make the address belong to a user.
    Claim {
        /// To whom.
        user_id: UserId,
    },
}
