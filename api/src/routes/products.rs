//! The catalogue: create, read, list, put on sale and off.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::{ActivateProduct, CreateProduct, DeactivateProduct};
use jangbu_commands::{Command as _, Permission};
use jangbu_kernel::{CategoryId, OrderId, ProductId, RecordedEvent, StreamId, UserId};
use jangbu_projections::fold::{self, FoldError};
use jangbu_projections::{Page, ProductFilter, ProductRow, ProductSort, ProductWithStock, Queries, QueryError};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use super::orders::page_request;
use crate::http::body::{JsonBody, NoBody};
use crate::http::call::Call;
use crate::http::fields::{At, Errors, Line, Text, Whole, read_words, request_body};
use crate::http::gate::Access;
use crate::http::money;
use crate::http::params::{PathId, QueryFields};
use crate::http::problem::Problem;
use crate::http::reply::{self, Made};
use crate::http::resource::{Resource, await_min_position, load};
use crate::http::view::{Amount, Listing, Moment};
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new(Access::Public, Kind::Query, &[], routes!(list)),
        Entry::command(&[CreateProduct::RULES], routes!(create)),
        Entry::new(Access::Public, Kind::One, &[], routes!(one)),
        Entry::command(&[ActivateProduct::RULES], routes!(activate)),
        Entry::command(&[DeactivateProduct::RULES], routes!(deactivate)),
    ]
}

read_words!(ProductSort, "an order of products");

request_body! {
    /// Which products.
    pub(crate) struct ProductListQuery {
        /// Words in name or description.
        q: Option<Line<1, 200>>,
        /// Only of this category.
        category: Option<CategoryId>,
        /// Only of this seller.
        seller: Option<UserId>,
        /// At this price or more, in won.
        min_price: Option<money::Amount>,
        /// At this price or less, in won.
        max_price: Option<money::Amount>,
        /// Only what is there, or only what is sold out.
        in_stock: Option<bool>,
        /// In which order; the newest first when it is left out.
        sort: Option<ProductSort>,
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

request_body! {
    /// Puts a product into the catalogue, on sale.
    pub(crate) struct CreateProductBody {
        /// What it is called.
        name: Line<1, 200>,
        /// What it is.
        description: Option<Text<1, 5000>>,
        /// Where it is filed.
        category_id: Option<CategoryId>,
        /// Who sells it.
        seller_id: Option<UserId>,
        /// The unit price.
        price: money::Amount,
    }
}

/// A product.
#[derive(Serialize, ToSchema)]
#[schema(as = Product)]
pub(crate) struct ProductView {
    id: Uuid,
    name: String,
    description: Option<String>,
    category_id: Option<Uuid>,
    seller_id: Option<Uuid>,
    price: Amount,
    /// Whether it can be bought.
    active: bool,
    /// How many can be bought now; 0 is sold out.
    available: i64,
    created_at: Moment,
    version: u64,
}

impl ProductView {
    fn of(product: ProductRow, available: i64) -> Self {
        Self {
            id: product.id.uuid(),
            name: product.name,
            description: product.description,
            category_id: product.category_id.map(|id| id.uuid()),
            seller_id: product.seller_id.map(|id| id.uuid()),
            price: product.price.into(),
            active: product.active,
            available,
            created_at: product.created_at.into(),
            version: product.version,
        }
    }
}

impl Resource for ProductRow {
    const WHAT: &'static str = "product";
    type View = ProductView;

    fn stream(id: Uuid) -> StreamId {
        StreamId::product(ProductId::new(id))
    }
    fn fold(events: &[RecordedEvent]) -> Result<Option<Self>, FoldError> {
        fold::product(events)
    }
    async fn find(queries: &Queries, id: Uuid) -> Result<Option<Self>, QueryError> {
        Ok(queries.product(ProductId::new(id)).await?.map(|found| found.product))
    }
    fn version(&self) -> u64 {
        self.version
    }
    fn owner(&self) -> Option<UserId> {
        None
    }
    fn order_id(&self) -> Option<OrderId> {
        None
    }
    /// The stock that is shown has versions of its own.
    fn beside(view: &ProductView) -> Option<String> {
        Some(view.available.to_string())
    }
    async fn view(self, app: &App) -> Result<ProductView, Problem> {
        let available = app.state.queries.stock(self.id).await?.map_or(0, |stock| stock.available);
        Ok(ProductView::of(self, available))
    }
}

/// A product's row, for other resources of the same product.
pub(super) async fn load_row(app: &App, call: &Call, id: Uuid) -> Result<ProductRow, Problem> {
    load(app, call, id, None).await
}

/// The products on sale. Staff see those off sale too.
#[utoipa::path(
    get, path = "/v1/products", operation_id = "listProducts", tag = "products",
    params(ProductListQuery),
    responses((status = 200, description = "a page of products", body = Listing<ProductView>)),
)]
async fn list(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<ProductListQuery>,
) -> Result<Json<Listing<ProductView>>, Problem> {
    await_min_position(&app, &call).await?;
    let mut errors = Errors::default();
    let mut price = |amount: Option<money::Amount>, name: &str| {
        amount.and_then(|amount| amount.or_won(&At::Name(&At::Root("/query"), name), &mut errors))
    };
    let (min_price, max_price) = (price(query.min_price, "min_price"), price(query.max_price, "max_price"));
    errors.none()?;
    let sees_all = call.visitor().is_some_and(|principal| principal.may(Permission::ProductsWrite));
    let filter = ProductFilter {
        q: query.q.map(|words| words.0),
        category_id: query.category,
        seller_id: query.seller,
        min_price,
        max_price,
        in_stock: query.in_stock,
        active_only: !sees_all,
        sort: query.sort.unwrap_or_default(),
    };
    let Page { items, next_cursor } =
        app.state.queries.products(&filter, &page_request(query.cursor, query.limit)).await?;
    let items =
        items.into_iter().map(|ProductWithStock { product, available, .. }| ProductView::of(product, available));
    Ok(Json(Listing { items: items.collect(), next_cursor }))
}

