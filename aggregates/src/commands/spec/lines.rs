//! Cancelling some of an order's lines: goods, money and parcel in one append.

use jangbu_kernel::gateway::LabelOutcome;
use jangbu_kernel::{RefusalCode, StreamId};

use super::*;
use crate::command::Outcome;
use crate::commands::{
    CancelLines, CancelShipment, DispatchShipment, LineToCancel, ObserveLabel, RecordScan, RefundPayment,
    RequestPayment, RequestShipment, SendOrderAgain,
};
use crate::event::DomainEvent;
use crate::order::{Order, OrderStatus};
use crate::payment::Payment;
use crate::processes::{Fulfilment, FulfilmentEvent, ProcessCommand, Step};
use crate::shipment::{Scan, ScanStatus, Shipment};
use crate::stock::Stock;
use crate::testing::facts;

fn further() -> ShipmentId {
    id(60)
}

pub(super) fn less(by: CancelledBy, lines: &[(ProductId, Option<u32>)]) -> CancelLines {
    CancelLines {
        order_id: order(),
        by,
        lines: lines
            .iter()
            .map(|(product_id, quantity)| LineToCancel { product_id: *product_id, quantity: *quantity })
            .collect(),
        reason: (by == CancelledBy::Staff).then(|| "sold_out".into()),
        refund_id: refund(),
        shipment_id: further(),
    }
}

fn kept(world: &World, product_id: ProductId) -> (i64, u32, u32) {
    let stock = world.get_or_new::<Stock>(product_id);
    (stock.on_hand(), stock.reserved_for(order()), stock.allocated_for(order()))
}

fn unpaid() -> World {
    let mut world = shop();
    world.must(&place(order(), &[(orange(), 2), (coffee(), 1)]), at(0));
    world
}

fn prepared() -> World {
    let mut world = paid_world();
    world.must(&RequestShipment { order_id: order(), shipment_id: shipment() }, at(4));
    world
}

#[test]
fn an_unpaid_order_costs_less_and_is_paid_as_it_is_then() {
    let mut world = unpaid();
    let appended = world.must(&less(CancelledBy::Owner, &[(orange(), Some(1))]), at(1));
    assert_eq!(appended[0], (StreamId::order(order()), vec!["order.lines_cancelled"]));
    assert_eq!(appended[1], (StreamId::stock(orange()), vec!["stock.released"]));
    assert_eq!(appended[2].1, ["buyer.order_closed", "buyer.order_opened"]);
    assert_eq!(appended.len(), 3, "no money, no parcel");
    assert_eq!((kept(&world, orange()), kept(&world, coffee())), ((10, 1, 0), (5, 1, 0)));
    let request = |units| RequestPayment { order_id: order(), payment: pay(payment(), &[card(units)]) };
    world.refuses(&request(250), at(2), RefusalCode::PaymentTotalMismatch);
    world.must(&request(150), at(2));
    world.refuses(&less(CancelledBy::Owner, &[(coffee(), None)]), at(3), RefusalCode::PaymentInProgress);
    world.check_folds();
}

#[test]
fn what_is_named_has_to_be_in_the_order_and_something_has_to_be_left() {
    let mut world = unpaid();
    for (lines, pointer) in [
        (vec![], "/lines"),
        (vec![(gift(), None)], "/lines/0/product_id"),
        (vec![(coffee(), None), (coffee(), None)], "/lines/1/product_id"),
        (vec![(orange(), Some(3))], "/lines/0/quantity"),
        (vec![(orange(), Some(0))], "/lines/0/quantity"),
        (vec![(orange(), None), (coffee(), Some(1))], "/lines"),
    ] {
        let refusal = world.refuses(&less(CancelledBy::Owner, &lines), at(1), RefusalCode::ValidationFailed);
        assert_eq!(refusal.pointer.as_deref(), Some(pointer), "{lines:?}");
    }
    let mut mute = less(CancelledBy::Staff, &[(coffee(), None)]);
    mute.reason = None;
    world.refuses(&mute, at(1), RefusalCode::ValidationFailed);
}

