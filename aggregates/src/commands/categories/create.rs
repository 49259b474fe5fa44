//! Makes a category. Writes `category`, its parent's too.

use jangbu_kernel::{CategoryId, RefusalCode, StreamId};

use super::tree::can_be_below;
use crate::category::{Category, CategoryCommand, CategoryCreated};
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::state::{Missing, States};

/// Makes a category, at the top or right below another. Writes `category`, its parent's too.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateCategory {
    /// The id it gets.
    pub category_id: CategoryId,
    /// What it is called, 1-100 characters.
    pub name: String,
    /// The category that it is a part of.
    pub parent_id: Option<CategoryId>,
}

impl Command for CreateCategory {
    const RULES: Rules = Rules::new(
        "create_category",
        Reach::Any(Permission::ProductsWrite),
        Key::Optional,
        &[RefusalCode::CategoryCycle, RefusalCode::NotFound],
    );

    fn subject(&self) -> StreamId {
        StreamId::category(self.category_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let Self { category_id, name, parent_id } = self.clone();
        append.ask::<Category>(category_id, &CategoryCommand::Create(CategoryCreated { name, parent_id }))?;
        if let Some(parent_id) = parent_id {
            can_be_below(append, category_id, parent_id)?;
            append.ask::<Category>(parent_id, &CategoryCommand::AddChild(category_id))?;
        }
        Ok(())
    }
}
