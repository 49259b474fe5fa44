//! What happened to the stock of a product. Storage format.
//!
//! available = on hand - in transit - reserved - allocated. A fact without a location is about `main`.

use jangbu_kernel::{OrderId, Timestamp, TransferId, events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::locations::LocationCode;

events! {
    /// What happened to the stock of a product.
    pub enum StockEvent {
        "stock.received" v 1 => Received(StockReceived),
        "stock.adjusted" v 1 => Adjusted(StockAdjusted),
        "stock.counted" v 1 => Counted(StockCounted),
        "stock.written_off" v 1 => WrittenOff(StockWrittenOff),
        "stock.reserved" v 1 => Reserved(StockReserved),
        "stock.released" v 1 => Released(StockReleased),
        "stock.allocated" v 1 => Allocated(StockAllocated),
        "stock.deallocated" v 1 => Deallocated(StockDeallocated),
        "stock.shipped" v 1 => Shipped(StockShipped),
        "stock.restocked" v 1 => Restocked(StockRestocked),
        "stock.transfer_sent" v 1 => TransferSent(StockTransferSent),
        "stock.transfer_received" v 1 => TransferReceived(StockTransferReceived),
        "stock.transfer_lost" v 1 => TransferLost(StockTransferLost),
        "stock.threshold_set" v 1 => ThresholdSet(StockThresholdSet),
        "stock.back_order_set" v 1 => BackOrderSet(StockBackOrderSet),
        "stock.buyer_limit_set" v 1 => BuyerLimitSet(StockBuyerLimitSet),
        "stock.ran_low" v 1 => RanLow(StockRanLow),
        "stock.depleted" v 1 => Depleted(StockDepleted),
        "stock.replenished" v 1 => Replenished(StockReplenished),
    }
}

/// What an event adds to the numbers of a stock, negative where it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockChange {
    /// To the units that are the shop's: at its locations, and between them.
    pub on_hand: i64,
    /// To the units on their way between two locations.
    pub in_transit: i64,
    /// To the units reserved for unpaid orders.
    pub reserved: i64,
    /// To the units allocated to paid orders.
    pub allocated: i64,
}

impl StockChange {
    const fn new(on_hand: i64, reserved: i64, allocated: i64) -> Self {
        Self { on_hand, in_transit: 0, reserved, allocated }
    }
    const fn moving(on_hand: i64, in_transit: i64) -> Self {
        Self { on_hand, in_transit, reserved: 0, allocated: 0 }
    }
    /// To the units that can be sold.
    #[must_use]
    pub const fn available(self) -> i64 {
        self.on_hand.saturating_sub(self.in_transit).saturating_sub(self.reserved).saturating_sub(self.allocated)
    }
}

impl StockEvent {
    /// What it adds to the numbers of the stock.
    #[must_use]
    pub fn change(&self) -> StockChange {
        match self {
            Self::Received(received) => StockChange::new(received.quantity.into(), 0, 0),
            Self::Adjusted(adjusted) => StockChange::new(adjusted.delta, 0, 0),
            Self::Counted(count) => StockChange::new(count.difference(), 0, 0),
            Self::WrittenOff(gone) => StockChange::new(-i64::from(gone.quantity), 0, 0),
            Self::Reserved(kept) => StockChange::new(0, kept.quantity.into(), 0),
            Self::Released(freed) => StockChange::new(0, -i64::from(freed.quantity), 0),
            Self::Allocated(sold) => StockChange::new(0, -i64::from(sold.quantity), sold.quantity.into()),
            Self::Deallocated(freed) => StockChange::new(0, 0, -i64::from(freed.quantity)),
            Self::Shipped(gone) => StockChange::new(-i64::from(gone.quantity), 0, -i64::from(gone.quantity)),
            Self::Restocked(back) => StockChange::new(back.quantity.into(), 0, 0),
            Self::TransferSent(sent) => StockChange::moving(0, sent.quantity.into()),
            Self::TransferReceived(received) => StockChange::moving(0, -i64::from(received.quantity)),
            Self::TransferLost(lost) => StockChange::moving(-i64::from(lost.quantity), -i64::from(lost.quantity)),
            Self::ThresholdSet(_)
            | Self::BackOrderSet(_)
            | Self::BuyerLimitSet(_)
            | Self::RanLow(_)
            | Self::Depleted(_)
            | Self::Replenished(_) => StockChange::default(),
        }
    }
}

impl StockEvent {
    /// The transfer that it is about.
    #[must_use]
    pub fn transfer_id(&self) -> Option<TransferId> {
        if let Self::TransferSent(sent) = self {
            return Some(sent.transfer_id);
        }
        if let Self::TransferReceived(received) = self {
            return Some(received.transfer_id);
        }
        if let Self::TransferLost(lost) = self { Some(lost.transfer_id) } else { None }
    }

