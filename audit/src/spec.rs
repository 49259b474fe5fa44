//! For each invariant: a log that keeps it, and logs that break it and are detected.

mod returns;
mod stock;

use chrono::TimeDelta;
use jangbu_aggregates::order::*;
use jangbu_aggregates::payment::*;
use jangbu_aggregates::points::*;
use jangbu_aggregates::processes::*;
use jangbu_aggregates::session::*;
use jangbu_aggregates::shipment::*;
use jangbu_aggregates::stock::*;
use jangbu_kernel::{AggregateKind, UserId};

use super::Invariant::{self, G1, G2, G3, M1, M2, M3, M5, M6, S1, S2, S3, S4, S5, T1};
use super::gateway_books::GatewayCharge;
use super::story::*;

fn started(story: &mut Story) {
    story.process(FulfilmentStarted {
        order_id: order_id(),
        total: won(10_500),
        payment_deadline: chrono::DateTime::UNIX_EPOCH,
        first_input: None,
    });
    story.process(TimerCancelled { timer: TimerName::PaymentDeadline });
}

fn ended(story: &mut Story, outcome: FulfilmentOutcome) {
    story.process(FulfilmentEnded { outcome });
}

/// An order from the basket to its cancellation after payment.
fn cancelled_story() -> Story {
    let mut story = Story::default();
    story.placed();
    started(&mut story);
    story.paid();
    story.order(OrderCancellationRequested { by: CancelledBy::Owner, reason: None });
    refund(&mut story);
    story.order(OrderCancelled { by: CancelledBy::Owner, reason: None });
    story.same_command();
    story.stock(StockDeallocated { order_id: order_id(), quantity: 2, reason: "order_cancelled".into() });
    ended(&mut story, FulfilmentOutcome::Cancelled);
    story
}

/// An order from the basket to its delivery.
fn delivered_story() -> Story {
    let mut story = Story::default();
    story.placed();
    started(&mut story);
    story.paid();
    story.shipment(shipment_requested());
    story.shipment(ShipmentDispatched { order_id: order_id(), carrier: "sandbox".into(), tracking_number: "1".into() });
    story.same_command();
    story.stock(StockShipped { order_id: order_id(), quantity: 2, from: Vec::new() });
    story.order(OrderCompleted { by: CompletedBy::Buyer });
    ended(&mut story, FulfilmentOutcome::Completed);
    story
}

fn breaks(story: &Story) -> Vec<Invariant> {
    story.broken().into_iter().map(|(invariant, _)| invariant).collect()
}

#[test]
fn whole_stories_break_nothing() {
    assert_eq!(cancelled_story().broken(), []);
    assert_eq!(delivered_story().broken(), []);
}

#[test]
fn m1_points_that_were_not_spent_are_found() {
    let mut story = Story::default();
    story.placed();
    started(&mut story);
    story.payment(payment_requested());
    story.payment(captured());
    assert!(breaks(&story).contains(&M1));
}

#[test]
fn m1_held_points_stand_for_a_capture_until_the_order_is_confirmed() {
    let mut story = Story::default();
    story.placed();
    started(&mut story);
    story.payment(payment_requested());
    story.points(points_held());
    story.payment(captured());
    assert!(!breaks(&story).contains(&M1));
    story.points(PointsReleased { payment_id: payment_id(), amount: won(500), reason: "lost".into() });
    assert!(breaks(&story).contains(&M1));
}

#[test]
fn m1_a_late_capture_is_the_gateways_part_alone() {
    let mut story = Story::default();
    story.placed();
    started(&mut story);
    story.payment(payment_requested());
    story.payment(PaymentCaptured { amount: won(10_000), ..captured() });
    assert!(!breaks(&story).contains(&M1));
}

#[test]
fn m2_a_capture_above_the_total_is_found() {
    let mut story = Story::default();
    story.placed();
    story.payment(payment_requested());
    story.payment(PaymentCaptured { amount: won(10_501), ..captured() });
    let here = story.here();
    assert!(story.broken().contains(&(M2, here)));
}

