//! R1: what comes back was sold, was looked at, and is paid for once.

use std::collections::HashMap;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::{OrderEvent, OrderLinesCancelled, OrderPlaced, OrderReturnEnded, OrderReturnOpened};
use jangbu_aggregates::payment::{PaymentEvent, RefundRequested};
use jangbu_aggregates::returns::{ReturnClosed, ReturnEvent};
use jangbu_kernel::{AggregateKind, Money, OrderId, Position, ProductId, RefundId, ReturnId, StreamId};

use super::finding::{Check, End, Findings, Invariant, Looks, Seen};

/// Orders with what was sold and came back, and the returns.
#[derive(Default)]
pub(crate) struct Returns {
    orders: HashMap<OrderId, Units>,
    returns: HashMap<ReturnId, Case>,
    /// Refunds that returns were closed with, until the payment tells of them.
    awaited: HashMap<RefundId, (Money, Position, StreamId)>,
}

/// Units of an order.
#[derive(Default)]
struct Units {
    sold: HashMap<ProductId, u32>,
    back: HashMap<ProductId, u32>,
}

/// What is known of a return.
struct Case {
    order_id: OrderId,
    asked: HashMap<ProductId, u32>,
    /// What came back, once somebody has looked.
    found: Option<HashMap<ProductId, u32>>,
    is_closed: bool,
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a check is given the events that it looks at")]
impl Check for Returns {
    fn name(&self) -> &'static str {
        "returns"
    }

    fn looks(&self) -> Looks {
        let types = &[
            OrderPlaced::TYPE,
            OrderLinesCancelled::TYPE,
            OrderReturnOpened::TYPE,
            OrderReturnEnded::TYPE,
            RefundRequested::TYPE,
        ];
        Looks { kinds: &[AggregateKind::Return], types }
    }

    fn observe(&mut self, seen: Seen<'_>, findings: &mut Findings) {
        let stream = seen.event.stream;
        match seen.domain {
            DomainEvent::Order(event) => self.order(seen, OrderId::new(stream.id), event, findings),
            DomainEvent::Return(event) => self.goods_return(seen, ReturnId::new(stream.id), event, findings),
            DomainEvent::Payment(PaymentEvent::RefundRequested(refund)) => {
                if let Some((amount, position, stream)) = self.awaited.remove(&refund.refund_id)
                    && amount != refund.amount
                {
                    findings.report(Invariant::R1, position, stream, "a return is closed with another refund");
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, _: End, findings: &mut Findings) {
        for (_, position, stream) in self.awaited.values() {
            findings.report(
                Invariant::R1,
                *position,
                *stream,
                "a return is closed with a refund that nobody requested",
            );
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a check is given the events that it looks at")]
impl Returns {
    fn order(&mut self, seen: Seen<'_>, order_id: OrderId, event: &OrderEvent, findings: &mut Findings) {
        match event {
            OrderEvent::Placed(placed) => {
                let sold = placed.lines.iter().map(|line| (line.product_id, line.quantity)).collect();
                self.orders.insert(order_id, Units { sold, back: HashMap::new() });
            }
            OrderEvent::LinesCancelled(cancelled) => {
                let units = self.orders.entry(order_id).or_default();
                for line in &cancelled.lines {
                    let sold = units.sold.entry(line.product_id).or_default();
                    *sold = sold.saturating_sub(line.quantity);
                }
            }
            OrderEvent::ReturnEnded(ended) => {
                let units = self.orders.entry(order_id).or_default();
                for line in &ended.lines {
                    let back = units.back.entry(line.product_id).or_default();
                    *back = back.saturating_add(line.quantity);
                    if *back > units.sold.get(&line.product_id).copied().unwrap_or(0) {
                        seen.report(findings, Invariant::R1, "more of a line came back than was sold");
                    }
                }
                let found =
                    self.returns.get(&ended.return_id).filter(|case| case.is_closed && case.order_id == order_id);
                let found = found.and_then(|case| case.found.clone()).unwrap_or_default();
                let told: HashMap<_, _> = ended.lines.iter().map(|line| (line.product_id, line.quantity)).collect();
                if told != found {
                    seen.report(findings, Invariant::R1, "the order was told of other goods than came back");
                }
            }
            _ => {}
        }
    }

    fn goods_return(&mut self, seen: Seen<'_>, return_id: ReturnId, event: &ReturnEvent, findings: &mut Findings) {
        if let ReturnEvent::Requested(requested) = event {
            let case = Case {
                order_id: requested.order_id,
                asked: requested.lines.iter().map(|line| (line.product_id, line.quantity)).collect(),
                found: None,
                is_closed: false,
            };
            self.returns.insert(return_id, case);
            return;
        }
        let Some(case) = self.returns.get_mut(&return_id) else {
            return seen.report(findings, Invariant::R1, "the return was never requested");
        };
        match event {
            ReturnEvent::Inspected(inspected) => {
                let came = inspected.lines.iter().map(|line| (line.product_id, line.came_back()));
                let found: HashMap<_, _> = came.filter(|(_, came)| *came > 0).collect();
                let is_more =
                    |(product, came): (&ProductId, &u32)| *came > case.asked.get(product).copied().unwrap_or(0);
                if found.iter().any(is_more) {
                    seen.report(findings, Invariant::R1, "more came back than was to be returned");
                }
                case.found = Some(found);
            }
            ReturnEvent::Closed(closed) => {
                if case.found.is_none() || case.is_closed {
                    seen.report(findings, Invariant::R1, "a return is closed that nobody looked at, or twice");
                }
                case.is_closed = true;
                self.closed(seen, return_id, closed, findings);
            }
            _ => {}
        }
    }

    /// Money or goods are given, not both, and only for goods that came back.
    fn closed(&mut self, seen: Seen<'_>, return_id: ReturnId, closed: &ReturnClosed, findings: &mut Findings) {
        if let Some(refund_id) = closed.refund_id {
            self.awaited.insert(refund_id, (closed.refunded, seen.event.position, seen.event.stream));
        }
        let is_refund = closed.refund_id.is_some();
        if is_refund != closed.refunded.is_positive() || (is_refund && closed.replacement_order_id.is_some()) {
            seen.report(findings, Invariant::R1, "a return is closed with money and goods, or with neither as it says");
        }
        let Some(case) = self.returns.get(&return_id) else { return };
        let nothing_back = case.found.as_ref().is_none_or(HashMap::is_empty);
        if nothing_back && (is_refund || closed.replacement_order_id.is_some()) {
            seen.report(findings, Invariant::R1, "something is given for a return of which nothing came back");
        }
    }
}
