//! What a parcel promises: its invariants, and an answer for every state and command.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::wildcard_enum_match_arm, reason = "tests")]

use jangbu_kernel::gateway::LabelOutcome;
use jangbu_kernel::{Decider as _, Decision, RefusalCode};

use super::*;
use crate::testing::{at, facts, id, sealed, word};

fn request() -> ShipmentCommand {
    ShipmentCommand::Request { order_id: id(1), user_id: id(2), lines: Vec::new(), shipping_address: sealed("address") }
}

fn label(outcome: LabelOutcome) -> ShipmentCommand {
    ShipmentCommand::ObserveLabel { carrier: "swift".into(), outcome }
}

fn ready() -> ShipmentCommand {
    label(LabelOutcome::Ready { tracking_number: "T1".into() })
}

fn refused() -> ShipmentCommand {
    label(LabelOutcome::Refused { code: "full".into() })
}

fn dispatch() -> ShipmentCommand {
    ShipmentCommand::Dispatch { carrier: None, tracking_number: None }
}

fn cancel() -> ShipmentCommand {
    ShipmentCommand::Cancel { reason: "order_cancelled".into() }
}

fn scan_at(status: ScanStatus, seconds: i64, carrier: &str) -> ShipmentCommand {
    ShipmentCommand::RecordScan(Scan {
        carrier: carrier.into(),
        tracking_number: "T1".into(),
        status,
        code: "S1".into(),
        place: "Busan".into(),
        at: at(seconds),
        note: None,
    })
}

fn scan(status: ScanStatus) -> ShipmentCommand {
    scan_at(status, 100, "swift")
}

fn ask(shipment: &mut Shipment, command: &ShipmentCommand) -> Decision<ShipmentEvent> {
    let decision = shipment.decide(command, &facts(at(0)));
    if let Decision::Record(events) = &decision {
        assert!(!events.is_empty(), "a record has events");
        for event in events {
            shipment.evolve(event);
        }
    }
    decision
}

fn in_state(state: ShipmentState) -> Shipment {
    let journey = |status| vec![request(), ready(), dispatch(), scan_at(status, 1, "swift")];
    let commands = match state {
        ShipmentState::None => Vec::new(),
        ShipmentState::Requested => vec![request()],
        ShipmentState::Ready => vec![request(), ready()],
        ShipmentState::Dispatched => vec![request(), ready(), dispatch()],
        ShipmentState::InTransit => journey(ScanStatus::InTransit),
        ShipmentState::OutForDelivery => journey(ScanStatus::OutForDelivery),
        ShipmentState::AttemptFailed => journey(ScanStatus::AttemptFailed),
        ShipmentState::Exception => journey(ScanStatus::Exception),
        ShipmentState::Delivered => journey(ScanStatus::Delivered),
        ShipmentState::Returned => journey(ScanStatus::Returned),
        ShipmentState::Lost => journey(ScanStatus::Lost),
        ShipmentState::Cancelled => vec![request(), cancel()],
    };
    let mut shipment = Shipment::default();
    for command in &commands {
        assert_eq!(word(&ask(&mut shipment, command)), "+", "{command:?}");
    }
    assert_eq!(shipment.state(), state);
    shipment
}

/// One line for each command, one column for each state in the order of `ShipmentState::ALL`: `+`
/// recorded (whether or not the state changed), `!` a scan that was kept and ignored, `=` already
/// done, otherwise the refusal: N not found, C state conflict.
const TABLE: &str = "
    request          + = = = = = = = = = = =
    ready            N + = = = = = = = = = =
    refused          N + = = = = = = = = = =
    unanswered       N = = = = = = = = = = =
    dispatch         N C + = = = = = = = = C
    in_transit       N ! ! + + + + + ! ! ! !
    out_for_delivery N ! ! + + + + + ! ! ! !
    attempt_failed   N ! ! + + + + + ! ! ! !
    exception        N ! ! + + + + + ! ! ! !
    delivered        N ! ! + + + + + ! ! + !
    returned         N ! ! + + + + + + ! + !
    lost             N ! ! + + + + + ! ! + !
    staff_scan       N C C + + + + + ! ! + C
    cancel           N + + C C C C C C C C =
";

