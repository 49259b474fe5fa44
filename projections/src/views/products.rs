//! The catalogue, and the search in it.

use std::collections::{BTreeMap, BTreeSet};

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::product::{Options, ProductEvent, TaxClass};
use jangbu_kernel::{AggregateKind, CategoryId, Money, ProductId, Timestamp, UserId, Version, text};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, first, fixed, index, next};

/// A product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProductRow {
    /// Its id.
    pub id: ProductId,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// The categories that it is filed in, the main one first.
    pub category_ids: Vec<CategoryId>,
    /// Its seller.
    pub seller_id: Option<UserId>,
    /// The unit price.
    pub price: Money,
    /// How it is taxed.
    pub tax_class: TaxClass,
    /// Where its images are, the main one first.
    pub image_urls: Vec<String>,
    /// Grams of one; 0 when nobody has weighed it.
    pub weight_grams: u32,
    /// The readable part of its address.
    pub slug: Option<String>,
    /// References of other systems.
    pub metadata: BTreeMap<String, String>,
    /// The product that it is a variant of.
    pub variant_of: Option<ProductId>,
    /// What tells it from the other variants.
    pub options: Options,
    /// Its variants, with their options.
    pub variants: BTreeMap<ProductId, Options>,
    /// Whether it can be bought.
    pub active: bool,
    /// When it entered the catalogue.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub created_at: Timestamp,
    /// The version of its stream that is folded in.
    pub version: Version,
}

/// The view "products".
pub struct ProductsView;

impl View for ProductsView {
    type Row = ProductRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "products",
        // 6: slugs, the categories as a column.
        version: 6,
        key: &[column("id", Kind::Uuid)],
        columns: &[
            column("name", Kind::Text),
            column("seller_id", Kind::Uuid),
            column("variant_of", Kind::Uuid),
            column("slug", Kind::Text),
            column("categories", Kind::Text),
            fixed("currency", Kind::Text),
            column("price_minor", Kind::Int),
            column("active", Kind::Bool),
            fixed("created_at", Kind::Time),
            column("search_text", Kind::Text),
            column("terms", Kind::Terms),
            column("version", Kind::Int),
        ],
        indexes: &[
            index("created", "created_at, id"),
            index("price", "price_minor, id"),
            index("name", "name, id"),
            index("slug", "slug"),
            index("variant_created", "variant_of, created_at, id"),
            index("seller_created", "seller_id, created_at, id"),
        ],
    };
    const SHOWS: Shows = Shows::All(AggregateKind::Product);

    fn fold(row: &mut Option<ProductRow>, fact: &Fact) -> Result<(), FoldError> {
        let DomainEvent::Product(event) = &fact.event else { return Err(NOT_SHOWN) };
        if let ProductEvent::Created(created) = event {
            first(row, fact)?;
            *row = Some(ProductRow {
                id: ProductId::new(fact.stream.id),
                name: created.name.clone(),
                description: created.description.clone(),
                category_ids: created.category_id.into_iter().collect(),
                seller_id: created.seller_id,
                price: created.price,
                tax_class: TaxClass::default(),
                image_urls: Vec::new(),
                weight_grams: 0,
                slug: None,
                metadata: BTreeMap::new(),
                variant_of: None,
                options: Options::new(),
                variants: BTreeMap::new(),
                active: true,
                created_at: fact.at,
                version: fact.version,
            });
            return Ok(());
        }
        let known = next(row, |row| row.version, fact)?;
        known.version = fact.version;
        match event {
            ProductEvent::Activated(_) => known.active = true,
            ProductEvent::Deactivated(_) => known.active = false,
            ProductEvent::Renamed(renamed) => known.name.clone_from(&renamed.name),
            ProductEvent::Described(described) => known.description.clone_from(&described.description),
            ProductEvent::Repriced(repriced) => known.price = repriced.price,
            ProductEvent::Categorised(filed) => known.category_ids.clone_from(&filed.category_ids),
            ProductEvent::SellerChanged(changed) => known.seller_id = changed.seller_id,
            ProductEvent::TaxClassSet(set) => known.tax_class = set.tax_class,
            ProductEvent::ImagesSet(set) => known.image_urls.clone_from(&set.image_urls),
            ProductEvent::Weighed(weighed) => known.weight_grams = weighed.grams,
            ProductEvent::SlugSet(set) => known.slug.clone_from(&set.slug),
            ProductEvent::MetadataSet(set) => known.metadata.clone_from(&set.metadata),
            ProductEvent::MadeVariant(made) => {
                (known.variant_of, known.options) = (Some(made.of), made.options.clone());
            }
            ProductEvent::MadeSingle(_) => (known.variant_of, known.options) = (None, Options::new()),
            ProductEvent::VariantAdded(added) => {
                known.variants.insert(added.product_id, added.options.clone());
            }
            ProductEvent::VariantRemoved(gone) => {
                known.variants.remove(&gone.product_id);
            }
            ProductEvent::Removed(_) => *row = None,
            ProductEvent::Created(_) => {}
        }
        Ok(())
    }

    fn columns(row: &ProductRow) -> Vec<Value> {
        let text = search_text(&row.name, row.description.as_deref());
        let filed = row.category_ids.iter().map(|category_id| category_term(*category_id));
        let mut terms: Vec<String> = filed.collect();
        terms.push(search_terms(&text));
        vec![
            Value::text(&row.name),
            Value::Uuid(row.seller_id.map(Into::into)),
            Value::Uuid(row.variant_of.map(Into::into)),
            Value::Text(row.slug.clone()),
            Value::text(row.category_ids.iter().map(|id| id.uuid().simple().to_string()).collect::<Vec<_>>().join(" ")),
            Value::name(row.price.currency().code()),
            Value::int(row.price.minor_units()),
            Value::bool(row.active),
            Value::time(row.created_at),
            Value::text(text),
            Value::Terms(terms.join(" ").trim_end().to_owned()),
            Value::count(row.version),
        ]
    }
}

