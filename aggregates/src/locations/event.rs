//! What happened to the locations of the shop. Storage format.

use jangbu_kernel::events;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::code::LocationCode;

events! {
    /// What happened to the locations of the shop.
    pub enum LocationsEvent {
        "locations.opened" v 1 => Opened(LocationOpened),
        "locations.renamed" v 1 => Renamed(LocationRenamed),
        "locations.closed" v 1 => Closed(LocationClosed),
        "locations.reopened" v 1 => Reopened(LocationReopened),
    }
}

/// Goods can be kept at a further location.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LocationOpened {
    /// Its code.
    pub code: LocationCode,
    /// What it is called.
    pub name: String,
}

/// It is called otherwise from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LocationRenamed {
    /// Which.
    pub code: LocationCode,
    /// What it is called.
    pub name: String,
}

/// No goods come in there any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LocationClosed {
    /// Which.
    pub code: LocationCode,
}

/// Goods can come in there again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LocationReopened {
    /// Which.
    pub code: LocationCode,
}