fn every_command() -> Vec<(&'static str, ShipmentCommand)> {
    vec![
        ("request", request()),
        ("ready", ready()),
        ("refused", refused()),
        ("unanswered", label(LabelOutcome::Unknown { detail: "timeout".into() })),
        ("dispatch", dispatch()),
        ("in_transit", scan(ScanStatus::InTransit)),
        ("out_for_delivery", scan(ScanStatus::OutForDelivery)),
        ("attempt_failed", scan(ScanStatus::AttemptFailed)),
        ("exception", scan(ScanStatus::Exception)),
        ("delivered", scan(ScanStatus::Delivered)),
        ("returned", scan(ScanStatus::Returned)),
        ("lost", scan(ScanStatus::Lost)),
        ("staff_scan", scan_at(ScanStatus::Delivered, 100, STAFF)),
        ("cancel", cancel()),
    ]
}

fn answer_of(shipment: &mut Shipment, command: &ShipmentCommand) -> &'static str {
    match ask(shipment, command) {
        Decision::AlreadyDone => "=",
        Decision::Record(events) => match events.as_slice() {
            [ShipmentEvent::ScanRecorded(scan)] if scan.ignored_because.is_some() => "!",
            _ => "+",
        },
        Decision::Refused(refusal) => match refusal.code {
            RefusalCode::NotFound => "N",
            RefusalCode::ShipmentStateConflict => "C",
            other => other.code(),
        },
    }
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let rows: Vec<Vec<&str>> =
        TABLE.lines().map(|line| line.split_whitespace().collect()).filter(|row: &Vec<_>| !row.is_empty()).collect();
    let commands = every_command();
    assert_eq!(rows.len(), commands.len());
    for (row, (name, command)) in rows.iter().zip(&commands) {
        assert_eq!((row[0], row.len()), (*name, ShipmentState::ALL.len() + 1));
        for (state, expected) in ShipmentState::ALL.iter().copied().zip(&row[1..]) {
            let mut shipment = in_state(state);
            assert_eq!(answer_of(&mut shipment, command), *expected, "{name} in {state:?}");
            if *name != "refused" && matches!(*expected, "+" | "!") {
                assert_eq!(answer_of(&mut shipment, command), "=", "{name} twice in {state:?}");
            }
        }
    }
}

#[test]
fn i1_without_a_label_carrier_and_number_have_to_be_given() {
    let mut shipment = in_state(ShipmentState::Requested);
    let by_hand = |carrier: Option<&str>, number: Option<&str>| ShipmentCommand::Dispatch {
        carrier: carrier.map(str::to_owned),
        tracking_number: number.map(str::to_owned),
    };
    assert_eq!(word(&ask(&mut shipment, &by_hand(Some("other"), None))), "shipment_state_conflict");
    assert_eq!(word(&ask(&mut shipment, &by_hand(Some("other"), Some("")))), "validation_failed");
    assert_eq!(word(&ask(&mut shipment, &by_hand(Some("other"), Some("X9")))), "+");
    assert_eq!((shipment.carrier(), shipment.tracking_number()), (Some("other"), Some("X9")));
    assert_eq!(word(&ask(&mut shipment, &by_hand(Some("third"), Some("X9")))), "shipment_state_conflict");
}

#[test]
fn i2_what_is_called_off_stays_and_what_left_is_not_called_off() {
    let mut cancelled = in_state(ShipmentState::Cancelled);
    assert_eq!(word(&ask(&mut cancelled, &dispatch())), "shipment_state_conflict");
    let mut left = in_state(ShipmentState::Dispatched);
    assert_eq!(word(&ask(&mut left, &cancel())), "shipment_state_conflict");
}

#[test]
fn i3_a_scan_is_the_same_by_carrier_number_time_code_place_and_status() {
    let mut shipment = in_state(ShipmentState::Dispatched);
    assert_eq!(answer_of(&mut shipment, &scan(ScanStatus::InTransit)), "+");
    assert_eq!(answer_of(&mut shipment, &scan(ScanStatus::InTransit)), "=");
    assert_eq!(answer_of(&mut shipment, &scan(ScanStatus::OutForDelivery)), "+", "in the same minute");
    assert_eq!(answer_of(&mut shipment, &scan_at(ScanStatus::InTransit, 101, "swift")), "+");
    assert_eq!(answer_of(&mut shipment, &scan_at(ScanStatus::Exception, 50, "swift")), "!", "older than what is known");
    assert_eq!(shipment.state(), ShipmentState::InTransit);
}

