//! What happened to the stock of a product. Storage format.
//!
//! available = on hand - reserved - allocated.

use jangbu_kernel::{OrderId, Timestamp, events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

events! {
    /// What happened to the stock of a product.
    pub enum StockEvent {
        "stock.received" v 1 => Received(StockReceived),
        "stock.adjusted" v 1 => Adjusted(StockAdjusted),
        "stock.reserved" v 1 => Reserved(StockReserved),
        "stock.released" v 1 => Released(StockReleased),
        "stock.allocated" v 1 => Allocated(StockAllocated),
        "stock.deallocated" v 1 => Deallocated(StockDeallocated),
        "stock.shipped" v 1 => Shipped(StockShipped),
        "stock.restocked" v 1 => Restocked(StockRestocked),
    }
}

/// Goods came in: on hand rises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockReceived {
    /// How many, at least 1.
    pub quantity: u32,
}

/// Somebody counted, or something broke: on hand rises or falls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockAdjusted {
    /// By how many, not 0.
    pub delta: i64,
    /// Why.
    pub reason: String,
}

/// Units are kept for an order that is not paid yet: reserved rises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockReserved {
    /// For which order.
    pub order_id: OrderId,
    /// How many.
    pub quantity: u32,
    /// The order's payment deadline; the process, not the stock, acts on it.
    #[serde(with = "jangbu_kernel::time::millis")]
    #[schemars(with = "Timestamp")]
    pub expires_at: Timestamp,
}

/// A reservation ended without a sale: reserved falls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockReleased {
    /// Of which order.
    pub order_id: OrderId,
    /// How many.
    pub quantity: u32,
    /// Why: `order_cancelled`, `order_expired`, `order_failed`.
    pub reason: String,
}

/// The order is paid: reserved falls, allocated rises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockAllocated {
    /// For which order.
    pub order_id: OrderId,
    /// How many.
    pub quantity: u32,
}

/// A paid order ended before it was dispatched: allocated falls, the goods are still here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockDeallocated {
    /// Of which order.
    pub order_id: OrderId,
    /// How many.
    pub quantity: u32,
    /// Why.
    pub reason: String,
}

/// The goods left: allocated and on hand fall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockShipped {
    /// For which order.
    pub order_id: OrderId,
    /// How many.
    pub quantity: u32,
}

/// Returned goods can be sold again: on hand rises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockRestocked {
    /// Of which order.
    pub order_id: OrderId,
    /// How many.
    pub quantity: u32,
    /// Why.
    pub reason: String,
}
