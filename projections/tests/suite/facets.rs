//! Counts of products by category, seller, price and stock.

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::product::{
    ProductCategorised, ProductCreated, ProductDeactivated, ProductEvent, ProductSlugSet,
};
use jangbu_aggregates::stock::StockReceived;
use jangbu_kernel::{CategoryId, ProductId, StreamId, UserId};
use jangbu_projections::{MOST_LOOKED_AT, ProductFacets, ProductFilter};

use crate::fixture::{Fixture, id, won};

crate::on_both_engines! {
    products_are_counted_by_kind,
    the_newest_are_counted_where_there_are_too_many,
}

const FRUIT: u128 = 800;
const CITRUS: u128 = 801;
const SELLER: u128 = 900;

fn category(number: u128) -> CategoryId {
    CategoryId::new(id(number))
}

fn created(name: &str, price: i64, category_id: Option<CategoryId>, seller_id: Option<UserId>) -> ProductEvent {
    ProductCreated { name: name.to_owned(), description: None, category_id, seller_id, price: won(price) }.into()
}

async fn product(fixture: &Fixture, number: u128, events: Vec<ProductEvent>, units: u32) {
    let product = ProductId::new(id(number));
    let millis = i64::try_from(number).unwrap();
    fixture.append(StreamId::product(product), millis, events.into_iter().map(DomainEvent::Product).collect()).await;
    if units > 0 {
        let received = DomainEvent::Stock(StockReceived { quantity: units, location: None }.into());
        fixture.append(StreamId::stock(product), millis, vec![received]).await;
    }
}

async fn products_are_counted_by_kind(fixture: &Fixture) {
    let projector = fixture.projector();
    let seller = UserId::new(id(SELLER));
    let both = ProductCategorised { category_ids: vec![category(CITRUS), category(FRUIT)] };
    product(fixture, 1, vec![created("제주 감귤 5kg", 9_999, Some(category(FRUIT)), Some(seller))], 3).await;
    product(fixture, 2, vec![created("한라봉", 10_000, None, Some(seller)), both.into()], 0).await;
    product(fixture, 3, vec![created("감귤 칩", 300_000, Some(category(CITRUS)), None)], 1).await;
    product(fixture, 4, vec![created("머그컵", 12_000, None, None), ProductDeactivated {}.into()], 1).await;
    fixture.caught_up(&projector).await;
    let queries = fixture.models.queries();
    let counted = async |filter: ProductFilter| queries.product_facets(&filter).await.unwrap();

    let all = counted(ProductFilter::default()).await;
    assert_eq!((all.count, all.more, all.in_stock, all.sold_out), (4, false, 3, 1));
    assert_eq!(all.categories, [(category(FRUIT), 2), (category(CITRUS), 2)]);
    assert_eq!(all.sellers, [(seller, 2)]);
    let bands: Vec<_> = all.prices.iter().map(|band| (band.min, band.max, band.count)).collect();
    assert_eq!(bands, [(won(0), Some(won(9_999)), 1), (won(10_000), Some(won(29_999)), 2), (won(300_000), None, 1)]);
    assert_eq!(counted(ProductFilter { active_only: true, ..ProductFilter::default() }).await.count, 3);
    let citrus = counted(ProductFilter { category_id: Some(category(CITRUS)), ..ProductFilter::default() }).await;
    assert_eq!((citrus.count, citrus.categories), (2, vec![(category(CITRUS), 2), (category(FRUIT), 1)]));
    let found = counted(ProductFilter { q: Some("감귤을".to_owned()), ..ProductFilter::default() }).await;
    assert_eq!((found.count, found.in_stock), (2, 2));
    let few = ProductFilter {
        q: Some("감귤".to_owned()),
        category_id: Some(category(FRUIT)),
        max_price: Some(won(9_999)),
        in_stock: Some(true),
        seller_id: Some(seller),
        ..ProductFilter::default()
    };
    assert_eq!(counted(few.clone()).await.count, 1);
    assert_eq!(counted(ProductFilter { in_stock: Some(false), ..few }).await.count, 0);
    let nothing = ProductFilter { q: Some("!?".to_owned()), ..ProductFilter::default() };
    assert_eq!(counted(nothing).await, ProductFacets::default());
    a_slug_finds_its_product(fixture).await;
    projector.stop().await;
}

async fn a_slug_finds_its_product(fixture: &Fixture) {
    let projector = fixture.projector();
    let set = |slug: Option<&str>| vec![ProductSlugSet { slug: slug.map(str::to_owned) }.into()];
    product(fixture, 1, set(Some("jeju-감귤")), 0).await;
    fixture.caught_up(&projector).await;
    let queries = fixture.models.queries();
    assert_eq!(queries.product_with_slug("jeju-감귤").await.unwrap(), Some(ProductId::new(id(1))));
    product(fixture, 1, set(None), 0).await;
    fixture.caught_up(&projector).await;
    assert_eq!(queries.product_with_slug("jeju-감귤").await.unwrap(), None);
}

/// One product more than are looked at: the oldest, the only one of its category, is counted when it is
/// asked for, and not among all.
async fn the_newest_are_counted_where_there_are_too_many(fixture: &Fixture) {
    let projector = fixture.projector();
    product(fixture, 0, vec![created("오래된 찻잔", 1_000, Some(category(CITRUS)), None)], 0).await;
    let most = u128::try_from(MOST_LOOKED_AT).unwrap();
    for number in 1..=most {
        let filed = Some(category(FRUIT));
        product(fixture, number, vec![created("새 찻잔", 1_000, filed, None)], 0).await;
    }
    fixture.caught_up(&projector).await;
    let queries = fixture.models.queries();
    let counted = async |filter: ProductFilter| {
        let found = queries.product_facets(&filter).await.unwrap();
        (found.count, found.more, found.categories)
    };
    let many = u64::try_from(MOST_LOOKED_AT).unwrap();
    assert_eq!(counted(ProductFilter::default()).await, (many, true, vec![(category(FRUIT), many)]));
    let named = |q: &str| ProductFilter { q: Some(q.to_owned()), ..ProductFilter::default() };
    assert_eq!(counted(named("찻잔")).await, (many, true, vec![(category(FRUIT), many)]));
    assert_eq!(counted(named("오래된")).await, (1, false, vec![(category(CITRUS), 1)]));
    let filed = |number| ProductFilter { category_id: Some(category(number)), ..ProductFilter::default() };
    assert_eq!(counted(filed(CITRUS)).await, (1, false, vec![(category(CITRUS), 1)]));
    assert_eq!(counted(filed(FRUIT)).await, (many, false, vec![(category(FRUIT), many)]));
    projector.stop().await;
}
