//! The answers of a points ledger.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use jangbu_kernel::{
    Decider as _, Decision, Money, OrderId, PaymentId, RefundId, RefusalCode, Remark, Sealed, Timestamp,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::testing::{at, check_table, facts, folded, given, id, won};

fn payment() -> PaymentId {
    id(1)
}
fn order() -> OrderId {
    id(2)
}
fn refund() -> RefundId {
    id(3)
}
fn granted(units: i64, reference: &str, expires_at: Option<Timestamp>) -> PointsEvent {
    PointsGranted { amount: won(units), reference: Remark::code(reference), reference_hash: None, expires_at }.into()
}
fn grant(units: i64, reference: &str) -> PointsCommand {
    PointsCommand::Grant { amount: won(units), reference: GrantReference::code(reference), expires_at: None }
}
fn hold(units: i64) -> PointsCommand {
    PointsCommand::Hold { payment_id: payment(), order_id: order(), amount: won(units) }
}
fn restore(units: i64) -> PointsCommand {
    PointsCommand::Restore { payment_id: payment(), refund_id: refund(), amount: won(units) }
}
fn parts(parts: &[(u32, i64)]) -> Vec<PointsPart> {
    parts.iter().map(|(entry, units)| PointsPart { entry: *entry, amount: won(*units), extended_to: None }).collect()
}
fn held(units: i64, of: &[(u32, i64)]) -> PointsEvent {
    PointsHeld { payment_id: payment(), order_id: order(), amount: won(units), parts: parts(of) }.into()
}
fn captured(units: i64) -> PointsEvent {
    PointsCaptured { payment_id: payment(), amount: won(units) }.into()
}
fn restored(units: i64, to: &[(u32, i64)]) -> PointsEvent {
    let (payment_id, refund_id) = (payment(), refund());
    PointsRestored { payment_id, refund_id, amount: won(units), parts: parts(to) }.into()
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let payment_id = payment();
    let reason = || "payment_failed".to_owned();
    let kept = vec![granted(500, "welcome", None), held(300, &[(1, 300)])];
    let spent = [&kept[..], &[captured(300)]].concat();
    let states = [
        ("empty", vec![]),
        ("granted", vec![granted(500, "welcome", None)]),
        ("lapsed", vec![granted(500, "welcome", Some(at(0)))]),
        ("held", kept.clone()),
        ("captured", spent.clone()),
        ("released", [&kept[..], &[PointsReleased { payment_id, amount: won(300), reason: reason() }.into()]].concat()),
        ("restored", [&spent[..], &[restored(100, &[(1, 100)])]].concat()),
    ];
    let commands = [
        ("grant", grant(500, "welcome"), at(0)),
        ("grant_other", grant(400, "welcome"), at(0)),
        ("grant_none", grant(0, "new"), at(0)),
        ("hold_300", hold(300), at(0)),
        ("hold_501", hold(501), at(0)),
        ("capture", PointsCommand::Capture { payment_id }, at(0)),
        ("release", PointsCommand::Release { payment_id, reason: reason() }, at(0)),
        ("restore_300", restore(300), at(0)),
        ("restore_301", restore(301), at(0)),
        ("write_off", PointsCommand::WriteOff, at(0)),
    ];
    let answers = "
        command     empty granted lapsed held captured released restored
        grant       +     =       =      =    =        =        =
        grant_other +     R       R      R    R        R        R
        grant_none  V     V       V      V    V        V        V
        hold_300    I     +       I      =    =        C        =
        hold_501    I     I       I      =    =        C        =
        capture     I     I       I      +    =        I        =
        release     =     =       =      +    =        =        =
        restore_300 X     X       X      X    +        X        =
        restore_301 X     X       X      X    X        X        =
        write_off   =     =       +      =    =        =        =
    ";
    let answers = answers
        .replace(" V", " validation_failed")
        .replace(" R", " reference_reused")
        .replace(" I", " insufficient_points")
        .replace(" X", " refund_exceeds_captured")
        .replace(" C", " payment_state_conflict");
    check_table::<Points>(&answers, &states, &commands);
}

#[test]
fn i3_what_lapses_first_is_taken_first_and_what_never_lapses_last() {
    let events = [
        granted(100, "never", None),
        granted(100, "later", Some(at(2_000))),
        granted(100, "soon", Some(at(1_000))),
        granted(100, "soon too", Some(at(1_000))),
    ];
    let points =
        given::<Points>(&events).when(&hold(350)).records(&[held(350, &[(3, 100), (4, 100), (2, 100), (1, 50)])]);
    assert_eq!((points.balance(), points.held(), points.available(at(0))), (400, 350, 50));
}

