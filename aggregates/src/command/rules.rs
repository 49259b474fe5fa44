//! What is known of a command apart from its content, the same for every interface that accepts it.

use jangbu_kernel::{RefusalCode, Role, UserId};

use super::permission::{Permission, allows};
use crate::facts::Scope;

/// The rules of a kind of command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Its name in logs, metrics and `allowed_commands`: the type's, in snake case.
    pub name: &'static str,
    /// Who may send it, and for whose things. None: no logged-in user sends it; it comes from the
    /// shop itself, or from a caller who presents a password or a token instead.
    pub reach: Option<Reach>,
    /// Whether it needs an idempotency key.
    pub key: Key,
    /// The refusals it can have, beside those that follow from its content and its caller's scope.
    pub refusals: &'static [RefusalCode],
}

impl Rules {
    /// A command that people send.
    pub(crate) const fn new(name: &'static str, reach: Reach, key: Key, refusals: &'static [RefusalCode]) -> Self {
        Self { name, reach: Some(reach), key, refusals }
    }

    /// A command of the shop itself: its processes, its timers, its login.
    pub(crate) const fn internal(name: &'static str) -> Self {
        Self { name, reach: None, key: Key::Optional, refusals: &[] }
    }
}

/// Whether a command may come without an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// It creates an order or moves money, stock or points.
    Required,
    /// A repeat does no harm.
    Optional,
}

/// Who may do something, and for whose things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Any logged-in user, for their own things.
    LoggedIn,
    /// Users with the permission, for anybody's things.
    Any(Permission),
    /// Users with the permission, for their own things.
    Own(Permission),
    /// Users with `any` for everybody's things, users with `own` for their own.
    OwnOrAny {
        /// For their own things.
        own: Permission,
        /// For anybody's things.
        any: Permission,
    },
}

impl Reach {
    /// The scope of a user with these roles; none if they may not do it.
    #[must_use]
    pub fn scope(self, user_id: UserId, roles: &[Role]) -> Option<Scope> {
        match self {
            Self::LoggedIn => Some(Scope::Own(user_id)),
            Self::Any(permission) => allows(roles, permission).then_some(Scope::Any),
            Self::Own(permission) => allows(roles, permission).then_some(Scope::Own(user_id)),
            Self::OwnOrAny { any, .. } if allows(roles, any) => Some(Scope::Any),
            Self::OwnOrAny { own, .. } => allows(roles, own).then_some(Scope::Own(user_id)),
        }
    }
}
