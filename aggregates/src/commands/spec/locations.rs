//! Stock at several locations, and orders over all of them.

use jangbu_kernel::{RefusalCode, TransferId};

use super::*;
use crate::commands::{ChangeLocation, CountStock, LoseTransfer, OpenLocation, ReceiveTransfer, SendTransfer};
use crate::locations::LocationCode;
use crate::stock::Stock;

fn code(text: &str) -> LocationCode {
    LocationCode::parse(text).unwrap()
}

fn receive(quantity: u32, location: &str) -> ReceiveStock {
    ReceiveStock { product_id: orange(), quantity, location: Some(code(location)) }
}

fn send(transfer: u128, from: &str, to: &str, quantity: u32) -> SendTransfer {
    let transfer_id = id::<TransferId>(transfer);
    SendTransfer { product_id: orange(), transfer_id, from: code(from), to: code(to), quantity }
}

/// The shop with a second location.
fn two_locations() -> World {
    let mut world = shop();
    world.must(&OpenLocation { code: code("pangyo"), name: "판교 매장".into() }, at(0));
    world
}

#[test]
fn goods_go_from_one_location_to_another() {
    let mut world = two_locations();
    world.must(&send(90, "main", "pangyo", 4), at(0));
    world.must(&ReceiveTransfer { product_id: orange(), transfer_id: id(90), quantity: 3 }, at(1));
    world.must(&LoseTransfer { product_id: orange(), transfer_id: id(90), reason: "fell off".into() }, at(2));
    let stock = world.get::<Stock>(orange()).unwrap();
    assert_eq!((stock.on_hand(), stock.at(None), stock.at(Some(&code("pangyo")))), (9, 6, 3));
    world.check_folds();
}

#[test]
fn stock_is_kept_at_locations_that_there_are() {
    let mut world = two_locations();
    let refusal = world.refuses(&receive(1, "jeju"), at(0), RefusalCode::NotFound);
    assert_eq!(refusal.pointer.as_deref(), Some("/location"));
    assert_eq!(
        world.refuses(&send(90, "main", "jeju", 1), at(0), RefusalCode::NotFound).pointer.as_deref(),
        Some("/to")
    );
    world.must(&receive(2, "pangyo"), at(0));
    // Nothing comes in at a closed one, and what is there leaves.
    world.must(&ChangeLocation { code: code("pangyo"), name: None, active: Some(false) }, at(0));
    world.refuses(&receive(1, "pangyo"), at(0), RefusalCode::LocationConflict);
    world.refuses(&send(90, "main", "pangyo", 1), at(0), RefusalCode::LocationConflict);
    let count = CountStock { product_id: orange(), counted: 1, reason: None, location: Some(code("pangyo")) };
    world.must(&count, at(0));
    world.must(&send(91, "pangyo", "main", 1), at(0));
    // Facts about the main location name none.
    world.must(&receive(1, "main"), at(0));
    world.check_folds();
}

#[test]
fn an_order_is_one_decision_over_all_locations() {
    let mut world = two_locations();
    world.must(&receive(5, "pangyo"), at(0));
    world.must(&place(id(21), &[(orange(), 12)]), at(0));
    world.refuses(&place(id(22), &[(orange(), 4)]), at(0), RefusalCode::InsufficientStock);
    world.refuses(&send(90, "main", "pangyo", 4), at(0), RefusalCode::InsufficientStock);
    world.must(&send(90, "main", "pangyo", 3), at(0));
    world.refuses(&place(id(22), &[(orange(), 1)]), at(0), RefusalCode::InsufficientStock);
    world.check_folds();
}
