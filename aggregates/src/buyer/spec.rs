//! What a buyer's waiting orders promise.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use jangbu_kernel::{Decider as _, Decision, OrderId, RefusalCode};

use super::*;
use crate::facts::Facts;
use crate::testing::{at, facts, id, word};

fn lines(product: u128, quantity: u32) -> Vec<WaitingLine> {
    vec![WaitingLine { product_id: id(product), quantity }]
}

fn open(order: u128, quantity: u32) -> BuyerCommand {
    BuyerCommand::Open { order_id: id(order), lines: lines(10, quantity), until: at(900) }
}

fn reopen(order: u128) -> BuyerCommand {
    BuyerCommand::Reopen { order_id: id(order), lines: lines(10, 1), until: at(900) }
}

fn close(order: u128) -> BuyerCommand {
    BuyerCommand::Close { order_id: id::<OrderId>(order) }
}

fn ask(buyer: &mut Buyer, command: &BuyerCommand, facts: &Facts) -> Decision<BuyerEvent> {
    let decision = buyer.decide(command, facts);
    if let Decision::Record(events) = &decision {
        for event in events {
            buyer.evolve(event);
        }
    }
    decision
}

fn is_refused(decision: &Decision<BuyerEvent>) -> bool {
    matches!(decision, Decision::Refused(refusal) if refusal.code == RefusalCode::TooManyOpenOrders)
}

#[test]
fn i1_no_more_orders_wait_than_the_policy_allows() {
    let (mut buyer, facts) = (Buyer::default(), facts(at(0)));
    for order in 1..=3 {
        assert_eq!(word(&ask(&mut buyer, &open(order, 1), &facts)), "+");
    }
    assert!(is_refused(&ask(&mut buyer, &open(4, 1), &facts)));
    assert!(buyer.may_pay_another(&lines(10, 1), &facts).is_ok());
    assert_eq!(word(&ask(&mut buyer, &close(2), &facts)), "+");
    assert_eq!(word(&ask(&mut buyer, &open(4, 1), &facts)), "+");
    // A failed payment is a fact; what comes after it is refused.
    assert_eq!(word(&ask(&mut buyer, &reopen(2), &facts)), "+");
    assert!(buyer.may_pay_another(&lines(10, 1), &facts).is_err());
}

#[test]
fn i1_what_is_over_does_not_wait() {
    let mut buyer = Buyer::default();
    for order in 1..=3 {
        ask(&mut buyer, &open(order, 1), &facts(at(0)));
    }
    let later = BuyerCommand::Open { order_id: id(4), lines: lines(10, 1), until: at(1_800) };
    assert!(is_refused(&ask(&mut buyer, &later, &facts(at(899)))));
    assert_eq!(word(&ask(&mut buyer, &later, &facts(at(900)))), "+");
    assert_eq!(word(&ask(&mut buyer, &close(1), &facts(at(901)))), "=");
}

#[test]
fn i2_no_more_units_of_a_product_wait_than_the_policy_allows() {
    let (mut buyer, facts) = (Buyer::default(), facts(at(0)));
    assert_eq!(word(&ask(&mut buyer, &open(1, 600), &facts)), "+");
    assert!(is_refused(&ask(&mut buyer, &open(2, 400), &facts)));
    assert_eq!(word(&ask(&mut buyer, &open(2, 399), &facts)), "+");
    let other = BuyerCommand::Open { order_id: id(3), lines: lines(11, 999), until: at(900) };
    assert_eq!(word(&ask(&mut buyer, &other, &facts)), "+");
}

#[test]
fn i4_a_limit_of_a_product_counts_what_waits_and_what_is_ordered() {
    let (mut buyer, facts) = (Buyer::default(), facts(at(0)));
    let line = |product: u128, quantity| WaitingLine { product_id: id(product), quantity };
    assert!(buyer.may_have(&line(10, 3), 3, &facts).is_ok());
    assert!(buyer.may_have(&line(10, 4), 3, &facts).is_err());
    ask(&mut buyer, &open(1, 2), &facts);
    assert!(buyer.may_have(&line(10, 1), 3, &facts).is_ok());
    let refusal = buyer.may_have(&line(10, 2), 3, &facts).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::TooManyOpenOrders);
    assert!(buyer.may_have(&line(11, 3), 3, &facts).is_ok(), "another product");
    let later = Facts { now: at(900), ..facts };
    assert!(buyer.may_have(&line(10, 3), 3, &later).is_ok(), "what is over does not wait");
}

#[test]
fn i3_what_was_noted_is_noted_once() {
    let (mut buyer, facts) = (Buyer::default(), facts(at(0)));
    for (command, wanted) in
        [(close(1), "="), (open(1, 1), "+"), (open(1, 1), "="), (reopen(1), "="), (close(1), "+"), (close(1), "=")]
    {
        assert_eq!(word(&ask(&mut buyer, &command, &facts)), wanted, "{command:?}");
    }
    assert_eq!(buyer, Buyer::default());
}
