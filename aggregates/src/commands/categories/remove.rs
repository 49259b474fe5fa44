//! Removes a category. Writes `category`, its parent's too.

use jangbu_kernel::{CategoryId, RefusalCode, StreamId};

use crate::category::{Category, CategoryCommand};
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::state::{Missing, States};

/// Removes a category that has none below it. Products that are in it stay as they are. Writes
/// `category`, its parent's too.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoveCategory {
    /// Which category.
    pub category_id: CategoryId,
}

impl Command for RemoveCategory {
    const RULES: Rules = Rules::new(
        "remove_category",
        Reach::Any(Permission::ProductsWrite),
        Key::Optional,
        &[RefusalCode::CategoryNotEmpty],
    );

    fn subject(&self) -> StreamId {
        StreamId::category(self.category_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let parent_id = append.before::<Category>(self.category_id)?.parent_id();
        append.ask::<Category>(self.category_id, &CategoryCommand::Remove)?;
        if let Some(parent_id) = parent_id {
            append.ask::<Category>(parent_id, &CategoryCommand::RemoveChild(self.category_id))?;
        }
        Ok(())
    }
}
