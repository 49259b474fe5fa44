//! Takes a product out of the catalogue for good. Writes `product` and `slug`.

use jangbu_kernel::{ProductId, RefusalCode, StreamId};

use super::give_slug;
use super::make_variant::leave;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::product::{Product, ProductCommand};
use crate::state::{Missing, States};

/// Takes a product out of the catalogue for good. Orders keep what they were placed with.
/// Writes `product` and `slug`, which another product can have then.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoveProduct {
    /// The product that is not offered any more.
    pub product_id: ProductId,
}

impl Command for RemoveProduct {
    const RULES: Rules = Rules::new(
        "remove_product",
        Reach::Any(Permission::ProductsWrite),
        Key::Optional,
        &[RefusalCode::VariantConflict],
    );

    fn subject(&self) -> StreamId {
        StreamId::product(self.product_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let before = append.before::<Product>(self.product_id)?;
        let (variant_of, slug) = (before.variant_of(), before.slug());
        append.ask::<Product>(self.product_id, &ProductCommand::Remove)?;
        give_slug(append, self.product_id, slug, None)?;
        leave(append, self.product_id, variant_of)
    }
}
