//! Products, with what can be bought of them.

use std::collections::BTreeSet;

use jangbu_kernel::{CategoryId, Money, ProductId, UserId};
use serde::{Deserialize, Serialize};

use super::cursor::Like;
use super::select::{Order, Select, row};
use super::{LONGEST_PAGE, Page, PageRequest, Queries, QueryError};
use crate::engine::{Engine, sql};
use crate::view::{Kind, Value};
use crate::views::products::{category_term, wanted_terms};
use crate::views::{ProductRow, query_words};

/// Different words of a search; each is one more condition on every row that is checked.
pub const MOST_SEARCH_WORDS: usize = 20;
/// Letters of all its words together; each pair of them is one more lookup in the index.
pub const MOST_SEARCH_LETTERS: usize = 400;

/// Products up to which those of a category are sorted all together.
const FEW: i64 = 2_000;

/// Products by their age, those that are no variants and those that are.
const BY_ID: Order = Order { name: "products-by-id", columns: &[("id", Like::Uuid)], descending: false };
const VARIANTS_BY_ID: Order = Order { name: "variants-by-id", columns: &[("id", Like::Uuid)], descending: false };

/// A product with the quantity that can be bought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProductWithStock {
    /// The product.
    pub product: ProductRow,
    /// How many can be bought now; 0 means sold out.
    pub available: i64,
}

/// The order of a list of products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ProductSort {
    /// The newest first.
    #[default]
    Newest,
    /// The cheapest first.
    #[strum(serialize = "price")]
    PriceAscending,
    /// The most expensive first.
    #[strum(serialize = "-price")]
    PriceDescending,
    /// By name.
    Name,
}

jangbu_kernel::named!(ProductSort);

impl ProductSort {
    const fn order(self) -> Order {
        match self {
            Self::Newest => Order {
                name: "products-newest",
                columns: &[("p.created_at", Like::Time), ("p.id", Like::Uuid)],
                descending: true,
            },
            Self::PriceAscending => Order {
                name: "products-price",
                columns: &[("p.price_minor", Like::Int), ("p.id", Like::Uuid)],
                descending: false,
            },
            Self::PriceDescending => Order {
                name: "products-price-down",
                columns: &[("p.price_minor", Like::Int), ("p.id", Like::Uuid)],
                descending: true,
            },
            Self::Name => Order {
                name: "products-name",
                columns: &[("p.name", Like::Text), ("p.id", Like::Uuid)],
                descending: false,
            },
        }
    }

    fn keys(self, product: &ProductRow) -> Vec<Value> {
        let by = match self {
            Self::Newest => Value::time(product.created_at),
            Self::PriceAscending | Self::PriceDescending => Value::int(product.price.minor_units()),
            Self::Name => Value::text(&product.name),
        };
        vec![by, Value::id(product.id)]
    }
}

/// Which products to list. An absent field is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductFilter {
    /// Words that all occur in the name or the description, as whole words or parts.
    pub q: Option<String>,
    /// In this category.
    pub category_id: Option<CategoryId>,
    /// Sold by this user.
    pub seller_id: Option<UserId>,
    /// Variants of this product.
    pub variant_of: Option<ProductId>,
    /// Costs at least this, in this currency.
    pub min_price: Option<Money>,
    /// Costs at most this, in this currency.
    pub max_price: Option<Money>,
    /// True: can be bought now. False: sold out.
    pub in_stock: Option<bool>,
    /// Leave out products that are not for sale.
    pub active_only: bool,
    /// The order of the list.
    pub sort: ProductSort,
}

/// The words of a search.
pub(super) enum Words {
    /// All of these; none where nothing is searched.
    All(Vec<String>),
    /// A search of nothing but punctuation, which no product contains.
    Nothing,
}

impl ProductFilter {
    pub(super) fn words(&self) -> Result<Words, QueryError> {
        let Some(q) = &self.q else { return Ok(Words::All(Vec::new())) };
        let words = words_of(q)?;
        Ok(if words.is_empty() && !q.trim().is_empty() { Words::Nothing } else { Words::All(words) })
    }
}

impl Queries {
    /// The catalogue joined with the stock. They are separate tables because stock changes with
    /// every sale and a product hardly ever.
    pub(super) fn catalogue(&self) -> Select {
        let engine = &self.models.engine;
        Select::from(format!(
            "{} p left join {} s on s.product_id = p.id",
            engine.table("products"),
            engine.table("stock")
        ))
    }

