//! What the stock of a product answers where goods are at several locations.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use jangbu_kernel::{Decider as _, Decision, OrderId, RefusalCode, TransferId};
use proptest::prelude::*;

use super::*;
use crate::locations::LocationCode;
use crate::testing::{at, facts, folded, given, id};

fn code(text: &str) -> LocationCode {
    LocationCode::parse(text).unwrap()
}

fn received(quantity: u32, location: Option<&str>) -> StockEvent {
    StockReceived { quantity, location: location.map(code) }.into()
}

fn send(transfer: u128, from: &str, to: &str, quantity: u32) -> StockCommand {
    StockCommand::Send { transfer_id: id(transfer), from: code(from), to: code(to), quantity }
}

fn sent(transfer: u128, from: &str, to: &str, quantity: u32) -> StockEvent {
    StockTransferSent { transfer_id: id(transfer), from: code(from), to: code(to), quantity }.into()
}

fn arrive(transfer: u128, quantity: u32) -> StockCommand {
    StockCommand::Arrive { transfer_id: id(transfer), quantity }
}

fn lose(transfer: u128) -> StockCommand {
    StockCommand::Lose { transfer_id: id(transfer), reason: "fell off".into() }
}

fn reserved(quantity: u32) -> StockEvent {
    StockReserved { order_id: id(1), quantity, expires_at: at(900) }.into()
}

fn allocated(quantity: u32) -> StockEvent {
    StockAllocated { order_id: id(1), quantity }.into()
}

fn numbers(stock: &Stock) -> (i64, i64, i64) {
    (stock.on_hand(), stock.here(), stock.available())
}

#[test]
fn i10_what_comes_in_and_goes_is_at_a_location() {
    let stock = folded::<Stock>(&[received(5, None), received(3, Some("pangyo"))]);
    assert_eq!((stock.at(None), stock.at(Some(&code("pangyo"))), stock.at(Some(&code("jeju")))), (5, 3, 0));
    let there = [received(5, None), received(3, Some("pangyo"))];
    let location = Some(code("pangyo"));
    let write_off = |quantity| StockCommand::WriteOff { quantity, reason: "mould".into(), location: location.clone() };
    let refusal = given::<Stock>(&there).when(&write_off(4)).refused(RefusalCode::InsufficientStock);
    assert_eq!((refusal.detail.as_str(), refusal.pointer.as_deref()), ("only 3 are at pangyo", Some("/quantity")));
    let gone = StockWrittenOff { quantity: 3, reason: "mould".into(), location: location.clone() };
    let stock = given::<Stock>(&there).when(&write_off(3)).records(&[gone.into()]);
    assert_eq!((stock.at(None), stock.at(location.as_ref())), (5, 0));
    let less = StockCommand::Adjust { delta: -6, reason: "mould".into(), location: None };
    let refusal = given::<Stock>(&there).when(&less).refused(RefusalCode::InsufficientStock);
    assert_eq!((refusal.detail.as_str(), refusal.pointer.as_deref()), ("only 5 are at main", Some("/delta")));
}

#[test]
fn i7_a_count_is_of_one_location() {
    let there = [received(5, None), received(3, Some("pangyo"))];
    let count =
        |counted, location: Option<&str>| StockCommand::Count { counted, reason: None, location: location.map(code) };
    let fact = |counted, expected, location: Option<&str>| {
        StockEvent::from(StockCounted { counted, expected, reason: None, location: location.map(code) })
    };
    let stock = given::<Stock>(&there).when(&count(1, Some("pangyo"))).records(&[fact(1, 3, Some("pangyo"))]);
    assert_eq!((stock.on_hand(), stock.at(None), stock.at(Some(&code("pangyo")))), (6, 5, 1));
    let stock = given::<Stock>(&there).when(&count(7, None)).records(&[fact(7, 5, None)]);
    assert_eq!((stock.on_hand(), stock.at(None), stock.at(Some(&code("pangyo")))), (10, 7, 3));
    // What is promised to orders counts over all locations.
    let promised = [&there[..], &[reserved(7)]].concat();
    given::<Stock>(&promised).when(&count(1, Some("pangyo"))).refused(RefusalCode::InsufficientStock);
    given::<Stock>(&promised)
        .when(&count(2, Some("pangyo")))
        .records(&[fact(2, 3, Some("pangyo")), StockDepleted {}.into()]);
}

