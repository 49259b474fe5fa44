//! Renames or moves a category. Writes `category`, those of the parents too.

use jangbu_kernel::{CategoryId, RefusalCode, StreamId};

use super::tree::can_be_below;
use crate::category::{Category, CategoryCommand};
use crate::checks;
use crate::command::{Added, Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::state::{Missing, States};

/// Renames or moves a category, with all that is below it. Writes `category`, those of the parents
/// too.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeCategory {
    /// Which category.
    pub category_id: CategoryId,
    /// What it is called, 1-100 characters; none leaves the name.
    pub name: Option<String>,
    /// The category that it is a part of, or none for the top; none leaves it where it is.
    pub parent_id: Option<Option<CategoryId>>,
}

impl Command for ChangeCategory {
    const RULES: Rules = Rules::new(
        "change_category",
        Reach::Any(Permission::ProductsWrite),
        Key::Optional,
        &[RefusalCode::CategoryCycle],
    );

    fn subject(&self) -> StreamId {
        StreamId::category(self.category_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        if !append.before::<Category>(self.category_id)?.exists() {
            return Err(checks::not_found("category").into());
        }
        if let Some(name) = &self.name {
            append.ask::<Category>(self.category_id, &CategoryCommand::Rename(name.clone()))?;
        }
        let Some(parent_id) = self.parent_id else { return Ok(()) };
        let before = append.before::<Category>(self.category_id)?.parent_id();
        let moved = append.ask::<Category>(self.category_id, &CategoryCommand::Move(parent_id))?;
        if let Added::Nothing = moved {
            return Ok(());
        }
        if let Some(before) = before {
            append.ask::<Category>(before, &CategoryCommand::RemoveChild(self.category_id))?;
        }
        if let Some(parent_id) = parent_id {
            can_be_below(append, self.category_id, parent_id)?;
            append.ask::<Category>(parent_id, &CategoryCommand::AddChild(self.category_id))?;
        }
        Ok(())
    }
}
