//! Counts beside a list of products: of what there is how much.

use std::collections::BTreeSet;

use jangbu_projections::{PriceBand, ProductFacets};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::ObjectBuilder;
use uuid::Uuid;

use crate::http::fields::ReadText;
use crate::http::view::Amount;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Facet {
    /// Products by category.
    Category,
    /// Products by seller.
    Seller,
    /// Products by band of prices.
    Price,
    /// Products that can be bought, and that are sold out.
    InStock,
}

impl Facet {
    const ALL: [Self; 4] = [Self::Category, Self::Seller, Self::Price, Self::InStock];

    const fn name(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::Seller => "seller",
            Self::Price => "price",
            Self::InStock => "in_stock",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|facet| facet.name() == name)
    }
}

/// `?facets=category,price`.
pub(crate) struct Facets(BTreeSet<Facet>);

impl ReadText for Facets {
    const WANTED: &'static str = "`category`, `seller`, `price` and `in_stock`, or some of them, with commas between";
    const CODE: &'static str = "unknown_value";
    fn parse_text(text: &str) -> Option<Self> {
        let names: Vec<&str> = text.split(',').collect();
        let wanted: Option<BTreeSet<Facet>> = names.iter().map(|name| Facet::from_name(name)).collect();
        wanted.filter(|_| names.len() <= Facet::ALL.len()).map(Self)
    }
    fn text_schema() -> ObjectBuilder {
        let one = Facet::ALL.iter().map(|facet| facet.name()).collect::<Vec<_>>().join("|");
        let pattern = format!("^(?:{one})(?:,(?:{one})){{0,{}}}$", Facet::ALL.len() - 1);
        ObjectBuilder::new().pattern(Some(pattern)).examples(["category,price"])
    }
}

/// How many of the products that the filter chooses there are of each kind.
#[derive(Serialize, ToSchema)]
#[schema(as = ProductFacets)]
pub(crate) struct FacetsView {
    /// How many products the filter chooses.
    count: u64,
    /// Whether more products came into question than are looked at for one answer (5,000): the counts are then
    /// those among the newest of them.
    more: bool,
    /// By category that they are filed in themselves, the 100 largest, the largest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<Vec<FacetCountView>>,
    /// By seller, the 100 with the most, the most first.
    #[serde(skip_serializing_if = "Option::is_none")]
    seller: Option<Vec<FacetCountView>>,
    /// By band of prices in won, the cheapest first. Bands without products are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Vec<PriceBandView>>,
    /// What can be bought and what is sold out.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_stock: Option<StockedView>,
}

/// How many products one category or seller has.
#[derive(Serialize, ToSchema)]
#[schema(as = FacetCount)]
pub(crate) struct FacetCountView {
    id: Uuid,
    /// How many products.
    count: u64,
}

/// How many products cost about as much.
#[derive(Serialize, ToSchema)]
#[schema(as = PriceBand)]
pub(crate) struct PriceBandView {
    /// The lowest price of the band, as `min_price` takes it.
    min_price: Amount,
    /// The highest price of the band, as `max_price` takes it; null in the last one.
    max_price: Option<Amount>,
    /// How many products.
    count: u64,
}

/// How many products can be bought.
#[derive(Serialize, ToSchema)]
#[schema(as = StockedCount)]
pub(crate) struct StockedView {
    /// How many can be bought now.
    available: u64,
    /// How many are sold out.
    sold_out: u64,
}

impl FacetsView {
    pub(super) fn of(wanted: &Facets, found: ProductFacets) -> Self {
        let counts = |facet: Facet, counts: Vec<(Uuid, u64)>| {
            let views = counts.into_iter().map(|(id, count)| FacetCountView { id, count });
            wanted.0.contains(&facet).then(|| views.collect())
        };
        let band = |band: PriceBand| PriceBandView {
            min_price: band.min.into(),
            max_price: band.max.map(Into::into),
            count: band.count,
        };
        let stocked = StockedView { available: found.in_stock, sold_out: found.sold_out };
        Self {
            count: found.count,
            more: found.more,
            category: counts(Facet::Category, found.categories.iter().map(|(id, count)| (id.uuid(), *count)).collect()),
            seller: counts(Facet::Seller, found.sellers.iter().map(|(id, count)| (id.uuid(), *count)).collect()),
            price: wanted.0.contains(&Facet::Price).then(|| found.prices.into_iter().map(band).collect()),
            in_stock: wanted.0.contains(&Facet::InStock).then_some(stocked),
        }
    }
}
