//! What happened to a buyer's waiting orders. Storage format.

use jangbu_kernel::{OrderId, ProductId, Timestamp, events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

events! {
    /// What happened to a buyer's waiting orders.
    pub enum BuyerEvent {
        "buyer.order_opened" v 1 => OrderOpened(OrderOpened),
        "buyer.order_closed" v 1 => OrderClosed(OrderClosed),
    }
}

/// Goods that a waiting order holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingLine {
    /// What.
    pub product_id: ProductId,
    /// How many.
    pub quantity: u32,
}

/// An order can be paid and nobody is paying it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderOpened {
    /// Which.
    pub order_id: OrderId,
    /// What it holds.
    pub lines: Vec<WaitingLine>,
    /// Since when.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub at: Timestamp,
    /// Until when at most.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub until: Timestamp,
}

/// A payment is under way, or the order has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderClosed {
    /// Which.
    pub order_id: OrderId,
}
