//! What a product answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use jangbu_kernel::RefusalCode;

use super::*;
use crate::testing::{at, check_table, given, won};

type Change = fn(&mut ProductCreated);

fn created() -> ProductCreated {
    ProductCreated {
        name: "한라봉 5kg".into(),
        description: None,
        category_id: None,
        seller_id: None,
        price: won(25_000),
    }
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let states = [
        ("none", vec![]),
        ("active", vec![created().into()]),
        ("inactive", vec![created().into(), ProductDeactivated {}.into()]),
    ];
    let commands = [
        ("create", ProductCommand::Create(created()), at(0)),
        ("activate", ProductCommand::Activate, at(0)),
        ("deactivate", ProductCommand::Deactivate, at(0)),
    ];
    let answers = "
        command    none      active inactive
        create     +         =      =
        activate   not_found =      +
        deactivate not_found +      =
    ";
    check_table::<Product>(answers, &states, &commands);
}

#[test]
fn i1_name_description_and_price_are_within_their_limits() {
    let with = |change: Change| {
        let mut product = created();
        change(&mut product);
        ProductCommand::Create(product)
    };
    let wrong: [(&str, Change); 4] = [
        ("/name", |product| product.name = " ".into()),
        ("/name", |product| product.name = "가".repeat(201)),
        ("/description", |product| product.description = Some("가".repeat(5_001))),
        ("/price", |product| product.price = won(-1)),
    ];
    for (pointer, change) in wrong {
        let refusal = given::<Product>(&[]).when(&with(change)).refused(RefusalCode::ValidationFailed);
        assert_eq!(refusal.pointer.as_deref(), Some(pointer));
    }
    let mut longest = created();
    (longest.name, longest.description, longest.price) = ("가".repeat(200), Some("가".repeat(5_000)), won(0));
    let product = given::<Product>(&[]).when(&ProductCommand::Create(longest.clone())).records(&[longest.into()]);
    assert!(product.exists() && product.is_active());
}
