//! Rows of a file of products.

use jangbu_kernel::{ProductId, RefusalCode, StreamId};

use super::*;
use crate::command::Outcome;
use crate::commands::{ImportProduct, RemoveProduct};
use crate::product::{Options, Product, ProductChange};
use crate::testing::{at, id};

fn row(product_id: ProductId) -> ImportProduct {
    let change = ProductChange { name: Some("감귤".into()), price: Some(won(300)), ..ProductChange::default() };
    ImportProduct { product_id, change, variant: None, active: None }
}

fn size(size: &str) -> Options {
    Options::from([("크기".to_owned(), size.to_owned())])
}

#[test]
fn a_row_makes_what_is_not_there_and_changes_what_differs() {
    let mut world = shop();
    let new: ProductId = id(900);
    let appended = world.must(&row(new), at(0));
    assert_eq!(appended, [(StreamId::product(new), vec!["product.created"])]);
    assert_eq!(world.ask(&row(new), at(0)), Outcome::AlreadyDone);
    let appended = world.must(&row(orange()), at(0));
    assert_eq!(appended, [(StreamId::product(orange()), vec!["product.renamed", "product.repriced"])]);
    world.check_folds();
}

#[test]
fn all_that_a_row_says_is_one_append() {
    let mut world = shop();
    let new: ProductId = id(900);
    let mut wanted = row(new);
    wanted.change.weight_grams = Some(120);
    wanted.variant = Some(Some((orange(), size("S"))));
    wanted.active = Some(false);
    let appended = world.must(&wanted, at(0));
    let types: Vec<_> = appended.into_iter().flat_map(|(_, types)| types).collect();
    let made = ["product.created", "product.weighed", "product.made_variant", "product.deactivated"];
    assert_eq!(types, [&made[..], &["product.variant_added"]].concat());
    assert_eq!(world.ask(&wanted, at(0)), Outcome::AlreadyDone);
    let single = ImportProduct { variant: Some(None), active: Some(true), ..row(new) };
    let types: Vec<_> = world.must(&single, at(0)).into_iter().flat_map(|(_, types)| types).collect();
    assert_eq!(types, ["product.made_single", "product.activated", "product.variant_removed"]);
    assert!(world.get::<Product>(new).unwrap().is_active());
    world.check_folds();
}

#[test]
fn a_row_that_cannot_be_carried_out_whole_changes_nothing() {
    let mut world = shop();
    let new: ProductId = id(900);
    for (part, pointer) in [("name", "/name"), ("price", "/price")] {
        let mut wanted = row(new);
        match part {
            "name" => wanted.change.name = None,
            _ => wanted.change.price = None,
        }
        let refusal = world.refuses(&wanted, at(0), RefusalCode::ValidationFailed);
        assert_eq!(refusal.pointer.as_deref(), Some(pointer));
    }
    let mut filed = row(new);
    filed.change.category_ids = Some(vec![id(1_099)]);
    world.refuses(&filed, at(0), RefusalCode::NotFound);
    let variant = ImportProduct { variant: Some(Some((id(901), size("S")))), ..row(new) };
    world.refuses(&variant, at(0), RefusalCode::NotFound);
    let twice = ImportProduct { variant: Some(Some((orange(), size("S")))), ..row(coffee()) };
    world.must(&twice, at(0));
    let same = ImportProduct { variant: Some(Some((orange(), size("S")))), ..row(gift()) };
    world.refuses(&same, at(0), RefusalCode::VariantConflict);
    world.must(&RemoveProduct { product_id: gift() }, at(0));
    assert_eq!(world.refuses(&row(gift()), at(0), RefusalCode::NotFound).pointer.as_deref(), Some("/id"));
}
