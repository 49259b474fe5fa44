//! What the stock of a product decides.

use jangbu_kernel::time::to_millis;
use jangbu_kernel::{AggregateKind, Decider, Decision, OrderId, Refusal, RefusalCode, Timestamp};

use super::command::StockCommand;
use super::event::{
    StockAdjusted, StockAllocated, StockDeallocated, StockEvent, StockReceived, StockReleased, StockReserved,
    StockRestocked, StockShipped,
};
use super::state::Stock;
use crate::checks;
use crate::facts::Facts;

impl Decider for Stock {
    const KIND: AggregateKind = AggregateKind::Stock;
    const STATE_VERSION: u16 = 1;
    type Event = StockEvent;
    type Command = StockCommand;
    type Facts = Facts;

    fn decide(&self, command: &StockCommand, _: &Facts) -> Decision<StockEvent> {
        match command {
            StockCommand::Receive { quantity } => self.receive(*quantity),
            StockCommand::Adjust { delta, reason } => self.adjust(*delta, reason),
            StockCommand::Reserve { order_id, quantity, expires_at } => self.reserve(*order_id, *quantity, *expires_at),
            StockCommand::Release { order_id, reason } => match self.reserved_for(*order_id) {
                0 => Decision::AlreadyDone,
                quantity => Decision::one(StockReleased { order_id: *order_id, quantity, reason: reason.clone() }),
            },
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
                quantity => Decision::one(StockShipped { order_id: *order_id, quantity }),
            },
            StockCommand::Restock { order_id, quantity, reason } => self.restock(*order_id, *quantity, reason),
        }
    }

    fn evolve(&mut self, event: &StockEvent) {
        self.fold(event);
    }
}

impl Stock {
    fn receive(&self, quantity: u32) -> Decision<StockEvent> {
        if quantity == 0 {
            return invalid("a quantity is at least 1", "/quantity").into();
        }
        if self.on_hand().checked_add(i64::from(quantity)).is_none() {
            return invalid("the stock would be too large to count", "/quantity").into();
        }
        Decision::one(StockReceived { quantity })
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

    fn adjust(&self, delta: i64, reason: &str) -> Decision<StockEvent> {
        if delta == 0 {
            return invalid("a correction by nothing is none", "/delta").into();
        }
        if let Err(refusal) = checks::reason(reason) {
            return refusal.into();
        }
        let Some(on_hand) = self.on_hand().checked_add(delta) else {
            return invalid("the stock would be too large to count", "/delta").into();
        };
        if on_hand < self.reserved().saturating_add(self.allocated()) {
            let detail = format!("only {} can be taken, the rest is promised to orders", self.available());
            return Refusal::new(RefusalCode::InsufficientStock, detail).at("/delta").into();
        }
        Decision::one(StockAdjusted { delta, reason: reason.to_owned() })
    }

    fn reserve(&self, order_id: OrderId, quantity: u32, expires_at: Timestamp) -> Decision<StockEvent> {
        if self.reserved_for(order_id) > 0 || self.allocated_for(order_id) > 0 {
            return Decision::AlreadyDone;
        }
        if quantity == 0 {
            return invalid("a quantity is at least 1", "/quantity").into();
        }
        if i64::from(quantity) > self.available() {
            let detail = format!("{quantity} wanted, {} available", self.available());
            return Refusal::new(RefusalCode::InsufficientStock, detail).into();
        }
        Decision::one(StockReserved { order_id, quantity, expires_at: to_millis(expires_at) })
    }
}

fn invalid(detail: &str, pointer: &str) -> Refusal {
    Refusal::new(RefusalCode::ValidationFailed, detail).at(pointer)
}