#[test]
fn i4_lapsed_points_are_written_off_by_the_next_hold_and_not_taken() {
    let events = [granted(100, "old", Some(at(10))), granted(100, "new", None)];
    let lapsed: PointsEvent = PointsExpired { entry: 1, amount: won(100) }.into();
    let points = given::<Points>(&events).at(at(10)).when(&hold(60)).records(&[lapsed, held(60, &[(2, 60)])]);
    assert_eq!((points.balance(), points.available(at(10))), (100, 40));
    given::<Points>(&events).at(at(9)).when(&hold(150)).records(&[held(150, &[(1, 100), (2, 50)])]);
}

#[test]
fn i4_what_has_lapsed_is_written_off_grant_by_grant_and_once() {
    let events = [
        granted(100, "soon", Some(at(10))),
        granted(100, "later", Some(at(20))),
        granted(100, "never", None),
        granted(100, "soon too", Some(at(10))),
    ];
    let expired = |entry| PointsEvent::from(PointsExpired { entry, amount: won(100) });
    let write_off = PointsCommand::WriteOff;
    given::<Points>(&events).at(at(9)).when(&write_off).done_already();
    let points = given::<Points>(&events).at(at(10)).when(&write_off).records(&[expired(1), expired(4)]);
    assert_eq!((points.balance(), points.available(at(10))), (200, 200));
    let log = [&events[..], &[expired(1), expired(4)]].concat();
    given::<Points>(&log).at(at(19)).when(&write_off).done_already();
    given::<Points>(&log).at(at(20)).when(&write_off).records(&[expired(2)]);
}

#[test]
fn i4_what_a_payment_holds_lapses_when_it_is_free_again() {
    let kept = [granted(500, "welcome", Some(at(10))), held(300, &[(1, 300)])];
    let expired = |units| PointsEvent::from(PointsExpired { entry: 1, amount: won(units) });
    let points = given::<Points>(&kept).at(at(10)).when(&PointsCommand::WriteOff).records(&[expired(200)]);
    assert_eq!((points.balance(), points.held(), points.available(at(10))), (300, 300, 0));
    let log = [&kept[..], &[expired(200)]].concat();
    given::<Points>(&log).at(at(11)).when(&PointsCommand::WriteOff).done_already();
    let back = PointsReleased { payment_id: payment(), amount: won(300), reason: "payment_failed".into() };
    let points = given::<Points>(&[&log[..], &[back.into()]].concat())
        .at(at(11))
        .when(&PointsCommand::WriteOff)
        .records(&[expired(300)]);
    assert_eq!((points.balance(), points.held()), (0, 0));
}

#[test]
fn i4_points_that_lapse_before_they_are_given_are_refused() {
    let late = PointsCommand::Grant { amount: won(1), reference: "x".into(), expires_at: Some(at(0)) };
    given::<Points>(&[]).when(&late).refused(RefusalCode::ValidationFailed);
}

#[test]
fn i1_points_are_won_and_stay_countable() {
    let dollars = Money::parse("1.50", "USD".parse().unwrap()).unwrap();
    let foreign = PointsCommand::Grant { amount: dollars, reference: "x".into(), expires_at: None };
    given::<Points>(&[]).when(&foreign).refused(RefusalCode::ValidationFailed);
    given::<Points>(&[granted(Money::MAX_UNITS, "all", None)])
        .when(&grant(1, "one more"))
        .refused(RefusalCode::ValidationFailed);
}

#[test]
fn i6_a_refund_goes_back_to_the_grants_last_taken_first_returned() {
    let events = [
        granted(100, "soon", Some(at(1_000))),
        granted(100, "never", None),
        held(150, &[(1, 100), (2, 50)]),
        captured(150),
    ];
    let points = given::<Points>(&events).when(&restore(80)).records(&[restored(80, &[(2, 50), (1, 30)])]);
    assert_eq!((points.balance(), points.held()), (130, 0));
    let again = PointsCommand::Restore { payment_id: payment(), refund_id: id(4), amount: won(71) };
    given::<Points>(&[&events[..], &[restored(80, &[(2, 50), (1, 30)])]].concat())
        .when(&again)
        .refused(RefusalCode::RefundExceedsCaptured);
}

#[test]
fn i6_what_comes_back_to_a_lapsed_grant_can_be_used_for_a_while() {
    let log = [granted(500, "welcome", Some(at(100))), held(300, &[(1, 300)]), captured(300)];
    let later = at(200);
    let until = later + chrono::TimeDelta::days(30);
    let back = PointsPart { entry: 1, amount: won(300), extended_to: Some(until) };
    let (payment_id, refund_id) = (payment(), refund());
    // What had lapsed with the grant is written off first, and does not become usable again.
    let points = given::<Points>(&log).at(later).when(&restore(300)).records(&[
        PointsExpired { entry: 1, amount: won(200) }.into(),
        PointsRestored { payment_id, refund_id, amount: won(300), parts: vec![back] }.into(),
    ]);
    assert_eq!((points.available(later), points.balance()), (300, 300));
    assert_eq!(points.available(until), 0);
    // They return unchanged to a grant that has not lapsed.
    given::<Points>(&log).at(at(50)).when(&restore(300)).records(&[restored(300, &[(1, 300)])]);
}

