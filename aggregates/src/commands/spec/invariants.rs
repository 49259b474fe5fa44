//! Invariants that hold for any commands in any order.

use std::collections::BTreeMap;

use jangbu_kernel::{AggregateKind, Money, StreamId};
use proptest::prelude::*;

use super::*;
use crate::command::AnyCommand;
use crate::commands::{
    ApproveReturn, CancelLines, CancelOrder, CancelPayment, ChangeProduct, CloseReturn, CompleteOrder, ConfirmOrder,
    DispatchShipment, ExpireOrder, FailOrder, FinishCancellation, InspectReturn, LineToCancel, MarkDelivered,
    ObservePayment, ObserveRefund, ReceiveReturn, ReceiveStock, RecordLatePayment, RecordPaymentFailure, RejectReturn,
    RequestCapture, RequestFullRefund, RequestNetCancel, RequestPayment, RequestReturn, RequestShipment, SendReturn,
};
use crate::event::DomainEvent;
use crate::order::{Order, OrderEvent, OrderStatus};
use crate::payment::Payment;
use crate::points::Points;
use crate::product::ProductChange;
use crate::returns::{InspectedLine, Remedy, Replacement, ReturnReason};
use crate::shipment::Shipment;
use crate::stock::Stock;

/// Which command, for which order and payment, and how many seconds later.
pub(super) type Step = (usize, u128, u128, i64);

/// Mostly commands that lead on, mostly for one order and one payment, mostly soon, so that late
/// states are reached and everything else comes in between.
pub(super) fn any_step() -> impl Strategy<Value = Step> {
    let onward = prop::sample::select(vec![1, 3, 5, 12, 21, 22, 23, 24]);
    let back = prop::sample::select(vec![28, 29, 31, 33, 34, 35, 36]);
    let kind = prop_oneof![6 => onward, 3 => back, 2 => 0_usize..KINDS];
    let wait = prop_oneof![30 => 0_i64..5, 1 => 800_i64..1_000, 1 => 80_000_i64..100_000];
    (kind, mostly_first(3), mostly_first(3), wait)
}

/// The kinds of [`command`].
const KINDS: usize = 39;

/// Two orders that are placed, and the one that replaces goods of the first.
pub(super) fn order_of(number: u128) -> OrderId {
    id(if number < 2 { 20 + number } else { 90 })
}

fn mostly_first(count: u128) -> impl Strategy<Value = u128> {
    prop_oneof![6 => Just(0), 1 => 0..count]
}

pub(super) fn command((kind, order, payment, _): Step) -> AnyCommand {
    let (order_id, payment_id): (OrderId, PaymentId) = (order_of(order), id(30 + payment));
    let return_id = id(200 + 10 * order + payment);
    let (shipment_id, refund_id): (ShipmentId, RefundId) = (id(50 + order), id(40 + payment));
    let reason = || "asked".to_owned();
    let observe = |observation| ObservePayment { payment_id, observation, source: Source::Inquiry };
    let mut wanted = place(order_id, &[(orange(), 2), (coffee(), 1)]);
    let legs = if payment == 0 { vec![card(200), points(50)] } else { vec![card(250)] };
    match kind {
        0 => wanted.into(),
        1 => {
            wanted.payment = Some(pay(payment_id, &legs));
            wanted.into()
        }
        2 => RequestPayment { order_id, payment: pay(payment_id, &legs) }.into(),
        3 | 4 => RequestCapture { payment_id }.into(),
        5 | 6 => observe(captured(if payment == 0 { 200 } else { 250 })).into(),
        7 => observe(ChargeOutcome::Declined { code: "declined".into() }).into(),
        8 => observe(ChargeOutcome::Unknown { detail: "lost".into() }).into(),
        9 => observe(ChargeOutcome::Voided).into(),
        10 => RequestNetCancel { payment_id, reason: reason() }.into(),
        11 => CancelPayment { payment_id }.into(),
        12 | 13 => ConfirmOrder { order_id, payment_id }.into(),
        14 => RecordPaymentFailure { order_id, payment_id, reason: reason() }.into(),
        15 => ExpireOrder { order_id }.into(),
        16 => CancelOrder { order_id, by: CancelledBy::Owner, reason: None }.into(),
        17 => FinishCancellation { order_id }.into(),
        18 => FailOrder { order_id, reason: reason() }.into(),
        19 => RequestFullRefund { payment_id, refund_id, reason: "asked".into() }.into(),
        20 => {
            let observation = RefundOutcome::Settled { reference: "re".into() };
            ObserveRefund { payment_id, refund_id, observation, source: Source::Answer }.into()
        }
        21 => RequestShipment { order_id, shipment_id }.into(),
        22 => {
            let (carrier, tracking_number) = (Some("sandbox".into()), Some("SB1".into()));
            DispatchShipment { shipment_id, carrier, tracking_number }.into()
        }
        23 => MarkDelivered { order_id }.into(),
        24 => CompleteOrder { order_id }.into(),
        25 | 26 => CancelLines {
            order_id,
            by: CancelledBy::Owner,
            lines: vec![LineToCancel { product_id: if kind == 25 { orange() } else { coffee() }, quantity: Some(1) }],
            reason: None,
            refund_id: id(70 + order),
            shipment_id: id(60 + order),
        }
        .into(),
        27 => RecordLatePayment { order_id, payment_id }.into(),
        28..=30 => wants_back(order, payment, kind),
        31 => ApproveReturn { return_id, fee: (payment == 1).then(|| won(10)) }.into(),
        32 => RejectReturn { return_id, reason: "worn".into() }.into(),
        33 => SendReturn { return_id, carrier: "post".into(), tracking_number: "1".into() }.into(),
        34 => ReceiveReturn { return_id }.into(),
        35 => {
            let (restocked, written_off) = if payment == 0 { (1, 0) } else { (0, 1) };
            let lines = vec![InspectedLine { product_id: orange(), restocked, written_off }];
            InspectReturn { return_id, lines, note: None }.into()
        }
        36 => CloseReturn { return_id, refund_id: id(300 + 10 * order + payment), remedy: None }.into(),
        37 => ReceiveStock { product_id: orange(), quantity: 2, location: None }.into(),
        _ => repriced(won(if payment == 0 { 100 } else { 110 })),
    }
}

