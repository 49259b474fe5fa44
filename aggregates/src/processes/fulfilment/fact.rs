//! What the process learns from the events of other streams.
//!
//! Nothing is learned from events that change nothing for the process, nor from those that come in
//! one append with another event that tells of the same change. They are not taken in.

use jangbu_kernel::{AggregateKind, OrderId, PaymentId, ShipmentId, StreamId};

use super::event::{PaymentNews, ProcessFact, ShipmentNews};
use crate::event::DomainEvent;
use crate::order::OrderEvent;
use crate::payment::PaymentEvent;
use crate::shipment::ShipmentEvent;

/// The order whose process an event concerns; none if it concerns no process.
#[must_use]
pub fn order_of(stream: StreamId, event: &DomainEvent) -> Option<OrderId> {
    match event {
        DomainEvent::Order(_) => (stream.kind == AggregateKind::Order).then(|| OrderId::new(stream.id)),
        DomainEvent::Payment(event) => Some(payment_order(event)),
        DomainEvent::Shipment(event) => Some(shipment_order(event)),
        DomainEvent::User(_)
        | DomainEvent::Administrators(_)
        | DomainEvent::Email(_)
        | DomainEvent::Session(_)
        | DomainEvent::Product(_)
        | DomainEvent::Category(_)
        | DomainEvent::Slug(_)
        | DomainEvent::Stock(_)
        | DomainEvent::Return(_)
        | DomainEvent::Locations(_)
        | DomainEvent::Points(_)
        | DomainEvent::Fulfilment(_)
        | DomainEvent::Buyer(_)
        | DomainEvent::Import(_)
        | DomainEvent::Notice(_) => None,
    }
}

/// What the process learns from an event; none if the event need not be taken in.
#[must_use]
pub fn fact_of(stream: StreamId, event: &DomainEvent) -> Option<ProcessFact> {
    match event {
        DomainEvent::Order(event) => order_fact(event),
        DomainEvent::Payment(event) => {
            let payment_id = PaymentId::new(stream.id);
            payment_news(event).map(|news| ProcessFact::Payment { payment_id, news })
        }
        DomainEvent::Shipment(event) => {
            let shipment_id = ShipmentId::new(stream.id);
            shipment_news(event).map(|news| ProcessFact::Shipment { shipment_id, news })
        }
        DomainEvent::User(_)
        | DomainEvent::Administrators(_)
        | DomainEvent::Email(_)
        | DomainEvent::Session(_)
        | DomainEvent::Product(_)
        | DomainEvent::Category(_)
        | DomainEvent::Slug(_)
        | DomainEvent::Stock(_)
        | DomainEvent::Return(_)
        | DomainEvent::Locations(_)
        | DomainEvent::Points(_)
        | DomainEvent::Fulfilment(_)
        | DomainEvent::Buyer(_)
        | DomainEvent::Import(_)
        | DomainEvent::Notice(_) => None,
    }
}

fn order_fact(event: &OrderEvent) -> Option<ProcessFact> {
    Some(match event {
        OrderEvent::Placed(_) => ProcessFact::OrderPlaced,
        OrderEvent::PaymentFailed(failed) => ProcessFact::OrderPaymentFailed { payment_id: failed.payment_id },
        OrderEvent::Paid(paid) => ProcessFact::OrderPaid { payment_id: paid.payment_id },
        OrderEvent::Delivered(_) => ProcessFact::OrderDelivered,
        OrderEvent::Completed(_) => ProcessFact::OrderCompleted,
        OrderEvent::CancellationRequested(_) => ProcessFact::OrderCancellationRequested,
        OrderEvent::Cancelled(_) => ProcessFact::OrderCancelled,
        OrderEvent::Expired(_) => ProcessFact::OrderExpired,
        OrderEvent::Failed(_) => ProcessFact::OrderFailed,
        OrderEvent::LatePaymentDetected(late) => ProcessFact::OrderLatePayment { payment_id: late.payment_id },
        // The payment tells of the refund; without a parcel there is nothing to cancel.
        OrderEvent::LinesCancelled(cancelled) => {
            ProcessFact::OrderParcelReplaced { shipment_id: cancelled.replaced_shipment_id? }
        }
        OrderEvent::AddressChanged(changed) => {
            ProcessFact::OrderParcelReplaced { shipment_id: changed.replaced_shipment_id? }
        }
        OrderEvent::PutOnHold(_) => ProcessFact::OrderHeld,
        OrderEvent::HoldReleased(_) => ProcessFact::OrderReleased,
        OrderEvent::ReturnOpened(opened) => ProcessFact::OrderReturnOpened { return_id: opened.return_id },
        OrderEvent::ReturnEnded(ended) => ProcessFact::OrderReturnEnded { return_id: ended.return_id },
        // payment.requested, shipment.requested and shipment.dispatched in the same append tell of
        // the first three; packing and a note change nothing.
        OrderEvent::PaymentOpened(_)
        | OrderEvent::PreparationStarted(_)
        | OrderEvent::Shipped(_)
        | OrderEvent::Packed(_)
        | OrderEvent::Noted(_) => return None,
    })
}

