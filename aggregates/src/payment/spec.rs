//! What a payment promises: its invariants, and an answer for every state and command.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::wildcard_enum_match_arm, reason = "tests")]

use jangbu_kernel::gateway::{ChargeOutcome, RefundOutcome};
use jangbu_kernel::{Decider as _, Decision, Money, RefusalCode};
use proptest::prelude::*;

use super::*;
use crate::testing::{at, facts, id, sealed, won, word};

const CARD: i64 = 20_000;
const POINTS: i64 = 3_000;
const CARD_METHOD: Method = super::CARD;
const POINTS_METHOD: Method = super::POINTS;

fn card(amount: i64) -> Leg {
    Leg { method: CARD_METHOD, amount: won(amount), instrument: Some(sealed("token").into()) }
}

fn points(amount: i64) -> Leg {
    Leg { method: POINTS_METHOD, amount: won(amount), instrument: None }
}

fn request() -> PaymentCommand {
    let legs = vec![card(CARD), points(POINTS)];
    PaymentCommand::Request { order_id: id(1), user_id: id(2), total: won(CARD + POINTS), legs }
}

fn says(outcome: ChargeOutcome, source: Source) -> PaymentCommand {
    PaymentCommand::Observe { outcome, source }
}

fn captured(amount: i64) -> ChargeOutcome {
    ChargeOutcome::Captured { reference: "ch".into(), amount: won(amount) }
}

fn declined() -> ChargeOutcome {
    ChargeOutcome::Declined { code: "declined".into() }
}

fn challenge() -> ChargeOutcome {
    ChargeOutcome::ChallengeRequired { reference: "ch".into() }
}

fn redirect() -> ChargeOutcome {
    ChargeOutcome::RedirectRequired { reference: "ch".into(), url: "https://bank.example/ch".into() }
}

fn deposit() -> ChargeOutcome {
    ChargeOutcome::DepositAwaited { reference: "ch".into() }
}

fn lost() -> ChargeOutcome {
    ChargeOutcome::Unknown { detail: "timeout".into() }
}

fn net_cancel() -> PaymentCommand {
    PaymentCommand::RequestNetCancel { reason: "deadline".into() }
}

fn accept() -> PaymentCommand {
    PaymentCommand::AcceptMismatch { reason: "the rest is on us".into() }
}

fn refund(number: u128, amount: i64) -> PaymentCommand {
    PaymentCommand::RequestRefund { refund_id: id(number), amount: won(amount), reason: "torn".into() }
}

fn full_refund(number: u128) -> PaymentCommand {
    PaymentCommand::RequestFullRefund { refund_id: id(number), reason: "late".into() }
}

fn settled(number: u128) -> PaymentCommand {
    let outcome = RefundOutcome::Settled { reference: "re".into() };
    PaymentCommand::ObserveRefund { refund_id: id(number), outcome, source: Source::Answer }
}

fn refused(number: u128) -> PaymentCommand {
    let outcome = RefundOutcome::Refused { code: "not_now".into() };
    PaymentCommand::ObserveRefund { refund_id: id(number), outcome, source: Source::Answer }
}

/// Decides a command and folds its events in.
fn ask(payment: &mut Payment, command: &PaymentCommand) -> Decision<PaymentEvent> {
    let decision = payment.decide(command, &facts(at(0)));
    if let Decision::Record(events) = &decision {
        assert!(!events.is_empty(), "a record has events");
        for event in events {
            payment.evolve(event);
        }
    }
    decision
}

fn after(commands: &[PaymentCommand]) -> Payment {
    let mut payment = Payment::default();
    for command in commands {
        let decision = ask(&mut payment, command);
        assert!(!matches!(decision, Decision::Refused(_)), "{command:?}: {decision:?}");
    }
    payment
}

