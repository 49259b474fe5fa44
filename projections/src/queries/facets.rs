//! How many products there are of each kind, among those that a filter chooses.

use std::collections::{BTreeMap, BTreeSet};

use jangbu_kernel::{CategoryId, Currency, Money, UserId};
use uuid::Uuid;

use super::catalogue::{ProductFilter, Words};
use super::select::Select;
use super::{Queries, QueryError};
use crate::engine::{Engine, sql};
use crate::view::{Kind, Value};
use crate::views::products::category_term;

/// Products that are looked at for the counts of one question. Where more come into question, the
/// newest are looked at.
pub const MOST_LOOKED_AT: usize = 5_000;
/// Categories, and sellers, that are counted; those with the most products.
pub const MOST_COUNTED: usize = 100;
/// Where the bands of prices begin, in won, after the first, which begins at 0.
const BANDS: [i64; 5] = [10_000, 30_000, 50_000, 100_000, 300_000];

/// How many products there are of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductFacets {
    /// How many products the filter chooses.
    pub count: u64,
    /// Whether more came into question than were looked at: the counts are those of the newest.
    pub more: bool,
    /// Categories that products are filed in themselves, the largest first.
    pub categories: Vec<(CategoryId, u64)>,
    /// Sellers, those with the most first.
    pub sellers: Vec<(UserId, u64)>,
    /// Bands of prices in won that have products, the cheapest first.
    pub prices: Vec<PriceBand>,
    /// How many can be bought now.
    pub in_stock: u64,
    /// How many are sold out.
    pub sold_out: u64,
}

/// A band of prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceBand {
    /// The lowest price in it.
    pub min: Money,
    /// The highest price in it; none in the last one.
    pub max: Option<Money>,
    /// How many products.
    pub count: u64,
}

/// What is read of a product that is looked at; whether it has the words comes last.
const LOOKED_AT: &str =
    "p.seller_id, p.variant_of, p.currency, p.price_minor, p.active, coalesce(s.available, 0), p.categories";
const KINDS: &[Kind] = &[Kind::Uuid, Kind::Uuid, Kind::Text, Kind::Int, Kind::Bool, Kind::Int, Kind::Text, Kind::Bool];

impl Queries {
    /// How many products of each kind a filter chooses. The work is bounded by
    /// [`MOST_LOOKED_AT`] products, whatever the filter: those of its category where they are few,
    /// else those that have its words where they are few, else the newest (of its seller).
    ///
    /// # Errors
    /// A search that is too long, or when the read models cannot be read.
    pub async fn product_facets(&self, filter: &ProductFilter) -> Result<ProductFacets, QueryError> {
        let words = match filter.words()? {
            Words::Nothing => return Ok(ProductFacets::default()),
            Words::All(words) => words,
        };
        let below: Option<BTreeSet<CategoryId>> = match filter.category_id {
            Some(category_id) => Some(self.category_and_below(category_id).await?.into_iter().collect()),
            None => None,
        };
        if let Some(below) = &below
            && let Some(few) = self.few(self.filed_in_any(below), &words).await?
        {
            return Ok(counted(filter, Some(below), &few, false));
        }
        if !words.is_empty() {
            let found = words.iter().fold(self.catalogue(), |select, word| self.with_word(select, word));
            if let Some(few) = self.few(found, &words).await? {
                return Ok(counted(filter, below.as_ref(), &few, false));
            }
        }
        let newest = self.catalogue().with_some("p.seller_id", "=", filter.seller_id.map(Value::id)).with_some(
            "p.variant_of",
            "=",
            filter.variant_of.map(Value::id),
        );
        let mut rows = self.looked_at(newest, &words, " order by p.created_at desc, p.id desc").await?;
        let more = rows.len() > MOST_LOOKED_AT;
        rows.truncate(MOST_LOOKED_AT);
        Ok(counted(filter, below.as_ref(), &rows, more))
    }

    /// The products of a selection, if they are few enough to look at all of them.
    async fn few(&self, select: Select, words: &[String]) -> Result<Option<Vec<Vec<Value>>>, QueryError> {
        let rows = self.looked_at(select, words, "").await?;
        Ok((rows.len() <= MOST_LOOKED_AT).then_some(rows))
    }

    /// One product more than is looked at, if there are so many.
    async fn looked_at(
        &self,
        mut select: Select,
        words: &[String],
        order: &str,
    ) -> Result<Vec<Vec<Value>>, QueryError> {
        let has: Vec<String> = words.iter().map(|word| self.contains(&mut select, word)).collect();
        let has = if has.is_empty() { "1 = 1".to_owned() } else { has.join(" and ") };
        let limit = MOST_LOOKED_AT + 1;
        let (rest, params) = select.into_parts();
        let text = format!("select {LOOKED_AT}, ({has}) from {rest}{order} limit {limit}");
        Ok(self.models.engine.select(sql(text, params), KINDS).await?)
    }

    /// Products of these categories, more than are looked at left out.
    fn filed_in_any(&self, categories: &BTreeSet<CategoryId>) -> Select {
        let terms = categories.iter().copied().map(category_term);
        let mut select = self.catalogue();
        let condition = match &self.models.engine {
            Engine::Postgres(_) => {
                let terms = select.param(Value::Terms(terms.collect::<Vec<_>>().join(" ")));
                format!("p.terms && string_to_array({terms}, ' ')")
            }
            Engine::Sqlite(_) => {
                let params: Vec<String> = terms.map(|term| select.param(Value::text(term))).collect();
                let (table, limit) = (self.models.engine.table("products"), MOST_LOOKED_AT + 1);
                format!(
                    "p.id in (select distinct id from {table}_terms where term in ({}) limit {limit})",
                    params.join(", ")
                )
            }
        };
        select.when(condition)
    }
}

