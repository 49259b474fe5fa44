//! Variants of a product: what one decides about being a variant, and about having some.

use jangbu_kernel::{Decision, ProductId, Refusal, RefusalCode};

use super::event::{
    ProductEvent, ProductMadeSingle, ProductMadeVariant, ProductRemoved, ProductVariantAdded, ProductVariantRemoved,
};
use super::state::{Offer, Options};

/// Variants of a product.
const MOST_VARIANTS: usize = 100;
/// Options of a variant.
const MOST_OPTIONS: usize = 5;
/// Characters of an option's name.
const LONGEST_NAME: usize = 40;
/// Characters of an option's value.
const LONGEST_VALUE: usize = 80;

impl Offer {
    pub(super) fn make_variant(&self, of: ProductId, options: &Options) -> Decision<ProductEvent> {
        if self.variant_of.as_ref().is_some_and(|(known, held)| *known == of && held == options) {
            return Decision::AlreadyDone;
        }
        if !self.variants.is_empty() {
            return conflict("it has variants itself", "/of").into();
        }
        match check_options(options) {
            Ok(()) => Decision::one(ProductMadeVariant { of, options: options.clone() }),
            Err(refusal) => refusal.into(),
        }
    }

    pub(super) fn make_single(&self) -> Decision<ProductEvent> {
        if self.variant_of.is_some() { Decision::one(ProductMadeSingle {}) } else { Decision::AlreadyDone }
    }

    pub(super) fn add_variant(&self, product_id: ProductId, options: &Options) -> Decision<ProductEvent> {
        if self.variants.get(&product_id) == Some(options) {
            return Decision::AlreadyDone;
        }
        if self.variant_of.is_some() {
            return conflict("the product is a variant itself", "/of").into();
        }
        let mut others = self.variants.iter().filter(|(other, _)| **other != product_id);
        if others.clone().count() >= MOST_VARIANTS {
            return conflict(&format!("a product has at most {MOST_VARIANTS} variants"), "/of").into();
        }
        if others.any(|(_, held)| held == options) {
            return conflict("another variant has the same options", "/options").into();
        }
        let names = self.variants.iter().find(|(other, _)| **other != product_id).map(|(_, held)| held.keys());
        if names.is_some_and(|names| !names.eq(options.keys())) {
            return conflict("all variants of a product have options of the same names", "/options").into();
        }
        Decision::one(ProductVariantAdded { product_id, options: options.clone() })
    }

    pub(super) fn remove_variant(&self, product_id: ProductId) -> Decision<ProductEvent> {
        if self.variants.contains_key(&product_id) {
            Decision::one(ProductVariantRemoved { product_id })
        } else {
            Decision::AlreadyDone
        }
    }

    pub(super) fn remove(&self) -> Decision<ProductEvent> {
        if self.variants.is_empty() {
            return Decision::one(ProductRemoved {});
        }
        let detail = format!("it has {} variants: remove them first", self.variants.len());
        Refusal::new(RefusalCode::VariantConflict, detail).into()
    }
}

fn check_options(options: &Options) -> Result<(), Refusal> {
    let within = |text: &str, most: usize| !text.trim().is_empty() && text.chars().count() <= most;
    let are_fine = (1..=MOST_OPTIONS).contains(&options.len())
        && options.iter().all(|(name, value)| within(name, LONGEST_NAME) && within(value, LONGEST_VALUE));
    if are_fine {
        return Ok(());
    }
    let detail = format!(
        "a variant has 1 to {MOST_OPTIONS} options, each with a name of 1 to {LONGEST_NAME} characters and a value of 1 to {LONGEST_VALUE}"
    );
    Err(Refusal::new(RefusalCode::ValidationFailed, detail).at("/options"))
}

fn conflict(detail: &str, pointer: &str) -> Refusal {
    Refusal::new(RefusalCode::VariantConflict, detail).at(pointer)
}