    /// A product.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn product(&self, id: ProductId) -> Result<Option<ProductWithStock>, QueryError> {
        let engine = &self.models.engine;
        let text = format!(
            "select {SHOWN} from {} p left join {} s on s.product_id = p.id where p.id = $1",
            engine.table("products"),
            engine.table("stock")
        );
        let rows = engine.select(sql(text, vec![Value::id(id)]), CHOSEN).await?;
        rows.first().map(|found| with_stock(found)).transpose()
    }

    /// The product that has a slug.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn product_with_slug(&self, slug: &str) -> Result<Option<ProductId>, QueryError> {
        let engine = &self.models.engine;
        let text = format!("select id from {} where slug = $1 limit 1", engine.table("products"));
        let rows = engine.select(sql(text, vec![Value::text(slug)]), &[Kind::Uuid]).await?;
        let id = rows.first().and_then(|row| row.first());
        Ok(if let Some(Value::Uuid(Some(id))) = id { Some(ProductId::new(*id)) } else { None })
    }

    /// Products.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn products(
        &self,
        filter: &ProductFilter,
        page: &PageRequest,
    ) -> Result<Page<ProductWithStock>, QueryError> {
        let mut select = self.catalogue().with_some("p.seller_id", "=", filter.seller_id.map(Value::id)).with_some(
            "p.variant_of",
            "=",
            filter.variant_of.map(Value::id),
        );
        if let Some(category_id) = filter.category_id {
            select = self.filed_in(select, category_id).await?;
        }
        if let Some(min) = filter.min_price {
            select = select.with("p.currency", "=", Value::text(min.currency().code())).with(
                "p.price_minor",
                ">=",
                Value::int(min.minor_units()),
            );
        }
        if let Some(max) = filter.max_price {
            select = select.with("p.currency", "=", Value::text(max.currency().code())).with(
                "p.price_minor",
                "<=",
                Value::int(max.minor_units()),
            );
        }
        select = match filter.in_stock {
            Some(true) => select.when("s.available > 0"),
            Some(false) => select.when("coalesce(s.available, 0) <= 0"),
            None => select,
        };
        if filter.active_only {
            select = select.when("p.active");
        }
        match filter.words()? {
            Words::Nothing => return Ok(Page { items: Vec::new(), next_cursor: None }),
            Words::All(words) => {
                for word in words {
                    select = self.with_word(select, &word);
                }
            }
        }
        let sort = filter.sort;
        self.page_of(SHOWN, CHOSEN, select, &sort.order(), page, with_stock, move |item| sort.keys(&item.product)).await
    }

    /// Products that are variants, or those that are none, on sale or not, the oldest first.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn products_by_id(&self, variants: bool, page: &PageRequest) -> Result<Page<ProductRow>, QueryError> {
        let select = Select::from(self.models.engine.table("products"));
        let select = select.when(if variants { "variant_of is not null" } else { "variant_of is null" });
        let order = if variants { &VARIANTS_BY_ID } else { &BY_ID };
        self.page(select, order, page, |row: &ProductRow| vec![Value::id(row.id)]).await
    }

    /// The products that have all these words in their name or description, on sale or not.
    ///
    /// # Errors
    /// [`QueryError::SearchTooLong`], [`QueryError::SearchTooBroad`] if a page cannot hold them, or
    /// when the read models cannot be read.
    pub async fn products_with(&self, words: &str) -> Result<Vec<ProductId>, QueryError> {
        let filter = ProductFilter { q: Some(words.to_owned()), ..ProductFilter::default() };
        let page = PageRequest { cursor: None, limit: LONGEST_PAGE };
        let found = self.products(&filter, &page).await?;
        if found.next_cursor.is_some() {
            return Err(QueryError::SearchTooBroad);
        }
        Ok(found.items.into_iter().map(|item| item.product.id).collect())
    }

    /// Products of a category and of those below it.
    async fn filed_in(&self, mut select: Select, category_id: CategoryId) -> Result<Select, QueryError> {
        let below = self.category_and_below(category_id).await?;
        let terms: Vec<String> = below.into_iter().map(category_term).collect();
        let condition = match &self.models.engine {
            Engine::Postgres(_) => {
                let terms = select.param(Value::Terms(terms.join(" ")));
                format!("p.terms && string_to_array({terms}, ' ')")
            }
            Engine::Sqlite(_) => {
                let are_few = self.are_few("products", &terms).await?;
                let params: Vec<String> = terms.into_iter().map(|term| select.param(Value::text(term))).collect();
                let terms = params.join(", ");
                if are_few {
                    format!("p.id in (select id from products_terms where term in ({terms}))")
                } else {
                    format!("exists (select 1 from products_terms t where t.term in ({terms}) and t.id = p.id)")
                }
            }
        };
        Ok(select.when(condition))
    }

    /// Whether so few rows of a table have one of these terms that sorting all of them is cheaper than
    /// going through the list in its order and looking at each. (Postgres has statistics for that.)
    pub(super) async fn are_few(&self, table: &str, terms: &[String]) -> Result<bool, QueryError> {
        let params: Vec<String> = (1..=terms.len()).map(|number| format!("${number}")).collect();
        let text = format!(
            "select count(*) from (select 1 from {table}_terms where term in ({}) limit {FEW})",
            params.join(", ")
        );
        let rows = self.models.engine.select(sql(text, terms.iter().map(Value::text).collect()), &[Kind::Int]).await?;
        let count = rows.first().and_then(|row| row.first());
        Ok(!matches!(count, Some(Value::Int(Some(count))) if *count >= FEW))
    }

    /// Products with a word, or with what is left of it without a particle.
    pub(super) fn with_word(&self, mut select: Select, word: &str) -> Select {
        let forms = [Some(word), without_particle(word)].into_iter().flatten();
        let conditions: Vec<String> = forms.map(|form| self.has_word(&mut select, form)).collect();
        select.when(format!("({})", conditions.join(" or ")))
    }

    /// Whether a product has a word, or what is left of it without a particle: the same condition for
    /// rows that were found by something else.
    pub(super) fn contains(&self, select: &mut Select, word: &str) -> String {
        let place = match &self.models.engine {
            Engine::Postgres(_) => "strpos",
            Engine::Sqlite(_) => "instr",
        };
        let forms = [Some(word), without_particle(word)].into_iter().flatten();
        let conditions: Vec<String> = forms
            .map(|form| {
                let form = select.param(Value::text(form));
                format!("{place}(p.search_text, {form}) > 0")
            })
            .collect();
        format!("({})", conditions.join(" or "))
    }

    /// The index finds the rows that have all of a word's terms; of those only the ones that
    /// contain the word itself are kept.
    fn has_word(&self, select: &mut Select, word: &str) -> String {
        let terms = wanted_terms(word);
        match &self.models.engine {
            Engine::Postgres(_) => {
                let terms = select.param(Value::Terms(terms.join(" ")));
                let word = select.param(Value::text(word));
                format!("p.terms @> string_to_array({terms}, ' ') and strpos(p.search_text, {word}) > 0")
            }
            Engine::Sqlite(_) => {
                let count = terms.len();
                let params: Vec<String> = terms.into_iter().map(|term| select.param(Value::text(term))).collect();
                let word = select.param(Value::text(word));
                format!(
                    "p.id in (select id from products_terms where term in ({}) group by id having count(*) = {count}) and instr(p.search_text, {word}) > 0",
                    params.join(", ")
                )
            }
        }
    }
}

