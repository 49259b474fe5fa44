//! Changes parts of a product. Writes `product`, reads the categories that it is to be in.

use jangbu_kernel::{ProductId, StreamId};

use crate::command::{Added, Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::commands::categories;
use crate::product::{Product, ProductChange, ProductCommand};
use crate::state::{Missing, States};

/// Changes parts of a product. Writes `product`, reads the categories that it is to be in.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeProduct {
    /// Which product.
    pub product_id: ProductId,
    /// What changes.
    pub change: ProductChange,
}

impl Command for ChangeProduct {
    const RULES: Rules = Rules::new("change_product", Reach::Any(Permission::ProductsWrite), Key::Optional, &[]);

    fn subject(&self) -> StreamId {
        StreamId::product(self.product_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let asked = append.ask::<Product>(self.product_id, &ProductCommand::Change(self.change.clone()))?;
        if let (Added::Events, Some(category_ids)) = (asked, &self.change.category_ids) {
            categories::there(append, category_ids)?;
        }
        Ok(())
    }
}