#[test]
fn m2_a_refund_above_the_capture_is_found() {
    let mut story = cancelled_story();
    story.payment(RefundRequested {
        order_id: order_id(),
        refund_id: jangbu_kernel::RefundId::new(id(61)),
        amount: won(1),
        allocation: vec![LegRefund { leg: 0, amount: won(1) }],
        reason: "again".into(),
    });
    let here = story.here();
    assert!(story.broken().contains(&(M2, here)));
}

#[test]
fn m2_a_refund_settled_before_its_legs_are_back_is_found() {
    let mut story = Story::default();
    story.placed();
    story.paid();
    story.payment(RefundRequested {
        order_id: order_id(),
        refund_id: refund_id(),
        amount: won(100),
        allocation: vec![LegRefund { leg: 0, amount: won(100) }],
        reason: "goodwill".into(),
    });
    story.payment(RefundSettled { order_id: order_id(), refund_id: refund_id(), amount: won(100) });
    let here = story.here();
    assert!(story.broken().contains(&(M2, here)));
}

#[test]
fn m3_two_captures_of_one_order_are_found() {
    let mut story = delivered_story();
    story.tell(AggregateKind::Payment, 31, PaymentEvent::from(payment_requested()));
    story.tell(AggregateKind::Payment, 31, PaymentEvent::from(captured()));
    assert!(breaks(&story).contains(&M3));
}

#[test]
fn m3_a_late_capture_that_is_going_back_is_not_a_second_one() {
    let mut story = delivered_story();
    story.tell(AggregateKind::Payment, 31, PaymentEvent::from(payment_requested()));
    story.tell(AggregateKind::Payment, 31, PaymentEvent::from(captured()));
    story.order(OrderLatePaymentDetected { payment_id: jangbu_kernel::PaymentId::new(id(31)), amount: won(10_500) });
    assert!(!breaks(&story).contains(&M3));
}

/// A delivered order with a second captured payment, 31.
fn captured_twice_story() -> Story {
    let mut story = delivered_story();
    story.tell(AggregateKind::Payment, 31, PaymentEvent::from(payment_requested()));
    let second = PaymentCaptured { amount: won(10_000), ..captured() };
    story.tell(AggregateKind::Payment, 31, PaymentEvent::from(second));
    story
}

fn give_second_back(story: &mut Story, back: i64) {
    let refund = RefundRequested {
        order_id: order_id(),
        refund_id: refund_id(),
        amount: won(back),
        allocation: vec![LegRefund { leg: 0, amount: won(back) }],
        reason: "late_payment".into(),
    };
    story.tell(AggregateKind::Payment, 31, PaymentEvent::from(refund));
}

#[test]
fn m3_a_second_capture_that_goes_back_whole_does_not_stay() {
    let second = |back| {
        let mut story = captured_twice_story();
        give_second_back(&mut story, back);
        breaks(&story).contains(&M3)
    };
    assert!(!second(10_000), "all of it goes back");
    assert!(second(9_999), "a part of it stays");
}

#[test]
fn m3_a_second_capture_is_answered_for_by_who_skips_its_refused_refund() {
    let second = |refused_by_gateway, action| {
        let mut story = captured_twice_story();
        if refused_by_gateway {
            give_second_back(&mut story, 10_000);
            let refused = RefundRefused { order_id: order_id(), refund_id: refund_id(), reason: "card_closed".into() };
            story.tell(AggregateKind::Payment, 31, PaymentEvent::from(refused));
        }
        story.process(OperatorResolved { action, reason: "sent by bank transfer".into() });
        breaks(&story).contains(&M3)
    };
    assert!(!second(true, OperatorAction::Skip), "it went back by another way");
    assert!(second(true, OperatorAction::Resume), "nobody answers for it");
    assert!(second(false, OperatorAction::Skip), "what was never refused is not what was skipped");
}

