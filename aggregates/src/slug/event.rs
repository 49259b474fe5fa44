//! What happened to a slug. Storage format.

use jangbu_kernel::{ProductId, events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

events! {
    /// What happened to a slug.
    pub enum SlugEvent {
        "slug.claimed" v 1 => Claimed(SlugClaimed),
        "slug.freed" v 1 => Freed(SlugFreed),
    }
}

/// The slug belongs to a product now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SlugClaimed {
    /// To which.
    pub product_id: ProductId,
    /// The slug.
    pub slug: String,
}

/// The slug belongs to no product now: the product has another one, none, or left the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SlugFreed {
    /// To which product it belonged.
    pub product_id: ProductId,
}
