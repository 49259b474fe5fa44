//! A carrier's scan as the hand-over of the parcel.

use jangbu_kernel::RefusalCode;
use jangbu_kernel::gateway::LabelOutcome;

use super::*;
use crate::commands::{
    DispatchShipment, HoldOrder, ObserveLabel, RecordScan, ReleaseHold, RequestShipment, SetBackOrder, WriteOffStock,
};
use crate::order::{Order, OrderStatus};
use crate::shipment::{Scan, ScanStatus, Shipment, ShipmentState};
use crate::stock::Stock;

fn status(world: &World) -> (Option<OrderStatus>, ShipmentState) {
    (world.get_or_new::<Order>(order()).status(), world.get_or_new::<Shipment>(shipment()).state())
}

/// A paid order whose parcel has its label.
fn labelled() -> World {
    let mut world = paid_world();
    world.must(&RequestShipment { order_id: order(), shipment_id: shipment() }, at(4));
    let observation = LabelOutcome::Ready { tracking_number: "SB1".into() };
    let carrier = "sandbox".to_owned();
    world.must(&ObserveLabel { shipment_id: shipment(), carrier, observation }, at(4));
    world
}

fn scan(status: ScanStatus, carrier: &str, tracking_number: &str) -> impl Command {
    let scan = Scan {
        carrier: carrier.into(),
        tracking_number: tracking_number.into(),
        status,
        code: "C".into(),
        place: "hub".into(),
        at: at(5),
        note: None,
    };
    RecordScan { shipment_id: shipment(), scan }
}

#[test]
fn a_scan_in_the_carriers_hands_is_the_hand_over() {
    let mut world = labelled();
    let appended = world.must(&scan(ScanStatus::InTransit, "sandbox", "sb-1"), at(6));
    assert_eq!(appended[0].1, ["shipment.dispatched", "shipment.scan_recorded", "shipment.in_transit"]);
    assert_eq!(appended[1].1, ["order.shipped"]);
    assert_eq!(status(&world), (Some(OrderStatus::Shipped), ShipmentState::InTransit));
    assert_eq!(world.get_or_new::<Stock>(orange()).on_hand(), 8);
    world.refuses(&cancel(), at(7), RefusalCode::OrderAlreadyDispatched);
    world.check_folds();
}

#[test]
fn the_first_scan_may_be_the_last() {
    for (told, reached) in [
        (ScanStatus::Delivered, ShipmentState::Delivered),
        (ScanStatus::Returned, ShipmentState::Returned),
        (ScanStatus::Lost, ShipmentState::Lost),
    ] {
        let mut world = labelled();
        world.must(&scan(told, "sandbox", "SB1"), at(6));
        assert_eq!(status(&world), (Some(OrderStatus::Shipped), reached));
    }
}

#[test]
fn nobody_hands_over_by_a_word_that_does_not_show_the_parcel() {
    for (told, carrier, number) in [
        (ScanStatus::Exception, "sandbox", "SB1"),
        (ScanStatus::InTransit, "other", "SB1"),
        (ScanStatus::InTransit, "sandbox", "SB2"),
    ] {
        let mut world = labelled();
        world.must(&scan(told, carrier, number), at(6));
        assert_eq!(status(&world), (Some(OrderStatus::Preparing), ShipmentState::Ready), "{told:?} {carrier} {number}");
    }
}

#[test]
fn what_was_told_while_the_order_was_on_hold_counts_when_it_is_released() {
    let mut world = labelled();
    world.must(&HoldOrder { order_id: order(), reason: "looks odd".into() }, at(5));
    world.must(&scan(ScanStatus::OutForDelivery, "sandbox", "SB1"), at(6));
    assert_eq!(status(&world), (Some(OrderStatus::Preparing), ShipmentState::Ready));
    let appended = world.must(&ReleaseHold { order_id: order(), reason: "it is fine".into() }, at(7));
    assert_eq!(appended[0].1, ["order.hold_released", "order.shipped"]);
    assert_eq!(appended[1].1, ["shipment.dispatched", "shipment.out_for_delivery"]);
    assert_eq!(status(&world), (Some(OrderStatus::Shipped), ShipmentState::OutForDelivery));
    world.check_folds();
}

#[test]
fn what_is_being_called_off_is_not_handed_over() {
    let mut world = labelled();
    world.must(&cancel(), at(5));
    world.must(&scan(ScanStatus::InTransit, "sandbox", "SB1"), at(6));
    assert_eq!(status(&world), (Some(OrderStatus::Cancelling), ShipmentState::Ready));
}

#[test]
fn what_was_promised_ahead_and_is_not_here_is_not_handed_over() {
    let mut world = labelled();
    world.must(&SetBackOrder { product_id: orange(), limit: 5 }, at(5));
    world.must(&WriteOffStock { product_id: orange(), quantity: 9, reason: "mould".into(), location: None }, at(5));
    world.must(&scan(ScanStatus::InTransit, "sandbox", "SB1"), at(6));
    assert_eq!(status(&world), (Some(OrderStatus::Preparing), ShipmentState::Ready));
    let dispatch = DispatchShipment { shipment_id: shipment(), carrier: None, tracking_number: None };
    let refusal = world.refuses(&dispatch, at(7), RefusalCode::InsufficientStock);
    assert_eq!(refusal.detail, "2 are to leave, 1 are on hand: receive the others first");
    world.must(&ReceiveStock { product_id: orange(), quantity: 1, location: None }, at(8));
    world.must(&dispatch, at(9));
    assert_eq!(status(&world), (Some(OrderStatus::Shipped), ShipmentState::InTransit), "the scan was kept");
    world.check_folds();
}
