//! Takes a product off sale. Writes `product`.

use jangbu_kernel::{ProductId, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::product::{Product, ProductCommand};
use crate::state::{Missing, States};

/// Takes a product off sale. Writes `product`.
#[derive(Clone, Debug, PartialEq)]
pub struct DeactivateProduct {
    /// The product that cannot be bought any more.
    pub product_id: ProductId,
}

impl Command for DeactivateProduct {
    const RULES: Rules = Rules::new("deactivate_product", Reach::Any(Permission::ProductsWrite), Key::Optional, &[]);

    fn subject(&self) -> StreamId {
        StreamId::product(self.product_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Product>(self.product_id, &ProductCommand::Deactivate)
    }
}