/// Counts the products that fit among those that were looked at.
fn counted(
    filter: &ProductFilter,
    below: Option<&BTreeSet<CategoryId>>,
    rows: &[Vec<Value>],
    more: bool,
) -> ProductFacets {
    let mut facets = ProductFacets { more, ..ProductFacets::default() };
    let (mut categories, mut sellers) = (BTreeMap::new(), BTreeMap::new());
    let mut bands = [0_u64; BANDS.len() + 1];
    for seen in rows.iter().filter_map(|row| Seen::of(row)).filter(|seen| seen.fits(filter, below)) {
        facets.count += 1;
        let stocked = if seen.available > 0 { &mut facets.in_stock } else { &mut facets.sold_out };
        *stocked += 1;
        for category_id in seen.category_ids() {
            *categories.entry(category_id).or_insert(0) += 1;
        }
        if let Some(seller_id) = seen.seller_id {
            *sellers.entry(UserId::new(seller_id)).or_insert(0) += 1;
        }
        let band = BANDS.iter().filter(|begin| **begin <= seen.price_minor).count();
        if let Some(count) = bands.get_mut(band)
            && seen.currency == Currency::KRW.code()
        {
            *count += 1;
        }
    }
    facets.categories = most(categories);
    facets.sellers = most(sellers);
    facets.prices = bands.iter().enumerate().filter_map(|(place, count)| band(place, *count)).collect();
    facets
}

/// Those with the most products.
fn most<Id: Ord>(counts: BTreeMap<Id, u64>) -> Vec<(Id, u64)> {
    let mut all: Vec<(Id, u64)> = counts.into_iter().collect();
    // The order of the ids decides among equals.
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    all.truncate(MOST_COUNTED);
    all
}

fn band(place: usize, count: u64) -> Option<PriceBand> {
    let begin = |place: usize| if place == 0 { Some(0) } else { BANDS.get(place - 1).copied() };
    let max = begin(place + 1).and_then(|next| Money::krw(next - 1).ok());
    (count > 0).then_some(PriceBand { min: Money::krw(begin(place)?).ok()?, max, count })
}

/// A product that is looked at.
struct Seen<'a> {
    seller_id: Option<Uuid>,
    variant_of: Option<Uuid>,
    currency: &'a str,
    price_minor: i64,
    active: bool,
    available: i64,
    categories: &'a str,
    has_words: bool,
}

impl<'a> Seen<'a> {
    fn of(row: &'a [Value]) -> Option<Self> {
        let [
            Value::Uuid(seller_id),
            Value::Uuid(variant_of),
            Value::Text(Some(currency)),
            Value::Int(Some(price_minor)),
            Value::Bool(Some(active)),
            Value::Int(Some(available)),
            Value::Text(Some(categories)),
            Value::Bool(Some(has_words)),
        ] = row
        else {
            return None;
        };
        Some(Self {
            seller_id: *seller_id,
            variant_of: *variant_of,
            currency,
            price_minor: *price_minor,
            active: *active,
            available: *available,
            categories,
            has_words: *has_words,
        })
    }

    fn category_ids(&self) -> impl Iterator<Item = CategoryId> {
        self.categories.split(' ').filter_map(|id| Uuid::try_parse(id).ok()).map(CategoryId::new)
    }

    fn fits(&self, filter: &ProductFilter, below: Option<&BTreeSet<CategoryId>>) -> bool {
        let costs = |bound: Option<Money>, within: fn(i64, i64) -> bool| {
            bound.is_none_or(|bound| {
                bound.currency().code() == self.currency && within(self.price_minor, bound.minor_units())
            })
        };
        self.has_words
            && (self.active || !filter.active_only)
            && filter.in_stock.is_none_or(|wanted| wanted == (self.available > 0))
            && filter.seller_id.is_none_or(|wanted| self.seller_id == Some(wanted.uuid()))
            && filter.variant_of.is_none_or(|wanted| self.variant_of == Some(wanted.uuid()))
            && costs(filter.min_price, |price, bound| price >= bound)
            && costs(filter.max_price, |price, bound| price <= bound)
            && below.is_none_or(|below| self.category_ids().any(|id| below.contains(&id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_of_prices_meet_and_leave_nothing_out() {
        let bands: Vec<PriceBand> = (0..=BANDS.len()).filter_map(|place| band(place, 1)).collect();
        assert_eq!(bands.len(), BANDS.len() + 1);
        assert_eq!(bands.first().map(|band| band.min), Some(Money::krw(0).unwrap()));
        assert_eq!(bands.last().and_then(|band| band.max), None);
        for pair in bands.windows(2) {
            assert_eq!(pair[0].max.unwrap().minor_units() + 1, pair[1].min.minor_units());
        }
        assert_eq!(band(0, 0), None);
    }

    #[test]
    fn the_largest_come_first_and_some_are_left_out() {
        let counts: BTreeMap<u64, u64> = (0..200).map(|id| (id, id / 2)).collect();
        let most = most(counts);
        assert_eq!(most.len(), MOST_COUNTED);
        assert_eq!(most[..2], [(198, 99), (199, 99)]);
    }
}