/// A payment in each state, by the shortest way there.
fn in_state(state: PaymentState) -> Payment {
    let answer = |outcome| says(outcome, Source::Answer);
    let sent = |rest: &[PaymentCommand]| {
        let mut commands = vec![request(), PaymentCommand::RequestCapture];
        commands.extend_from_slice(rest);
        after(&commands)
    };
    let payment = match state {
        PaymentState::None => Payment::default(),
        PaymentState::Requested => after(&[request()]),
        PaymentState::Processing => sent(&[]),
        PaymentState::RequiresAction => sent(&[answer(challenge())]),
        PaymentState::AwaitingDeposit => sent(&[answer(redirect()), answer(deposit())]),
        PaymentState::Unknown => sent(&[answer(lost())]),
        PaymentState::Mismatched => sent(&[answer(captured(1))]),
        PaymentState::Captured => sent(&[answer(captured(CARD))]),
        PaymentState::Failed => sent(&[answer(declined())]),
        PaymentState::Voided => after(&[request(), net_cancel()]),
    };
    assert_eq!(payment.state(), state);
    payment
}

fn every_command() -> Vec<(&'static str, PaymentCommand)> {
    let hook = |outcome| says(outcome, Source::Webhook);
    vec![
        ("request", request()),
        ("capture", PaymentCommand::RequestCapture),
        ("captured", hook(captured(CARD))),
        ("mismatch", hook(captured(CARD - 1))),
        ("declined", hook(declined())),
        ("challenge", hook(challenge())),
        ("redirect", hook(redirect())),
        ("deposit", hook(deposit())),
        ("pending", hook(ChargeOutcome::Pending { reference: "ch".into() })),
        ("lost", hook(lost())),
        ("not_found", says(ChargeOutcome::NotFound, Source::Inquiry)),
        ("voided", hook(ChargeOutcome::Voided)),
        ("confirm", PaymentCommand::ConfirmChallenge),
        ("net_cancel", net_cancel()),
        ("void", PaymentCommand::Void { reason: "called_off".into() }),
        ("refund", refund(7, 100)),
        ("full_refund", full_refund(7)),
        ("settled", settled(8)),
        ("accept", accept()),
    ]
}

/// One line for each command, one column for each state in the order of `PaymentState::ALL`: the
/// state after it, `=` for already done, `!` for ignored and recorded, otherwise the refusal: N not
/// found, C state conflict, P in progress.
const TABLE: &str = "
command      none       requested       processing       requires_action  awaiting_deposit unknown          mismatched captured failed   voided
    request      requested  =               =                =                =                =                =          =        =        =
    capture      N          processing      =                =                =                =                =          =        =        C
    captured     N          !               captured         captured         captured         captured         !          !        captured captured
    mismatch     N          !               mismatched       mismatched       mismatched       mismatched       !          !        mismatched mismatched
    declined     N          !               failed           failed           failed           failed           !          !        !        !
    challenge    N          !               requires_action  !                !                requires_action  !          !        !        !
    redirect     N          !               requires_action  !                !                requires_action  !          !        !        !
    deposit      N          !               awaiting_deposit awaiting_deposit !                awaiting_deposit !          !        !        !
    pending      N          !               unknown          !                !                !                !          !        !        !
    lost         N          !               unknown          !                !                !                !          !        !        !
    not_found    N          !               !                !                !                unknown          !          !        !        !
    voided       N          !               failed           failed           failed           failed           failed     !        !        !
    confirm      N          C               C                processing       C                C                C          C        C        C
    net_cancel   N          voided          unknown          unknown          unknown          unknown          unknown    C        =        =
    void         N          voided          P                unknown          unknown          P                P          C        C        =
    refund       N          C               C                C                C                C                C          captured C        C
    full_refund  N          C               C                C                C                C                C          captured C        C
    settled      N          N               N                N                N                N                N          N        N        N
    accept       N          C               C                C                C                C                captured   C        C        C
";

fn answer_of(payment: &mut Payment, command: &PaymentCommand) -> String {
    match ask(payment, command) {
        Decision::AlreadyDone => "=".into(),
        Decision::Record(events) if matches!(events.as_slice(), [PaymentEvent::ObservationIgnored(_)]) => "!".into(),
        Decision::Record(_) if payment.state() == PaymentState::Mismatched => "mismatched".into(),
        Decision::Record(_) => payment.state().name().into(),
        Decision::Refused(refusal) => match refusal.code {
            RefusalCode::NotFound => "N".into(),
            RefusalCode::PaymentStateConflict => "C".into(),
            RefusalCode::PaymentInProgress => "P".into(),
            other => other.code().into(),
        },
    }
}

