//! Checks of the invariants, after every append and at the end of every run.

use std::collections::BTreeSet;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::order::{Order, OrderEvent, OrderStatus};
use jangbu_aggregates::payment::{Payment, RefundState};
use jangbu_aggregates::points::{Points, PointsEvent};
use jangbu_aggregates::processes::{FulfilmentEvent, InputName, PROCESSES, ProcessCommand, Step};
use jangbu_aggregates::shipment::{Shipment, ShipmentEvent};
use jangbu_aggregates::stock::Stock;
use jangbu_kernel::{OrderId, PaymentId, ProductId, StreamId, UserId, Version};
use uuid::Uuid;

use crate::outside::BookedCharge;
use crate::world::{Logged, ORDER, POINTS, PRODUCT, STOCK, USER, World, id};

/// What holds after every append.
pub fn prefix(world: &World) {
    let stock: Stock = world.shelf.state::<Stock>(ProductId::new(Uuid::from_u128(PRODUCT)));
    for number in [stock.on_hand(), stock.reserved(), stock.allocated(), stock.available()] {
        assert!(number >= 0, "S1: no stock number is negative");
    }
    for payment_id in &world.payments {
        let payment: Payment = world.shelf.state(*payment_id);
        let (refunded, captured, total) =
            (payment.refunded().minor_units(), payment.captured().minor_units(), payment.total().minor_units());
        assert!(0 <= refunded && refunded <= captured && captured <= total, "M2: {refunded} {captured} {total}");
    }
    let points: Points = world.shelf.state(id::<UserId>(USER));
    assert!(points.balance() >= 0 && points.held() >= 0, "M6: no points are negative");
    assert!(points.held() <= points.balance(), "M6: what is held is there");
}

/// W1: the process is told of what it learns from in the same append, after it.
pub fn w1(append: &[Logged]) {
    let mut untold = BTreeSet::new();
    for logged in append {
        if PROCESSES.iter().any(|process| process.learner(logged.stream, &logged.event).is_some()) {
            untold.insert(InputName::Event { stream: logged.stream, version: logged.version });
        }
        if let DomainEvent::Fulfilment(FulfilmentEvent::InputReceived(input)) = &logged.event {
            assert!(untold.remove(&input.input), "W1: {:?} is of another append", input.input);
        }
        if let DomainEvent::Fulfilment(FulfilmentEvent::Started(_)) = &logged.event {
            untold.remove(&InputName::Event { stream: StreamId::order(id::<OrderId>(ORDER)), version: Version::FIRST });
        }
    }
    assert!(untold.is_empty(), "W1: {untold:?}");
}

/// What holds once nothing is left to do.
pub fn end(world: &World, context: &str) {
    let process = world.process();
    assert!(process.at_rest(), "G1: at rest, but {:?} with {:?}: {context}", process.step(), process.timers());
    assert_eq!(process.step(), Step::Ended, "G1: the process ends, not {:?}: {context}", process.parked_reason());
    assert!(process.timers().is_empty(), "an end leaves no timer: {context}");
    let order: Order = world.shelf.state(id::<OrderId>(ORDER));
    let status = order.status().unwrap();
    assert!(status.is_final(), "the order has ended: {status:?}: {context}");
    money(world, status, context);
    goods(world, status, context);
    points(world, context);
    commands(world, context);
}

fn payments(world: &World) -> impl Iterator<Item = (PaymentId, Payment)> {
    world.payments.iter().map(|payment_id| (*payment_id, world.shelf.state(*payment_id)))
}

/// What the gateway holds for a payment, according to the shop.
fn at_gateway(payment: &Payment) -> i64 {
    let Some((leg, _)) = payment.charge_leg() else { return 0 };
    let back: i64 = payment
        .refunds()
        .iter()
        .filter(|refund| refund.state == RefundState::Settled)
        .filter_map(|refund| refund.part(leg))
        .map(|part| part.amount.minor_units())
        .sum();
    payment.leg_captured(leg).minor_units() - back
}

fn money(world: &World, status: OrderStatus, context: &str) {
    let paying = payments(world).filter(|(_, payment)| payment.captured() != payment.refunded()).count();
    assert!(paying <= 1, "M3: one capture pays the order: {context}");
    for (payment_id, payment) in payments(world) {
        let charges: Vec<&BookedCharge> =
            world.outside.charges.values().filter(|charge| charge.payment_id == payment_id).collect();
        assert!(charges.len() <= 1, "M3: one charge a payment: {context}");
        let booked: i64 = charges.iter().map(|charge| charge.net()).sum();
        assert_eq!(at_gateway(&payment), booked, "M1: the gateway's books agree: {payment:?} {charges:?}: {context}");
        assert!(!payment.in_flight(), "nothing is in flight at an end: {context}");
        if status != OrderStatus::Completed {
            assert_eq!(payment.captured(), payment.refunded(), "G2: nothing stays charged: {context}");
        }
    }
    if status == OrderStatus::Completed && world.log.iter().any(|logged| is_paid_by_payment(&logged.event)) {
        assert_eq!(paying + fully_refunded(world), 1 + late(world), "a completed order is paid: {context}");
    }
}