/// A return of one orange or of all, for money or for others.
fn wants_back(order: u128, payment: u128, kind: usize) -> AnyCommand {
    let exchange = kind == 29;
    let replacement = Replacement { order_id: id(90 + order), number: "2".into(), shipping_address: sealed("address") };
    RequestReturn {
        return_id: id(200 + 10 * order + payment),
        order_id: order_of(order),
        by: CancelledBy::Owner,
        reason: if payment == 0 { ReturnReason::Defect } else { ReturnReason::ChangedMind },
        remedy: if exchange { Remedy::Exchange } else { Remedy::Refund },
        lines: vec![(orange(), (kind != 30).then_some(1))],
        note: None,
        replacement: exchange.then_some(replacement),
    }
    .into()
}

fn repriced(price: Money) -> AnyCommand {
    let change = ProductChange { price: Some(price), ..ProductChange::default() };
    ChangeProduct { product_id: orange(), change }.into()
}

pub(super) fn check(world: &World) {
    for stock in world.streams_of(AggregateKind::Stock).map(|id| world.get_or_new::<Stock>(id)) {
        let numbers = [stock.on_hand(), stock.reserved(), stock.allocated(), stock.available()];
        assert!(numbers.iter().all(|number| *number >= 0), "S1 {numbers:?}");
    }
    let ledger = world.get_or_new::<Points>(user());
    assert!(ledger.balance() >= 0 && ledger.held() >= 0, "M6 {ledger:?}");
    for payment in world.streams_of(AggregateKind::Payment).map(|id| world.get_or_new::<Payment>(id)) {
        let (refunded, captured) = (payment.refunded().amount(), payment.captured().amount());
        assert!(refunded <= captured && captured <= payment.total().amount(), "M2 {payment:?}");
    }
    for order_id in world.streams_of(AggregateKind::Order) {
        check_order(world, order_id.into(), &world.get_or_new(order_id));
    }
}