#[test]
fn i5_a_smaller_amount_that_a_person_takes_as_enough_is_what_is_captured() {
    let sent = [request(), PaymentCommand::RequestCapture];
    let mut payment = after(&sent);
    ask(&mut payment, &says(captured(CARD - 500), Source::Webhook));
    let Decision::Record(events) = ask(&mut payment, &accept()) else { panic!("accepted") };
    let (expected, accepted, reason) = (won(CARD), won(CARD - 500), "the rest is on us".into());
    let amount = won(CARD - 500 + POINTS);
    assert_eq!(
        events,
        [
            MismatchAccepted { order_id: id(1), expected, accepted, reason }.into(),
            PaymentCaptured { order_id: id(1), amount, reference: Some("ch".into()), source: Source::Operator }.into(),
        ]
    );
    assert_eq!((payment.captured(), payment.leg_refundable(0)), (amount, won(CARD - 500)));
    assert_eq!(ask(&mut payment, &accept()), Decision::AlreadyDone);
    // What is refunded is what was captured.
    ask(&mut payment, &full_refund(7));
    ask(&mut payment, &settled(7));
    assert_eq!((payment.status_name(), payment.refunded()), ("refunded", amount));
}

#[test]
fn i5_more_than_was_asked_for_and_another_currency_are_not_taken_as_enough() {
    let dollars = Money::parse("5.00", "USD".parse().unwrap()).unwrap();
    let charged = |amount| ChargeOutcome::Captured { reference: "ch".into(), amount };
    for outcome in [captured(CARD + 1), captured(0), charged(dollars)] {
        let mut payment = after(&[request(), PaymentCommand::RequestCapture]);
        ask(&mut payment, &says(outcome.clone(), Source::Answer));
        assert_eq!(payment.state(), PaymentState::Mismatched, "{outcome:?}");
        let Decision::Refused(refusal) = ask(&mut payment, &accept()) else { panic!("{outcome:?}") };
        assert_eq!((refusal.code, refusal.allowed_commands), (RefusalCode::PaymentTotalMismatch, vec!["refund_order"]));
    }
    let mute = PaymentCommand::AcceptMismatch { reason: " ".into() };
    let Decision::Refused(refusal) = ask(&mut in_state(PaymentState::Mismatched), &mute) else { panic!("mute") };
    assert_eq!(refusal.code, RefusalCode::ValidationFailed);
    // An amount that came after the payment had ended has to be refunded.
    let mut late = after(&[request(), PaymentCommand::RequestCapture, says(declined(), Source::Answer)]);
    ask(&mut late, &says(captured(CARD - 1), Source::Webhook));
    assert_eq!(late.state(), PaymentState::Mismatched);
    let Decision::Refused(refusal) = ask(&mut late, &accept()) else { panic!("late") };
    assert_eq!(refusal.code, RefusalCode::PaymentStateConflict);
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let rows: Vec<Vec<&str>> = TABLE
        .lines()
        .skip(2)
        .map(|line| line.split_whitespace().collect())
        .filter(|row: &Vec<_>| !row.is_empty())
        .collect();
    let commands = every_command();
    assert_eq!(rows.len(), commands.len());
    for (row, (name, command)) in rows.iter().zip(&commands) {
        assert_eq!(row[0], *name);
        for (state, expected) in PaymentState::ALL.into_iter().zip(&row[1..]) {
            let mut payment = in_state(state);
            assert_eq!(answer_of(&mut payment, command), *expected, "{name} in {state:?}");
            // Repeating a command does not give the same change again, except for inquiries.
            let again = answer_of(&mut payment, command);
            assert!(
                *name == "not_found" || again != *expected || again == "=" || expected.len() == 1,
                "{name} twice in {state:?}: {again}"
            );
        }
    }
}

#[test]
fn i1_a_second_capture_is_ignored_and_recorded_once() {
    let mut payment = in_state(PaymentState::Captured);
    let again = says(captured(CARD), Source::Webhook);
    assert_eq!(answer_of(&mut payment, &again), "!");
    assert_eq!(answer_of(&mut payment, &again), "=", "the fifth webhook does not grow the stream");
    assert_eq!(payment.captured(), won(CARD + POINTS));
}