#[test]
fn what_is_free_is_no_order_by_itself() {
    let mut world = shop();
    world.must(&place(order(), &[(gift(), 1), (coffee(), 1)]), at(0));
    world.refuses(&less(CancelledBy::Owner, &[(coffee(), None)]), at(1), RefusalCode::OrderStateConflict);
    world.must(&less(CancelledBy::Owner, &[(gift(), None)]), at(1));
}

#[test]
fn of_a_paid_order_goods_money_and_parcel_follow_at_once() {
    let mut world = prepared();
    let appended = world.must(&less(CancelledBy::Staff, &[(coffee(), None), (orange(), Some(1))]), at(5));
    assert_eq!(appended[0].1, ["order.lines_cancelled", "order.preparation_started"]);
    assert_eq!(appended[1], (StreamId::stock(coffee()), vec!["stock.deallocated"]));
    assert_eq!(appended[2], (StreamId::stock(orange()), vec!["stock.deallocated"]));
    assert_eq!(appended[3], (StreamId::payment(payment()), vec!["payment.refund_requested"]));
    assert_eq!(appended[4], (StreamId::shipment(further()), vec!["shipment.requested"]));
    let paid = world.get_or_new::<Payment>(payment());
    assert_eq!((paid.refundable(), world.get_or_new::<Order>(order()).total()), (won(100), Some(won(100))));
    let parcel = world.get_or_new::<Shipment>(further());
    let held: Vec<_> = parcel.lines().iter().map(|line| (line.product_id, line.quantity)).collect();
    assert_eq!(held, [(orange(), 1)]);
    // The parcel that was to hold them does not leave, the further one does.
    let dispatch = |shipment_id| {
        let (carrier, tracking_number) = (Some("sandbox".into()), Some("SB1".into()));
        DispatchShipment { shipment_id, carrier, tracking_number }
    };
    world.refuses(&dispatch(shipment()), at(6), RefusalCode::ShipmentStateConflict);
    world.must(&dispatch(further()), at(6));
    assert_eq!((kept(&world, orange()), kept(&world, coffee())), ((9, 0, 0), (5, 0, 0)));
    let later = CancelLines { refund_id: id(43), shipment_id: id(61), ..less(CancelledBy::Staff, &[(orange(), None)]) };
    world.refuses(&later, at(7), RefusalCode::OrderAlreadyDispatched);
    world.check_folds();
}

#[test]
fn without_a_parcel_none_is_replaced() {
    let mut world = paid_world();
    let appended = world.must(&less(CancelledBy::Owner, &[(coffee(), None)]), at(5));
    assert_eq!(appended[0].1, ["order.lines_cancelled"]);
    assert_eq!(appended.last().unwrap().1, ["payment.refund_requested"]);
    world.must(&RequestShipment { order_id: order(), shipment_id: shipment() }, at(6));
    assert_eq!(world.get_or_new::<Shipment>(shipment()).lines().len(), 1);
}

#[test]
fn some_of_the_money_has_to_stay_for_the_rest() {
    let mut world = prepared();
    let (payment_id, reason) = (payment(), "goodwill".into());
    world.must(&RefundPayment { payment_id, refund_id: id(41), amount: won(200), reason }, at(5));
    let refusal =
        world.refuses(&less(CancelledBy::Staff, &[(coffee(), None)]), at(6), RefusalCode::RefundExceedsCaptured);
    assert_eq!(refusal.pointer.as_deref(), Some("/lines"));
}