fn check_order(world: &World, order_id: OrderId, order: &Order) {
    let Some(status) = order.status() else { return };
    for product_id in [orange(), coffee()] {
        let stock = world.get_or_new::<Stock>(product_id);
        let bought = order.lines().iter().any(|line| line.product_id == product_id);
        assert!(bought || stock.reserved_for(order_id) + stock.allocated_for(order_id) == 0, "S2 cancelled and kept");
    }
    for line in order.lines() {
        let stock = world.get_or_new::<Stock>(line.product_id);
        let holds = (stock.reserved_for(order_id), stock.allocated_for(order_id));
        match status {
            OrderStatus::Placed | OrderStatus::AwaitingPayment => assert_eq!(holds, (line.quantity, 0)),
            OrderStatus::Paid | OrderStatus::Preparing => assert_eq!(holds, (0, line.quantity)),
            OrderStatus::Cancelling => assert_eq!(holds.0 + holds.1, line.quantity),
            OrderStatus::Shipped
            | OrderStatus::Delivered
            | OrderStatus::Completed
            | OrderStatus::Cancelled
            | OrderStatus::Expired
            | OrderStatus::Failed => assert_eq!(holds, (0, 0), "S2 {status:?}"),
        }
    }
    let ledger = world.get_or_new::<Points>(user());
    let (mut paying, mut held) = (0, 0);
    for id in world.streams_of(AggregateKind::Payment) {
        let payment = world.get_or_new::<Payment>(id);
        if payment.order_id() == Some(order_id) {
            paying += usize::from(payment.is_captured() && !payment.captured_late());
            held += ledger.held_for(id.into());
        }
    }
    assert!(paying <= 1, "M3 two payments of one order are captured");
    match status {
        OrderStatus::Paid | OrderStatus::Preparing | OrderStatus::Shipped | OrderStatus::Delivered
            if order.replaces().is_some() =>
        {
            assert_eq!((order.total(), order.paid_by()), (Some(won(0)), None), "an exchange costs nothing");
        }
        OrderStatus::Paid | OrderStatus::Preparing | OrderStatus::Shipped | OrderStatus::Delivered => {
            let payment = world.get_or_new::<Payment>(order.paid_by().expect("these orders have a price"));
            let kept = payment.captured().checked_sub(&cancelled_lines(world, order_id)).unwrap();
            assert_eq!((Some(kept), held), (order.total(), 0), "G3 {status:?}");
            let parcel = order.shipment_id().map(|id| world.get_or_new::<Shipment>(id));
            assert!(parcel.is_none_or(|parcel| parcel.lines() == order.lines()), "G3 another parcel than the order");
        }
        OrderStatus::Completed | OrderStatus::Cancelled | OrderStatus::Expired | OrderStatus::Failed => {
            assert_eq!(held, 0, "G2 {status:?} holds points");
        }
        OrderStatus::Placed | OrderStatus::AwaitingPayment | OrderStatus::Cancelling => {}
    }
}

/// The money of lines that were cancelled after the payment.
fn cancelled_lines(world: &World, order_id: OrderId) -> Money {
    let cancelled = world.log.iter().filter_map(|(stream, event)| match event {
        DomainEvent::Order(OrderEvent::LinesCancelled(cancelled)) if stream.id == order_id.uuid() => Some(cancelled),
        _ => None,
    });
    let lines = cancelled.filter(|cancelled| cancelled.refund_id.is_some()).flat_map(|cancelled| &cancelled.lines);
    Money::sum(lines.map(|line| &line.line_total), won(0).currency()).unwrap()
}

/// Of each line no more came back than was sold, and no more is in stock than came in or back.
fn check_returns(world: &World) {
    let mut units: BTreeMap<(StreamId, ProductId), (u32, u32)> = BTreeMap::new();
    for (stream, event) in &world.log {
        match event {
            DomainEvent::Order(OrderEvent::Placed(placed)) => {
                for line in &placed.lines {
                    units.entry((*stream, line.product_id)).or_default().0 += line.quantity;
                }
            }
            DomainEvent::Order(OrderEvent::LinesCancelled(cancelled)) => {
                for line in &cancelled.lines {
                    units.entry((*stream, line.product_id)).or_default().0 -= line.quantity;
                }
            }
            DomainEvent::Order(OrderEvent::ReturnEnded(ended)) => {
                for line in &ended.lines {
                    units.entry((*stream, line.product_id)).or_default().1 += line.quantity;
                }
            }
            _ => {}
        }
    }
    for ((order, product), (sold, back)) in units {
        assert!(back <= sold, "R1 {back} of {sold} {product} of {order} came back");
    }
}

fn check_totals(world: &World) {
    for (_, event) in &world.log {
        if let DomainEvent::Order(OrderEvent::Placed(placed)) = event {
            let lines = Money::sum(placed.lines.iter().map(|line| &line.line_total), placed.total.currency()).unwrap();
            let total = lines.checked_sub(&placed.discount).unwrap().checked_add(&placed.shipping_fee).unwrap();
            assert_eq!((placed.subtotal, placed.total), (lines, total), "M5");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn s1_s2_m2_m3_m5_m6_g2_g3_r1_hold_after_every_command(steps in prop::collection::vec(any_step(), 1..120)) {
        let mut world = shop();
        let mut now = 0;
        for step in steps {
            now += step.3;
            world.ask(&*command(step), at(now));
            check(&world);
        }
        check_totals(&world);
        check_returns(&world);
        world.check_folds();
    }
}
