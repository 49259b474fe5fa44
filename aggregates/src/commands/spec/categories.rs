//! The tree of categories, and the products in it.

use jangbu_kernel::{CategoryId, RefusalCode};

use super::*;
use crate::category::Category;
use crate::command::Outcome;
use crate::commands::categories::{MOST_CATEGORIES, MOST_LEVELS};
use crate::commands::{ChangeCategory, ChangeProduct, CreateCategory, RemoveCategory};
use crate::product::ProductChange;
use crate::testing::{at, id};

fn category(number: u128) -> CategoryId {
    id(1_000 + number)
}
fn made(number: u128, parent_id: Option<CategoryId>) -> CreateCategory {
    CreateCategory { category_id: category(number), name: format!("category {number}"), parent_id }
}
fn moved(number: u128, parent_id: Option<CategoryId>) -> ChangeCategory {
    ChangeCategory { category_id: category(number), name: None, parent_id: Some(parent_id) }
}
fn filed(category_ids: Vec<CategoryId>) -> ChangeProduct {
    let change = ProductChange { category_ids: Some(category_ids), ..ProductChange::default() };
    ChangeProduct { product_id: orange(), change }
}

/// 1 with 2 and 3 below it, and 4 below 2.
fn tree() -> World {
    let mut world = shop();
    world.must(&made(1, None), at(0));
    for (number, parent) in [(2, 1), (3, 1), (4, 2)] {
        world.must(&made(number, Some(category(parent))), at(0));
    }
    world
}

#[test]
fn a_category_and_its_parent_are_one_append() {
    let mut world = tree();
    let appended = world.must(&made(5, Some(category(4))), at(0));
    let types: Vec<_> = appended.iter().map(|(_, types)| types.clone()).collect();
    assert_eq!(types, [["category.created"], ["category.child_added"]]);
    let appended = world.must(&moved(5, Some(category(3))), at(0));
    let mut types: Vec<_> = appended.iter().flat_map(|(_, types)| types.clone()).collect();
    types.sort_unstable();
    assert_eq!(types, ["category.child_added", "category.child_removed", "category.moved"]);
    assert_eq!(world.ask(&moved(5, Some(category(3))), at(0)), Outcome::AlreadyDone);
    world.must(&moved(5, None), at(0));
    assert_eq!(world.get::<Category>(category(5)).unwrap().parent_id(), None);
    world.check_folds();
}

#[test]
fn a_category_is_never_below_itself() {
    let mut world = tree();
    for parent in [1, 2, 3, 4] {
        let refusal = world.refuses(&moved(1, Some(category(parent))), at(0), RefusalCode::CategoryCycle);
        assert_eq!(refusal.pointer.as_deref(), Some("/parent_id"));
    }
    world.refuses(&made(9, Some(category(9))), at(0), RefusalCode::CategoryCycle);
    world.must(&moved(2, Some(category(3))), at(0));
    world.refuses(&moved(3, Some(category(4))), at(0), RefusalCode::CategoryCycle);
}

#[test]
fn what_is_not_there_is_no_parent_and_files_no_product() {
    let mut world = tree();
    let refusal = world.refuses(&made(9, Some(category(99))), at(0), RefusalCode::NotFound);
    assert_eq!(refusal.pointer.as_deref(), Some("/parent_id"));
    world.refuses(&moved(4, Some(category(99))), at(0), RefusalCode::NotFound);
    let nothing = ChangeCategory { category_id: category(99), name: None, parent_id: None };
    world.refuses(&nothing, at(0), RefusalCode::NotFound);
    let refusal = world.refuses(&filed(vec![category(1), category(99)]), at(0), RefusalCode::NotFound);
    assert_eq!(refusal.pointer.as_deref(), Some("/category_ids/1"));
    world.must(&RemoveCategory { category_id: category(4) }, at(0));
    world.refuses(&filed(vec![category(4)]), at(0), RefusalCode::NotFound);
    assert_eq!(world.ask(&RemoveCategory { category_id: category(4) }, at(0)), Outcome::AlreadyDone);
}

#[test]
fn a_category_is_removed_from_the_bottom_up() {
    let mut world = tree();
    world.refuses(&RemoveCategory { category_id: category(2) }, at(0), RefusalCode::CategoryNotEmpty);
    world.must(&RemoveCategory { category_id: category(4) }, at(0));
    world.must(&RemoveCategory { category_id: category(2) }, at(0));
    world.refuses(&RemoveCategory { category_id: category(1) }, at(0), RefusalCode::CategoryNotEmpty);
    world.must(&moved(3, None), at(0));
    world.must(&RemoveCategory { category_id: category(1) }, at(0));
    world.check_folds();
}

#[test]
fn the_tree_has_a_limited_number_of_levels() {
    let mut world = shop();
    world.must(&made(0, None), at(0));
    for number in 1..MOST_LEVELS as u128 {
        world.must(&made(number, Some(category(number - 1))), at(0));
    }
    let deepest = MOST_LEVELS as u128;
    let refusal = world.refuses(&made(deepest, Some(category(deepest - 1))), at(0), RefusalCode::ValidationFailed);
    assert_eq!(refusal.pointer.as_deref(), Some("/parent_id"));
}

#[test]
fn a_product_is_in_several_categories_each_once() {
    let mut world = tree();
    let appended = world.must(&filed(vec![category(4), category(3)]), at(0));
    assert_eq!(appended.len(), 1, "{appended:?}");
    assert_eq!(world.ask(&filed(vec![category(4), category(3)]), at(0)), Outcome::AlreadyDone);
    world.must(&filed(Vec::new()), at(0));
    let refusal = world.refuses(&filed(vec![category(3), category(3)]), at(0), RefusalCode::ValidationFailed);
    assert_eq!(refusal.pointer.as_deref(), Some("/category_ids/1"));
    let many = (0..=MOST_CATEGORIES as u128).map(category).collect();
    let refusal = world.refuses(&filed(many), at(0), RefusalCode::ValidationFailed);
    assert_eq!(refusal.pointer.as_deref(), Some("/category_ids"));
}

proptest::proptest! {
    /// Whatever is moved where, in whatever order: going up ends, and parents and children agree.
    #[test]
    fn the_categories_stay_a_tree(moves in proptest::collection::vec((0_u128..8, proptest::option::of(0_u128..8)), 1..40)) {
        let mut world = shop();
        for number in 0..8 {
            world.must(&made(number, None), at(0));
        }
        for (number, parent) in moves {
            world.ask(&moved(number, parent.map(category)), at(0));
        }
        for number in 0..8 {
            let mut above = world.get::<Category>(category(number)).unwrap().parent_id();
            let mut levels = 0;
            while let Some(next) = above {
                levels += 1;
                proptest::prop_assert!(levels < 8, "a cycle above {number}");
                above = world.get::<Category>(next).unwrap().parent_id();
            }
        }
        // Only what has no category below it goes: all of them go, from the bottom up.
        for _ in 0..8 {
            for number in 0..8 {
                world.ask(&RemoveCategory { category_id: category(number) }, at(0));
            }
        }
        for number in 0..8 {
            proptest::prop_assert!(world.get::<Category>(category(number)).unwrap().is_removed());
        }
    }
}
