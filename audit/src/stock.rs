//! S1, S2, S3 and S5: stock counts are never negative, nothing is sold twice, and goods are somewhere.

use std::collections::{BTreeMap, HashMap};

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::locations::LocationCode;
use jangbu_aggregates::order::{OrderCancelled, OrderCompleted, OrderEvent, OrderExpired, OrderFailed};
use jangbu_aggregates::stock::{StockChange, StockEvent};
use jangbu_kernel::{AggregateKind, OrderId, Position, StreamId, TransferId};
use uuid::Uuid;

use super::finding::{Check, End, Findings, Invariant, Looks, Seen};

/// The counts by product, and what each open order holds of all products together.
#[derive(Default)]
pub(crate) struct Stock {
    products: HashMap<Uuid, Level>,
    holds: HashMap<OrderId, Hold>,
    /// Orders that were left after the last sweep of settled ones.
    left_over: usize,
}

#[derive(Default)]
struct Level {
    on_hand: i64,
    in_transit: i64,
    /// Units at each location that has some.
    places: BTreeMap<LocationCode, i64>,
    /// What has not arrived yet.
    transfers: BTreeMap<TransferId, i64>,
    reserved: i64,
    allocated: i64,
    back_order: i64,
}

impl Level {
    fn available(&self) -> i64 {
        self.on_hand.saturating_sub(self.in_transit).saturating_sub(self.reserved).saturating_sub(self.allocated)
    }
}

impl Level {
    /// Units at a location by the log.
    fn at(&self, location: Option<&LocationCode>) -> i64 {
        let main = LocationCode::main();
        self.places.get(location.unwrap_or(&main)).copied().unwrap_or(0)
    }

    /// S5: goods are at a location or on their way, and nowhere are there fewer than none.
    fn place(&mut self, seen: Seen<'_>, event: &StockEvent, surprise: i64, findings: &mut Findings) {
        for (code, units) in event.moves() {
            let units = units.saturating_add(surprise);
            let held = self.places.get(&code).copied().unwrap_or(0).saturating_add(units);
            if held < 0 {
                seen.report(findings, Invariant::S5, format!("{held} at {code}: there are never fewer than none"));
            }
            self.places.insert(code, held);
        }
        self.places.retain(|_, units| *units != 0);
        if let Some(transfer_id) = event.transfer_id() {
            let rest = self.transfers.get(&transfer_id).copied().unwrap_or(0).saturating_add(event.change().in_transit);
            if rest < 0 {
                let detail = format!("of transfer {transfer_id} {} more arrived or were lost than were sent", -rest);
                seen.report(findings, Invariant::S5, detail);
            }
            self.transfers.insert(transfer_id, rest);
            self.transfers.retain(|_, units| *units != 0);
        }
        let everywhere = self.places.values().fold(self.in_transit, |sum, units| sum.saturating_add(*units));
        if everywhere != self.on_hand {
            let detail = format!("{everywhere} at the locations and on their way, {} on hand", self.on_hand);
            seen.report(findings, Invariant::S5, detail);
        }
    }
}

/// The order that holds what an event changes.
fn order_of(event: &StockEvent) -> Option<OrderId> {
    match event {
        StockEvent::Reserved(reserved) => Some(reserved.order_id),
        StockEvent::Released(released) => Some(released.order_id),
        StockEvent::Allocated(allocated) => Some(allocated.order_id),
        StockEvent::Deallocated(freed) => Some(freed.order_id),
        StockEvent::Shipped(shipped) => Some(shipped.order_id),
        StockEvent::Received(_)
        | StockEvent::Adjusted(_)
        | StockEvent::Counted(_)
        | StockEvent::WrittenOff(_)
        | StockEvent::Restocked(_)
        | StockEvent::TransferSent(_)
        | StockEvent::TransferReceived(_)
        | StockEvent::TransferLost(_)
        | StockEvent::ThresholdSet(_)
        | StockEvent::BackOrderSet(_)
        | StockEvent::BuyerLimitSet(_)
        | StockEvent::RanLow(_)
        | StockEvent::Depleted(_)
        | StockEvent::Replenished(_) => None,
    }
}

