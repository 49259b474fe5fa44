//! What the commands on categories have in common: the way up the tree.

use jangbu_kernel::{CategoryId, Refusal, RefusalCode};

use crate::category::Category;
use crate::checks;
use crate::command::{Append, Stop};

/// Levels of the tree. Moving a category looks at those above its new place only, so the levels
/// below it are not counted; what is too deep for one that is added is refused there.
pub const MOST_LEVELS: usize = 16;

/// Categories that one product can be in.
pub const MOST_CATEGORIES: usize = 20;

/// Checks that a category can be right below another: that one is there, and none of those above
/// it is the category itself. All of them stay as they are until the append.
pub(super) fn can_be_below(
    append: &mut Append<'_>,
    category_id: CategoryId,
    parent_id: CategoryId,
) -> Result<(), Stop> {
    let mut above = Some(parent_id);
    for _ in 1..MOST_LEVELS {
        let Some(next) = above else { return Ok(()) };
        if next == category_id {
            let detail = "a category cannot be below itself";
            return Err(Refusal::new(RefusalCode::CategoryCycle, detail).at("/parent_id").into());
        }
        let category = append.unmoved::<Category>(next)?;
        if !category.exists() {
            return Err(checks::not_found("category").at("/parent_id").into());
        }
        above = category.parent_id();
    }
    if above.is_none() {
        return Ok(());
    }
    let detail = format!("the tree of categories has at most {MOST_LEVELS} levels");
    Err(Refusal::new(RefusalCode::ValidationFailed, detail).at("/parent_id").into())
}

/// Checks that the categories that a product is to be in are there, each named once, and stay
/// there until the append.
pub(in crate::commands) fn there(append: &mut Append<'_>, categories: &[CategoryId]) -> Result<(), Stop> {
    if categories.len() > MOST_CATEGORIES {
        let detail = format!("a product is in at most {MOST_CATEGORIES} categories");
        return Err(Refusal::new(RefusalCode::ValidationFailed, detail).at("/category_ids").into());
    }
    for (place, category_id) in categories.iter().enumerate() {
        let pointer = format!("/category_ids/{place}");
        if categories.iter().take(place).any(|earlier| earlier == category_id) {
            let detail = "the category is named twice";
            return Err(Refusal::new(RefusalCode::ValidationFailed, detail).at(&pointer).into());
        }
        if !append.unmoved::<Category>(*category_id)?.exists() {
            return Err(checks::not_found("category").at(&pointer).into());
        }
    }
    Ok(())
}
