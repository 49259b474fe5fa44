//! The catalogue, and the search in it.

use std::collections::BTreeSet;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::product::ProductEvent;
use jangbu_kernel::{AggregateKind, CategoryId, Money, ProductId, Timestamp, UserId, text};
use serde::{Deserialize, Serialize};

use crate::view::{Fact, FoldError, Kind, NOT_SHOWN, Shows, Value, View, ViewSpec, column, first, fixed, index, next};

/// A product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProductRow {
    /// Its id.
    pub id: ProductId,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// Where it is filed.
    pub category_id: Option<CategoryId>,
    /// Who sells it.
    pub seller_id: Option<UserId>,
    /// The unit price.
    pub price: Money,
    /// Whether it can be bought.
    pub active: bool,
    /// When it entered the catalogue.
    #[serde(with = "jangbu_kernel::time::millis")]
    pub created_at: Timestamp,
    /// The version of its stream that is folded in.
    pub version: u64,
}

/// The view "products".
pub struct ProductsView;

impl View for ProductsView {
    type Row = ProductRow;
    const SPEC: ViewSpec = ViewSpec {
        name: "products",
        // 3: the words are folded, not only in small letters.
        version: 3,
        key: &[column("id", Kind::Uuid)],
        columns: &[
            fixed("name", Kind::Text),
            fixed("category_id", Kind::Uuid),
            fixed("seller_id", Kind::Uuid),
            fixed("currency", Kind::Text),
            fixed("price_minor", Kind::Int),
            column("active", Kind::Bool),
            fixed("created_at", Kind::Time),
            fixed("search_text", Kind::Text),
            fixed("terms", Kind::Terms),
            column("version", Kind::Int),
        ],
        indexes: &[
            index("created", "created_at, id"),
            index("price", "price_minor, id"),
            index("name", "name, id"),
            index("category_created", "category_id, created_at, id"),
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
                category_id: created.category_id,
                seller_id: created.seller_id,
                price: created.price,
                active: true,
                created_at: fact.at,
                version: fact.version,
            });
            return Ok(());
        }
        let row = next(row, |row| row.version, fact)?;
        match event {
            ProductEvent::Activated(_) => row.active = true,
            ProductEvent::Deactivated(_) => row.active = false,
            ProductEvent::Created(_) => {}
        }
        row.version = fact.version;
        Ok(())
    }

    fn columns(row: &ProductRow) -> Vec<Value> {
        let text = search_text(&row.name, row.description.as_deref());
        let terms = search_terms(&text);
        vec![
            Value::text(&row.name),
            Value::Uuid(row.category_id.map(Into::into)),
            Value::Uuid(row.seller_id.map(Into::into)),
            Value::name(row.price.currency().code()),
            Value::int(row.price.minor_units()),
            Value::bool(row.active),
            Value::time(row.created_at),
            Value::text(text),
            Value::Terms(terms),
            Value::count(row.version),
        ]
    }
}

/// The words of a product, [folded](text::folded) with a space between: what a search looks
/// into.
#[must_use]
pub fn search_text(name: &str, description: Option<&str>) -> String {
    let mut words = query_words(name);
    words.extend(query_words(description.unwrap_or_default()));
    words.join(" ")
}

/// The words of a text, [folded](text::folded), without punctuation. What is looked for goes
/// the same way as what it is looked for in.
#[must_use]
pub fn query_words(text: &str) -> Vec<String> {
    text::folded(text)
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The letters and pairs of neighbouring letters of all words, each once, sorted,
/// with a space between.
///
/// Pairs, because most Korean words have two syllables: what looks for three letters
/// or more in an index never finds them.
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
    fn a_single_letter_is_found_too() {
        assert_eq!(wanted_terms("컵"), ["컵"]);
        assert!(search_terms("머그컵").split(' ').any(|term| term == "컵"));
    }
}