fn payment_news(event: &PaymentEvent) -> Option<PaymentNews> {
    Some(match event {
        PaymentEvent::Requested(_) => PaymentNews::Requested,
        PaymentEvent::ChallengeRequired(_) => PaymentNews::ChallengeRequired,
        PaymentEvent::ChallengeConfirmed(_) => PaymentNews::ChallengeConfirmed,
        PaymentEvent::RedirectRequired(_) | PaymentEvent::DepositAwaited(_) => PaymentNews::DepositAwaited,
        PaymentEvent::OutcomeUnknown(_) => PaymentNews::OutcomeUnknown,
        PaymentEvent::InquiryUndecided(undecided) => {
            PaymentNews::InquiryUndecided { not_found: undecided.answer == "not_found" }
        }
        PaymentEvent::NetCancelRequested(_) => PaymentNews::NetCancelRequested,
        PaymentEvent::Captured(captured) => PaymentNews::Captured { amount: captured.amount },
        PaymentEvent::Failed(failed) => PaymentNews::Ended { reason: failed.reason.clone() },
        PaymentEvent::Voided(voided) => PaymentNews::Ended { reason: voided.reason.clone() },
        PaymentEvent::MismatchDetected(_) => PaymentNews::Mismatch,
        PaymentEvent::RefundRequested(refund) => {
            PaymentNews::RefundRequested { refund_id: refund.refund_id, amount: refund.amount }
        }
        PaymentEvent::RefundSettled(refund) => PaymentNews::RefundSettled { refund_id: refund.refund_id },
        PaymentEvent::RefundRefused(refund) => PaymentNews::RefundRefused { refund_id: refund.refund_id },
        // The process requested the capture itself; the others change nothing.
        PaymentEvent::CaptureRequested(_)
        | PaymentEvent::ObservationIgnored(_)
        | PaymentEvent::LegRefunded(_)
        // payment.captured in the same append tells of it.
        | PaymentEvent::MismatchAccepted(_) => return None,
    })
}

fn shipment_news(event: &ShipmentEvent) -> Option<ShipmentNews> {
    Some(match event {
        ShipmentEvent::Requested(_) => ShipmentNews::Requested,
        ShipmentEvent::Refused(refused) => ShipmentNews::Refused { attempt: refused.attempt },
        ShipmentEvent::Ready(_) => ShipmentNews::Ready,
        ShipmentEvent::Dispatched(_) => ShipmentNews::Dispatched,
        ShipmentEvent::Delivered(_) => ShipmentNews::Delivered,
        ShipmentEvent::Returned(_) => ShipmentNews::Returned,
        ShipmentEvent::Lost(_) => ShipmentNews::Lost,
        ShipmentEvent::Cancelled(_) => ShipmentNews::Cancelled,
        ShipmentEvent::ScanRecorded(_)
        | ShipmentEvent::InTransit(_)
        | ShipmentEvent::OutForDelivery(_)
        | ShipmentEvent::AttemptFailed(_)
        | ShipmentEvent::ExceptionReported(_)
        | ShipmentEvent::TrackingNumberCorrected(_) => return None,
    })
}

fn payment_order(event: &PaymentEvent) -> OrderId {
    match event {
        PaymentEvent::Requested(event) => event.order_id,
        PaymentEvent::CaptureRequested(event) => event.order_id,
        PaymentEvent::ChallengeRequired(event) => event.order_id,
        PaymentEvent::ChallengeConfirmed(event) => event.order_id,
        PaymentEvent::RedirectRequired(event) => event.order_id,
        PaymentEvent::DepositAwaited(event) => event.order_id,
        PaymentEvent::OutcomeUnknown(event) => event.order_id,
        PaymentEvent::InquiryUndecided(event) => event.order_id,
        PaymentEvent::NetCancelRequested(event) => event.order_id,
        PaymentEvent::Captured(event) => event.order_id,
        PaymentEvent::Failed(event) => event.order_id,
        PaymentEvent::Voided(event) => event.order_id,
        PaymentEvent::MismatchDetected(event) => event.order_id,
        PaymentEvent::MismatchAccepted(event) => event.order_id,
        PaymentEvent::ObservationIgnored(event) => event.order_id,
        PaymentEvent::RefundRequested(event) => event.order_id,
        PaymentEvent::LegRefunded(event) => event.order_id,
        PaymentEvent::RefundSettled(event) => event.order_id,
        PaymentEvent::RefundRefused(event) => event.order_id,
    }
}

fn shipment_order(event: &ShipmentEvent) -> OrderId {
    match event {
        ShipmentEvent::Requested(event) => event.order_id,
        ShipmentEvent::Refused(event) => event.order_id,
        ShipmentEvent::Ready(event) => event.order_id,
        ShipmentEvent::Dispatched(event) => event.order_id,
        ShipmentEvent::ScanRecorded(event) => event.order_id,
        ShipmentEvent::InTransit(event) => event.order_id,
        ShipmentEvent::OutForDelivery(event) => event.order_id,
        ShipmentEvent::AttemptFailed(event) => event.order_id,
        ShipmentEvent::ExceptionReported(event) => event.order_id,
        ShipmentEvent::Delivered(event) => event.order_id,
        ShipmentEvent::Returned(event) => event.order_id,
        ShipmentEvent::Lost(event) => event.order_id,
        ShipmentEvent::Cancelled(event) => event.order_id,
        ShipmentEvent::TrackingNumberCorrected(event) => event.order_id,
    }
}
