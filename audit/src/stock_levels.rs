//! S4: the levels of stock are told once, in the append that changes them.
//!
//! A stream from before levels were told is judged from the first event on that tells of one.

use std::collections::HashMap;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::stock::{StockEvent, StockLevel};
use jangbu_kernel::{AggregateKind, CommandId, Position, ProductId, StreamId};
use uuid::Uuid;

use super::finding::{Check, End, Findings, Invariant, Looks, Seen};

/// The level of every product, as it is and as it was told.
#[derive(Default)]
pub(crate) struct StockLevels {
    products: HashMap<Uuid, Product>,
    /// What the append that is being read changed, with the position of the last change.
    changed: Vec<(Uuid, Position)>,
    append: Option<CommandId>,
}

#[derive(Clone, Copy, Default)]
struct Product {
    available: i64,
    low: u32,
    told: StockLevel,
    /// Whether its stream tells of levels.
    tells: bool,
}

impl Check for StockLevels {
    fn name(&self) -> &'static str {
        "stock_levels"
    }

    fn looks(&self) -> Looks {
        Looks { kinds: &[AggregateKind::Stock], types: &[] }
    }

    fn observe(&mut self, seen: Seen<'_>, findings: &mut Findings) {
        let DomainEvent::Stock(event) = seen.domain else { return };
        let command = seen.event.meta.command_id;
        if self.append.replace(command) != Some(command) {
            self.judge(findings);
        }
        let id = seen.event.stream.id;
        self.changed.retain(|(changed, _)| *changed != id);
        self.changed.push((id, seen.event.position));
        self.products.entry(id).or_default().take(seen, event, findings);
    }

    fn finish(&mut self, _end: End, findings: &mut Findings) {
        self.judge(findings);
    }
}

impl StockLevels {
    /// After an append every level that it changed has been told.
    fn judge(&mut self, findings: &mut Findings) {
        for (id, position) in self.changed.drain(..) {
            let Some(product) = self.products.get(&id).filter(|product| product.tells) else { continue };
            let level = StockLevel::of(product.available, product.low);
            if level != product.told {
                let detail = format!(
                    "{} are available with a threshold of {}: {} was not told",
                    product.available,
                    product.low,
                    level.name()
                );
                findings.report(Invariant::S4, position, StreamId::stock(ProductId::new(id)), detail);
            }
        }
    }
}

impl Product {
    fn take(&mut self, seen: Seen<'_>, event: &StockEvent, findings: &mut Findings) {
        // The level, and the numbers that it is told with.
        let (told, available, low) = match event {
            StockEvent::ThresholdSet(set) => {
                (self.low, self.tells) = (set.low, true);
                return;
            }
            StockEvent::RanLow(low) => (StockLevel::Low, low.available, low.low),
            StockEvent::Depleted(_) => (StockLevel::Depleted, self.available, self.low),
            StockEvent::Replenished(back) => (StockLevel::of(back.available, back.low), back.available, back.low),
            StockEvent::BackOrderSet(_)
            | StockEvent::BuyerLimitSet(_)
            | StockEvent::Received(_)
            | StockEvent::Adjusted(_)
            | StockEvent::Counted(_)
            | StockEvent::WrittenOff(_)
            | StockEvent::Reserved(_)
            | StockEvent::Released(_)
            | StockEvent::Allocated(_)
            | StockEvent::Deallocated(_)
            | StockEvent::Shipped(_)
            | StockEvent::Restocked(_)
            | StockEvent::TransferSent(_)
            | StockEvent::TransferReceived(_)
            | StockEvent::TransferLost(_) => {
                self.available = self.available.saturating_add(event.change().available());
                return;
            }
        };
        if told == self.told {
            let detail = format!("{} is told again: {} was the level already", event.event_type(), told.name());
            seen.report(findings, Invariant::S4, detail);
        } else if told != StockLevel::of(available, low) || (available, low) != (self.available, self.low) {
            let detail = format!(
                "{} is told with {available} available and a threshold of {low}, by the log there are {} and it is {}",
                event.event_type(),
                self.available,
                self.low
            );
            seen.report(findings, Invariant::S4, detail);
        }
        (self.told, self.tells) = (told, true);
    }
}
