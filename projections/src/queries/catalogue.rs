//! Products and stock.

use std::collections::BTreeSet;

use jangbu_kernel::{CategoryId, Money, ProductId, UserId};
use serde::{Deserialize, Serialize};

use super::cursor::Like;
use super::select::{Order, Select, row};
use super::{Page, PageRequest, Queries, QueryError};
use crate::engine::{Engine, sql};
use crate::view::{Kind, Value};
use crate::views::products::wanted_terms;
use crate::views::{ProductRow, StockMarksView, StockRow, query_words};

/// Different words of a search; each is one more condition on every row that is looked at.
pub const MOST_SEARCH_WORDS: usize = 20;
/// Letters of all its words: each pair of them is one more look into the index.
pub const MOST_SEARCH_LETTERS: usize = 400;

/// A product with what can be bought of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProductWithStock {
    /// The product.
    pub product: ProductRow,
    /// How many can be bought now; 0 reads as sold out.
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
    /// The dearest first.
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

/// Which products. What is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductFilter {
    /// Words that all occur in the name or the description, as whole words or parts.
    pub q: Option<String>,
    /// Filed here.
    pub category_id: Option<CategoryId>,
    /// Sold by.
    pub seller_id: Option<UserId>,
    /// Costs at least this, in this currency.
    pub min_price: Option<Money>,
    /// Costs at most this, in this currency.
    pub max_price: Option<Money>,
    /// Can be bought now, or is sold out.
    pub in_stock: Option<bool>,
    /// Leave out what is not for sale.
    pub active_only: bool,
    /// In which order.
    pub sort: ProductSort,
}

impl Queries {
    /// The catalogue beside the stock. One table each, because stock changes with every
    /// sale and a product hardly ever.
    fn catalogue(&self) -> Select {
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

    /// Products.
    ///
    /// # Errors
    /// A bad cursor, or when the read models cannot be read.
    pub async fn products(
        &self,
        filter: &ProductFilter,
        page: &PageRequest,
    ) -> Result<Page<ProductWithStock>, QueryError> {
        let mut select = self.catalogue().with_some("p.category_id", "=", filter.category_id.map(Value::id)).with_some(
            "p.seller_id",
            "=",
            filter.seller_id.map(Value::id),
        );
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
        if let Some(q) = &filter.q {
            let words = words_of(q)?;
            if words.is_empty() && !q.trim().is_empty() {
                // Nothing but punctuation occurs in no product.
                return Ok(Page { items: Vec::new(), next_cursor: None });
            }
            for word in words {
                select = self.with_word(select, &word);
            }
        }
        let sort = filter.sort;
        self.page_of(SHOWN, CHOSEN, select, &sort.order(), page, with_stock, move |item| sort.keys(&item.product)).await
    }

    /// The index finds the rows that have all of a word's terms; of those the ones with
    /// the word itself are left.
    fn with_word(&self, mut select: Select, word: &str) -> Select {
        let terms = wanted_terms(word);
        let condition = match &self.models.engine {
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
        };
        select.when(condition)
    }

    /// The stock of a product.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn stock(&self, product_id: ProductId) -> Result<Option<StockRow>, QueryError> {
        let select = Select::from(self.models.engine.table("stock")).with("product_id", "=", Value::id(product_id));
        self.first(select, "").await
    }

    /// The stock of a product as it was not long before a version, to fold on from; none
    /// where the stream itself is not long.
    ///
    /// # Errors
    /// When the read models cannot be read.
    pub async fn stock_before(&self, product_id: ProductId, version: u64) -> Result<Option<StockRow>, QueryError> {
        let Some(number) = StockMarksView::before(version) else { return Ok(None) };
        let select = Select::from(self.models.engine.table("stock_marks"))
            .with("product_id", "=", Value::id(product_id))
            // A read model that is behind has an earlier one.
            .with("number", "<=", Value::count(number));
        self.first(select, " order by number desc").await
    }
}

const SHOWN: &str = "p.doc, coalesce(s.available, 0)";
const CHOSEN: &[Kind] = &[Kind::Text, Kind::Int];

fn with_stock(found: &[Value]) -> Result<ProductWithStock, QueryError> {
    let available = if let Some(Value::Int(Some(available))) = found.get(1) { *available } else { 0 };
    Ok(ProductWithStock { product: row(found.first())?, available })
}

/// The words that are looked for, each once. All of them count: a search that is too long is
/// refused, not cut.
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
    fn every_word_counts_and_too_many_are_refused() {
        let words = |count: usize| (0..count).map(|number| format!("w{number}")).collect::<Vec<_>>().join(" ");
        assert_eq!(words_of(&words(MOST_SEARCH_WORDS)).unwrap().len(), MOST_SEARCH_WORDS);
        assert!(matches!(words_of(&words(MOST_SEARCH_WORDS + 1)), Err(QueryError::SearchTooLong)));
        assert_eq!(words_of(&"x".repeat(MOST_SEARCH_LETTERS)).unwrap(), ["x".repeat(MOST_SEARCH_LETTERS)]);
        assert!(words_of(&"x".repeat(MOST_SEARCH_LETTERS + 1)).is_err());
        assert_eq!(words_of("차 \u{110e}\u{1161} 차").unwrap(), ["차"]);
    }
}
