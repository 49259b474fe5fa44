//! What a product answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use jangbu_kernel::{Decider as _, Decision, Money, RefusalCode};

use super::*;
use crate::testing::{at, check_table, given, id, won};

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

fn options(size: &str) -> Options {
    [("size".to_owned(), size.to_owned())].into()
}

fn added(number: u128, size: &str) -> ProductVariantAdded {
    ProductVariantAdded { product_id: id(number), options: options(size) }
}

fn change(name: Option<&str>, description: Option<&str>, price: Option<Money>) -> ProductCommand {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let (name, description) = (owned(name), owned(description).map(Some));
    ProductCommand::Change(ProductChange { name, description, price, ..ProductChange::default() })
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let states = [
        ("none", vec![]),
        ("active", vec![created().into()]),
        ("inactive", vec![created().into(), ProductDeactivated {}.into()]),
        ("removed", vec![created().into(), ProductRemoved {}.into()]),
        ("parent", vec![created().into(), added(8, "M").into()]),
        ("child", vec![created().into(), ProductMadeVariant { of: id(7), options: options("M") }.into()]),
    ];
    let commands = [
        ("create", ProductCommand::Create(created()), at(0)),
        ("activate", ProductCommand::Activate, at(0)),
        ("deactivate", ProductCommand::Deactivate, at(0)),
        ("change", change(Some("한라봉 3kg"), None, Some(won(15_000))), at(0)),
        ("variant", ProductCommand::MakeVariant(id(7), options("M")), at(0)),
        ("single", ProductCommand::MakeSingle, at(0)),
        ("add", ProductCommand::AddVariant(id(8), options("M")), at(0)),
        ("take", ProductCommand::RemoveVariant(id(8)), at(0)),
        ("remove", ProductCommand::Remove, at(0)),
    ];
    let answers = "
        command    none      active inactive removed   parent           child
        create     +         =      =        =         =                =
        activate   not_found =      +        not_found =                =
        deactivate not_found +      =        not_found +                +
        change     not_found +      +        not_found +                +
        variant    not_found +      +        not_found variant_conflict =
        single     not_found =      =        not_found =                +
        add        not_found +      +        not_found =                variant_conflict
        take       not_found =      =        =         +                =
        remove     not_found +      +        =         variant_conflict +
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

#[test]
fn i1_a_change_is_within_the_same_limits() {
    let (name, description) = ("가".repeat(201), "가".repeat(5_001));
    for (pointer, command) in [
        ("/name", change(Some(" "), None, None)),
        ("/name", change(Some(&name), None, None)),
        ("/description", change(None, Some(&description), None)),
        ("/price", change(None, None, Some(won(-1)))),
    ] {
        let refusal = given::<Product>(&[created().into()]).when(&command).refused(RefusalCode::ValidationFailed);
        assert_eq!(refusal.pointer.as_deref(), Some(pointer));
    }
}

#[test]
fn i3_each_part_that_changes_is_a_fact_of_its_own() {
    let all = change(Some("한라봉 3kg"), Some("제주에서"), Some(won(15_000)));
    let product = given::<Product>(&[created().into()]).when(&all).records(&[
        ProductRenamed { name: "한라봉 3kg".into() }.into(),
        ProductDescribed { description: Some("제주에서".into()) }.into(),
        ProductRepriced { price: won(15_000) }.into(),
    ]);
    assert_eq!(product.name_and_price(), Some(("한라봉 3kg", won(15_000))));
    given::<Product>(&[created().into()])
        .when(&change(Some("한라봉 5kg"), None, Some(won(24_000))))
        .records(&[ProductRepriced { price: won(24_000) }.into()]);
    given::<Product>(&[created().into()]).when(&change(Some("한라봉 5kg"), None, Some(won(25_000)))).done_already();
}

#[test]
fn i3_a_description_can_be_taken_away() {
    let described = ProductDescribed { description: Some("제주에서".into()) };
    let clear = ProductCommand::Change(ProductChange { description: Some(None), ..ProductChange::default() });
    given::<Product>(&[created().into(), described.into()])
        .when(&clear)
        .records(&[ProductDescribed { description: None }.into()]);
    given::<Product>(&[created().into()]).when(&clear).done_already();
}

#[test]
fn i4_a_price_keeps_its_currency() {
    let dollars = Money::from_minor_units(1_000, "USD".parse().unwrap()).unwrap();
    let refusal = given::<Product>(&[created().into()])
        .when(&change(None, None, Some(dollars)))
        .refused(RefusalCode::ValidationFailed);
    assert_eq!(refusal.pointer.as_deref(), Some("/price"));
}

fn parts(change: impl FnOnce(&mut ProductChange)) -> ProductCommand {
    let mut parts = ProductChange::default();
    change(&mut parts);
    ProductCommand::Change(parts)
}

#[test]
fn i1_images_and_metadata_are_within_their_limits() {
    let url = |length: usize| format!("https://shop.example/{}", "a".repeat(length - "https://shop.example/".len()));
    let wrong = [
        ("/image_urls/1", parts(|change| change.image_urls = Some(vec![url(30), "ftp://shop.example/a".into()]))),
        ("/image_urls/0", parts(|change| change.image_urls = Some(vec!["https://".into()]))),
        ("/image_urls/0", parts(|change| change.image_urls = Some(vec!["https://a.example/a b".into()]))),
        ("/image_urls/0", parts(|change| change.image_urls = Some(vec![url(2_001)]))),
        ("/image_urls", parts(|change| change.image_urls = Some(vec![url(30); 21]))),
        ("/metadata", parts(|change| change.metadata = Some([(" ".into(), "x".into())].into()))),
        ("/metadata", parts(|change| change.metadata = Some([("k".repeat(41), "x".into())].into()))),
        ("/metadata", parts(|change| change.metadata = Some([("k".into(), "x".repeat(501))].into()))),
        (
            "/metadata",
            parts(|change| change.metadata = Some((0..21).map(|key| (key.to_string(), "x".into())).collect())),
        ),
    ];
    for (pointer, command) in wrong {
        let refusal = given::<Product>(&[created().into()]).when(&command).refused(RefusalCode::ValidationFailed);
        assert_eq!(refusal.pointer.as_deref(), Some(pointer), "{command:?}");
    }
    let longest = parts(|change| change.image_urls = Some(vec![url(2_000); 20]));
    given::<Product>(&[created().into()])
        .when(&longest)
        .records(&[ProductImagesSet { image_urls: vec![url(2_000); 20] }.into()]);
}

#[test]
fn i3_every_other_part_is_a_fact_too() {
    let all = parts(|change| {
        change.category_ids = Some(vec![id(3), id(4)]);
        change.seller_id = Some(Some(id(5)));
        change.tax_class = Some(TaxClass::Exempt);
        change.image_urls = Some(vec!["https://shop.example/1.jpg".into()]);
        change.weight_grams = Some(5_200);
        change.metadata = Some([("erp".into(), "A-1".into())].into());
    });
    let product = given::<Product>(&[created().into()]).when(&all).records(&[
        ProductCategorised { category_ids: vec![id(3), id(4)] }.into(),
        ProductSellerChanged { seller_id: Some(id(5)) }.into(),
        ProductTaxClassSet { tax_class: TaxClass::Exempt }.into(),
        ProductImagesSet { image_urls: vec!["https://shop.example/1.jpg".into()] }.into(),
        ProductWeighed { grams: 5_200 }.into(),
        ProductMetadataSet { metadata: [("erp".into(), "A-1".into())].into() }.into(),
    ]);
    assert!(matches!(product.decide(&all, &crate::testing::facts(at(0))), Decision::AlreadyDone));
    given::<Product>(&[created().into()])
        .when(&parts(|change| change.tax_class = Some(TaxClass::Taxable)))
        .done_already();
}

#[test]
fn i6_variants_have_the_same_options_and_differ_in_their_values() {
    let parent = [created().into(), added(8, "M").into()];
    let add = |number: u128, options: Options| ProductCommand::AddVariant(id(number), options);
    given::<Product>(&parent).when(&add(9, options("L"))).records(&[added(9, "L").into()]);
    for wrong in [options("M"), [("colour".to_owned(), "red".to_owned())].into()] {
        let refusal = given::<Product>(&parent).when(&add(9, wrong)).refused(RefusalCode::VariantConflict);
        assert_eq!(refusal.pointer.as_deref(), Some("/options"));
    }
    // The only one may change all of its own.
    let colour: Options = [("colour".to_owned(), "red".to_owned())].into();
    let recoloured = ProductVariantAdded { product_id: id(8), options: colour.clone() };
    given::<Product>(&parent).when(&add(8, colour)).records(&[recoloured.into()]);
    let mut full: Vec<ProductEvent> = vec![created().into()];
    full.extend((0..100).map(|number| ProductEvent::from(added(100 + number, &number.to_string()))));
    given::<Product>(&full).when(&add(9, options("L"))).refused(RefusalCode::VariantConflict);
}

#[test]
fn i6_options_are_within_their_limits() {
    let long = |letters: usize| "가".repeat(letters);
    let wrong: [Options; 4] = [
        Options::new(),
        [(long(41), "M".to_owned())].into(),
        [("size".to_owned(), " ".to_owned())].into(),
        [("size".to_owned(), long(81))].into(),
    ];
    for options in wrong {
        let make = ProductCommand::MakeVariant(id(7), options);
        let refusal = given::<Product>(&[created().into()]).when(&make).refused(RefusalCode::ValidationFailed);
        assert_eq!(refusal.pointer.as_deref(), Some("/options"));
    }
    let six = (0..6).map(|number| (number.to_string(), "M".to_owned())).collect();
    given::<Product>(&[created().into()])
        .when(&ProductCommand::MakeVariant(id(7), six))
        .refused(RefusalCode::ValidationFailed);
}