#[test]
fn i2_a_refund_takes_the_gateway_leg_first_and_never_more_than_was_captured() {
    let mut payment = in_state(PaymentState::Captured);
    assert_eq!(word(&ask(&mut payment, &refund(1, CARD - 1_000))), "+");
    assert_eq!(word(&ask(&mut payment, &refund(2, 2_500))), "+");
    let parts: Vec<_> = payment.refund(id(2)).unwrap().parts.iter().map(|part| (part.leg, part.amount)).collect();
    assert_eq!(parts, [(0, won(1_000)), (1, won(1_500))]);
    assert_eq!(word(&ask(&mut payment, &refund(3, 1_501))), "refund_exceeds_captured");
    assert_eq!(word(&ask(&mut payment, &refund(2, 2_500))), "=");
    assert_eq!(word(&ask(&mut payment, &refund(2, 1))), "reference_reused");
    assert_eq!(word(&ask(&mut payment, &settled(2))), "+");
    assert_eq!((payment.refunded(), payment.status_name()), (won(2_500), "partially_refunded"));
    assert_eq!(word(&ask(&mut payment, &full_refund(4))), "+");
    for number in [1, 4] {
        assert_eq!(word(&ask(&mut payment, &settled(number))), "+");
    }
    assert_eq!((payment.refunded(), payment.status_name()), (won(CARD + POINTS), "refunded"));
    assert_eq!(word(&ask(&mut payment, &full_refund(5))), "=");
}

#[test]
fn i2_an_amount_that_is_not_more_than_zero_is_no_refund() {
    let payment = in_state(PaymentState::Captured);
    for amount in [0, -1] {
        assert_eq!(word(&payment.decide(&refund(1, amount), &facts(at(0)))), "validation_failed");
    }
    let dollars = Money::parse("1", "USD".parse().unwrap()).unwrap();
    let other = PaymentCommand::RequestRefund { refund_id: id(1), amount: dollars, reason: "torn".into() };
    assert_eq!(word(&payment.decide(&other, &facts(at(0)))), "validation_failed");
}

#[test]
fn i3_a_lost_answer_is_unknown_until_the_gateway_says_otherwise() {
    let mut payment = in_state(PaymentState::Unknown);
    assert!(payment.in_flight() && payment.is_unknown());
    for _ in 0..3 {
        assert_eq!(answer_of(&mut payment, &says(lost(), Source::Inquiry)), "unknown");
        assert_eq!(answer_of(&mut payment, &says(ChargeOutcome::NotFound, Source::Inquiry)), "unknown");
    }
    assert_eq!(answer_of(&mut payment, &says(captured(CARD), Source::Inquiry)), "captured");
}

#[test]
fn i4_internal_legs_alone_are_captured_without_a_call() {
    let total = won(POINTS);
    let request = PaymentCommand::Request { order_id: id(1), user_id: id(2), total, legs: vec![points(POINTS)] };
    let mut payment = after(&[request, PaymentCommand::RequestCapture]);
    assert!(payment.is_captured() && !payment.needs_charge());
    ask(&mut payment, &full_refund(1));
    assert_eq!(payment.gateway_part(id(1)), None);
    assert_eq!(payment.own_parts(id(1)).map(|(_, part)| part.amount).collect::<Vec<_>>(), [total]);
}

#[test]
fn i5_another_currency_is_a_mismatch() {
    let dollars = Money::parse("20000", "USD".parse().unwrap()).unwrap();
    let mut payment = in_state(PaymentState::Processing);
    let outcome = ChargeOutcome::Captured { reference: "ch".into(), amount: dollars };
    assert_eq!(answer_of(&mut payment, &says(outcome, Source::Answer)), "mismatched");
    assert_eq!(answer_of(&mut payment, &says(captured(CARD), Source::Webhook)), "!");
    assert!(payment.in_flight() && payment.captured().is_zero());
}

