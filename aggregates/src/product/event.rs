//! What happened to a product. Storage format.

use jangbu_kernel::{CategoryId, Money, UserId, events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

events! {
    /// What happened to a product.
    pub enum ProductEvent {
        "product.created" v 1 => Created(ProductCreated),
        "product.activated" v 1 => Activated(ProductActivated),
        "product.deactivated" v 1 => Deactivated(ProductDeactivated),
    }
}

/// A product entered the catalogue, active.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductCreated {
    /// What it is called.
    pub name: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it is filed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category_id: Option<CategoryId>,
    /// Who sells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller_id: Option<UserId>,
    /// The unit price.
    pub price: Money,
}

/// It can be bought again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductActivated {}

/// It cannot be bought for now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductDeactivated {}
