//! The answers of a return.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use jangbu_kernel::{Money, RefusalCode, Remark, Timestamp};

use super::*;
use crate::order::OrderLine;
use crate::testing::{at, check_table, facts, folded, given, id, sealed, won};

const APPROVED_AT: i64 = 100;
const SEND_BY: i64 = APPROVED_AT + 14 * 24 * 3_600;

fn asked(reason: ReturnReason, remedy: Remedy) -> ReturnRequested {
    let replacement =
        Replacement { order_id: id(30), number: "20261201-1".into(), shipping_address: sealed("address") };
    ReturnRequested {
        order_id: id(1),
        user_id: id(7),
        reason,
        remedy,
        way_back: if reason == ReturnReason::ChangedMind { WayBack::Buyer } else { WayBack::Shop },
        lines: vec![OrderLine {
            product_id: id(9),
            name: "한라봉".into(),
            unit_price: won(200),
            quantity: 3,
            line_total: won(600),
        }],
        note: None,
        replacement: (remedy == Remedy::Exchange).then_some(replacement),
    }
}

fn requested() -> ReturnEvent {
    asked(ReturnReason::ChangedMind, Remedy::Refund).into()
}
fn approved() -> ReturnEvent {
    ReturnApproved { fee: won(0), send_by: at(SEND_BY) }.into()
}
fn sent() -> ReturnEvent {
    ReturnSent { carrier: "cj".into(), tracking_number: "1".into() }.into()
}
fn received() -> ReturnEvent {
    ReturnReceived { refund_due_at: facts(at(200)).policy.refund_by(at(200)) }.into()
}
fn found(restocked: u32, written_off: u32) -> Vec<InspectedLine> {
    vec![InspectedLine { product_id: id(9), restocked, written_off }]
}
fn inspected() -> ReturnEvent {
    ReturnInspected { lines: found(2, 1), note: None }.into()
}
fn closed() -> ReturnClosed {
    ReturnClosed {
        remedy: Remedy::Refund,
        refunded: won(600),
        refund_id: Some(id(5)),
        payment_id: Some(id(6)),
        replacement_order_id: None,
    }
}

fn states() -> Vec<(&'static str, Vec<ReturnEvent>)> {
    let then = |before: &[ReturnEvent], event: ReturnEvent| [before, &[event]].concat();
    let asked = vec![requested()];
    let approved = then(&asked, approved());
    let sent = then(&approved, sent());
    let received = then(&sent, received());
    let inspected = then(&received, inspected());
    vec![
        ("none", vec![]),
        ("requested", asked.clone()),
        ("approved", approved.clone()),
        ("transit", sent),
        ("received", received),
        ("inspected", inspected.clone()),
        ("closed", then(&inspected, closed().into())),
        ("rejected", then(&asked, ReturnRejected { reason: "worn".into() }.into())),
        ("withdrawn", then(&approved, ReturnWithdrawn { by: WithdrawnBy::Buyer, reason: None }.into())),
    ]
}

fn commands() -> Vec<(&'static str, ReturnCommand, Timestamp)> {
    use ReturnCommand as C;
    let send = |carrier: &str, number: &str| C::Send { carrier: carrier.into(), tracking_number: number.into() };
    let withdraw = |by, reason: Option<&str>| C::Withdraw { by, reason: reason.map(Remark::code) };
    let asked = asked(ReturnReason::ChangedMind, Remedy::Refund);
    vec![
        ("request", C::Request(Box::new(asked)), at(0)),
        ("approve", C::Approve { fee: Some(won(100)) }, at(APPROVED_AT)),
        ("reject", C::Reject { reason: "worn".into() }, at(1)),
        ("withdraw", withdraw(WithdrawnBy::Buyer, None), at(1)),
        ("withdraw_mute", withdraw(WithdrawnBy::Staff, None), at(1)),
        ("send", send("cj", "1"), at(1)),
        ("send_other", send("cj", "2"), at(1)),
        ("send_blank", send(" ", "2"), at(1)),
        ("receive", C::Receive, at(200)),
        ("inspect", C::Inspect { lines: found(2, 1), note: None }, at(1)),
        ("inspect_more", C::Inspect { lines: found(2, 2), note: None }, at(1)),
        ("close", C::Close(Box::new(closed())), at(1)),
    ]
}

