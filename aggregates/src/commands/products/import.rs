//! Has a product be as a row of a file says, whether it was there or not. Writes `product`, also those
//! that it is, or was, a variant of; reads its categories.

use jangbu_kernel::{Money, ProductId, Refusal, RefusalCode, StreamId};

use super::{ActivateProduct, ChangeProduct, CreateProduct, DeactivateProduct, MakeSingle, MakeVariant};
use crate::checks;
use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::product::{Options, Product, ProductChange};
use crate::state::{Missing, States};

/// Has a product be as a row of a file says: makes it under this id, or changes what differs. All of
/// it, or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportProduct {
    /// Which product.
    pub product_id: ProductId,
    /// Its parts; a new one needs a name and a price.
    pub change: ProductChange,
    /// The product that it is a variant of, with its options; nothing: of none.
    pub variant: Option<Option<(ProductId, Options)>>,
    /// Whether it is on sale.
    pub active: Option<bool>,
}

impl Command for ImportProduct {
    const RULES: Rules = Rules::new(
        "import_product",
        Reach::Any(Permission::ProductsWrite),
        Key::Optional,
        &[RefusalCode::VariantConflict, RefusalCode::NotFound],
    );

    fn subject(&self) -> StreamId {
        StreamId::product(self.product_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn looks_at(&self, _: &dyn States, streams: &mut Vec<StreamId>) {
        streams.extend(self.change.category_ids.iter().flatten().map(|id| StreamId::category(*id)));
        if let Some(Some((of, _))) = self.variant {
            streams.push(StreamId::product(of));
        }
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let product_id = self.product_id;
        let product = append.before::<Product>(product_id)?;
        if product.is_removed() {
            let refusal = checks::not_found("product: it left the catalogue for good, and its id is not used again");
            return Err(refusal.at("/id").into());
        }
        if product.exists() {
            Command::decide(&ChangeProduct { product_id, change: self.change.clone() }, append)?;
        } else {
            Command::decide(&self.as_new()?, append)?;
        }
        match &self.variant {
            Some(Some((of, options))) => {
                let options = options.clone();
                Command::decide(&MakeVariant { product_id, of: *of, options }, append)?;
            }
            Some(None) => Command::decide(&MakeSingle { product_id }, append)?,
            None => {}
        }
        match self.active {
            Some(true) => Command::decide(&ActivateProduct { product_id }, append),
            Some(false) => Command::decide(&DeactivateProduct { product_id }, append),
            None => Ok(()),
        }
    }
}

impl ImportProduct {
    fn as_new(&self) -> Result<CreateProduct, Refusal> {
        let change = &self.change;
        let missing = |part: &str, pointer: &str| {
            Refusal::new(RefusalCode::ValidationFailed, format!("a new product needs a {part}")).at(pointer)
        };
        let name = change.name.clone().ok_or_else(|| missing("name", "/name"))?;
        let price: Money = change.price.ok_or_else(|| missing("price", "/price"))?;
        Ok(CreateProduct {
            product_id: self.product_id,
            name,
            description: change.description.clone().flatten(),
            price,
            seller_id: change.seller_id.flatten(),
            other: change.clone(),
        })
    }
}
