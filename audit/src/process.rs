//! G1, G2 and G3: every fulfilment ends, what is undone is undone completely, nothing is sent
//! unpaid.

use std::collections::HashMap;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::OrderEvent;
use jangbu_aggregates::payment::{
    PaymentCaptured, PaymentEvent, PaymentRequested, RefundRefused, RefundRequested, RefundSettled,
};
use jangbu_aggregates::points::{PointsCaptured, PointsEvent, PointsHeld, PointsReleased};
use jangbu_aggregates::processes::{FulfilmentEvent, OperatorAction, Step, TimerName};
use jangbu_aggregates::shipment::{ShipmentDispatched, ShipmentEvent, ShipmentRequested};
use jangbu_kernel::{
    AggregateKind, Money, MoneyError, OrderId, PaymentId, Position, RefundId, ShipmentId, StreamId, Timestamp,
};

use super::finding::{Check, End, Findings, Invariant, Looks, Seen};

/// The state of each order.
#[derive(Default)]
pub(crate) struct Fulfilments {
    orders: HashMap<OrderId, Case>,
    /// The order of each payment, for points events, which do not have it.
    payments: HashMap<PaymentId, OrderId>,
}

struct Case {
    total: Money,
    placed_at: Timestamp,
    paid: bool,
    captured: bool,
    /// Captured and not refunded.
    charged: Money,
    /// Refunds under way.
    asked_back: Vec<(RefundId, Money)>,
    /// Parcels that were to hold cancelled lines.
    replaced: Vec<ShipmentId>,
    points_held: Money,
    /// Staff have written off what cannot be refunded.
    written_off: bool,
    ending: Option<Ending>,
    process: Option<Process>,
    position: Position,
}

/// The position and kind of an order's end.
struct Ending {
    position: Position,
    undone: bool,
}

struct Process {
    step: Step,
    timers: Vec<(TimerName, Timestamp)>,
    last_moved: Timestamp,
    ended: bool,
    position: Position,
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a check is given the events that it looks at")]
impl Check for Fulfilments {
    fn name(&self) -> &'static str {
        "fulfilments"
    }

    fn looks(&self) -> Looks {
        let types = &[
            PaymentRequested::TYPE,
            PaymentCaptured::TYPE,
            RefundRequested::TYPE,
            RefundSettled::TYPE,
            RefundRefused::TYPE,
            PointsHeld::TYPE,
            PointsCaptured::TYPE,
            PointsReleased::TYPE,
            ShipmentRequested::TYPE,
            ShipmentDispatched::TYPE,
        ];
        Looks { kinds: &[AggregateKind::Order, AggregateKind::Fulfilment], types }
    }

    fn observe(&mut self, seen: Seen<'_>, findings: &mut Findings) {
        let folded = match seen.domain {
            DomainEvent::Order(event) => {
                self.order(seen, event, findings);
                Ok(())
            }
            DomainEvent::Payment(event) => self.payment(seen, event),
            DomainEvent::Points(event) => self.points(event),
            DomainEvent::Shipment(event) => {
                self.shipment(seen, event, findings);
                Ok(())
            }
            DomainEvent::Fulfilment(event) => {
                self.process(seen, event, findings);
                Ok(())
            }
            _ => Ok(()),
        };
        if folded.is_err() {
            seen.report(findings, Invariant::G2, "amounts of the order cannot be summed");
        }
    }