#[test]
fn i3_a_delivery_in_the_minute_code_and_place_of_another_scan_counts() {
    for carrier in ["swift", STAFF] {
        let mut shipment = in_state(ShipmentState::Dispatched);
        assert_eq!(answer_of(&mut shipment, &scan_at(ScanStatus::InTransit, 100, carrier)), "+");
        assert_eq!(answer_of(&mut shipment, &scan_at(ScanStatus::Delivered, 100, carrier)), "+");
        assert_eq!(shipment.state(), ShipmentState::Delivered, "{carrier}");
    }
}

fn told(change: impl FnOnce(&mut Scan)) -> ShipmentCommand {
    let ShipmentCommand::RecordScan(mut scan) = scan(ScanStatus::InTransit) else { unreachable!() };
    change(&mut scan);
    ShipmentCommand::RecordScan(scan)
}

#[test]
fn i3_a_number_is_the_parcels_however_it_is_written() {
    for number in ["t1", "T-1", " T 1 ", "Ｔ１", "T\u{200b}1"] {
        let mut shipment = in_state(ShipmentState::Dispatched);
        assert_eq!(answer_of(&mut shipment, &told(|scan| scan.tracking_number = number.into())), "+", "{number:?}");
        assert_eq!(answer_of(&mut shipment, &scan(ScanStatus::InTransit)), "=", "{number:?} is the same scan");
    }
    assert_ne!(number_key("--"), number_key("-"), "what has no letter is compared whole");
}

#[test]
fn i6_a_time_from_the_future_orders_nothing() {
    let nine_hours = 9 * 3_600;
    let mut shipment = in_state(ShipmentState::Dispatched);
    let Decision::Record(events) = ask(&mut shipment, &scan_at(ScanStatus::InTransit, nine_hours, "swift")) else {
        panic!("it is kept");
    };
    let [ShipmentEvent::ScanRecorded(kept), ShipmentEvent::InTransit(_)] = events.as_slice() else {
        panic!("it counts: {events:?}");
    };
    assert_eq!((kept.at, kept.received_at), (at(nine_hours), Some(at(0))));
    assert_eq!(answer_of(&mut shipment, &scan_at(ScanStatus::OutForDelivery, 60, "swift")), "+");
    assert_eq!(shipment.state(), ShipmentState::OutForDelivery);
    // Within the tolerance a clock is trusted, and orders the scans.
    let Decision::Record(events) = ask(&mut shipment, &scan_at(ScanStatus::AttemptFailed, 600, "swift")) else {
        panic!("it is kept");
    };
    assert!(matches!(&events[0], ShipmentEvent::ScanRecorded(kept) if kept.received_at.is_none()));
    assert_eq!(answer_of(&mut shipment, &scan_at(ScanStatus::InTransit, 599, "swift")), "!");
}

#[test]
fn i6_a_time_that_was_believed_earlier_orders_nothing_while_it_lies_ahead() {
    let mut shipment = in_state(ShipmentState::Dispatched);
    let ShipmentCommand::RecordScan(ahead) = scan_at(ScanStatus::InTransit, 9 * 3_600, "swift") else { unreachable!() };
    // A scan as it was recorded before times were checked.
    shipment.evolve(&ahead.recorded(id(1), None, None).into());
    assert_eq!(answer_of(&mut shipment, &scan_at(ScanStatus::OutForDelivery, 60, "swift")), "+");
}

#[test]
fn i7_a_corrected_number_is_the_parcels_and_old_scans_stay() {
    let correct = |number: &str, reason: &'static str| ShipmentCommand::CorrectTrackingNumber {
        tracking_number: number.into(),
        reason: reason.into(),
    };
    let mut none = in_state(ShipmentState::None);
    assert_eq!(word(&ask(&mut none, &correct("T2", "typo"))), "not_found");
    for state in [ShipmentState::Requested, ShipmentState::Cancelled] {
        assert_eq!(word(&ask(&mut in_state(state), &correct("T2", "typo"))), "shipment_state_conflict");
    }
    let mut shipment = in_state(ShipmentState::Requested);
    let by_hand = ShipmentCommand::Dispatch { carrier: Some("swift".into()), tracking_number: Some("T1".into()) };
    ask(&mut shipment, &by_hand);
    assert_eq!(answer_of(&mut shipment, &scan(ScanStatus::InTransit)), "+");
    for (number, reason) in [("T2", " "), ("\u{3164}", "typo"), ("", "typo")] {
        assert_eq!(word(&ask(&mut shipment, &correct(number, reason))), "validation_failed", "{number:?} {reason:?}");
    }
    assert_eq!(word(&ask(&mut shipment, &correct("T2", "typo"))), "+");
    assert_eq!(word(&ask(&mut shipment, &correct("T2", "typo"))), "=");
    assert_eq!((shipment.tracking_number(), shipment.state()), (Some("T2"), ShipmentState::InTransit));
    assert_eq!(answer_of(&mut shipment, &scan(ScanStatus::InTransit)), "=", "what was scanned stays");
    assert_eq!(answer_of(&mut shipment, &scan(ScanStatus::Delivered)), "!", "another parcel's number now");
    let ours = told(|scan| (scan.tracking_number, scan.status) = ("T2".into(), ScanStatus::Delivered));
    assert_eq!(answer_of(&mut shipment, &ours), "+");
}

