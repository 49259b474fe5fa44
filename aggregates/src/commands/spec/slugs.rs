//! Slugs of products: one each, and of one product only.

use jangbu_kernel::{Decider as _, ProductId, RefusalCode};

use super::*;
use crate::commands::{ChangeProduct, RemoveProduct};
use crate::product::{Product, ProductChange};
use crate::slug::{SlugClaim, slug_stream};

fn called(product_id: ProductId, slug: Option<&str>) -> ChangeProduct {
    let slug = Some(slug.map(str::to_owned));
    ChangeProduct { product_id, change: ProductChange { slug, ..ProductChange::default() } }
}

fn owner(world: &World, slug: &str) -> Option<ProductId> {
    world.get::<SlugClaim>(slug_stream(slug).id).unwrap().product_id()
}

#[test]
fn a_slug_and_its_product_are_one_append() {
    let mut world = shop();
    let appended = world.must(&called(orange(), Some("jeju-감귤")), at(0));
    let types: Vec<_> = appended.iter().map(|(stream, types)| (stream.kind, types.clone())).collect();
    assert_eq!(types, [(Product::KIND, vec!["product.slug_set"]), (SlugClaim::KIND, vec!["slug.claimed"])]);
    assert_eq!(world.get::<Product>(orange()).unwrap().slug(), Some("jeju-감귤"));
    assert_eq!(owner(&world, "jeju-감귤"), Some(orange()));

    let mut created = CreateProduct::plain(id(60), "차", won(10));
    created.other.slug = Some(Some("차".to_owned()));
    world.must(&created, at(0));
    assert_eq!(owner(&world, "차"), Some(id(60)));
    world.check_folds();
}

#[test]
fn a_slug_is_of_one_product_until_it_is_given_up() {
    let mut world = shop();
    world.must(&called(orange(), Some("a")), at(0));
    let refusal = world.refuses(&called(coffee(), Some("a")), at(0), RefusalCode::SlugTaken);
    assert_eq!(refusal.pointer.as_deref(), Some("/slug"));
    let mut created = CreateProduct::plain(id(60), "차", won(10));
    created.other.slug = Some(Some("a".to_owned()));
    world.refuses(&created, at(0), RefusalCode::SlugTaken);
    assert!(!world.get::<Product>(id::<ProductId>(60)).unwrap().exists(), "all or nothing");

    // Renamed: the former one is free.
    world.must(&called(orange(), Some("b")), at(0));
    world.must(&called(coffee(), Some("a")), at(0));
    assert_eq!((owner(&world, "a"), owner(&world, "b")), (Some(coffee()), Some(orange())));
    // Taken away, and back again.
    world.must(&called(coffee(), None), at(0));
    assert_eq!(owner(&world, "a"), None);
    world.must(&called(coffee(), Some("a")), at(0));
    // Removed.
    world.must(&RemoveProduct { product_id: coffee() }, at(0));
    world.must(&called(orange(), Some("a")), at(0));
    assert_eq!((owner(&world, "a"), owner(&world, "b")), (Some(orange()), None));
    world.check_folds();
}

#[test]
fn what_is_no_slug_is_refused() {
    let mut world = shop();
    let decomposed = jangbu_kernel::text::decomposed("감귤");
    for wrong in ["", "A", "a b", "-a", decomposed.as_str()] {
        let refusal = world.refuses(&called(orange(), Some(wrong)), at(0), RefusalCode::ValidationFailed);
        assert_eq!(refusal.pointer.as_deref(), Some("/slug"));
    }
    world.refuses(&called(id(99), Some("a")), at(0), RefusalCode::NotFound);
}
