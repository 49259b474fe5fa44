//! Roles: named sets of permissions. The table of what each role may do is in the domain crate, in
//! `command/permission.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody is in this shop. Storage format: add, never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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

crate::named!(Role);