#[test]
fn i11_what_is_on_its_way_is_on_hand_and_not_available() {
    let stock = given::<Stock>(&[received(5, None)])
        .when(&send(9, "main", "pangyo", 4))
        .records(&[sent(9, "main", "pangyo", 4)]);
    assert_eq!((numbers(&stock), stock.at(None), stock.at(Some(&code("pangyo")))), ((5, 1, 1), 1, 0));
    let under_way = [received(5, None), sent(9, "main", "pangyo", 4)];
    given::<Stock>(&under_way).when(&send(9, "main", "pangyo", 4)).done_already();
    let came = StockEvent::from(StockTransferReceived { transfer_id: id(9), to: code("pangyo"), quantity: 3 });
    let stock = given::<Stock>(&under_way).when(&arrive(9, 3)).records(std::slice::from_ref(&came));
    assert_eq!((numbers(&stock), stock.at(Some(&code("pangyo")))), ((5, 4, 4), 3));
    let partly = [&under_way[..], &[came]].concat();
    let refusal = given::<Stock>(&partly).when(&arrive(9, 2)).refused(RefusalCode::InsufficientStock);
    assert_eq!(refusal.detail, "only 1 of the transfer are on their way");
    let lost = StockEvent::from(StockTransferLost { transfer_id: id(9), quantity: 1, reason: "fell off".into() });
    let stock = given::<Stock>(&partly).when(&lose(9)).records(std::slice::from_ref(&lost));
    assert_eq!(numbers(&stock), (4, 4, 4));
    let over = [&partly[..], &[lost]].concat();
    for late in [arrive(9, 1), lose(9), arrive(8, 1)] {
        given::<Stock>(&over).when(&late).refused(RefusalCode::NotFound);
    }
    for wrong in [arrive(9, 0), StockCommand::Lose { transfer_id: id(9), reason: " ".into() }] {
        given::<Stock>(&under_way).when(&wrong).refused(RefusalCode::ValidationFailed);
    }
}

#[test]
fn i5_a_transfer_takes_nothing_that_is_promised() {
    let there = [received(5, None), received(3, Some("pangyo")), reserved(6)];
    let refusal = given::<Stock>(&there).when(&send(9, "main", "pangyo", 3)).refused(RefusalCode::InsufficientStock);
    assert_eq!(refusal.detail, "only 2 can be taken, the rest is promised to orders");
    let refusal = given::<Stock>(&there).when(&send(9, "pangyo", "main", 4)).refused(RefusalCode::InsufficientStock);
    assert_eq!(refusal.detail, "only 3 are at pangyo");
    given::<Stock>(&there)
        .when(&send(9, "main", "pangyo", 2))
        .records(&[sent(9, "main", "pangyo", 2), StockDepleted {}.into()]);
    for (wrong, pointer, code) in [
        (send(9, "main", "main", 1), "/to", RefusalCode::LocationConflict),
        (send(9, "main", "pangyo", 0), "/quantity", RefusalCode::ValidationFailed),
    ] {
        let refusal = given::<Stock>(&there).when(&wrong).refused(code);
        assert_eq!(refusal.pointer.as_deref(), Some(pointer));
    }
    let mut full = vec![received(1_000, None)];
    full.extend((0..100).map(|number| sent(number, "main", "pangyo", 1)));
    given::<Stock>(&full).when(&send(200, "main", "pangyo", 1)).refused(RefusalCode::LocationConflict);
}