/// Puts a product into the catalogue, on sale.
#[utoipa::path(
    post, path = "/v1/products", operation_id = "createProduct", tag = "products",
    request_body(content = CreateProductBody, example = json!({"name": "제주 감귤 5kg", "price": {"amount": "25000", "currency": "KRW"}})),
    responses((status = 201, description = "the product", body = ProductView)),
)]
async fn create(State(app): State<App>, call: Call, body: JsonBody<CreateProductBody>) -> Result<Response, Problem> {
    let CreateProductBody { name, description, category_id, seller_id, price } = body.value;
    let mut errors = Errors::default();
    let price = price.or_won(&At::Name(&At::Root(""), "price"), &mut errors);
    let price = price.ok_or_else(|| Problem::invalid(errors.into_vec()))?;
    let command = CreateProduct {
        product_id: ProductId::new(app.state.world.ids.new_id()),
        name: name.0,
        description: description.map(|text| text.0),
        category_id,
        seller_id,
        price,
    };
    let answer = call.execute(&app, command, &body.bytes).await?;
    let location = format!("/v1/products/{}", answer.stream.id);
    reply::command::<ProductRow>(&app, &call, answer, Made::Created(location)).await
}

/// One product, on sale or off.
#[utoipa::path(
    get, path = "/v1/products/{id}", operation_id = "getProduct", tag = "products",
    params(("id" = Uuid, Path, description = "the product")),
    responses((status = 200, description = "the product", body = ProductView)),
)]
async fn one(State(app): State<App>, PathId(id): PathId, call: Call) -> Result<Response, Problem> {
    reply::read::<ProductRow>(&app, &call, id, None).await
}

/// Puts a product on sale.
#[utoipa::path(
    post, path = "/v1/products/{id}/activate", operation_id = "activateProduct", tag = "products",
    params(("id" = Uuid, Path, description = "the product")),
    responses((status = 200, description = "the product", body = ProductView)),
)]
async fn activate(State(app): State<App>, PathId(id): PathId, call: Call, body: NoBody) -> Result<Response, Problem> {
    let command = ActivateProduct { product_id: ProductId::new(id) };
    let answer = call.execute(&app, command, &body.0).await?;
    reply::command::<ProductRow>(&app, &call, answer, Made::Changed).await
}

/// Takes a product off sale.
#[utoipa::path(
    post, path = "/v1/products/{id}/deactivate", operation_id = "deactivateProduct", tag = "products",
    params(("id" = Uuid, Path, description = "the product")),
    responses((status = 200, description = "the product", body = ProductView)),
)]
async fn deactivate(State(app): State<App>, PathId(id): PathId, call: Call, body: NoBody) -> Result<Response, Problem> {
    let command = DeactivateProduct { product_id: ProductId::new(id) };
    let answer = call.execute(&app, command, &body.0).await?;
    reply::command::<ProductRow>(&app, &call, answer, Made::Changed).await
}