    /// What it adds to the units at each location that it is about, negative where it takes.
    #[must_use]
    pub fn moves(&self) -> Vec<(LocationCode, i64)> {
        let at = |location: &Option<LocationCode>, units: i64| {
            vec![(location.clone().unwrap_or_else(LocationCode::main), units)]
        };
        match self {
            Self::Received(received) => at(&received.location, received.quantity.into()),
            Self::Adjusted(adjusted) => at(&adjusted.location, adjusted.delta),
            Self::Counted(count) => at(&count.location, count.difference()),
            Self::WrittenOff(gone) => at(&gone.location, -i64::from(gone.quantity)),
            Self::Restocked(back) => at(&None, back.quantity.into()),
            Self::Shipped(gone) if gone.from.is_empty() => at(&None, -i64::from(gone.quantity)),
            Self::Shipped(gone) => {
                gone.from.iter().map(|part| (part.location.clone(), -i64::from(part.quantity))).collect()
            }
            Self::TransferSent(sent) => vec![(sent.from.clone(), -i64::from(sent.quantity))],
            Self::TransferReceived(received) => vec![(received.to.clone(), received.quantity.into())],
            Self::TransferLost(_)
            | Self::Reserved(_)
            | Self::Released(_)
            | Self::Allocated(_)
            | Self::Deallocated(_)
            | Self::ThresholdSet(_)
            | Self::BackOrderSet(_)
            | Self::BuyerLimitSet(_)
            | Self::RanLow(_)
            | Self::Depleted(_)
            | Self::Replenished(_) => Vec::new(),
        }
    }
}

/// Goods came in: on hand rises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockReceived {
    /// How many, at least 1.
    pub quantity: u32,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationCode>,
}

/// Somebody counted, or something broke: on hand rises or falls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockAdjusted {
    /// By how many, not 0.
    pub delta: i64,
    /// Why.
    pub reason: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationCode>,
}

/// The units at a location were counted: what is there becomes the number that was counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockCounted {
    /// How many there are.
    pub counted: u32,
    /// How many there should have been: what was there by the log.
    pub expected: i64,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationCode>,
    /// Why there was a count, or what explains the difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl StockCounted {
    /// What the count adds to what is on hand, negative when units are missing.
    #[must_use]
    pub fn difference(&self) -> i64 {
        i64::from(self.counted).saturating_sub(self.expected)
    }
}

/// Units can never be sold: on hand falls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockWrittenOff {
    /// How many, at least 1.
    pub quantity: u32,
    /// What became of them.
    pub reason: String,
    /// Where they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationCode>,
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
    /// From where; all of them from `main` where it is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<StockTaken>,
}

/// Units that were taken from a location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockTaken {
    /// From which.
    pub location: LocationCode,
    /// How many.
    pub quantity: u32,
}

/// Units left one location for another: they are on hand, and cannot be sold before they arrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockTransferSent {
    /// The transfer.
    pub transfer_id: TransferId,
    /// Where they were.
    pub from: LocationCode,
    /// Where they go.
    pub to: LocationCode,
    /// How many, at least 1.
    pub quantity: u32,
}

/// Units of a transfer arrived, all of them or a part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockTransferReceived {
    /// The transfer.
    pub transfer_id: TransferId,
    /// Where.
    pub to: LocationCode,
    /// How many, at least 1.
    pub quantity: u32,
}

/// Units of a transfer never arrive: on hand falls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockTransferLost {
    /// The transfer.
    pub transfer_id: TransferId,
    /// How many: all that had not arrived.
    pub quantity: u32,
    /// What became of them.
    pub reason: String,
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

/// The number of available units at which the stock counts as low was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockThresholdSet {
    /// At so many available units or fewer it is low; 0: it is never low, only depleted.
    pub low: u32,
}

/// The number of units that may be promised to orders before they are here was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockBackOrderSet {
    /// By how many units reservations may exceed what is available; 0: not at all.
    pub limit: u32,
}

/// The number of units that one buyer may have in open orders was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockBuyerLimitSet {
    /// How many; 0: no limit of the product's own.
    pub limit: u32,
}

/// Few units are left to sell: the change before it brought them down to the threshold, or the
/// threshold was raised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockRanLow {
    /// How many are available, at least 1.
    pub available: i64,
    /// The threshold.
    pub low: u32,
}

/// No unit is left to sell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockDepleted {}

/// Units can be sold again, or there are more than the threshold again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StockReplenished {
    /// How many are available, at least 1.
    pub available: i64,
    /// The threshold; with so few it is still low.
    pub low: u32,
}