/// The term that stands for a category among the terms of a product: no word of a text has a colon.
pub(crate) fn category_term(category_id: CategoryId) -> String {
    format!("in:{}", category_id.uuid().simple())
}

/// The words of a product, [folded](text::folded) and separated by spaces: the text that a search
/// is matched against.
#[must_use]
pub fn search_text(name: &str, description: Option<&str>) -> String {
    let mut words = query_words(name);
    let joined = words.concat();
    if words.len() > 1 {
        words.push(joined.clone());
    }
    words.extend(initials(&joined));
    words.extend(query_words(description.unwrap_or_default()));
    words.join(" ")
}

/// The first consonant of each Hangul syllable (초성), other letters as they are; none without a
/// syllable. Folding makes the same letters of consonants that somebody types alone.
fn initials(word: &str) -> Option<String> {
    const FIRST_SYLLABLE: u32 = 0xac00;
    const FIRST_CONSONANT: u32 = 0x1100;
    /// Syllables that begin with the same consonant.
    const EACH: u32 = 21 * 28;
    let initial = |letter: char| match letter {
        '가'..='힣' => {
            char::from_u32(FIRST_CONSONANT + (u32::from(letter) - FIRST_SYLLABLE) / EACH).unwrap_or(letter)
        }
        other => other,
    };
    let initials: String = word.chars().map(initial).collect();
    (initials != word).then_some(initials)
}

/// The words of a text, [folded](text::folded), without punctuation. Searches and the texts that
/// are searched are treated the same way.
#[must_use]
pub fn query_words(text: &str) -> Vec<String> {
    text::folded(text)
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The letters and the pairs of neighbouring letters of all words, each once, sorted and separated
/// by spaces.
///
/// Pairs, because most Korean words have two syllables: an index of three letters or more would
/// never find them.
#[must_use]
pub fn search_terms(text: &str) -> String {
    let mut terms = BTreeSet::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let letters: Vec<char> = word.chars().collect();
        terms.extend(letters.iter().map(char::to_string));
        terms.extend(letters.windows(2).map(|pair| pair.iter().collect::<String>()));
    }
    terms.into_iter().collect::<Vec<_>>().join(" ")
}

/// The terms that a row must have to contain a word: its pairs, or its one letter.
pub(crate) fn wanted_terms(word: &str) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    if letters.len() < 2 {
        return vec![word.to_owned()];
    }
    let pairs: BTreeSet<String> = letters.windows(2).map(|pair| pair.iter().collect()).collect();
    pairs.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_two_syllables_is_one_term() {
        assert_eq!(wanted_terms("사과"), ["사과"]);
        assert!(search_terms(&search_text("햇사과 5kg", None)).split(' ').any(|term| term == "사과"));
    }

    #[test]
    fn terms_hold_every_pair_once_and_no_punctuation() {
        assert_eq!(search_terms(&search_text("Aa-AA!", Some("b"))), "a aa b");
    }

    proptest::proptest! {
        #[test]
        fn what_is_looked_for_is_found_in_any_form_of_its_letters(
            words in proptest::collection::vec("[가-힣]{1,4}|[a-zA-Zéß]{1,6}|[0-9]{1,4}", 1..4),
        ) {
            let name = words.join(" ");
            let wide = |text: &str| text.chars().map(|c| match c {
                '!'..='~' => char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c),
                c => c,
            }).collect::<String>();
            let parted = |text: &str| text.chars().flat_map(|c| [c, '\u{200b}']).collect::<String>();
            for kept in [text::composed(&name), text::decomposed(&name)] {
                let haystack = search_text(&kept, None);
                let terms = search_terms(&haystack);
                for word in &words {
                    for form in [text::composed(word), text::decomposed(word), wide(word), parted(word), word.to_uppercase()] {
                        let wanted = query_words(&form);
                        proptest::prop_assert_eq!(wanted.len(), 1);
                        for wanted in wanted {
                            proptest::prop_assert!(haystack.contains(&wanted), "{} in {}", wanted, haystack);
                            for term in wanted_terms(&wanted) {
                                proptest::prop_assert!(terms.split(' ').any(|known| known == term), "{}", term);
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn first_consonants_and_words_without_their_spaces_are_found() {
        let haystack = search_text("제주 감귤 5kg", None);
        for query in ["ㅈㅈㄱㄱ", "ㄱㄱ5", "제주감귤", "감귤5kg", "ㅈㅈ"] {
            let words = query_words(query);
            assert_eq!(words.len(), 1, "{query}");
            assert!(haystack.contains(&words[0]), "{query} in {haystack}");
            let terms = search_terms(&haystack);
            assert!(
                wanted_terms(&words[0]).iter().all(|wanted| terms.split(' ').any(|term| term == wanted)),
                "{query}"
            );
        }
        assert_eq!(initials("mug"), None);
    }

    #[test]
    fn a_single_letter_is_found_too() {
        assert_eq!(wanted_terms("컵"), ["컵"]);
        assert!(search_terms("머그컵").split(' ').any(|term| term == "컵"));
    }
}