#[test]
fn i9_what_leaves_is_taken_from_main_first_and_then_by_code() {
    let ship = StockCommand::Ship { order_id: id(1) };
    let taken = |parts: &[(&str, u32)]| {
        parts.iter().map(|(location, quantity)| StockTaken { location: code(location), quantity: *quantity }).collect()
    };
    let there = [received(2, None), received(4, Some("pangyo")), received(1, Some("jeju"))];
    for (quantity, from) in
        [(2, vec![]), (3, taken(&[("main", 2), ("jeju", 1)])), (5, taken(&[("main", 2), ("jeju", 1), ("pangyo", 2)]))]
    {
        let sold = [&there[..], &[reserved(quantity), allocated(quantity)]].concat();
        let stock =
            given::<Stock>(&sold).when(&ship).records(&[StockShipped { order_id: id(1), quantity, from }.into()]);
        assert_eq!(stock.here(), 7 - i64::from(quantity));
        assert_eq!(stock.at(None), 0);
    }
    // What is on its way cannot leave.
    let away = [
        received(2, None),
        StockBackOrderSet { limit: 5 }.into(),
        sent(9, "main", "jeju", 1),
        reserved(2),
        allocated(2),
    ];
    let refusal = given::<Stock>(&away).when(&ship).refused(RefusalCode::InsufficientStock);
    assert_eq!(refusal.detail, "2 are to leave, 1 are on hand: receive the others first");
}

const CODES: [&str; 3] = ["main", "jeju", "pangyo"];

fn any_command() -> impl Strategy<Value = StockCommand> {
    let order_id = (0_u128..4).prop_map(id::<OrderId>);
    let transfer_id = (0_u128..5).prop_map(|number| id::<TransferId>(100 + number));
    let place = || prop::sample::select(CODES.to_vec()).prop_map(code);
    let reason = || "counted".to_owned();
    (0..13, order_id, transfer_id, (0_u32..6, -6_i64..6), (place(), place())).prop_map(
        move |(kind, order_id, transfer_id, (quantity, delta), (from, to))| {
            let location = from.clone().unless_main();
            match kind {
                0 | 1 => StockCommand::Receive { quantity, location },
                2 => StockCommand::Adjust { delta, reason: reason(), location },
                3 => StockCommand::Count { counted: quantity, reason: None, location },
                4 => StockCommand::WriteOff { quantity, reason: reason(), location },
                5 => StockCommand::Send { transfer_id, from, to, quantity },
                6 => StockCommand::Arrive { transfer_id, quantity },
                7 => StockCommand::Lose { transfer_id, reason: reason() },
                8 => StockCommand::Reserve { order_id, quantity, expires_at: at(900) },
                9 => StockCommand::Allocate { order_id },
                10 => StockCommand::Ship { order_id },
                11 => StockCommand::SetBackOrder { limit: quantity },
                _ => StockCommand::Restock { order_id, quantity, reason: reason() },
            }
        },
    )
}

proptest! {
    #[test]
    fn i10_goods_are_somewhere_and_nowhere_are_there_fewer_than_none(
        commands in prop::collection::vec(any_command(), 1..80),
    ) {
        let mut stock = Stock::default();
        let (mut log, mut before) = (Vec::new(), 0_i64);
        let (mut places, mut transfers) = (BTreeMap::<LocationCode, i64>::new(), BTreeMap::<TransferId, i64>::new());
        for command in commands {
            let Decision::Record(events) = stock.decide(&command, &facts(at(0))) else { continue };
            for event in events {
                stock.evolve(&event);
                for (code, units) in event.moves() {
                    *places.entry(code).or_default() += units;
                }
                if let Some(transfer_id) = event.transfer_id() {
                    *transfers.entry(transfer_id).or_default() += event.change().in_transit;
                }
                prop_assert!(places.values().chain(transfers.values()).all(|units| *units >= 0), "{:?}", event);
                for text in CODES {
                    prop_assert_eq!(stock.at(Some(&code(text))), places.get(&code(text)).copied().unwrap_or(0));
                }
                let (here, away) = (places.values().sum::<i64>(), transfers.values().sum::<i64>());
                prop_assert_eq!((stock.here(), stock.on_hand()), (here, here + away));
                prop_assert_eq!(stock.available(), here - stock.reserved() - stock.allocated());
                prop_assert!(stock.available() >= before.min(-i64::from(stock.back_order())));
                before = stock.available();
                log.push(event);
            }
        }
        prop_assert_eq!(&folded::<Stock>(&log), &stock);
        let snapshot = serde_json::to_string(&stock).unwrap();
        prop_assert_eq!(serde_json::from_str::<Stock>(&snapshot).unwrap(), stock);
    }
}
