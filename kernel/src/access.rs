//! Roles: named sets of permissions. Which role may do what is one table, on
//! the floor that runs commands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody is in this shop. Storage format: add, never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Buys. Everybody who registers is one.
    Customer,
    /// Runs the shop: orders, stock, shipments, refunds.
    Staff,
    /// Reads everything and writes nothing.
    Auditor,
    /// Does everything, grants roles.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Customer, Self::Staff, Self::Auditor, Self::Admin];

    /// The name in JSON and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Staff => "staff",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    /// The role with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}