#[test]
fn i3_a_scan_of_another_number_is_kept_and_changes_nothing() {
    let mut shipment = in_state(ShipmentState::Dispatched);
    let ShipmentCommand::RecordScan(ours) = scan(ScanStatus::Delivered) else { unreachable!() };
    let other = ShipmentCommand::RecordScan(Scan { tracking_number: "T2".into(), ..ours });
    assert_eq!(answer_of(&mut shipment, &other), "!");
    assert_eq!(shipment.state(), ShipmentState::Dispatched);
}

#[test]
fn i4_delivered_wins_over_every_later_scan_but_a_return() {
    for status in [ScanStatus::InTransit, ScanStatus::Exception, ScanStatus::Lost] {
        let mut shipment = in_state(ShipmentState::Delivered);
        assert_eq!(answer_of(&mut shipment, &scan(status)), "!");
        assert_eq!(shipment.state(), ShipmentState::Delivered);
    }
    let mut shipment = in_state(ShipmentState::Delivered);
    ask(&mut shipment, &scan(ScanStatus::Returned));
    assert_eq!(shipment.state(), ShipmentState::Returned);
}

#[test]
fn i4_an_end_counts_whatever_the_clocks_say() {
    let mut shipment = in_state(ShipmentState::InTransit);
    ask(&mut shipment, &scan_at(ScanStatus::OutForDelivery, 200, "swift"));
    assert_eq!(answer_of(&mut shipment, &scan_at(ScanStatus::Delivered, 10, "swift")), "+");
    assert_eq!(shipment.state(), ShipmentState::Delivered);
}

#[test]
fn i5_each_refusal_counts_once_and_a_lost_answer_not_at_all() {
    let mut shipment = in_state(ShipmentState::Requested);
    assert!(shipment.needs_label(1));
    ask(&mut shipment, &refused());
    assert!(!shipment.needs_label(1) && shipment.needs_label(2));
    ask(&mut shipment, &label(LabelOutcome::Unknown { detail: "timeout".into() }));
    assert_eq!(shipment.refusals(), 1);
    ask(&mut shipment, &ready());
    assert!(!shipment.needs_label(2));
}

#[test]
fn i8_beyond_the_limit_only_an_end_is_kept() {
    let mut shipment = in_state(ShipmentState::Dispatched);
    for second in 0..i64::try_from(MAX_SCANS).unwrap() {
        assert_eq!(answer_of(&mut shipment, &scan_at(ScanStatus::InTransit, second, "swift")), "+");
    }
    assert_eq!(answer_of(&mut shipment, &scan_at(ScanStatus::InTransit, 9_000, "swift")), "=");
    assert_eq!(answer_of(&mut shipment, &scan_at(ScanStatus::Exception, 9_001, "swift")), "=");
    assert_eq!(answer_of(&mut shipment, &scan_at(ScanStatus::Delivered, 9_002, "swift")), "+");
}

#[test]
fn a_scan_with_a_book_for_a_place_is_refused() {
    let mut shipment = in_state(ShipmentState::Dispatched);
    let ShipmentCommand::RecordScan(ours) = scan(ScanStatus::InTransit) else { unreachable!() };
    let long = ShipmentCommand::RecordScan(Scan { place: "x".repeat(MAX_SCAN_TEXT + 1), ..ours });
    assert_eq!(word(&ask(&mut shipment, &long)), "validation_failed");
}
