//! Makes the events of other streams from the facts that they tell, so that the tests cover the
//! whole way from an event to a decision.

use super::*;
use crate::event::DomainEvent;
use crate::order::{self as o, OrderEvent};
use crate::payment::{self as p, PaymentEvent, Source};
use crate::shipment::{self as s, ShipmentEvent};
use crate::testing::sealed;
use jangbu_kernel::{OrderId, StreamId};

pub(super) fn of(fact: &ProcessFact) -> (StreamId, DomainEvent) {
    match fact {
        ProcessFact::Payment { payment_id, news } => (StreamId::payment(*payment_id), payment(news).into()),
        ProcessFact::Shipment { shipment_id, news } => (StreamId::shipment(*shipment_id), shipment(*news).into()),
        _ => (StreamId::order(id::<OrderId>(1)), order(fact).into()),
    }
}

fn order(fact: &ProcessFact) -> OrderEvent {
    let text = || "text".to_owned();
    let by = o::CancelledBy::Owner;
    match fact {
        ProcessFact::OrderPlaced => o::OrderPlaced {
            number: text(),
            user_id: id(2),
            lines: Vec::new(),
            subtotal: won(5_000),
            discount: won(0),
            shipping_fee: won(0),
            total: won(5_000),
            shipping_address: sealed("a"),
            payment_deadline: at(900),
            replaces: None,
        }
        .into(),
        ProcessFact::OrderPaymentFailed { payment_id } => {
            o::OrderPaymentFailed { payment_id: *payment_id, reason: text() }.into()
        }
        ProcessFact::OrderPaid { payment_id } => {
            o::OrderPaid { payment_id: *payment_id, paid_at: None, ship_by: None }.into()
        }
        ProcessFact::OrderDelivered => o::OrderDelivered { delivered_at: None }.into(),
        ProcessFact::OrderCompleted => o::OrderCompleted { by: o::CompletedBy::Timer }.into(),
        ProcessFact::OrderCancellationRequested => o::OrderCancellationRequested { by, reason: None }.into(),
        ProcessFact::OrderCancelled => o::OrderCancelled { by, reason: None }.into(),
        ProcessFact::OrderExpired => o::OrderExpired {}.into(),
        ProcessFact::OrderFailed => o::OrderFailed { reason: text() }.into(),
        ProcessFact::OrderLatePayment { payment_id } => {
            o::OrderLatePaymentDetected { payment_id: *payment_id, amount: won(1) }.into()
        }
        ProcessFact::OrderParcelReplaced { shipment_id } => o::OrderLinesCancelled {
            by,
            reason: None,
            lines: Vec::new(),
            subtotal: won(4_000),
            total: won(4_000),
            refund_id: None,
            replaced_shipment_id: Some(*shipment_id),
        }
        .into(),
        ProcessFact::OrderHeld => o::OrderPutOnHold { reason: "x".into() }.into(),
        ProcessFact::OrderReleased => o::OrderHoldReleased { reason: "x".into() }.into(),
        ProcessFact::OrderReturnOpened { return_id } => {
            o::OrderReturnOpened { return_id: *return_id, lines: Vec::new() }.into()
        }
        ProcessFact::OrderReturnEnded { return_id } => {
            o::OrderReturnEnded { return_id: *return_id, lines: Vec::new() }.into()
        }
        ProcessFact::Payment { .. } | ProcessFact::Shipment { .. } => unreachable!(),
    }
}

fn payment(news: &PaymentNews) -> PaymentEvent {
    let (order_id, text, source) = (id(1), || "text".to_owned(), Source::Answer);
    match news {
        PaymentNews::Requested => {
            p::PaymentRequested { order_id, user_id: id(2), total: won(5_000), legs: Vec::new() }.into()
        }
        PaymentNews::ChallengeRequired => p::ChallengeRequired { order_id, reference: text(), source }.into(),
        PaymentNews::ChallengeConfirmed => p::ChallengeConfirmed { order_id }.into(),
        PaymentNews::DepositAwaited => p::DepositAwaited { order_id, reference: text(), source }.into(),
        PaymentNews::OutcomeUnknown => p::OutcomeUnknown { order_id, detail: text() }.into(),
        PaymentNews::InquiryUndecided { not_found } => {
            let answer = if *not_found { "not_found" } else { "pending" };
            p::InquiryUndecided { order_id, answer: answer.into() }.into()
        }
        PaymentNews::NetCancelRequested => p::NetCancelRequested { order_id, reason: text() }.into(),
        PaymentNews::Captured { amount } => {
            p::PaymentCaptured { order_id, amount: *amount, reference: None, source }.into()
        }
        PaymentNews::Ended { reason } => p::PaymentFailed { order_id, reason: reason.clone(), source }.into(),
        PaymentNews::Mismatch => {
            let (expected, reported, reference) = (won(1), won(2), text());
            p::MismatchDetected { order_id, expected, reported, reference, source }.into()
        }
        PaymentNews::RefundRequested { refund_id, amount } => {
            let (refund_id, amount, allocation, reason) = (*refund_id, *amount, Vec::new(), "x".into());
            p::RefundRequested { order_id, refund_id, amount, allocation, reason }.into()
        }
        PaymentNews::RefundSettled { refund_id } => {
            p::RefundSettled { order_id, refund_id: *refund_id, amount: won(1) }.into()
        }
        PaymentNews::RefundRefused { refund_id } => {
            p::RefundRefused { order_id, refund_id: *refund_id, reason: text() }.into()
        }
    }
}

fn shipment(news: ShipmentNews) -> ShipmentEvent {
    let (order_id, text) = (id(1), || "text".to_owned());
    match news {
        ShipmentNews::Requested => {
            let (user_id, lines, shipping_address) = (id(2), Vec::new(), sealed("a"));
            s::ShipmentRequested { order_id, user_id, lines, shipping_address, carrier: text() }.into()
        }
        ShipmentNews::Refused { attempt } => s::ShipmentRefused { order_id, attempt, reason: text() }.into(),
        ShipmentNews::Ready => s::ShipmentReady { order_id, carrier: text(), tracking_number: text() }.into(),
        ShipmentNews::Dispatched => s::ShipmentDispatched { order_id, carrier: text(), tracking_number: text() }.into(),
        ShipmentNews::Delivered => s::ShipmentDelivered { order_id }.into(),
        ShipmentNews::Returned => s::ShipmentReturned { order_id }.into(),
        ShipmentNews::Lost => s::ShipmentLost { order_id }.into(),
        ShipmentNews::Cancelled => s::ShipmentCancelled { order_id, reason: text() }.into(),
    }
}