    fn finish(&mut self, end: End, findings: &mut Findings) {
        for (order_id, case) in &self.orders {
            case.check_process(*order_id, end, findings);
            case.check_undone(*order_id, findings);
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a check is given the events that it looks at")]
impl Fulfilments {
    fn order(&mut self, seen: Seen<'_>, event: &OrderEvent, findings: &mut Findings) {
        let order_id = OrderId::new(seen.event.stream.id);
        if let OrderEvent::Placed(placed) = event {
            let zero = Money::zero(placed.total.currency());
            self.orders.insert(
                order_id,
                Case {
                    total: placed.total,
                    placed_at: seen.event.meta.recorded_at,
                    paid: false,
                    captured: false,
                    charged: zero,
                    asked_back: Vec::new(),
                    replaced: Vec::new(),
                    points_held: zero,
                    written_off: false,
                    ending: None,
                    process: None,
                    position: seen.event.position,
                },
            );
            return;
        }
        let Some(case) = self.orders.get_mut(&order_id) else {
            return seen.report(findings, Invariant::G1, "the order was never placed");
        };
        let undone = match event {
            OrderEvent::Paid(_) => {
                case.paid = true;
                return;
            }
            OrderEvent::LinesCancelled(cancelled) => {
                case.total = cancelled.total;
                case.replaced.extend(cancelled.replaced_shipment_id);
                return;
            }
            OrderEvent::Cancelled(_) | OrderEvent::Expired(_) | OrderEvent::Failed(_) => true,
            OrderEvent::Completed(_) => false,
            _ => return,
        };
        if case.ending.is_some() {
            seen.report(findings, Invariant::G1, "the order ends a second time");
        }
        case.ending = Some(Ending { position: seen.event.position, undone });
    }

    fn payment(&mut self, seen: Seen<'_>, event: &PaymentEvent) -> Result<(), MoneyError> {
        let order_id = match event {
            PaymentEvent::Requested(requested) => {
                self.payments.insert(PaymentId::new(seen.event.stream.id), requested.order_id);
                return Ok(());
            }
            PaymentEvent::Captured(captured) => captured.order_id,
            PaymentEvent::RefundRequested(refund) => refund.order_id,
            PaymentEvent::RefundSettled(settled) => settled.order_id,
            PaymentEvent::RefundRefused(refused) => refused.order_id,
            _ => return Ok(()),
        };
        let Some(case) = self.orders.get_mut(&order_id) else { return Ok(()) };
        match event {
            PaymentEvent::Captured(captured) => {
                case.captured |= captured.amount.is_positive();
                case.charged = case.charged.checked_add(&captured.amount)?;
            }
            PaymentEvent::RefundRequested(refund) => case.asked_back.push((refund.refund_id, refund.amount)),
            PaymentEvent::RefundSettled(settled) => {
                case.asked_back.retain(|(refund, _)| *refund != settled.refund_id);
                case.charged = case.charged.checked_sub(&settled.amount)?;
            }
            PaymentEvent::RefundRefused(refused) => {
                case.asked_back.retain(|(refund, _)| *refund != refused.refund_id);
            }
            _ => {}
        }
        Ok(())
    }

    fn points(&mut self, event: &PointsEvent) -> Result<(), MoneyError> {
        let (payment_id, freed) = match event {
            PointsEvent::Held(held) => {
                if let Some(case) = self.orders.get_mut(&held.order_id) {
                    case.points_held = case.points_held.checked_add(&held.amount)?;
                }
                self.payments.insert(held.payment_id, held.order_id);
                return Ok(());
            }
            PointsEvent::Captured(captured) => (captured.payment_id, captured.amount),
            PointsEvent::Released(released) => (released.payment_id, released.amount),
            PointsEvent::Granted(_) | PointsEvent::Restored(_) | PointsEvent::Expired(_) => return Ok(()),
        };
        let order = self.payments.get(&payment_id).and_then(|order_id| self.orders.get_mut(order_id));
        if let Some(case) = order {
            case.points_held = case.points_held.checked_sub(&freed)?;
        }
        Ok(())
    }

    fn shipment(&mut self, seen: Seen<'_>, event: &ShipmentEvent, findings: &mut Findings) {
        let order_id = match event {
            ShipmentEvent::Requested(requested) => requested.order_id,
            ShipmentEvent::Dispatched(dispatched) => dispatched.order_id,
            _ => return,
        };
        let Some(case) = self.orders.get(&order_id) else {
            return seen.report(findings, Invariant::G3, "the shipment is of an order that was never placed");
        };
        if !case.paid || !(case.captured || case.total.is_zero()) {
            return seen.report(findings, Invariant::G3, "a parcel goes out for an order whose money was not captured");
        }
        // A partial refund may be for anything; when all of it was refunded, the order is not paid
        // any more.
        let leaves = matches!(event, ShipmentEvent::Dispatched(_));
        if leaves && case.replaced.contains(&ShipmentId::new(seen.event.stream.id)) {
            seen.report(findings, Invariant::G3, "a parcel leaves with lines that were cancelled");
        }
        if leaves && !case.total.is_zero() && !case.keeps_money() {
            seen.report(
                findings,
                Invariant::G3,
                "a parcel leaves although all that was captured was given back, or is on its way back",
            );
        }
    }

    fn process(&mut self, seen: Seen<'_>, event: &FulfilmentEvent, findings: &mut Findings) {
        let order_id = OrderId::new(seen.event.stream.id);
        let Some(case) = self.orders.get_mut(&order_id) else {
            return seen.report(findings, Invariant::G1, "the fulfilment is of an order that was never placed");
        };
        let moved = seen.event.meta.recorded_at;
        if let FulfilmentEvent::OperatorResolved(resolved) = event {
            case.written_off |= resolved.action == OperatorAction::Skip;
        }
        let process = case.process.get_or_insert(Process {
            step: Step::NotStarted,
            timers: Vec::new(),
            last_moved: moved,
            ended: false,
            position: seen.event.position,
        });
        process.last_moved = moved;
        process.position = seen.event.position;
        if let Some(step) = event.step() {
            process.step = step;
            process.ended = step == Step::Ended;
        }
        match event {
            FulfilmentEvent::Started(started) => process.timers.push(started.timer()),
            FulfilmentEvent::TimerSet(set) => {
                process.timers.retain(|(timer, _)| *timer != set.timer);
                process.timers.push((set.timer, set.due_at));
            }
            FulfilmentEvent::TimerCancelled(cancelled) => {
                process.timers.retain(|(timer, _)| *timer != cancelled.timer);
            }
            FulfilmentEvent::TimerReached(reached) => {
                process.timers.retain(|(timer, due_at)| *timer != reached.timer || *due_at != reached.due_at);
            }
            FulfilmentEvent::Parked(_) => process.step = Step::NeedsOperator,
            FulfilmentEvent::Ended(_) => {
                process.ended = true;
                process.step = Step::Ended;
                process.timers.clear();
            }
            _ => {}
        }
    }
}

impl Case {
    /// Whether any of the captured money is neither refunded nor requested back.
    fn keeps_money(&self) -> bool {
        let asked_back = Money::sum(self.asked_back.iter().map(|(_, amount)| amount), self.charged.currency());
        asked_back.and_then(|back| self.charged.checked_sub(&back)).is_ok_and(|kept| kept.is_positive())
    }

    /// G1: a process that has not ended still makes progress, waits for a time, or waits for an
    /// external system or a person.
    fn check_process(&self, order_id: OrderId, end: End, findings: &mut Findings) {
        let stream = StreamId::fulfilment(order_id);
        let Some(process) = &self.process else {
            if self.ending.is_none() && end.now - self.placed_at > end.patience {
                findings.report(Invariant::G1, self.position, stream, "the order's fulfilment never began");
            }
            return;
        };
        if process.ended {
            if self.ending.is_none() && end.now - process.last_moved > end.patience {
                findings.report(
                    Invariant::G1,
                    process.position,
                    stream,
                    "the fulfilment has ended but its order has not",
                );
            }
            return;
        }
        let missed = process.timers.iter().find(|(_, due_at)| end.now - *due_at > end.patience);
        if let Some((timer, due_at)) = missed {
            let detail =
                format!("timer {timer:?} was due at {} and was not reached", jangbu_kernel::time::rfc3339(*due_at));
            findings.report(Invariant::G1, process.position, stream, detail);
            return;
        }
        let waits = !process.timers.is_empty() || process.step.waits_outside();
        if !waits && end.now - process.last_moved > end.patience {
            let detail = format!("the fulfilment stands still in {:?} with nothing to wait for", process.step);
            findings.report(Invariant::G1, process.position, stream, detail);
        }
    }

    /// G2. While the process still runs, its undoing may be under way; G1 checks that it does not
    /// run forever.
    fn check_undone(&self, order_id: OrderId, findings: &mut Findings) {
        let Some(Ending { position, undone: true }) = self.ending else { return };
        if self.process.as_ref().is_some_and(|process| !process.ended) {
            return;
        }
        let stream = StreamId::order(order_id);
        if !self.charged.is_zero() && !self.written_off {
            findings.report(
                Invariant::G2,
                position,
                stream,
                format!("the order was undone but {} stay charged", self.charged),
            );
        }
        if !self.points_held.is_zero() {
            let detail = format!("the order was undone but {} of points stay held", self.points_held);
            findings.report(Invariant::G2, position, stream, detail);
        }
    }
}

/// Steps in which a lack of progress is not the process's fault.
trait WaitsOutside {
    fn waits_outside(self) -> bool;
}

impl WaitsOutside for Step {
    fn waits_outside(self) -> bool {
        match self {
            // There is no limit on how long a carrier or a person takes.
            Self::Delivering | Self::NeedsOperator => true,
            Self::NotStarted
            | Self::AwaitingPayment
            | Self::Capturing
            | Self::AwaitingChallenge
            | Self::AwaitingDeposit
            | Self::Inquiring
            | Self::Confirming
            | Self::Shipping
            | Self::AwaitingCompletion
            | Self::Cancelling
            | Self::Compensating
            | Self::ReturningLatePayment
            | Self::Ended => false,
        }
    }
}
