//! Changes parts of a product. Writes `product` and `slug`, reads the categories that it is to be in.

use jangbu_kernel::{ProductId, RefusalCode, StreamId};

use super::give_slug;
use crate::command::{Added, Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::commands::categories;
use crate::product::{Product, ProductChange, ProductCommand};
use crate::state::{Missing, States};

/// Changes parts of a product. Writes `product` and `slug`, reads the categories that it is to be in.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeProduct {
    /// Which product.
    pub product_id: ProductId,
    /// What changes.
    pub change: ProductChange,
}

impl Command for ChangeProduct {
    const RULES: Rules =
        Rules::new("change_product", Reach::Any(Permission::ProductsWrite), Key::Optional, &[RefusalCode::SlugTaken]);

    fn subject(&self) -> StreamId {
        StreamId::product(self.product_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let before = append.before::<Product>(self.product_id)?.slug();
        let asked = append.ask::<Product>(self.product_id, &ProductCommand::Change(self.change.clone()))?;
        if let (Added::Events, Some(category_ids)) = (asked, &self.change.category_ids) {
            categories::there(append, category_ids)?;
        }
        match &self.change.slug {
            Some(after) => give_slug(append, self.product_id, before, after.as_deref()),
            None => Ok(()),
        }
    }
}