#[test]
fn i6_a_challenge_that_was_met_comes_back_only_by_an_inquiry() {
    let mut payment = in_state(PaymentState::RequiresAction);
    ask(&mut payment, &PaymentCommand::ConfirmChallenge);
    assert!(payment.needs_confirm());
    assert_eq!(answer_of(&mut payment, &says(challenge(), Source::Webhook)), "!");
    assert_eq!(answer_of(&mut payment, &says(lost(), Source::Answer)), "unknown");
    assert_eq!(answer_of(&mut payment, &says(challenge(), Source::Webhook)), "!");
    assert_eq!(answer_of(&mut payment, &says(challenge(), Source::Inquiry)), "requires_action");
}

#[test]
fn i6_what_is_paid_at_a_page_is_told_by_the_gateway_and_confirmed_by_nobody() {
    let mut payment = after(&[request(), PaymentCommand::RequestCapture, says(redirect(), Source::Answer)]);
    let Decision::Refused(refusal) = ask(&mut payment, &PaymentCommand::ConfirmChallenge) else { panic!("confirmed") };
    let state_conflict = (RefusalCode::PaymentStateConflict, vec!["cancel_payment"]);
    assert_eq!((refusal.code, refusal.allowed_commands), state_conflict);
    assert!(payment.needs_inquiry() && payment.in_flight());
    for source in [Source::Webhook, Source::Inquiry] {
        assert_eq!(answer_of(&mut payment, &says(redirect(), source)), "!", "it stands where it stood");
        assert_eq!(answer_of(&mut payment, &says(redirect(), source)), "=", "and that is said once");
    }
    assert_eq!(answer_of(&mut payment, &says(deposit(), Source::Webhook)), "awaiting_deposit");
    assert_eq!(answer_of(&mut payment, &says(redirect(), Source::Webhook)), "!", "an older message, in disorder");
    assert_eq!(answer_of(&mut payment, &says(captured(CARD), Source::Inquiry)), "captured");
}

#[test]
fn i8_a_deposit_that_is_told_of_after_the_void_was_asked_for_changes_nothing() {
    let mut payment = in_state(PaymentState::AwaitingDeposit);
    ask(&mut payment, &PaymentCommand::Void { reason: "called_off".into() });
    for outcome in [redirect(), deposit(), captured(CARD)] {
        assert_eq!(answer_of(&mut payment, &says(outcome, Source::Webhook)), "!");
    }
    assert_eq!(answer_of(&mut payment, &says(ChargeOutcome::Voided, Source::Answer)), "failed");
}

#[test]
fn i7_a_refused_refund_frees_what_it_claimed() {
    let mut payment = in_state(PaymentState::Captured);
    ask(&mut payment, &full_refund(1));
    assert!(payment.refundable().is_zero());
    assert_eq!(word(&ask(&mut payment, &refused(1))), "+");
    assert_eq!(payment.refundable(), won(CARD + POINTS));
    assert_eq!(word(&ask(&mut payment, &refused(1))), "=");
    assert_eq!(answer_of(&mut payment, &settled(1)), "!", "what is freed may be claimed by another");
    assert!(payment.refunded().is_zero());
}

#[test]
fn i8_nothing_is_captured_once_a_void_is_asked_for() {
    let mut payment = in_state(PaymentState::Unknown);
    ask(&mut payment, &net_cancel());
    assert!(payment.needs_net_cancel());
    assert_eq!(answer_of(&mut payment, &says(captured(CARD), Source::Inquiry)), "!");
    assert_eq!(answer_of(&mut payment, &says(ChargeOutcome::Voided, Source::Answer)), "failed");
    assert_eq!(answer_of(&mut payment, &says(captured(CARD), Source::Webhook)), "!", "it tells of the past");
    assert_eq!(answer_of(&mut payment, &says(captured(CARD), Source::Operator)), "captured", "a person looked");
}

#[test]
fn i8_a_void_is_asked_for_where_the_gateway_knows_of_the_charge() {
    let mut payment = in_state(PaymentState::RequiresAction);
    assert_eq!(answer_of(&mut payment, &PaymentCommand::Void { reason: "called_off".into() }), "unknown");
    assert!(payment.needs_net_cancel() && payment.in_flight());
}