#[test]
fn m5_totals_that_do_not_add_up_are_found() {
    for wrong in [
        OrderPlaced { total: won(10_501), ..order_placed() },
        OrderPlaced { subtotal: won(10_001), ..order_placed() },
        OrderPlaced { lines: vec![OrderLine { quantity: 3, ..line() }], ..order_placed() },
    ] {
        let mut story = Story::default();
        story.order(wrong);
        assert!(story.broken().contains(&(M5, 1)));
    }
    let mut story = Story::default();
    story.placed();
    story.payment(PaymentRequested { total: won(10_501), ..payment_requested() });
    assert!(story.broken().contains(&(M5, 4)));
}

#[test]
fn m6_points_out_of_nothing_are_found() {
    let mut story = Story::default();
    story.points(points_held());
    assert!(story.broken().contains(&(M6, 1)));

    let mut story = Story::default();
    story.points(PointsGranted {
        amount: won(499),
        reference: "welcome".into(),
        reference_hash: None,
        expires_at: None,
    });
    story.points(points_held());
    assert!(story.broken().contains(&(M6, 2)));

    let mut story = Story::default();
    story.points(PointsGranted {
        amount: won(500),
        reference: "welcome".into(),
        reference_hash: None,
        expires_at: None,
    });
    story.points(PointsRestored {
        payment_id: payment_id(),
        refund_id: refund_id(),
        amount: won(1),
        parts: vec![PointsPart { entry: 1, amount: won(1), extended_to: None }],
    });
    assert!(story.broken().contains(&(M6, 2)));
}

#[test]
fn g1_a_process_that_never_began_or_stands_still_is_found() {
    let mut story = Story::default();
    story.placed();
    assert_eq!(breaks(&story), [G1]);

    started(&mut story);
    story.process(StepEntered { step: Step::Capturing });
    assert_eq!(breaks(&story), [G1]);

    story.process(StepEntered { step: Step::Delivering });
    assert_eq!(breaks(&story), []);
}

#[test]
fn g1_a_timer_that_nobody_heard_is_found() {
    let mut story = Story::default();
    story.placed();
    started(&mut story);
    story.process(StepEntered { step: Step::AwaitingPayment });
    let day_after_tomorrow = chrono::DateTime::UNIX_EPOCH + TimeDelta::days(2);
    story.process(TimerSet { timer: TimerName::PaymentDeadline, due_at: day_after_tomorrow });
    assert_eq!(breaks(&story), []);
    story.wait(TimeDelta::days(2));
    assert_eq!(breaks(&story), [G1]);
}

#[test]
fn g2_money_kept_for_an_undone_order_is_found() {
    let mut story = Story::default();
    story.placed();
    started(&mut story);
    story.paid();
    story.order(OrderCancelled { by: CancelledBy::Staff, reason: None });
    story.same_command();
    story.stock(StockDeallocated { order_id: order_id(), quantity: 2, reason: "order_cancelled".into() });
    assert_eq!(breaks(&story), [G1], "while the process has not ended it is its standing still that is wrong");
    ended(&mut story, FulfilmentOutcome::Cancelled);
    assert_eq!(breaks(&story), [G2]);
}

#[test]
fn g2_points_kept_for_an_undone_order_are_found() {
    let mut story = Story::default();
    story.placed();
    started(&mut story);
    story.points(PointsGranted {
        amount: won(800),
        reference: "welcome".into(),
        reference_hash: None,
        expires_at: None,
    });
    story.payment(payment_requested());
    story.points(points_held());
    story.order(OrderExpired {});
    story.stock(StockReleased { order_id: order_id(), quantity: 2, reason: "order_expired".into() });
    ended(&mut story, FulfilmentOutcome::Expired);
    assert_eq!(breaks(&story), [G2]);
}

