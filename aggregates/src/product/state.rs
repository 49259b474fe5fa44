//! What a product keeps in mind.

use std::collections::BTreeMap;

use jangbu_kernel::{CategoryId, Money, ProductId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{ProductEvent, TaxClass};

/// A product; before it is created, nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Product {
    offer: Option<Offer>,
    removed: bool,
}

/// The options of a variant by name, such as a size and a colour.
pub type Options = BTreeMap<String, String>;

/// What an order, and the next change, needs to know of a product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Offer {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) price: Money,
    pub(super) category_ids: Vec<CategoryId>,
    pub(super) seller_id: Option<UserId>,
    pub(super) tax_class: TaxClass,
    pub(super) image_urls: Vec<String>,
    pub(super) weight_grams: u32,
    pub(super) slug: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    /// The product that it is a variant of, and its options.
    pub(super) variant_of: Option<(ProductId, Options)>,
    /// Its variants.
    pub(super) variants: BTreeMap<ProductId, Options>,
    active: bool,
}

impl Product {
    pub(super) fn fold(&mut self, event: &ProductEvent) {
        if let (None, ProductEvent::Created(created)) = (&self.offer, event) {
            self.offer = Some(Offer {
                name: created.name.clone(),
                description: created.description.clone(),
                price: created.price,
                category_ids: created.category_id.into_iter().collect(),
                seller_id: created.seller_id,
                tax_class: TaxClass::default(),
                image_urls: Vec::new(),
                weight_grams: 0,
                slug: None,
                metadata: BTreeMap::new(),
                variant_of: None,
                variants: BTreeMap::new(),
                active: true,
            });
        }
        if let ProductEvent::Removed(_) = event {
            (self.offer, self.removed) = (None, true);
        }
        let Some(offer) = &mut self.offer else { return };
        match event {
            ProductEvent::Activated(_) => offer.active = true,
            ProductEvent::Deactivated(_) => offer.active = false,
            ProductEvent::Renamed(renamed) => offer.name.clone_from(&renamed.name),
            ProductEvent::Described(described) => offer.description.clone_from(&described.description),
            ProductEvent::Repriced(repriced) => offer.price = repriced.price,
            ProductEvent::Categorised(filed) => offer.category_ids.clone_from(&filed.category_ids),
            ProductEvent::SellerChanged(changed) => offer.seller_id = changed.seller_id,
            ProductEvent::TaxClassSet(set) => offer.tax_class = set.tax_class,
            ProductEvent::ImagesSet(set) => offer.image_urls.clone_from(&set.image_urls),
            ProductEvent::Weighed(weighed) => offer.weight_grams = weighed.grams,
            ProductEvent::SlugSet(set) => offer.slug.clone_from(&set.slug),
            ProductEvent::MetadataSet(set) => offer.metadata.clone_from(&set.metadata),
            ProductEvent::MadeVariant(made) => offer.variant_of = Some((made.of, made.options.clone())),
            ProductEvent::MadeSingle(_) => offer.variant_of = None,
            ProductEvent::VariantAdded(added) => {
                offer.variants.insert(added.product_id, added.options.clone());
            }
            ProductEvent::VariantRemoved(gone) => {
                offer.variants.remove(&gone.product_id);
            }
            ProductEvent::Created(_) | ProductEvent::Removed(_) => {}
        }
    }

    /// Whether it is in the catalogue.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.offer.is_some()
    }
    /// Whether it was in the catalogue and left it for good.
    #[must_use]
    pub const fn is_removed(&self) -> bool {
        self.removed
    }
    /// Whether it can be bought.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.offer.as_ref().is_some_and(|offer| offer.active)
    }
    /// What it is called and what one costs, when it exists.
    #[must_use]
    pub fn name_and_price(&self) -> Option<(&str, Money)> {
        self.offer.as_ref().map(|offer| (offer.name.as_str(), offer.price))
    }
    /// Who sells it, when somebody in particular does.
    #[must_use]
    pub fn seller_id(&self) -> Option<UserId> {
        self.offer.as_ref().and_then(|offer| offer.seller_id)
    }
    /// Grams of one; 0 when nobody has weighed it.
    #[must_use]
    pub fn weight_grams(&self) -> u32 {
        self.offer.as_ref().map_or(0, |offer| offer.weight_grams)
    }
    /// The readable part of its address.
    #[must_use]
    pub fn slug(&self) -> Option<&str> {
        self.offer.as_ref().and_then(|offer| offer.slug.as_deref())
    }
    /// The product that it is a variant of.
    #[must_use]
    pub fn variant_of(&self) -> Option<ProductId> {
        self.offer.as_ref().and_then(|offer| offer.variant_of.as_ref()).map(|(of, _)| *of)
    }
    pub(super) const fn offer(&self) -> Option<&Offer> {
        self.offer.as_ref()
    }
}
