//! What the check of the returns finds: R1.

use jangbu_aggregates::order::{OrderReturnEnded, OrderReturnOpened, ReturnedUnits};
use jangbu_aggregates::payment::RefundRequested;
use jangbu_aggregates::returns::{
    InspectedLine, Remedy, ReturnClosed, ReturnEvent, ReturnInspected, ReturnReason, ReturnRequested, WayBack,
};
use jangbu_kernel::{AggregateKind, ProductId, ReturnId};

use super::*;
use crate::Invariant::R1;

const RETURN: u128 = 77;

fn units(quantity: u32) -> Vec<ReturnedUnits> {
    if quantity == 0 { Vec::new() } else { vec![ReturnedUnits { product_id: ProductId::new(id(PRODUCT)), quantity }] }
}

fn goods_return(story: &mut Story, event: impl Into<ReturnEvent>) {
    story.tell(AggregateKind::Return, RETURN, event.into());
}

fn asked(story: &mut Story) {
    let return_id = ReturnId::new(id(RETURN));
    story.order(OrderReturnOpened { return_id, lines: units(2) });
    let (reason, remedy, way_back) = (ReturnReason::Defect, Remedy::Refund, WayBack::Shop);
    let (order_id, user_id) = (order_id(), UserId::new(id(BUYER)));
    let requested = ReturnRequested {
        order_id,
        user_id,
        reason,
        remedy,
        way_back,
        lines: vec![line()],
        note: None,
        replacement: None,
    };
    goods_return(story, requested);
}

fn found(story: &mut Story, came: u32) {
    let lines = vec![InspectedLine { product_id: ProductId::new(id(PRODUCT)), restocked: came, written_off: 0 }];
    goods_return(story, ReturnInspected { lines, note: None });
}

fn closed(story: &mut Story, refunded: i64, asked: Option<i64>, told: u32) {
    let refund_id = (refunded > 0).then(refund_id);
    let payment = (refunded > 0).then(payment_id);
    let (remedy, replacement_order_id) = (Remedy::Refund, None);
    let refunded = won(refunded);
    goods_return(story, ReturnClosed { remedy, refunded, refund_id, payment_id: payment, replacement_order_id });
    if let (Some(amount), Some(refund_id)) = (asked, refund_id) {
        let (order_id, amount, reason) = (order_id(), won(amount), "returned_by_buyer".into());
        story.payment(RefundRequested { order_id, refund_id, amount, allocation: Vec::new(), reason });
    }
    story.order(OrderReturnEnded { return_id: ReturnId::new(id(RETURN)), lines: units(told) });
}

/// Where R1 is broken after the order arrived, counted from its arrival.
fn found_in(tell: impl FnOnce(&mut Story)) -> Vec<u64> {
    let mut story = delivered_story();
    let arrived = story.here();
    tell(&mut story);
    let broken = story.broken().into_iter().filter(|(invariant, _)| *invariant == R1);
    broken.map(|(_, position)| position - arrived).collect()
}

#[test]
fn r1_what_came_back_and_was_refunded_holds() {
    let story = |story: &mut Story| {
        asked(story);
        found(story, 1);
        closed(story, 5_000, Some(5_000), 1);
    };
    assert!(found_in(story).is_empty());
    let nothing = |story: &mut Story| {
        asked(story);
        found(story, 0);
        closed(story, 0, None, 0);
    };
    assert!(found_in(nothing).is_empty());
}

#[test]
fn r1_more_than_was_asked_for_or_sold_is_found() {
    let more = |story: &mut Story| {
        asked(story);
        found(story, 3);
        closed(story, 5_000, Some(5_000), 3);
    };
    assert_eq!(found_in(more), [3, 6]);
}

#[test]
fn r1_a_refund_that_is_another_one_or_was_never_requested_is_found() {
    let with = |asked_back| {
        found_in(|story| {
            asked(story);
            found(story, 1);
            closed(story, 5_000, asked_back, 1);
        })
    };
    assert_eq!(with(Some(4_000)), [4]);
    assert_eq!(with(None), [4]);
}

#[test]
fn r1_what_nobody_looked_at_is_not_paid_for_and_the_order_is_told_the_same() {
    let unseen = |story: &mut Story| {
        asked(story);
        closed(story, 5_000, Some(5_000), 0);
    };
    // It is closed unseen, and money is given for nothing.
    assert_eq!(found_in(unseen), [3, 3]);
    let told_more = |story: &mut Story| {
        asked(story);
        found(story, 1);
        closed(story, 5_000, Some(5_000), 2);
    };
    assert_eq!(found_in(told_more), [6]);
    let twice = |story: &mut Story| {
        asked(story);
        found(story, 1);
        closed(story, 5_000, Some(5_000), 1);
        goods_return(
            story,
            ReturnClosed {
                remedy: Remedy::Refund,
                refunded: won(0),
                refund_id: None,
                payment_id: None,
                replacement_order_id: None,
            },
        );
    };
    assert_eq!(found_in(twice), [7]);
}