#[test]
fn g3_a_parcel_that_leaves_after_everything_went_back_is_found() {
    let before_it_leaves = || {
        let mut story = Story::default();
        story.placed();
        started(&mut story);
        story.paid();
        story.shipment(shipment_requested());
        story
    };
    let leaves = |story: &mut Story| {
        story.shipment(ShipmentDispatched {
            order_id: order_id(),
            carrier: "sandbox".into(),
            tracking_number: "1".into(),
        });
        (G3, story.here())
    };
    let mut story = before_it_leaves();
    refund(&mut story);
    let found = leaves(&mut story);
    assert!(story.broken().contains(&found));

    let mut story = before_it_leaves();
    part_refund(&mut story);
    let found = leaves(&mut story);
    assert!(!story.broken().contains(&found), "what is given back in part is still bought");

    let mut story = before_it_leaves();
    let found = leaves(&mut story);
    refund(&mut story);
    assert!(!story.broken().contains(&found), "what is given back afterwards was bought when it left");
}

#[test]
fn g3_a_parcel_for_an_unpaid_order_is_found() {
    let mut story = Story::default();
    story.placed();
    started(&mut story);
    story.shipment(shipment_requested());
    let here = story.here();
    assert!(story.broken().contains(&(G3, here)));
}

#[test]
fn t1_a_token_after_the_end_of_its_family_is_found() {
    let expires_at = chrono::DateTime::UNIX_EPOCH + TimeDelta::days(30);
    let mut story = Story::default();
    let mut session = |event: SessionEvent| {
        story.tell(AggregateKind::Session, 70, event);
    };
    session(
        SessionStarted { user_id: UserId::new(id(BUYER)), token_hash: "a".into(), expires_at, generation: None }.into(),
    );
    session(SessionRotated { token_hash: "b".into(), expires_at, generation: None, rotated_at: None }.into());
    session(ReuseDetected {}.into());
    session(SessionEnded { reason: SessionEndReason::TokenReused }.into());
    session(SessionRotated { token_hash: "c".into(), expires_at, generation: None, rotated_at: None }.into());
    assert_eq!(story.broken(), [(T1, 5)]);
}

#[test]
fn m3_the_gateways_own_list_has_to_agree() {
    let charge = |amount, refunded| GatewayCharge::captured(order_id(), amount, refunded);
    let delivered = delivered_story();
    assert_eq!(delivered.broken_beside(&[charge("10000", "0")]), []);
    assert_eq!(cancelled_story().broken_beside(&[charge("10000", "10000")]), []);
    for wrong in [vec![], vec![charge("9999", "0")], vec![charge("10000", "1")], vec![charge("10000", "0"); 2]] {
        assert_eq!(delivered.broken_beside(&wrong), [M3], "{wrong:?}");
    }
    let stranger = GatewayCharge::captured(jangbu_kernel::OrderId::new(id(99)), "1", "0");
    assert_eq!(delivered.broken_beside(&[charge("10000", "0"), stranger]), [M3]);
}

#[test]
fn m3_what_the_gateway_is_still_being_asked_is_no_finding() {
    let mut story = Story::default();
    story.placed();
    started(&mut story);
    story.process(StepEntered { step: Step::Delivering });
    story.points(PointsGranted {
        amount: won(800),
        reference: "welcome".into(),
        reference_hash: None,
        expires_at: None,
    });
    story.payment(payment_requested());
    story.points(points_held());
    story.payment(capture_requested());
    assert_eq!(story.broken_beside(&[GatewayCharge::captured(order_id(), "10000", "0")]), []);
    story.payment(PaymentFailed { order_id: order_id(), reason: "declined".into(), source: Source::Answer });
    assert_eq!(story.broken_beside(&[GatewayCharge::captured(order_id(), "10000", "0")]), [M3]);
}