fn any_command() -> impl Strategy<Value = (PointsCommand, i64)> {
    let payment_id = (0_u128..3).prop_map(id::<PaymentId>);
    (0..6, payment_id, 0_i64..200, 0_u128..3, prop::option::of(0_i64..60), 0_i64..60).prop_map(
        |(kind, payment_id, units, number, lapse, now)| {
            let amount = won(units);
            let command = match kind {
                0 => {
                    let reference = format!("{number}-{units}");
                    PointsCommand::Grant {
                        amount,
                        reference: GrantReference::code(reference),
                        expires_at: lapse.map(at),
                    }
                }
                1 => PointsCommand::Hold { payment_id, order_id: order(), amount },
                2 => PointsCommand::Capture { payment_id },
                3 => PointsCommand::Release { payment_id, reason: "payment_failed".into() },
                4 => PointsCommand::Restore { payment_id, refund_id: id(number), amount },
                _ => PointsCommand::WriteOff,
            };
            (command, now)
        },
    )
}

proptest! {
    #[test]
    fn i1_the_balance_is_the_sum_of_the_entries_and_never_negative(
        commands in prop::collection::vec(any_command(), 1..60),
    ) {
        let mut points = Points::default();
        let (mut log, mut sum) = (Vec::new(), 0_i64);
        for (command, now) in commands {
            let Decision::Record(events) = points.decide(&command, &facts(at(now))) else { continue };
            for event in events {
                points.evolve(&event);
                sum += match &event {
                    PointsEvent::Granted(entry) => entry.amount.minor_units(),
                    PointsEvent::Captured(entry) => -entry.amount.minor_units(),
                    PointsEvent::Restored(entry) => entry.amount.minor_units(),
                    PointsEvent::Expired(entry) => -entry.amount.minor_units(),
                    PointsEvent::Held(_) | PointsEvent::Released(_) => 0,
                };
                let free: i64 = points.grants.iter().map(|grant| grant.free).sum();
                prop_assert!(points.grants.iter().all(|grant| grant.free >= 0));
                prop_assert!(points.held() >= 0);
                prop_assert_eq!((points.balance(), free + points.held()), (sum, sum));
                log.push(event);
            }
            prop_assert_eq!(points.decide(&command, &facts(at(now))), Decision::AlreadyDone);
        }
        prop_assert_eq!(&folded::<Points>(&log), &points);
        let snapshot = serde_json::to_string(&points).unwrap();
        prop_assert_eq!(serde_json::from_str::<Points>(&snapshot).unwrap(), points);
    }
}

/// A grant as a person requests it: sealed anew each time, with the same hash.
fn sealed_grant(units: i64, text: &str, hash: u128, ciphertext: &str) -> PointsCommand {
    let words = Sealed::from_ciphertext(ciphertext.to_owned()).into();
    let reference = GrantReference { text: text.to_owned(), words, hash: Some(Uuid::from_u128(hash)) };
    PointsCommand::Grant { amount: won(units), reference, expires_at: None }
}

#[test]
fn i2_a_sealed_reference_is_known_by_its_hash_and_one_of_before_by_its_text() {
    let first = sealed_grant(500, "goodwill", 7, "one");
    let mut points = folded::<Points>(&[granted(300, "welcome", None)]);
    let Decision::Record(events) = points.decide(&first, &facts(at(0))) else { panic!("given") };
    assert!(!events[0].payload_json().contains("goodwill"));
    points.evolve(&events[0]);
    assert_eq!(points.decide(&sealed_grant(500, "goodwill", 7, "other"), &facts(at(0))), Decision::AlreadyDone);
    assert_eq!(points.decide(&sealed_grant(300, "welcome", 8, "x"), &facts(at(0))), Decision::AlreadyDone);
    for (units, text, hash) in [(501, "goodwill", 7), (301, "welcome", 8)] {
        let decision = points.decide(&sealed_grant(units, text, hash, "x"), &facts(at(0)));
        assert!(matches!(decision, Decision::Refused(refusal) if refusal.code == RefusalCode::ReferenceReused));
    }
    assert!(matches!(points.decide(&sealed_grant(500, "sorry", 9, "x"), &facts(at(0))), Decision::Record(_)));
}
