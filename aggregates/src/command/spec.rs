//! Names and reach of commands.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

use jangbu_kernel::{RefusalCode, UserId};

use super::*;
use crate::facts::{Facts, Scope};
use crate::testing::{World, at, facts, id, sealed, won};

fn reach(user_id: UserId) -> Facts {
    Facts { scope: Scope::Own(user_id), ..facts(at(0)) }
}

fn shop() -> World {
    let mut world = World::default();
    world.must(&Command::RegisterUser(registration(1)), at(0));
    world.must(&Command::RegisterUser(registration(2)), at(0));
    let (product_id, name) = (id(5), "한라봉".to_owned());
    let product =
        CreateProduct { product_id, name, description: None, category_id: None, seller_id: None, price: won(10) };
    world.must(&Command::CreateProduct(product), at(0));
    world.must(&Command::ReceiveStock { product_id, quantity: 10 }, at(0));
    world.must(&place(10, 1), at(0));
    world
}

fn registration(number: u128) -> RegisterUser {
    let (user_id, email_claim, roles) = (id(number), id(number), vec![Role::Customer]);
    let (email, name, phone, password_hash) = (sealed("e"), sealed("n"), None, sealed("p"));
    RegisterUser { user_id, email_claim, other_claims: vec![], email, name, phone, password_hash, roles }
}

fn place(order: u128, user: u128) -> Command {
    Command::PlaceOrder(PlaceOrder {
        order_id: id(order),
        number: "1".into(),
        user_id: id(user),
        lines: vec![WantedLine { product_id: id(5), quantity: 1 }],
        shipping_address: sealed("address"),
        expected_total: None,
        pay_within: None,
        payment: None,
    })
}

#[test]
fn what_belongs_to_somebody_else_does_not_exist() {
    let cancel = Command::CancelOrder { order_id: id(10), by: CancelledBy::Owner, reason: None };
    let commands = [
        cancel.clone(),
        Command::ConfirmDelivery { order_id: id(10) },
        place(11, 1),
        place(10, 2),
        Command::ChangeContactDetails { user_id: id(1), name: None, phone: None, clear_phone: false },
        Command::ReceiveStock { product_id: id(5), quantity: 1 },
        Command::RequestPayment { order_id: id(10), payment: WantedPayment { payment_id: id(20), legs: vec![] } },
    ];
    for command in commands {
        let mut world = shop();
        let before = world.log.len();
        match world.run(&command, &reach(id(2))) {
            Outcome::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::NotFound, "{command:?}"),
            other => panic!("{command:?}: {other:?}"),
        }
        assert_eq!(world.log.len(), before);
    }
    assert!(matches!(shop().run(&cancel, &reach(id(1))), Outcome::Record(_)));
}

#[test]
fn what_does_not_exist_and_what_is_not_yours_answer_the_same() {
    let answer = |order| {
        let command = Command::CancelOrder { order_id: id(order), by: CancelledBy::Owner, reason: None };
        shop().run(&command, &reach(id(2)))
    };
    assert_eq!(answer(10), answer(999));
}

#[test]
fn names_are_the_variants_in_snake_case() {
    let cancel = Command::CancelOrder { order_id: id(10), by: CancelledBy::Owner, reason: None };
    let resolve =
        Command::ResolveFulfilment { order_id: id(10), action: OperatorAction::Skip, reason: "looked".into() };
    for command in
        [cancel, resolve, place(1, 1), Command::CreateProduct(created()), Command::ExpireOrder { order_id: id(1) }]
    {
        let debug = format!("{command:?}");
        let variant = debug.split([' ', '(']).next().unwrap();
        let mut snake = String::new();
        for letter in variant.chars() {
            if letter.is_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.extend(letter.to_lowercase());
        }
        assert_eq!(command.name(), snake);
    }
}

fn created() -> CreateProduct {
    CreateProduct {
        product_id: id(1),
        name: "한라봉".into(),
        description: None,
        category_id: None,
        seller_id: None,
        price: won(1),
    }
}
