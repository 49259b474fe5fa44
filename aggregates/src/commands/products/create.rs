//! Puts a product into the catalogue, on sale. Writes `product`.

use jangbu_kernel::{CategoryId, Money, ProductId, StreamId, UserId};

use crate::command::{Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::product::{Product, ProductCommand, ProductCreated};
use crate::state::{Missing, States};

/// Puts a product into the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateProduct {
    /// The id it gets.
    pub product_id: ProductId,
    /// What it is called, 1-200 characters.
    pub name: String,
    /// What it is, at most 5,000 characters.
    pub description: Option<String>,
    /// Where it is filed.
    pub category_id: Option<CategoryId>,
    /// Who sells it.
    pub seller_id: Option<UserId>,
    /// The unit price, 0 or more.
    pub price: Money,
}

impl Command for CreateProduct {
    const RULES: Rules = Rules::new("create_product", Reach::Any(Permission::ProductsWrite), Key::Optional, &[]);

    fn subject(&self) -> StreamId {
        StreamId::product(self.product_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let created = ProductCreated {
            name: self.name.clone(),
            description: self.description.clone(),
            category_id: self.category_id,
            seller_id: self.seller_id,
            price: self.price,
        };
        append.only::<Product>(self.product_id, &ProductCommand::Create(created))
    }
}
