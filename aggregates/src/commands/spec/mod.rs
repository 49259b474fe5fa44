//! The results of decisions over several aggregates: step by step in `journeys`, and for any
//! sequence of commands in `invariants`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

mod categories;
mod imports;
mod invariants;
mod journeys;
mod lines;
mod locations;
mod placing;
mod returns;
mod roles;
mod scans;
mod slugs;
mod walks;

use jangbu_kernel::gateway::{ChargeOutcome, RefundOutcome};
use jangbu_kernel::{OrderId, PaymentId, ProductId, RefundId, Role, ShipmentId, UserId};

use crate::command::Command;
use crate::commands::{
    CancelOrder, ConfirmOrder, CreateProduct, GrantPoints, ObservePayment, ObserveRefund, PlaceOrder, ReceiveStock,
    RegisterUser, RequestCapture, RequestFullRefund, WantedLine, WantedPayment,
};
use crate::order::CancelledBy;
use crate::payment::{CARD, Leg, POINTS, Source};
use crate::points::GrantReference;
use crate::testing::{World, at, id, sealed, won};

pub(super) fn user() -> UserId {
    id(1)
}
pub(super) fn orange() -> ProductId {
    id(10)
}
pub(super) fn coffee() -> ProductId {
    id(11)
}
pub(super) fn gift() -> ProductId {
    id(12)
}
pub(super) fn order() -> OrderId {
    id(20)
}
pub(super) fn payment() -> PaymentId {
    id(30)
}
pub(super) fn refund() -> RefundId {
    id(40)
}
pub(super) fn shipment() -> ShipmentId {
    id(50)
}

/// A user, oranges at 100 (10 of them), coffee at 50 (5), a gift at 0 (1), and 1,000 points.
pub(super) fn shop() -> World {
    let mut world = World::default();
    let (email, name, phone, password_hash) = (sealed("e"), sealed("n"), None, sealed("p"));
    let (user_id, email_claim, roles) = (user(), id(2), vec![Role::Customer]);
    let register =
        RegisterUser { user_id, email_claim, other_claims: vec![], email, name, phone, password_hash, roles };
    world.must(&register, at(0));
    for (product_id, price, quantity) in [(orange(), 100, 10), (coffee(), 50, 5), (gift(), 0, 1)] {
        let (name, price) = ("한라봉".to_owned(), won(price));
        let create = CreateProduct::plain(product_id, name, price);
        world.must(&create, at(0));
        world.must(&ReceiveStock { product_id, quantity, location: None }, at(0));
    }
    world.must(&grant(1_000, "welcome"), at(0));
    world
}

pub(super) fn grant(units: i64, reference: &str) -> impl Command {
    GrantPoints { user_id: user(), amount: won(units), reference: GrantReference::code(reference), expires_at: None }
}

pub(super) fn place(order_id: OrderId, lines: &[(ProductId, u32)]) -> PlaceOrder {
    PlaceOrder {
        order_id,
        number: "20261121-1".into(),
        user_id: user(),
        lines: lines
            .iter()
            .map(|(product_id, quantity)| WantedLine { product_id: *product_id, quantity: *quantity })
            .collect(),
        shipping_address: sealed("address"),
        postal_code: None,
        expected_total: None,
        pay_within: None,
        payment: None,
    }
}

pub(super) fn card(units: i64) -> Leg {
    Leg { method: CARD, amount: won(units), instrument: Some(sealed("tok").into()) }
}
pub(super) fn points(units: i64) -> Leg {
    Leg { method: POINTS, amount: won(units), instrument: None }
}
pub(super) fn pay(payment_id: PaymentId, legs: &[Leg]) -> WantedPayment {
    WantedPayment { payment_id, legs: legs.to_vec() }
}

/// Two oranges, one coffee: 250 won, 200 by card and 50 in points.
pub(super) fn placed_with_payment() -> World {
    let mut world = shop();
    let mut command = place(order(), &[(orange(), 2), (coffee(), 1)]);
    command.payment = Some(pay(payment(), &[card(200), points(50)]));
    world.must(&command, at(0));
    world
}

pub(super) fn observe(outcome: ChargeOutcome) -> impl Command {
    ObservePayment { payment_id: payment(), observation: outcome, source: Source::Answer }
}
pub(super) fn captured(units: i64) -> ChargeOutcome {
    ChargeOutcome::Captured { reference: "ch_1".into(), amount: won(units) }
}
pub(super) fn confirm() -> impl Command {
    ConfirmOrder { order_id: order(), payment_id: payment() }
}
pub(super) fn cancel() -> impl Command {
    CancelOrder { order_id: order(), by: CancelledBy::Owner, reason: None }
}

/// The money of [`placed_with_payment`] is captured; the order does not know yet.
pub(super) fn captured_world() -> World {
    let mut world = placed_with_payment();
    world.must(&RequestCapture { payment_id: payment() }, at(1));
    world.must(&observe(captured(200)), at(2));
    world
}

pub(super) fn paid_world() -> World {
    let mut world = captured_world();
    world.must(&confirm(), at(3));
    world
}

pub(super) fn refund_settled() -> impl Command {
    ObserveRefund {
        payment_id: payment(),
        refund_id: refund(),
        observation: RefundOutcome::Settled { reference: "re_1".into() },
        source: Source::Answer,
    }
}
pub(super) fn refund_all() -> impl Command {
    RequestFullRefund { payment_id: payment(), refund_id: refund(), reason: "order_cancelled".into() }
}
