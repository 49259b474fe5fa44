//! What happened to a product. Storage format.

use std::collections::BTreeMap;

use jangbu_kernel::{CategoryId, Money, ProductId, UserId, events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

events! {
    /// What happened to a product.
    pub enum ProductEvent {
        "product.created" v 1 => Created(ProductCreated),
        "product.activated" v 1 => Activated(ProductActivated),
        "product.deactivated" v 1 => Deactivated(ProductDeactivated),
        "product.renamed" v 1 => Renamed(ProductRenamed),
        "product.described" v 1 => Described(ProductDescribed),
        "product.repriced" v 1 => Repriced(ProductRepriced),
        "product.removed" v 1 => Removed(ProductRemoved),
        "product.categorised" v 1 => Categorised(ProductCategorised),
        "product.seller_changed" v 1 => SellerChanged(ProductSellerChanged),
        "product.tax_class_set" v 1 => TaxClassSet(ProductTaxClassSet),
        "product.images_set" v 1 => ImagesSet(ProductImagesSet),
        "product.metadata_set" v 1 => MetadataSet(ProductMetadataSet),
        "product.weighed" v 1 => Weighed(ProductWeighed),
        "product.slug_set" v 1 => SlugSet(ProductSlugSet),
        "product.made_variant" v 1 => MadeVariant(ProductMadeVariant),
        "product.made_single" v 1 => MadeSingle(ProductMadeSingle),
        "product.variant_added" v 1 => VariantAdded(ProductVariantAdded),
        "product.variant_removed" v 1 => VariantRemoved(ProductVariantRemoved),
    }
}

/// A product entered the catalogue, active.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductCreated {
    /// What it is called.
    pub name: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it is filed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category_id: Option<CategoryId>,
    /// Who sells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller_id: Option<UserId>,
    /// The unit price.
    pub price: Money,
}

/// It can be bought again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductActivated {}

/// It cannot be bought for now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductDeactivated {}

/// It is called otherwise from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductRenamed {
    /// What it is called.
    pub name: String,
}

/// It is described otherwise from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductDescribed {
    /// What it is; nothing where the description was taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// It costs something else from now on. Orders keep the price that they were placed at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductRepriced {
    /// The unit price.
    pub price: Money,
}

/// It left the catalogue for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductRemoved {}

/// It is filed in these categories from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductCategorised {
    /// All of them, the main one first.
    pub category_ids: Vec<CategoryId>,
}

/// Somebody else sells it from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductSellerChanged {
    /// Who sells it; nobody in particular when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller_id: Option<UserId>,
}

/// Whether value added tax is a part of its price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TaxClass {
    /// The price contains 10 % value added tax.
    #[default]
    Taxable,
    /// The product is exempt from value added tax.
    Exempt,
}

jangbu_kernel::named!(TaxClass);

/// It is taxed in this way from now on. Orders keep what they were placed with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductTaxClassSet {
    /// The way.
    pub tax_class: TaxClass,
}

/// It is shown by these images from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductImagesSet {
    /// Where all of them are, the main one first: `http` or `https` URLs.
    pub image_urls: Vec<String>,
}

/// It carries these references of other systems from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductMetadataSet {
    /// All of them, by name.
    pub metadata: BTreeMap<String, String>,
}

/// It is found under this slug from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductSlugSet {
    /// The slug; none when it was taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
}

/// It is a variant of another product from now on. It keeps its own price and stock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductMadeVariant {
    /// The product that it is a variant of.
    pub of: ProductId,
    /// What tells it from the other variants, such as a size and a colour, by the options' names.
    pub options: BTreeMap<String, String>,
}

/// It is a product of its own from now on, and no variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductMadeSingle {}

/// Another product is a variant of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductVariantAdded {
    /// The variant.
    pub product_id: ProductId,
    /// What tells it from the other variants, by the options' names.
    pub options: BTreeMap<String, String>,
}

/// Another product is not a variant of it any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductVariantRemoved {
    /// What was a variant.
    pub product_id: ProductId,
}

/// It weighs this from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductWeighed {
    /// Grams of one, as it is shipped.
    pub grams: u32,
}
