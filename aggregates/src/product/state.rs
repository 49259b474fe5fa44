//! What a product keeps in mind.

use jangbu_kernel::Money;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::ProductEvent;

/// A product; before it is created, nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Product {
    offer: Option<Offer>,
}

/// What an order needs to know of a product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Offer {
    name: String,
    price: Money,
    active: bool,
}

impl Product {
    pub(super) fn fold(&mut self, event: &ProductEvent) {
        match (&mut self.offer, event) {
            (None, ProductEvent::Created(created)) => {
                self.offer = Some(Offer { name: created.name.clone(), price: created.price, active: true });
            }
            (Some(offer), ProductEvent::Activated(_)) => offer.active = true,
            (Some(offer), ProductEvent::Deactivated(_)) => offer.active = false,
            (Some(_), ProductEvent::Created(_)) | (None, ProductEvent::Activated(_) | ProductEvent::Deactivated(_)) => {
            }
        }
    }

    /// Whether it is in the catalogue.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.offer.is_some()
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
}
