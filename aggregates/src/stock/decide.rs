//! What the stock of a product decides.

use jangbu_kernel::time::to_millis;
use jangbu_kernel::{AggregateKind, Decider, Decision, OrderId, Refusal, RefusalCode, Timestamp};

use super::command::StockCommand;
use super::event::{
    StockAdjusted, StockAllocated, StockBackOrderSet, StockBuyerLimitSet, StockCounted, StockDeallocated, StockEvent,
    StockReceived, StockReleased, StockReserved, StockRestocked, StockShipped, StockThresholdSet, StockWrittenOff,
};
use super::state::Stock;
use crate::checks;
use crate::facts::Facts;
use crate::locations::LocationCode;

impl Decider for Stock {
    const KIND: AggregateKind = AggregateKind::Stock;
    const STATE_VERSION: u16 = 5;
    type Event = StockEvent;
    type Command = StockCommand;
    type Facts = Facts;

    fn decide(&self, command: &StockCommand, _: &Facts) -> Decision<StockEvent> {
        match self.change(command) {
            Decision::Record(events) => Decision::Record(self.with_level(events)),
            unchanged @ (Decision::AlreadyDone | Decision::Refused(_)) => unchanged,
        }
    }

    fn evolve(&mut self, event: &StockEvent) {
        self.fold(event);
    }
}

impl Stock {
    /// The events, and the one that records the level if they change it. Only numbers are added up:
    /// a stock with a thousand reservations is not copied.
    fn with_level(&self, mut events: Vec<StockEvent>) -> Vec<StockEvent> {
        let (mut available, mut low) = (self.available(), self.low());
        for event in &events {
            available = available.saturating_add(event.change().available());
            if let StockEvent::ThresholdSet(set) = event {
                low = set.low;
            }
        }
        events.extend(self.level().becomes(available, low));
        events
    }

    fn change(&self, command: &StockCommand) -> Decision<StockEvent> {
        match command {
            StockCommand::Receive { quantity, location } => self.receive(*quantity, location.clone()),
            StockCommand::Adjust { delta, reason, location } => self.adjust(*delta, reason, location.clone()),
            StockCommand::Count { counted, reason, location } => {
                self.count(*counted, reason.as_deref(), location.clone())
            }
            StockCommand::WriteOff { quantity, reason, location } => {
                self.write_off(*quantity, reason, location.clone())
            }
            StockCommand::Send { transfer_id, from, to, quantity } => self.send(*transfer_id, from, to, *quantity),
            StockCommand::Arrive { transfer_id, quantity } => self.arrive(*transfer_id, *quantity),
            StockCommand::Lose { transfer_id, reason } => self.lose(*transfer_id, reason),
            StockCommand::SetThreshold { low } if *low == self.low() => Decision::AlreadyDone,
            StockCommand::SetThreshold { low } => Decision::one(StockThresholdSet { low: *low }),
            StockCommand::SetBackOrder { limit } if *limit == self.back_order() => Decision::AlreadyDone,
            StockCommand::SetBackOrder { limit } => Decision::one(StockBackOrderSet { limit: *limit }),
            StockCommand::SetBuyerLimit { limit } if *limit == self.buyer_limit().unwrap_or(0) => Decision::AlreadyDone,
            StockCommand::SetBuyerLimit { limit } => Decision::one(StockBuyerLimitSet { limit: *limit }),
            StockCommand::Reserve { order_id, quantity, expires_at } => self.reserve(*order_id, *quantity, *expires_at),
            StockCommand::Release { order_id, reason } => match self.reserved_for(*order_id) {
                0 => Decision::AlreadyDone,
                quantity => Decision::one(StockReleased { order_id: *order_id, quantity, reason: reason.clone() }),
            },
            StockCommand::GiveBack { order_id, quantity, reason } => self.give_back(*order_id, *quantity, reason),
            StockCommand::Allocate { order_id } => {
                match (self.reserved_for(*order_id), self.allocated_for(*order_id)) {
                    (0, 0) => Refusal::new(RefusalCode::InsufficientStock, "the reservation is gone").into(),
                    (0, _) => Decision::AlreadyDone,
                    (quantity, _) => Decision::one(StockAllocated { order_id: *order_id, quantity }),
                }
            }
            StockCommand::Deallocate { order_id, reason } => match self.allocated_for(*order_id) {
                0 => Decision::AlreadyDone,
                quantity => Decision::one(StockDeallocated { order_id: *order_id, quantity, reason: reason.clone() }),
            },
            // What has left is forgotten here, so a repetition cannot be told from an order
            // that never had anything; the order knows that it was shipped.
            StockCommand::Ship { order_id } => match self.allocated_for(*order_id) {
                0 => Refusal::new(RefusalCode::InsufficientStock, "nothing is allocated for the order").into(),
                quantity if i64::from(quantity) > self.here() => self.not_here_yet(quantity).into(),
                quantity => {
                    let from = self.places.taken(quantity, self.here());
                    Decision::one(StockShipped { order_id: *order_id, quantity, from })
                }
            },
            StockCommand::Restock { order_id, quantity, reason } => self.restock(*order_id, *quantity, reason),
        }
    }

    fn receive(&self, quantity: u32, location: Option<LocationCode>) -> Decision<StockEvent> {
        if quantity == 0 {
            return invalid("a quantity is at least 1", "/quantity").into();
        }
        if self.on_hand().checked_add(i64::from(quantity)).is_none() {
            return invalid("the stock would be too large to count", "/quantity").into();
        }
        Decision::one(StockReceived { quantity, location })
    }

