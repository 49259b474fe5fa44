//! What is said of a command beside its content: the same for every surface that takes it.

use jangbu_kernel::{RefusalCode, Role, UserId};

use super::permission::{Permission, allows};
use crate::facts::Scope;

/// What holds for every command of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Its name in logs, metrics and `allowed_commands`: the type's, in snake case.
    pub name: &'static str,
    /// Who may send it, and for whose things. None: nobody who is logged in sends it; it comes
    /// from the shop itself, or from somebody who shows a password or a token instead.
    pub reach: Option<Reach>,
    /// Whether it needs an idempotency key.
    pub key: Key,
    /// What it can be refused with, beside what its content and its caller's reach bring along.
    pub refusals: &'static [RefusalCode],
}

impl Rules {
    /// A command that people send.
    pub(crate) const fn new(name: &'static str, reach: Reach, key: Key, refusals: &'static [RefusalCode]) -> Self {
        Self { name, reach: Some(reach), key, refusals }
    }

    /// A command of the shop itself: its processes, its timers, its log-in.
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
    /// Whoever is logged in, for their own things.
    LoggedIn,
    /// Whoever holds the permission, for anybody's things.
    Any(Permission),
    /// Whoever holds the permission, for their own things.
    Own(Permission),
    /// Whoever holds `any` for everybody's things, whoever holds `own` for their own.
    OwnOrAny {
        /// For their own things.
        own: Permission,
        /// For anybody's.
        any: Permission,
    },
}

impl Reach {
    /// How far somebody with these roles reaches; none: not at all.
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