#[test]
fn the_process_cancels_the_parcel_and_requests_the_label_of_the_further_one_then() {
    let mut world = shop();
    let mut appended = |command: &dyn crate::command::ErasedCommand, seconds| {
        let appended = world.append(command, &facts(at(seconds))).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        let told = appended.events.iter().filter_map(|(_, event)| match event {
            DomainEvent::Fulfilment(event) => Some(event),
            _ => None,
        });
        let issued: Vec<_> = told.flat_map(FulfilmentEvent::issued).map(|issued| issued.command.clone()).collect();
        (issued, world.get_or_new::<Order>(order()), world.get_or_new::<Fulfilment>(order()).step())
    };
    let mut placed = place(order(), &[(orange(), 2), (coffee(), 1)]);
    placed.payment = Some(pay(payment(), &[card(200), points(50)]));
    appended(&placed, 0);
    let (_, paid, _) = appended(&observe(captured(200)), 1);
    let parcel = paid.shipment_id().unwrap();
    let label = |shipment_id| {
        let observation = LabelOutcome::Ready { tracking_number: "SB1".into() };
        ObserveLabel { shipment_id, carrier: "sandbox".into(), observation }
    };
    appended(&label(parcel), 2);
    let (issued, order, _) = appended(&less(CancelledBy::Owner, &[(coffee(), None)]), 3);
    let cancel = ProcessCommand::CancelShipment { shipment_id: parcel, reason: "parcel_replaced".into() };
    let settle = ProcessCommand::SettleRefund { payment_id: payment(), refund_id: refund(), attempt: 1 };
    assert_eq!(issued, [cancel, settle]);
    assert_eq!((order.status(), order.shipment_id()), (Some(OrderStatus::Preparing), Some(further())));
    let (issued, ..) = appended(&CancelShipment { shipment_id: parcel, reason: "parcel_replaced".into() }, 4);
    assert_eq!(issued, [ProcessCommand::BookCarrier { shipment_id: further(), attempt: 1 }]);
    let (issued, ..) = appended(&refund_settled(), 5);
    assert_eq!(issued, []);
    let (issued, order, step) = appended(&label(further()), 6);
    assert_eq!((issued, order.status(), step), (vec![], Some(OrderStatus::Preparing), Step::Delivering));
    let again = world.ask(&less(CancelledBy::Owner, &[(coffee(), None)]), at(7));
    assert_eq!(again, Outcome::AlreadyDone, "its refund exists");
}

/// An order whose parcel came back and that is sent again with these lines; none means all.
fn sent_again(lines: Vec<WantedLine>) -> World {
    let mut world = shop();
    let mut placed = place(order(), &[(orange(), 2), (coffee(), 1)]);
    placed.payment = Some(pay(payment(), &[card(250)]));
    world.append(&placed, &facts(at(0))).unwrap();
    world.append(&observe(captured(250)), &facts(at(1))).unwrap();
    let shipment_id = world.get_or_new::<Order>(order()).shipment_id().unwrap();
    let (carrier, tracking_number) = (Some("sandbox".to_owned()), Some("SB1".to_owned()));
    world.append(&DispatchShipment { shipment_id, carrier, tracking_number }, &facts(at(2))).unwrap();
    let scan = Scan {
        carrier: "sandbox".into(),
        tracking_number: "SB1".into(),
        status: ScanStatus::Returned,
        code: "returned".into(),
        place: "hub".into(),
        at: at(3),
        note: None,
    };
    world.append(&RecordScan { shipment_id, scan }, &facts(at(3))).unwrap();
    let (shipment_id, reason) = (id(61), "came back".into());
    let again = SendOrderAgain { order_id: order(), shipment_id, lines, reason, restock: true };
    world.append(&again, &facts(at(4))).unwrap();
    world
}

#[test]
fn of_an_order_that_is_sent_again_in_part_no_line_is_cancelled() {
    let one = less(CancelledBy::Staff, &[(orange(), Some(1))]);
    let mut world = sent_again(vec![WantedLine { product_id: orange(), quantity: 1 }]);
    assert_eq!(kept(&world, orange()).2, 1, "nothing is kept for the rest");
    world.refuses(&one, at(5), RefusalCode::OrderStateConflict);
    let mut world = sent_again(Vec::new());
    world.must(&one, at(5));
    assert_eq!(kept(&world, orange()).2, 1);
}
