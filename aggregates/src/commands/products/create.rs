//! Puts a product into the catalogue, on sale. Writes `product` and `slug`, reads its categories.

use jangbu_kernel::{Money, ProductId, RefusalCode, StreamId, UserId};

use super::give_slug;
use crate::command::{Added, Append, Command, Key, Owner, Permission, Reach, Rules, Stop};
use crate::commands::categories;
use crate::product::{Product, ProductChange, ProductCommand, ProductCreated};
use crate::slug::slug_stream;
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
    /// The unit price, 0 or more.
    pub price: Money,
    /// Who sells it.
    pub seller_id: Option<UserId>,
    /// Its other parts; those above are not read from here.
    pub other: ProductChange,
}

impl CreateProduct {
    /// A product with nothing but a name and a price.
    #[must_use]
    pub fn plain(product_id: ProductId, name: impl Into<String>, price: Money) -> Self {
        let (description, seller_id, other) = (None, None, ProductChange::default());
        Self { product_id, name: name.into(), description, price, seller_id, other }
    }
}

impl Command for CreateProduct {
    const RULES: Rules = Rules::new(
        "create_product",
        Reach::Any(Permission::ProductsWrite),
        Key::Optional,
        &[RefusalCode::NotFound, RefusalCode::SlugTaken],
    );

    fn subject(&self) -> StreamId {
        StreamId::product(self.product_id)
    }

    fn owner(&self, _: &dyn States) -> Result<Owner, Missing> {
        Ok(Owner::Shop)
    }

    fn looks_at(&self, _: &dyn States, streams: &mut Vec<StreamId>) {
        let slug = self.other.slug.as_ref().and_then(|slug| slug.as_deref());
        streams.extend(slug.map(slug_stream));
    }

    fn decide(&self, append: &mut Append<'_>) -> Result<(), Stop> {
        let category_ids = self.other.category_ids.as_deref().unwrap_or_default();
        let created = ProductCreated {
            name: self.name.clone(),
            description: self.description.clone(),
            category_id: category_ids.first().copied(),
            seller_id: self.seller_id,
            price: self.price,
        };
        if let Added::Nothing = append.ask::<Product>(self.product_id, &ProductCommand::Create(created))? {
            return Ok(());
        }
        categories::there(append, category_ids)?;
        let other = ProductChange { name: None, description: None, price: None, seller_id: None, ..self.other.clone() };
        append.ask::<Product>(self.product_id, &ProductCommand::Change(other))?;
        give_slug(append, self.product_id, None, self.other.slug.as_ref().and_then(|slug| slug.as_deref()))
    }
}