#[test]
fn m3_a_smaller_charge_that_a_person_took_as_enough_is_what_the_gateway_kept() {
    let story = |accepted: bool| {
        let mut story = Story::default();
        story.placed();
        started(&mut story);
        story.process(StepEntered { step: Step::Delivering });
        story.points(PointsGranted {
            amount: won(800),
            reference: "welcome".into(),
            reference_hash: None,
            expires_at: None,
        });
        story.payment(payment_requested());
        story.same_command();
        story.points(points_held());
        story.payment(capture_requested());
        let (expected, reported, reference) = (won(10_000), won(9_000), "ch_1".to_owned());
        let source = Source::Answer;
        story.payment(MismatchDetected { order_id: order_id(), expected, reported, reference, source });
        if accepted {
            let (accepted, reason) = (won(9_000), "the shop bears it".into());
            story.payment(MismatchAccepted { order_id: order_id(), expected, accepted, reason });
        }
        story.payment(PaymentCaptured { amount: won(9_500), source: Source::Operator, ..captured() });
        story
    };
    let took = [GatewayCharge::captured(order_id(), "9000", "0")];
    assert_eq!(story(true).broken_beside(&took), []);
    assert!(story(true).broken_beside(&[GatewayCharge::captured(order_id(), "10000", "0")]).contains(&M3));
    assert!(story(false).broken_beside(&took).contains(&M1), "nobody took it as enough");
}

/// One of the two units is cancelled after the payment; `refund` is the amount of the refund.
fn fewer(refund: Option<i64>) -> Story {
    let mut story = Story::default();
    story.placed();
    started(&mut story);
    story.paid();
    story.shipment(shipment_requested());
    let lines = vec![OrderLine { quantity: 1, line_total: won(5_000), ..line() }];
    story.order(OrderLinesCancelled {
        by: CancelledBy::Owner,
        reason: None,
        lines,
        subtotal: won(5_000),
        total: won(5_500),
        refund_id: Some(refund_id()),
        replaced_shipment_id: Some(jangbu_kernel::ShipmentId::new(id(SHIPMENT))),
    });
    story.same_command();
    story.stock(StockDeallocated { order_id: order_id(), quantity: 1, reason: "lines_cancelled".into() });
    if let Some(units) = refund {
        story.same_command();
        let (amount, reason) = (won(units), "lines_cancelled".into());
        let allocation = vec![LegRefund { leg: 0, amount }];
        story.payment(RefundRequested { order_id: order_id(), refund_id: refund_id(), amount, allocation, reason });
    }
    story
}

#[test]
fn m5_cancelled_and_remaining_lines_are_what_was_placed() {
    assert!(!breaks(&fewer(Some(5_000))).contains(&M5));
    let mut story = fewer(Some(5_000));
    let lines = vec![OrderLine { quantity: 1, line_total: won(5_000), ..line() }];
    let (by, reason, refund_id, replaced_shipment_id) = (CancelledBy::Staff, None, None, None);
    let (subtotal, total) = (won(0), won(1_000));
    story.order(OrderLinesCancelled { by, reason, lines, subtotal, total, refund_id, replaced_shipment_id });
    let here = story.here();
    assert!(story.broken().contains(&(M5, here)));
}

#[test]
fn m5_the_refund_of_cancelled_lines_is_what_they_cost() {
    let story = fewer(Some(4_999));
    assert!(story.broken().contains(&(M5, story.here())));
    assert!(breaks(&fewer(None)).contains(&M5));
}

#[test]
fn g3_a_parcel_with_cancelled_lines_does_not_leave() {
    let mut story = fewer(Some(5_000));
    assert!(!breaks(&story).contains(&G3));
    story.shipment(ShipmentDispatched { order_id: order_id(), carrier: "sandbox".into(), tracking_number: "1".into() });
    assert!(breaks(&story).contains(&G3));
}

#[test]
fn m5_another_address_changes_what_shipping_costs_and_nothing_else() {
    let elsewhere = |fee: i64, total: i64| {
        let mut story = Story::default();
        story.placed();
        let (by, shipping_address, replaced_shipment_id) = (CancelledBy::Owner, order_placed().shipping_address, None);
        let (shipping_fee, total) = (won(fee), won(total));
        story.order(OrderAddressChanged { by, shipping_address, shipping_fee, total, replaced_shipment_id });
        breaks(&story)
    };
    assert!(!elsewhere(3_000, 13_000).contains(&M5));
    assert!(elsewhere(3_000, 10_500).contains(&M5));
}
