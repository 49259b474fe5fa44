//! How the parts of a product change, and what is allowed of each.

use std::collections::BTreeMap;

use jangbu_kernel::{Money, Refusal, RefusalCode, text};

use super::command::ProductChange;
use super::event::{
    ProductCategorised, ProductCreated, ProductDescribed, ProductEvent, ProductImagesSet, ProductMetadataSet,
    ProductRenamed, ProductRepriced, ProductSellerChanged, ProductSlugSet, ProductTaxClassSet, ProductWeighed,
};
use super::state::Offer;

/// Characters of a product's name.
const LONGEST_NAME: usize = 200;
/// Characters of a product's description.
const LONGEST_DESCRIPTION: usize = 5_000;
/// Images of a product.
const MOST_IMAGES: usize = 20;
/// Characters of an image's URL.
const LONGEST_URL: usize = 2_000;
/// Entries of metadata.
const MOST_METADATA: usize = 20;
/// Characters of the name of an entry of metadata.
const LONGEST_KEY: usize = 40;
/// Characters of the value of an entry of metadata.
const LONGEST_VALUE: usize = 500;

/// What differs from what is offered, each a fact.
pub(super) fn changed(offer: &Offer, change: &ProductChange) -> Result<Vec<ProductEvent>, Refusal> {
    check_change(offer, change)?;
    let ProductChange {
        name,
        description,
        price,
        category_ids,
        seller_id,
        tax_class,
        image_urls,
        weight_grams,
        slug,
        metadata,
    } = change;
    let name = differs(name, &offer.name).map(|name| ProductRenamed { name }.into());
    let description =
        differs(description, &offer.description).map(|description| ProductDescribed { description }.into());
    let price = differs(price, &offer.price).map(|price| ProductRepriced { price }.into());
    let categories = differs(category_ids, &offer.category_ids);
    let categories = categories.map(|category_ids| ProductCategorised { category_ids }.into());
    let seller = differs(seller_id, &offer.seller_id).map(|seller_id| ProductSellerChanged { seller_id }.into());
    let tax_class = differs(tax_class, &offer.tax_class).map(|tax_class| ProductTaxClassSet { tax_class }.into());
    let images = differs(image_urls, &offer.image_urls).map(|image_urls| ProductImagesSet { image_urls }.into());
    let weight = differs(weight_grams, &offer.weight_grams).map(|grams| ProductWeighed { grams }.into());
    let slug = differs(slug, &offer.slug).map(|slug| ProductSlugSet { slug }.into());
    let metadata = differs(metadata, &offer.metadata).map(|metadata| ProductMetadataSet { metadata }.into());
    Ok([name, description, price, categories, seller, tax_class, images, weight, slug, metadata]
        .into_iter()
        .flatten()
        .collect())
}

fn differs<T: Clone + PartialEq>(wanted: &Option<T>, held: &T) -> Option<T> {
    wanted.as_ref().filter(|wanted| *wanted != held).cloned()
}

fn check_change(offer: &Offer, change: &ProductChange) -> Result<(), Refusal> {
    if let Some(name) = &change.name {
        check_name(name)?;
    }
    if let Some(description) = &change.description {
        check_description(description.as_ref())?;
    }
    if let Some(price) = change.price {
        check_price(price)?;
        if price.currency() != offer.price.currency() {
            return Err(invalid(format!("the price is in {}", offer.price.currency().code()), "/price"));
        }
    }
    if let Some(image_urls) = &change.image_urls {
        check_images(image_urls)?;
    }
    if let Some(Some(slug)) = &change.slug {
        check_slug(slug)?;
    }
    change.metadata.as_ref().map_or(Ok(()), check_metadata)
}

pub(super) fn check_created(created: &ProductCreated) -> Result<(), Refusal> {
    check_name(&created.name)?;
    check_description(created.description.as_ref())?;
    check_price(created.price)
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
        return Err(invalid(format!("a name has 1 to {LONGEST_NAME} characters"), "/name"));
    }
    Ok(())
}

fn check_description(description: Option<&String>) -> Result<(), Refusal> {
    if description.is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION) {
        return Err(invalid(format!("a description has at most {LONGEST_DESCRIPTION} characters"), "/description"));
    }
    Ok(())
}

fn check_price(price: Money) -> Result<(), Refusal> {
    if price.is_negative() { Err(invalid("a price is not negative".to_owned(), "/price")) } else { Ok(()) }
}

fn check_images(image_urls: &[String]) -> Result<(), Refusal> {
    if image_urls.len() > MOST_IMAGES {
        return Err(invalid(format!("a product has at most {MOST_IMAGES} images"), "/image_urls"));
    }
    for (place, url) in image_urls.iter().enumerate() {
        if !is_web_address(url) || url.chars().count() > LONGEST_URL {
            let detail = format!("an image is an http or https URL of at most {LONGEST_URL} characters");
            return Err(invalid(detail, &format!("/image_urls/{place}")));
        }
    }
    Ok(())
}

/// Whether a text looks like an address of the web: a scheme, a host, and nothing that has to be
/// escaped.
fn is_web_address(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let is_safe = |letter: char| !letter.is_whitespace() && !letter.is_control() && !"\"<>\\^`{|}".contains(letter);
    host.is_some_and(|host| !host.is_empty()) && url.chars().all(is_safe)
}

fn check_slug(slug: &str) -> Result<(), Refusal> {
    if text::slug(slug).as_deref() == Some(slug) {
        return Ok(());
    }
    let detail = format!(
        "a slug has 1 to {} characters: words of lower-case letters, digits and Hangul with a hyphen between them",
        text::LONGEST_SLUG
    );
    Err(invalid(detail, "/slug"))
}

fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if metadata.len() > MOST_METADATA {
        return Err(invalid(format!("metadata has at most {MOST_METADATA} entries"), "/metadata"));
    }
    for (key, value) in metadata {
        if key.trim().is_empty() || key.chars().count() > LONGEST_KEY || value.chars().count() > LONGEST_VALUE {
            let detail = format!(
                "an entry of metadata has a name of 1 to {LONGEST_KEY} characters and a value of at most {LONGEST_VALUE}"
            );
            return Err(invalid(detail, "/metadata"));
        }
    }
    Ok(())
}

fn invalid(detail: String, pointer: &str) -> Refusal {
    Refusal::new(RefusalCode::ValidationFailed, detail).at(pointer)
}