#[test]
fn i2_money_that_comes_late_is_the_gateway_leg_alone() {
    let mut payment = in_state(PaymentState::Failed);
    assert_eq!(answer_of(&mut payment, &says(captured(CARD), Source::Webhook)), "captured");
    assert!(payment.captured_late());
    assert_eq!(payment.captured(), won(CARD), "the points were free again");
    ask(&mut payment, &full_refund(1));
    assert_eq!(payment.own_parts(id(1)).count(), 0);
}

#[test]
fn i9_the_legs_have_to_sum_to_the_total_and_to_go_together() {
    let total = won(23_000);
    let refusal = |legs: &[Leg]| validate_legs(legs, &total).map_err(|refusal| (refusal.code.code(), refusal.pointer));
    let invalid = |at: &str| Err(("payment_method_invalid", Some(at.to_owned())));
    assert_eq!(refusal(&[card(20_000), points(3_000)]), Ok(()));
    assert_eq!(refusal(&[points(23_000)]), Ok(()));
    assert_eq!(refusal(&[card(20_000)]), Err(("payment_total_mismatch", Some("/legs".to_owned()))));
    assert_eq!(refusal(&[]), invalid("/legs"));
    assert_eq!(refusal(&[card(10_000), card(13_000)]), invalid("/legs/1"));
    assert_eq!(refusal(&[points(10_000), points(13_000)]), invalid("/legs/1"));
    assert_eq!(refusal(&[card(22_000), points(500), points(500)]), invalid("/legs/2"));
    assert_eq!(refusal(&[card(99), points(22_901)]), invalid("/legs/0"));
    assert_eq!(refusal(&[card(23_000), points(0)]), invalid("/legs/1"));
    assert_eq!(refusal(&[card(50_000_001)]), invalid("/legs/0"));
    let bare = Leg { instrument: None, ..card(23_000) };
    assert_eq!(refusal(&[bare]), invalid("/legs/0"));
    let full = Leg { instrument: Some(sealed("token").into()), ..points(23_000) };
    assert_eq!(refusal(&[full]), invalid("/legs/0"));
    let text = validate_legs(&[card(20_000)], &total).unwrap_err().detail;
    assert!(text.contains("20000 KRW") && text.contains("23000 KRW"), "{text}");
}

#[test]
fn every_registered_method_is_found_by_its_name_and_no_other_reads() {
    for method in registered_methods() {
        assert_eq!(Method::named(method.name()), Some(*method));
        let written = serde_json::to_string(method).unwrap();
        assert_eq!(serde_json::from_str::<Method>(&written).unwrap(), *method);
        assert!(method.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{method}");
        let gateway = method.composition() == Composition::Gateway;
        assert_eq!(gateway, method.own_books().is_none(), "{method}: who moves the money of a gateway leg");
    }
    assert!(serde_json::from_str::<Method>("\"barter\"").unwrap_err().to_string().contains("barter"));
}

proptest! {
    /// Whatever the commands and their order, I1 and I2 hold at every prefix.
    #[test]
    fn i2_no_sequence_of_commands_breaks_the_books(choices in prop::collection::vec((0_usize..25, 1_i64..30_000), 1..40)) {
        let mut commands: Vec<PaymentCommand> = every_command().into_iter().map(|(_, command)| command).collect();
        commands.extend([refund(11, 1), full_refund(12), settled(11), settled(12), refused(11), refused(12)]);
        let mut payment = Payment::default();
        let mut captures = 0;
        for (choice, amount) in choices {
            let command = match &commands[choice] {
                PaymentCommand::RequestRefund { refund_id, reason, .. } => PaymentCommand::RequestRefund {
                    refund_id: *refund_id, amount: won(amount), reason: reason.clone(),
                },
                other => other.clone(),
            };
            if let Decision::Record(events) = ask(&mut payment, &command) {
                captures += events.iter().filter(|event| matches!(event, PaymentEvent::Captured(_))).count();
            }
            prop_assert!(captures <= 1);
            let claimed = payment.captured().checked_sub(&payment.refundable()).unwrap();
            prop_assert!(!payment.refunded().is_negative());
            prop_assert!(payment.refunded().amount() <= claimed.amount());
            prop_assert!(claimed.amount() <= payment.captured().amount());
            prop_assert!(payment.captured().amount() <= payment.total().amount());
        }
    }
}
