//! Finds the rare paths in the log.

use std::collections::{BTreeMap, BTreeSet};

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::OrderEvent;
use jangbu_aggregates::payment::{PaymentEvent, Source};
use jangbu_aggregates::points::PointsEvent;
use jangbu_aggregates::processes::{FulfilmentEvent, OperatorAction};
use jangbu_aggregates::returns::{ReturnEvent, WithdrawnBy};
use jangbu_aggregates::session::SessionEvent;
use jangbu_aggregates::shipment::ShipmentEvent;
use jangbu_aggregates::stock::StockEvent;
use jangbu_commands::Caller;
use jangbu_kernel::{OrderId, PaymentId, RecordedEvent};

use crate::names::Point;
use crate::sim::Sim;

/// State of earlier events that identifies a path by a later one.
#[derive(Default)]
pub(crate) struct Memory {
    unknown: BTreeSet<PaymentId>,
    challenged: BTreeSet<PaymentId>,
    redirected: BTreeSet<PaymentId>,
    failed_once: BTreeSet<OrderId>,
    paid: BTreeSet<OrderId>,
    prepared: BTreeSet<OrderId>,
    refusals: BTreeMap<OrderId, u32>,
}

impl Memory {
    pub fn watch(&mut self, sim: &Sim, event: &RecordedEvent, domain: &DomainEvent) {
        match domain {
            DomainEvent::Order(order) => self.order(sim, OrderId::new(event.stream.id), order),
            DomainEvent::Payment(payment) => self.payment(sim, PaymentId::new(event.stream.id), payment),
            DomainEvent::Shipment(shipment) => self.shipment(sim, shipment),
            DomainEvent::Points(PointsEvent::Captured(_)) => sim.reach(Point::PointsSpent),
            DomainEvent::Points(PointsEvent::Restored(_)) => sim.reach(Point::PointsRestored),
            // Only the timer's write-offs cause nothing else; grants, holds and refunds write off
            // in passing.
            DomainEvent::Points(PointsEvent::Expired(_))
                if event.meta.causation_id == event.meta.command_id.uuid()
                    && event.meta.actor == Caller::process_manager().actor =>
            {
                sim.reach(Point::PointsExpired);
            }
            DomainEvent::Stock(StockEvent::Restocked(_)) => sim.reach(Point::Restocked),
            DomainEvent::Return(event) => {
                if let Some(point) = of_return(event) {
                    sim.reach(point);
                }
            }
            DomainEvent::Session(SessionEvent::ReuseDetected(_)) => sim.reach(Point::TokenReused),
            DomainEvent::Fulfilment(FulfilmentEvent::Parked(_)) => sim.reach(Point::Parked),
            DomainEvent::Fulfilment(FulfilmentEvent::OperatorResolved(resolved)) => sim.reach(match resolved.action {
                OperatorAction::Compensate => Point::OperatorCompensated,
                OperatorAction::Resume => Point::OperatorResumed,
                OperatorAction::Skip => Point::OperatorSkipped,
            }),
            _ => {}
        }
    }

    fn order(&mut self, sim: &Sim, order_id: OrderId, event: &OrderEvent) {
        match event {
            OrderEvent::LatePaymentDetected(_) => sim.reach(Point::LatePayment),
            OrderEvent::Expired(_) => sim.reach(Point::Expired),
            OrderEvent::PreparationStarted(_) if !self.prepared.insert(order_id) => sim.reach(Point::SentAgain),
            OrderEvent::PaymentFailed(_) => {
                self.failed_once.insert(order_id);
            }
            OrderEvent::Paid(_) => {
                self.paid.insert(order_id);
                if self.failed_once.contains(&order_id) {
                    sim.reach(Point::PaidAtSecondTry);
                }
            }
            OrderEvent::Cancelled(_) if self.paid.contains(&order_id) => sim.reach(Point::CancelledPaid),
            OrderEvent::Cancelled(_) => sim.reach(Point::CancelledUnpaid),
            OrderEvent::Failed(_) if self.refusals.get(&order_id).is_some_and(|refusals| *refusals >= 3) => {
                sim.reach(Point::LabelRefusedThrice);
            }
            _ => {}
        }
    }

    fn payment(&mut self, sim: &Sim, payment_id: PaymentId, event: &PaymentEvent) {
        match event {
            PaymentEvent::OutcomeUnknown(_) => {
                self.unknown.insert(payment_id);
            }
            PaymentEvent::InquiryUndecided(undecided) if undecided.answer == "not_found" => {
                sim.reach(Point::UnknownNotFound);
            }
            PaymentEvent::Captured(captured) => {
                if captured.source == Source::Inquiry && self.unknown.contains(&payment_id) {
                    sim.reach(Point::UnknownFound);
                }
                if captured.source == Source::Webhook && !self.unknown.contains(&payment_id) {
                    sim.reach(Point::HookFirst);
                }
                if self.challenged.contains(&payment_id) {
                    sim.reach(Point::ChallengeMet);
                }
                if self.redirected.contains(&payment_id) {
                    sim.reach(Point::PaidAtBank);
                    if captured.source == Source::Inquiry {
                        sim.reach(Point::BankAskedAfter);
                    }
                }
            }
            PaymentEvent::RedirectRequired(_) => {
                self.redirected.insert(payment_id);
            }
            PaymentEvent::ChallengeConfirmed(_) => {
                self.challenged.insert(payment_id);
            }
            PaymentEvent::Failed(failed) if failed.reason == "net_cancelled" => sim.reach(Point::NetCancelled),
            PaymentEvent::MismatchDetected(_) => sim.reach(Point::Mismatch),
            PaymentEvent::MismatchAccepted(_) => sim.reach(Point::MismatchAccepted),
            PaymentEvent::ObservationIgnored(_) => sim.reach(Point::ObservationIgnored),
            PaymentEvent::RefundRefused(_) => sim.reach(Point::RefundRefused),
            PaymentEvent::RefundRequested(refund) if refund.reason.plain() == Some(crate::people::GOODWILL) => {
                sim.reach(Point::PartialRefund);
            }
            _ => {}
        }
    }

    fn shipment(&mut self, sim: &Sim, event: &ShipmentEvent) {
        match event {
            ShipmentEvent::Refused(refused) => {
                *self.refusals.entry(refused.order_id).or_default() += 1;
            }
            ShipmentEvent::Lost(_) | ShipmentEvent::Returned(_) => sim.reach(Point::ParcelGone),
            _ => {}
        }
    }
}

fn of_return(event: &ReturnEvent) -> Option<Point> {
    Some(match event {
        ReturnEvent::Rejected(_) => Point::ReturnRejected,
        ReturnEvent::Withdrawn(withdrawn) if withdrawn.by == WithdrawnBy::Timer => Point::ReturnLapsed,
        ReturnEvent::Withdrawn(_) => Point::ReturnWithdrawn,
        ReturnEvent::Closed(closed) if closed.replacement_order_id.is_some() => Point::Exchanged,
        ReturnEvent::Closed(closed) if closed.refund_id.is_some() => Point::ReturnRefunded,
        ReturnEvent::Closed(_) => Point::NothingBack,
        _ => return None,
    })
}
