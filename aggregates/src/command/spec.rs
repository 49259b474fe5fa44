//! Names and reach of commands.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jangbu_kernel::{RefusalCode, Role, UserId};

use super::*;
use crate::commands::{
    CancelOrder, ChangeContactDetails, ConfirmDelivery, CreateProduct, PlaceOrder, ReceiveStock, RegisterUser,
    RequestPayment, WantedLine, WantedPayment,
};
use crate::facts::{Facts, Scope};
use crate::order::CancelledBy;
use crate::testing::{World, at, facts, id, sealed, won};

fn reach(user_id: UserId) -> Facts {
    Facts { scope: Scope::Own(user_id), ..facts(at(0)) }
}

fn shop() -> World {
    let mut world = World::default();
    world.must(&registration(1), at(0));
    world.must(&registration(2), at(0));
    let (product_id, name) = (id(5), "한라봉".to_owned());
    world.must(&CreateProduct::plain(product_id, name, won(10)), at(0));
    world.must(&ReceiveStock { product_id, quantity: 10, location: None }, at(0));
    world.must(&place(10, 1), at(0));
    world
}

fn registration(number: u128) -> RegisterUser {
    let (user_id, email_claim, roles) = (id(number), id(number), vec![Role::Customer]);
    let (email, name, phone, password_hash) = (sealed("e"), sealed("n"), None, sealed("p"));
    RegisterUser { user_id, email_claim, other_claims: vec![], email, name, phone, password_hash, roles }
}

fn place(order: u128, user: u128) -> PlaceOrder {
    PlaceOrder {
        order_id: id(order),
        number: "1".into(),
        user_id: id(user),
        lines: vec![WantedLine { product_id: id(5), quantity: 1 }],
        shipping_address: sealed("address"),
        postal_code: None,
        expected_total: None,
        pay_within: None,
        payment: None,
    }
}

#[test]
fn what_belongs_to_somebody_else_does_not_exist() {
    let cancel = CancelOrder { order_id: id(10), by: CancelledBy::Owner, reason: None };
    let commands: [AnyCommand; 7] = [
        cancel.clone().into(),
        ConfirmDelivery { order_id: id(10) }.into(),
        place(11, 1).into(),
        place(10, 2).into(),
        ChangeContactDetails { user_id: id(1), name: None, phone: None, clear_phone: false }.into(),
        ReceiveStock { product_id: id(5), quantity: 1, location: None }.into(),
        RequestPayment { order_id: id(10), payment: WantedPayment { payment_id: id(20), legs: vec![] } }.into(),
    ];
    for command in commands {
        let mut world = shop();
        let before = world.log.len();
        match world.run(&*command, &reach(id(2))) {
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
        let command = CancelOrder { order_id: id(order), by: CancelledBy::Owner, reason: None };
        shop().run(&command, &reach(id(2)))
    };
    assert_eq!(answer(10), answer(999));
}

/// The source of every command, by its file.
fn sources() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands");
    let areas = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files =
        areas.filter(|path| path.is_dir() && !path.ends_with("spec")).flat_map(|area| fs::read_dir(area).unwrap());
    files.map(|file| file.unwrap().path()).map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn a_command_is_one_file_and_is_named_like_its_type() {
    let mut names = BTreeSet::new();
    for (path, source) in sources() {
        let types: Vec<&str> = source.lines().filter_map(|line| line.strip_prefix("impl Command for ")).collect();
        let Some(first) = types.first() else { continue };
        assert_eq!(types.len(), 1, "{}: one command a file", path.display());
        let mut snake = String::new();
        for letter in first.trim_end_matches([' ', '{']).chars() {
            if letter.is_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.extend(letter.to_lowercase());
        }
        assert!(source.contains(&format!("\"{snake}\"")), "{}: its name is {snake}", path.display());
        assert!(names.insert(snake), "{}: the name is taken", path.display());
    }
    assert!(names.len() > 40, "{names:?}");
}