const SHOWN: &str = "p.doc, coalesce(s.available, 0)";
const CHOSEN: &[Kind] = &[Kind::Text, Kind::Int];

fn with_stock(found: &[Value]) -> Result<ProductWithStock, QueryError> {
    let available = if let Some(Value::Int(Some(available))) = found.get(1) { *available } else { 0 };
    // More may be promised than is here.
    Ok(ProductWithStock { product: row(found.first())?, available: available.max(0) })
}

/// What is left of a word of three syllables or more without a Korean particle at its end, such as
/// 을 in 한라봉을.
fn without_particle(word: &str) -> Option<&str> {
    const PARTICLES: [char; 14] = ['은', '는', '이', '가', '을', '를', '의', '에', '로', '과', '와', '도', '만', '랑'];
    let is_hangul = |letter: char| ('가'..='힣').contains(&letter);
    let stem = word.strip_suffix(PARTICLES)?;
    (stem.chars().count() >= 2 && stem.chars().all(is_hangul)).then_some(stem)
}

/// The words to search for, each once. All of them count: a search that is too long is refused, not
/// cut.
fn words_of(q: &str) -> Result<Vec<String>, QueryError> {
    let words: BTreeSet<String> = query_words(q).into_iter().collect();
    let letters: usize = words.iter().map(|word| word.chars().count()).sum();
    if words.len() > MOST_SEARCH_WORDS || letters > MOST_SEARCH_LETTERS {
        return Err(QueryError::SearchTooLong);
    }
    Ok(words.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_particle_is_taken_off_where_a_word_is_left() {
        for (word, stem) in [
            ("한라봉을", Some("한라봉")),
            ("감귤은", Some("감귤")),
            ("사과", None),
            ("종이", None),
            ("mug은", None),
            ("한라봉", None),
        ] {
            assert_eq!(without_particle(word), stem, "{word}");
        }
    }

    #[test]
    fn every_word_counts_and_too_many_are_refused() {
        let words = |count: usize| (0..count).map(|number| format!("w{number}")).collect::<Vec<_>>().join(" ");
        assert_eq!(words_of(&words(MOST_SEARCH_WORDS)).unwrap().len(), MOST_SEARCH_WORDS);
        assert!(matches!(words_of(&words(MOST_SEARCH_WORDS + 1)), Err(QueryError::SearchTooLong)));
        assert_eq!(words_of(&"x".repeat(MOST_SEARCH_LETTERS)).unwrap(), ["x".repeat(MOST_SEARCH_LETTERS)]);
        assert!(words_of(&"x".repeat(MOST_SEARCH_LETTERS + 1)).is_err());
        assert_eq!(words_of("차 \u{110e}\u{1161} 차").unwrap(), ["차"]);
    }
}