// C conflict, N not found, V invalid.
const ANSWERS: &str = "
    command       none requested approved transit received inspected closed rejected withdrawn
    request       +    =         =        =       =        =         =      =        =
    approve       N    +         =        C       C        C         C      C        C
    reject        N    +         C        C       C        C         C      =        C
    withdraw      N    +         +        C       C        C         C      C        =
    withdraw_mute N    V         V        V       V        V         V      V        V
    send          N    C         +        =       C        C         C      C        C
    send_other    N    C         +        +       C        C         C      C        C
    send_blank    N    V         V        V       V        V         V      V        V
    receive       N    C         +        +       =        C         C      C        C
    inspect       N    C         C        C       +        =         C      C        C
    inspect_more  N    C         C        C       V        C         C      C        C
    close         N    C         C        C       C        +         =      C        C
";

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let spell = |word: &str| match word {
        "C" => RefusalCode::ReturnStateConflict.code().to_owned(),
        "N" => RefusalCode::NotFound.code().to_owned(),
        "V" => RefusalCode::ValidationFailed.code().to_owned(),
        other => other.to_owned(),
    };
    let line = |line: &str| line.split_whitespace().map(spell).collect::<Vec<_>>().join(" ");
    let table = ANSWERS.lines().map(line).collect::<Vec<_>>().join("\n");
    check_table::<Return>(&table, &states(), &commands());
}

#[test]
fn i1_a_refusal_names_the_state_and_what_can_be_asked_in_it() {
    let refusal =
        given::<Return>(&[requested()]).when(&ReturnCommand::Receive).refused(RefusalCode::ReturnStateConflict);
    assert_eq!(refusal.current_state, Some("requested"));
    assert_eq!(refusal.allowed_commands, ["approve_return", "reject_return", "withdraw_return"]);
}

#[test]
fn i2_nothing_is_found_that_was_not_to_come_back() {
    let here = [requested(), approved(), received()];
    let of = |product: u128, restocked| InspectedLine { product_id: id(product), restocked, written_off: 0 };
    for (lines, pointer) in [
        (vec![of(8, 1)], "/lines/0/product_id"),
        (vec![of(9, 1), of(9, 1)], "/lines/1/product_id"),
        (vec![of(9, u32::MAX)], "/lines/0/restocked"),
    ] {
        let inspect = ReturnCommand::Inspect { lines, note: None };
        let refusal = given::<Return>(&here).when(&inspect).refused(RefusalCode::ValidationFailed);
        assert_eq!(refusal.pointer.as_deref(), Some(pointer));
    }
    // Nothing came back: that is found, too.
    let nothing = ReturnCommand::Inspect { lines: Vec::new(), note: None };
    let empty =
        given::<Return>(&here).when(&nothing).records(&[ReturnInspected { lines: Vec::new(), note: None }.into()]);
    assert_eq!(empty.came_back().unwrap(), []);
}

#[test]
fn i2_what_came_back_has_the_prices_of_the_order() {
    let back = folded::<Return>(&states()[5].1).came_back().unwrap();
    assert_eq!((back[0].quantity, back[0].line_total), (3, won(600)));
}

#[test]
fn i3_a_fee_is_only_taken_off_a_refund_whose_way_back_the_buyer_pays() {
    let approve = |fee: Money| ReturnCommand::Approve { fee: Some(fee) };
    for (reason, remedy) in [
        (ReturnReason::Defect, Remedy::Refund),
        (ReturnReason::ChangedMind, Remedy::Exchange),
        (ReturnReason::ReturnedToSender, Remedy::Refund),
    ] {
        let given = || given::<Return>(&[asked(reason, remedy).into()]).at(at(APPROVED_AT));
        let refusal = given().when(&approve(won(1))).refused(RefusalCode::ValidationFailed);
        assert_eq!(refusal.pointer.as_deref(), Some("/fee"));
        given().when(&approve(won(0))).records(&[approved()]);
    }
    for wrong in [won(-1), Money::zero("USD".parse().unwrap())] {
        given::<Return>(&[requested()]).when(&approve(wrong)).refused(RefusalCode::ValidationFailed);
    }
}

#[test]
fn i4_a_return_lapses_when_its_goods_are_not_sent_back_in_time() {
    let lapsed = |events: &[ReturnEvent], now| folded::<Return>(events).has_lapsed(&facts(at(now)));
    assert!(!lapsed(&[requested(), approved()], SEND_BY - 1));
    assert!(lapsed(&[requested(), approved()], SEND_BY));
    assert!(!lapsed(&[requested(), approved(), sent()], SEND_BY));
    assert!(!lapsed(&[requested()], SEND_BY));
}