fn is_paid_by_payment(event: &DomainEvent) -> bool {
    matches!(event, DomainEvent::Order(OrderEvent::Paid(paid)) if paid.payment_id.is_some())
}

fn fully_refunded(world: &World) -> usize {
    payments(world).filter(|(_, payment)| payment.status_name() == "refunded").count()
}

fn late(world: &World) -> usize {
    payments(world).filter(|(_, payment)| payment.captured_late()).count()
}

fn goods(world: &World, status: OrderStatus, context: &str) {
    let order_id: OrderId = id(ORDER);
    let stock: Stock = world.shelf.state::<Stock>(ProductId::new(Uuid::from_u128(PRODUCT)));
    assert_eq!(stock.reserved_for(order_id), 0, "S2: a finished order reserves nothing: {context}");
    assert_eq!(stock.allocated_for(order_id), 0, "S2: a finished order is allocated nothing: {context}");
    let paid_at = position(world, |event| matches!(event, DomainEvent::Order(OrderEvent::Paid(_))));
    let sent_at = position(world, |event| matches!(event, DomainEvent::Shipment(ShipmentEvent::Requested(_))));
    assert!(sent_at.is_none() || paid_at < sent_at, "G3: no shipment without captured money: {context}");
    let left = position(world, |event| matches!(event, DomainEvent::Shipment(ShipmentEvent::Dispatched(_)))).is_some();
    let order: Order = world.shelf.state(order_id);
    let taken = if left { order.lines().iter().map(|line| line.quantity).sum() } else { 0 };
    assert_eq!(stock.on_hand(), i64::from(STOCK - taken), "S3: what is on hand is what did not leave: {context}");
    if status != OrderStatus::Completed && !left {
        for (shipment_id, valid) in &world.outside.labels {
            let shipment: Shipment = world.shelf.state(*shipment_id);
            assert!(!valid || world.outside.script.label_cancels_too_late, "G2: {:?}: {context}", shipment.state());
        }
    }
}

fn position(world: &World, found: impl Fn(&DomainEvent) -> bool) -> Option<usize> {
    world.log.iter().position(|logged| found(&logged.event))
}

fn points(world: &World, context: &str) {
    let mut entries = 0;
    let mut held = 0;
    for logged in &world.log {
        let DomainEvent::Points(event) = &logged.event else { continue };
        match event {
            PointsEvent::Granted(event) => entries += event.amount.minor_units(),
            PointsEvent::Held(event) => held += event.amount.minor_units(),
            PointsEvent::Captured(event) => {
                entries -= event.amount.minor_units();
                held -= event.amount.minor_units();
            }
            PointsEvent::Released(event) => held -= event.amount.minor_units(),
            PointsEvent::Restored(event) => entries += event.amount.minor_units(),
            PointsEvent::Expired(event) => entries -= event.amount.minor_units(),
        }
    }
    let ledger: Points = world.shelf.state(id::<UserId>(USER));
    assert_eq!((ledger.balance(), ledger.held()), (entries, 0), "M6: the balance is the sum: {context}");
    assert_eq!(held, 0, "G2: nothing is held: {context}");
    let spent: i64 = payments(world)
        .filter_map(|(_, payment)| {
            let (leg, ..) = payment.own_legs().next()?;
            let back: i64 = payment
                .refunds()
                .iter()
                .filter(|refund| refund.state == RefundState::Settled)
                .filter_map(|refund| refund.part(leg))
                .map(|part| part.amount.minor_units())
                .sum();
            Some(payment.leg_captured(leg).minor_units() - back)
        })
        .sum();
    assert_eq!(entries, POINTS - spent, "M1: the ledger and the payments agree: {context}");
}

fn commands(world: &World, context: &str) {
    let mut ids = BTreeSet::new();
    let mut forward_is_over = false;
    for logged in &world.log {
        let DomainEvent::Fulfilment(event) = &logged.event else { continue };
        for issued in event.issued() {
            assert!(ids.insert(issued.command_id), "L2: one id, one command: {context}");
            let forward = matches!(
                issued.command,
                ProcessCommand::CapturePayment { .. }
                    | ProcessCommand::ConfirmOrder { .. }
                    | ProcessCommand::RequestShipment { .. }
                    | ProcessCommand::BookCarrier { .. }
            );
            assert!(!(forward && forward_is_over), "forward or back, never both: {context}");
        }
        forward_is_over |= matches!(event, FulfilmentEvent::CompensationStarted(_));
    }
}