    fn give_back(&self, order_id: OrderId, quantity: u32, reason: &str) -> Decision<StockEvent> {
        let reason = reason.to_owned();
        if quantity == 0 {
            return invalid("a quantity is at least 1", "/quantity").into();
        }
        if self.reserved_for(order_id) >= quantity {
            return Decision::one(StockReleased { order_id, quantity, reason });
        }
        if self.allocated_for(order_id) >= quantity {
            return Decision::one(StockDeallocated { order_id, quantity, reason });
        }
        Refusal::new(RefusalCode::InsufficientStock, "less than that is kept for the order").into()
    }

    fn restock(&self, order_id: OrderId, quantity: u32, reason: &str) -> Decision<StockEvent> {
        if quantity == 0 {
            return invalid("a quantity is at least 1", "/quantity").into();
        }
        if self.on_hand().checked_add(i64::from(quantity)).is_none() {
            return invalid("the stock would be too large to count", "/quantity").into();
        }
        Decision::one(StockRestocked { order_id, quantity, reason: reason.to_owned() })
    }

    fn adjust(&self, delta: i64, reason: &str, location: Option<LocationCode>) -> Decision<StockEvent> {
        if delta == 0 {
            return invalid("a correction by nothing is none", "/delta").into();
        }
        if let Err(refusal) = checks::reason(reason) {
            return refusal.into();
        }
        let Some(on_hand) = self.on_hand().checked_add(delta) else {
            return invalid("the stock would be too large to count", "/delta").into();
        };
        if delta < 0 && self.on_hand().saturating_sub(on_hand) > self.removable() {
            return self.only_some_can_be_taken("/delta").into();
        }
        if delta.saturating_neg() > self.at(location.as_ref()) {
            return self.only_some_are_at(location.as_ref(), "/delta").into();
        }
        Decision::one(StockAdjusted { delta, reason: reason.to_owned(), location })
    }

    /// A count that finds what was expected is recorded too: that somebody counted is a fact.
    fn count(&self, counted: u32, reason: Option<&str>, location: Option<LocationCode>) -> Decision<StockEvent> {
        if let Some(Err(refusal)) = reason.map(checks::reason) {
            return refusal.into();
        }
        let expected = self.at(location.as_ref());
        let missing = expected.saturating_sub(i64::from(counted));
        if missing > 0 && missing > self.removable() {
            let detail = format!(
                "{counted} were counted, but {} are promised to orders: cancel orders of this product first",
                self.promised()
            );
            return Refusal::new(RefusalCode::InsufficientStock, detail).at("/counted").into();
        }
        if self.on_hand().checked_add(missing.saturating_neg()).is_none() {
            return invalid("the stock would be too large to count", "/counted").into();
        }
        Decision::one(StockCounted { counted, expected, reason: reason.map(str::to_owned), location })
    }

    fn write_off(&self, quantity: u32, reason: &str, location: Option<LocationCode>) -> Decision<StockEvent> {
        if quantity == 0 {
            return invalid("a quantity is at least 1", "/quantity").into();
        }
        if let Err(refusal) = checks::reason(reason) {
            return refusal.into();
        }
        if i64::from(quantity) > self.removable() {
            return self.only_some_can_be_taken("/quantity").into();
        }
        if i64::from(quantity) > self.at(location.as_ref()) {
            return self.only_some_are_at(location.as_ref(), "/quantity").into();
        }
        Decision::one(StockWrittenOff { quantity, reason: reason.to_owned(), location })
    }

    pub(super) fn only_some_are_at(&self, location: Option<&LocationCode>, pointer: &str) -> Refusal {
        let code = location.map_or(LocationCode::MAIN, LocationCode::as_str);
        let detail = format!("only {} are at {code}", self.at(location));
        Refusal::new(RefusalCode::InsufficientStock, detail).at(pointer)
    }

    pub(super) fn only_some_can_be_taken(&self, pointer: &str) -> Refusal {
        let detail = format!("only {} can be taken, the rest is promised to orders", self.removable());
        Refusal::new(RefusalCode::InsufficientStock, detail).at(pointer)
    }

    /// Units that were promised before they were here leave when they are here.
    fn not_here_yet(&self, quantity: u32) -> Refusal {
        let detail = format!("{quantity} are to leave, {} are on hand: receive the others first", self.here());
        Refusal::new(RefusalCode::InsufficientStock, detail)
    }

    fn reserve(&self, order_id: OrderId, quantity: u32, expires_at: Timestamp) -> Decision<StockEvent> {
        if self.reserved_for(order_id) > 0 || self.allocated_for(order_id) > 0 {
            return Decision::AlreadyDone;
        }
        if quantity == 0 {
            return invalid("a quantity is at least 1", "/quantity").into();
        }
        if i64::from(quantity) > self.orderable() {
            let detail = format!("{quantity} wanted, {} available", self.orderable());
            return Refusal::new(RefusalCode::InsufficientStock, detail).into();
        }
        Decision::one(StockReserved { order_id, quantity, expires_at: to_millis(expires_at) })
    }
}

pub(super) fn invalid(detail: &str, pointer: &str) -> Refusal {
    Refusal::new(RefusalCode::ValidationFailed, detail).at(pointer)
}
