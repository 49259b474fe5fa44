//! S1, S2 and S3: stock counts are never negative, and nothing is sold twice.

use std::collections::HashMap;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::{OrderCancelled, OrderCompleted, OrderEvent, OrderExpired, OrderFailed};
use jangbu_aggregates::stock::StockEvent;
use jangbu_kernel::{AggregateKind, OrderId, Position, StreamId};
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

#[derive(Clone, Copy, Default)]
struct Level {
    on_hand: i64,
    reserved: i64,
    allocated: i64,
    back_order: i64,
}

impl Level {
    fn available(self) -> i64 {
        self.on_hand.saturating_sub(self.reserved).saturating_sub(self.allocated)
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
        if let StockEvent::Counted(count) = event
            && count.expected != level.on_hand
        {
            let detail =
                format!("a count expected {} on hand, by the log there were {}", count.expected, level.on_hand);
            seen.report(findings, Invariant::S1, detail);
        }
        let (order_id, on_hand, reserved, allocated) = match event {
            StockEvent::Received(received) => (None, i64::from(received.quantity), 0, 0),
            StockEvent::Adjusted(adjusted) => (None, adjusted.delta, 0, 0),
            StockEvent::Counted(count) => (None, i64::from(count.counted).saturating_sub(level.on_hand), 0, 0),
            StockEvent::WrittenOff(gone) => (None, -i64::from(gone.quantity), 0, 0),
            StockEvent::Reserved(reserved) => (Some(reserved.order_id), 0, i64::from(reserved.quantity), 0),
            StockEvent::Released(released) => (Some(released.order_id), 0, -i64::from(released.quantity), 0),
            StockEvent::Allocated(allocated) => {
                let units = i64::from(allocated.quantity);
                (Some(allocated.order_id), 0, -units, units)
            }
            StockEvent::Deallocated(freed) => (Some(freed.order_id), 0, 0, -i64::from(freed.quantity)),
            StockEvent::Shipped(shipped) => {
                let units = i64::from(shipped.quantity);
                (Some(shipped.order_id), -units, 0, -units)
            }
            StockEvent::Restocked(restocked) => (None, i64::from(restocked.quantity), 0, 0),
            StockEvent::BackOrderSet(set) => {
                level.back_order = i64::from(set.limit);
                (None, 0, 0, 0)
            }
            StockEvent::ThresholdSet(_)
            | StockEvent::BuyerLimitSet(_)
            | StockEvent::RanLow(_)
            | StockEvent::Depleted(_)
            | StockEvent::Replenished(_) => (None, 0, 0, 0),
        };
        let before = level.available();
        level.on_hand = level.on_hand.saturating_add(on_hand);
        level.reserved += reserved;
        level.allocated += allocated;
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
