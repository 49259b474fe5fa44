//! What can be asked of a product.

use std::collections::BTreeMap;

use jangbu_kernel::{CategoryId, Money, ProductId, UserId};

use super::event::{ProductCreated, TaxClass};
use super::state::Options;

/// What can be asked of a product.
#[derive(Clone, Debug, PartialEq)]
pub enum ProductCommand {
    /// Enter the catalogue, active.
    Create(ProductCreated),
    /// Be buyable.
    Activate,
    /// Be off sale.
    Deactivate,
    /// Have other parts.
    Change(ProductChange),
    /// Be a variant of another product, with these options.
    MakeVariant(ProductId, Options),
    /// Be no variant.
    MakeSingle,
    /// Have another product as a variant, with these options.
    AddVariant(ProductId, Options),
    /// Do not have another product as a variant.
    RemoveVariant(ProductId),
    /// Leave the catalogue for good.
    Remove,
}

/// The parts of a product that change. What is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProductChange {
    /// What it is called, 1-200 characters.
    pub name: Option<String>,
    /// What it is, at most 5,000 characters; nothing takes the description away.
    pub description: Option<Option<String>>,
    /// The unit price, 0 or more, in the currency that it has.
    pub price: Option<Money>,
    /// The categories that it is filed in, the main one first.
    pub category_ids: Option<Vec<CategoryId>>,
    /// Who sells it; nothing: nobody in particular.
    pub seller_id: Option<Option<UserId>>,
    /// How it is taxed.
    pub tax_class: Option<TaxClass>,
    /// Where its images are, the main one first: at most 20 `http` or `https` URLs.
    pub image_urls: Option<Vec<String>>,
    /// Grams of one, as it is shipped.
    pub weight_grams: Option<u32>,
    /// The readable part of its address, 1-80 characters; nothing takes it away.
    pub slug: Option<Option<String>>,
    /// References of other systems: at most 20 of 1-40 characters, each value at most 500.
    pub metadata: Option<BTreeMap<String, String>>,
}
