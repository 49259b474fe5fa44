//! Makes a variant a product of its own. Writes `product` of both.

use jangbu_kernel::{ProductId, StreamId};

use super::make_variant::leave;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::product::{Product, ProductCommand};
use crate::state::{Missing, States};

/// Makes a variant a product of its own. Writes `product` of both.
#[derive(Clone, Debug, PartialEq)]
pub struct MakeSingle {
    /// Which product.
    pub product_id: ProductId,
}

impl Command for MakeSingle {
    const RULES: Rules = Rules::new("make_single", Reach::Any(Permission::ProductsWrite), Key::Optional, &[]);

    fn subject(&self) -> StreamId {
        StreamId::product(self.product_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let before = append.before::<Product>(self.product_id)?.variant_of();
        append.ask::<Product>(self.product_id, &ProductCommand::MakeSingle)?;
        leave(append, self.product_id, before)
    }
}