#[derive(Clone, Copy, Default)]
struct Hold {
    reserved: i64,
    allocated: i64,
    /// The position of the order's end.
    ended_at: Option<Position>,
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a check is given the events that it looks at")]
impl Check for Stock {
    fn name(&self) -> &'static str {
        "stock"
    }

    fn looks(&self) -> Looks {
        Looks {
            kinds: &[AggregateKind::Stock],
            types: &[OrderCancelled::TYPE, OrderExpired::TYPE, OrderFailed::TYPE, OrderCompleted::TYPE],
        }
    }

    fn observe(&mut self, seen: Seen<'_>, findings: &mut Findings) {
        match seen.domain {
            DomainEvent::Stock(event) => self.stock(seen, event, findings),
            DomainEvent::Order(
                OrderEvent::Cancelled(_) | OrderEvent::Expired(_) | OrderEvent::Failed(_) | OrderEvent::Completed(_),
            ) => {
                let order_id = OrderId::new(seen.event.stream.id);
                self.holds.entry(order_id).or_default().ended_at = Some(seen.event.position);
            }
            _ => {}
        }
        // In one append, the events that free what an order holds may follow the event that ends
        // it. So an ended order is dropped once it holds nothing, and checked at the end of the
        // log.
        if self.holds.len() > SWEEP_AT.max(self.left_over.saturating_mul(2)) {
            self.holds.retain(|_, hold| !hold.is_settled());
            self.left_over = self.holds.len();
        }
    }

    fn finish(&mut self, _end: End, findings: &mut Findings) {
        for (order_id, hold) in &self.holds {
            if let Some(position) = hold.ended_at
                && (hold.reserved != 0 || hold.allocated != 0)
            {
                let detail = format!(
                    "the order has ended but still holds {} reserved and {} allocated units",
                    hold.reserved, hold.allocated
                );
                findings.report(Invariant::S2, position, StreamId::order(*order_id), detail);
            }
        }
    }
}

/// Number of orders in memory at which settled ones are dropped. If more than half of them are
/// open, the next sweep is at twice as many.
const SWEEP_AT: usize = 100_000;

impl Hold {
    const fn is_settled(&self) -> bool {
        self.ended_at.is_some() && self.reserved == 0 && self.allocated == 0
    }
}

impl Stock {
    fn stock(&mut self, seen: Seen<'_>, event: &StockEvent, findings: &mut Findings) {
        let level = self.products.entry(seen.event.stream.id).or_default();
        // By what is there, not by what a count expected.
        let mut surprise = 0;
        if let StockEvent::Counted(count) = event {
            let there = level.at(count.location.as_ref());
            surprise = count.expected.saturating_sub(there);
            if surprise != 0 {
                let detail = format!("a count expected {}, by the log there were {there}", count.expected);
                seen.report(findings, Invariant::S1, detail);
            }
        }
        let order_id = order_of(event);
        if let StockEvent::BackOrderSet(set) = event {
            level.back_order = i64::from(set.limit);
        }
        let StockChange { on_hand, in_transit, reserved, allocated } = event.change();
        let before = level.available();
        level.on_hand = level.on_hand.saturating_add(on_hand).saturating_add(surprise);
        level.in_transit = level.in_transit.saturating_add(in_transit);
        level.reserved += reserved;
        level.allocated += allocated;
        level.place(seen, event, surprise, findings);
        if level.on_hand < 0 || level.reserved < 0 || level.allocated < 0 {
            let detail = format!(
                "on hand {}, reserved {}, allocated {}: none may be negative",
                level.on_hand, level.reserved, level.allocated
            );
            seen.report(findings, Invariant::S1, detail);
        }
        // What was promised below a limit that was lowered since stays promised.
        if level.available() < before && level.available() < -level.back_order {
            let detail = format!(
                "{} on hand, but {} are promised and {} may be ahead: more is sold than there is",
                level.on_hand,
                level.reserved + level.allocated,
                level.back_order
            );
            seen.report(findings, Invariant::S3, detail);
        }
        if let Some(order_id) = order_id {
            let hold = self.holds.entry(order_id).or_default();
            hold.reserved += reserved;
            hold.allocated += allocated;
            if hold.reserved < 0 || hold.allocated < 0 {
                seen.report(findings, Invariant::S1, "an order gives back more than it held");
            }
        }
    }
}
