//! Makes a product a variant of another. Writes `product` of both, and of the one that it was a
//! variant of.

use jangbu_kernel::{ProductId, RefusalCode, StreamId};

use crate::checks;
use crate::command::{Added, Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::product::{Options, Product, ProductCommand};
use crate::state::{Missing, States};

/// Makes a product a variant of another. Writes `product` of both, and of the one that it was a
/// variant of.
#[derive(Clone, Debug, PartialEq)]
pub struct MakeVariant {
    /// Which product.
    pub product_id: ProductId,
    /// The product that it is a variant of.
    pub of: ProductId,
    /// What tells it from the other variants, by the options' names.
    pub options: Options,
}

impl Command for MakeVariant {
    const RULES: Rules = Rules::new(
        "make_variant",
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
        let Self { product_id, of, options } = self.clone();
        if of == product_id {
            return Err(checks::not_found("other product").at("/of").into());
        }
        let before = append.before::<Product>(product_id)?.variant_of().filter(|before| *before != of);
        if let Added::Nothing = append.ask::<Product>(product_id, &ProductCommand::MakeVariant(of, options.clone()))? {
            return Ok(());
        }
        if !append.before::<Product>(of)?.exists() {
            return Err(checks::not_found("product").at("/of").into());
        }
        leave(append, product_id, before)?;
        append.ask::<Product>(of, &ProductCommand::AddVariant(product_id, options))?;
        Ok(())
    }
}

/// Takes a product out of the variants of another.
pub(super) fn leave(append: &mut Append<'_>, product_id: ProductId, of: Option<ProductId>) -> Result<(), Stop> {
    if let Some(of) = of {
        append.ask::<Product>(of, &ProductCommand::RemoveVariant(product_id))?;
    }
    Ok(())
}
