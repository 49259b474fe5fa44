//! What the stock of a product keeps in mind.

use std::collections::BTreeMap;

use jangbu_kernel::OrderId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::StockEvent;
use super::level::StockLevel;
use super::places::Places;
use crate::locations::LocationCode;

/// The stock of a product; a product nobody received anything of has none.
///
/// It remembers the orders that hold something now and forgets them when they
/// hold nothing: its size follows the open orders, not the history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stock {
    on_hand: i64,
    reserved: i64,
    allocated: i64,
    pub(super) reservations: BTreeMap<OrderId, u32>,
    pub(super) allocations: BTreeMap<OrderId, u32>,
    /// At so many available units or fewer the stock is low; 0: never.
    low: u32,
    /// The level that was recorded last.
    level: StockLevel,
    /// By how many units reservations may exceed what is available.
    back_order: u32,
    /// Units that one buyer may have in open orders; 0: no limit of the product's own.
    buyer_limit: u32,
    /// Where the units are.
    pub(super) places: Places,
}

impl Stock {
    pub(super) fn fold(&mut self, event: &StockEvent) {
        self.places.fold(event);
        match event {
            StockEvent::Received(received) => self.add_on_hand(i64::from(received.quantity)),
            StockEvent::Adjusted(adjusted) => self.add_on_hand(adjusted.delta),
            StockEvent::Counted(count) => self.add_on_hand(count.difference()),
            StockEvent::WrittenOff(gone) => self.add_on_hand(-i64::from(gone.quantity)),
            StockEvent::Restocked(restocked) => self.add_on_hand(i64::from(restocked.quantity)),
            StockEvent::Reserved(reserved) => {
                add(&mut self.reservations, &mut self.reserved, reserved.order_id, reserved.quantity);
            }
            StockEvent::Released(released) => {
                take(&mut self.reservations, &mut self.reserved, released.order_id, released.quantity);
            }
            StockEvent::Allocated(allocated) => {
                let (order_id, quantity) = (allocated.order_id, allocated.quantity);
                take(&mut self.reservations, &mut self.reserved, order_id, quantity);
                add(&mut self.allocations, &mut self.allocated, order_id, quantity);
            }
            StockEvent::Deallocated(deallocated) => {
                take(&mut self.allocations, &mut self.allocated, deallocated.order_id, deallocated.quantity);
            }
            StockEvent::Shipped(shipped) => {
                take(&mut self.allocations, &mut self.allocated, shipped.order_id, shipped.quantity);
                self.add_on_hand(-i64::from(shipped.quantity));
            }
            StockEvent::TransferLost(lost) => self.add_on_hand(-i64::from(lost.quantity)),
            StockEvent::TransferSent(_) | StockEvent::TransferReceived(_) => {}
            StockEvent::ThresholdSet(set) => self.low = set.low,
            StockEvent::BackOrderSet(set) => self.back_order = set.limit,
            StockEvent::BuyerLimitSet(set) => self.buyer_limit = set.limit,
            StockEvent::RanLow(_) => self.level = StockLevel::Low,
            StockEvent::Depleted(_) => self.level = StockLevel::Depleted,
            StockEvent::Replenished(back) => self.level = StockLevel::of(back.available, back.low),
        }
    }

    fn add_on_hand(&mut self, delta: i64) {
        self.on_hand = self.on_hand.saturating_add(delta);
    }

    /// Units that are the shop's: at its locations, and on their way between them.
    #[must_use]
    pub fn on_hand(&self) -> i64 {
        self.on_hand
    }
    /// Units at the shop's locations: on hand, less what is on its way between them.
    #[must_use]
    pub fn here(&self) -> i64 {
        self.on_hand.saturating_sub(self.places.in_transit())
    }
    /// Units at a location; none is `main`.
    #[must_use]
    pub fn at(&self, location: Option<&LocationCode>) -> i64 {
        self.places.at(location, self.here())
    }
    /// Units kept for unpaid orders.
    #[must_use]
    pub fn reserved(&self) -> i64 {
        self.reserved
    }
    /// Units kept for paid orders.
    #[must_use]
    pub fn allocated(&self) -> i64 {
        self.allocated
    }
    /// Units kept for orders, paid or not.
    pub(super) fn promised(&self) -> i64 {
        self.reserved.saturating_add(self.allocated)
    }
    /// By how many units reservations may exceed what is available.
    #[must_use]
    pub fn back_order(&self) -> u32 {
        self.back_order
    }
    /// Units that one buyer may have in open orders; none: no limit of the product's own.
    #[must_use]
    pub fn buyer_limit(&self) -> Option<u32> {
        (self.buyer_limit > 0).then_some(self.buyer_limit)
    }
    /// Units that can be ordered: those that are available, and those that may be promised before
    /// they are here.
    #[must_use]
    pub fn orderable(&self) -> i64 {
        self.available().saturating_add(i64::from(self.back_order)).max(0)
    }
    /// Units that can be taken away without breaking a promise.
    pub(super) fn removable(&self) -> i64 {
        self.orderable().min(self.here())
    }
    /// Units that are here and can be sold, less what is promised and not here yet: negative while
    /// more is promised than is here.
    #[must_use]
    pub fn available(&self) -> i64 {
        self.here().saturating_sub(self.reserved).saturating_sub(self.allocated)
    }
    /// At so many available units or fewer the stock counts as low; 0: never.
    #[must_use]
    pub fn low(&self) -> u32 {
        self.low
    }
    /// The level that was recorded last.
    #[must_use]
    pub fn level(&self) -> StockLevel {
        self.level
    }
    /// Units kept for this unpaid order.
    #[must_use]
    pub fn reserved_for(&self, order_id: OrderId) -> u32 {
        self.reservations.get(&order_id).copied().unwrap_or(0)
    }
    /// Units kept for this paid order.
    #[must_use]
    pub fn allocated_for(&self, order_id: OrderId) -> u32 {
        self.allocations.get(&order_id).copied().unwrap_or(0)
    }
}

fn add(open: &mut BTreeMap<OrderId, u32>, total: &mut i64, order_id: OrderId, quantity: u32) {
    let held = open.entry(order_id).or_default();
    *held = held.saturating_add(quantity);
    *total = total.saturating_add(i64::from(quantity));
}

fn take(open: &mut BTreeMap<OrderId, u32>, total: &mut i64, order_id: OrderId, quantity: u32) {
    if let Some(held) = open.get_mut(&order_id) {
        *held = held.saturating_sub(quantity);
        if *held == 0 {
            open.remove(&order_id);
        }
    }
    *total = total.saturating_sub(i64::from(quantity));
}
