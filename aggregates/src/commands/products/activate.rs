//! Makes a product buyable. Writes `product`.

use jangbu_kernel::{ProductId, StreamId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::product::{Product, ProductCommand};
use crate::state::{Missing, States};

/// Makes a product buyable. Writes `product`.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivateProduct {
    /// The product that can be bought from now on.
    pub product_id: ProductId,
}

impl Command for ActivateProduct {
    const RULES: Rules = Rules::new("activate_product", Reach::Any(Permission::ProductsWrite), Key::Optional, &[]);

    fn subject(&self) -> StreamId {
        StreamId::product(self.product_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        append.only::<Product>(self.product_id, &ProductCommand::Activate)
    }
}
