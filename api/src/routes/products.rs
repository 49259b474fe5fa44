//! The catalogue: create, read, list, put on sale, take off sale.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::{
    ActivateProduct, ChangeProduct, CreateProduct, DeactivateProduct, MOST_CATEGORIES, MakeSingle, MakeVariant,
    RemoveProduct,
};
use jangbu_commands::identity::Change;
use jangbu_commands::{Command as _, Permission, ProductChange, SlugClaim, TaxClass, load_state, slug_stream};
use jangbu_kernel::{CategoryId, OrderId, ProductId, RecordedEvent, StreamId, UserId, Version, text};
use jangbu_projections::fold::{self, FoldError};
use jangbu_projections::{Page, ProductFilter, ProductRow, ProductSort, ProductWithStock, Queries, QueryError};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::ObjectBuilder;
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use super::facets::{Facets, FacetsView};
use super::orders::page_request;
use crate::http::body::{JsonBody, NoBody};
use crate::http::call::Call;
use crate::http::fields::{At, Errors, Line, List, ReadText, Text, Whole, read_words, request_body};
use crate::http::gate::Access;
use crate::http::money;
use crate::http::pairs::Pairs;
use crate::http::params::{PathId, PathText, QueryFields};
use crate::http::problem::Problem;
use crate::http::reply::{self, Made};
use crate::http::resource::{Resource, await_min_position, load};
use crate::http::view::{Amount, Moment};
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new(Access::Public, Kind::Query, &[], routes!(list)),
        Entry::command(&[CreateProduct::RULES], routes!(create)),
        Entry::new(Access::Public, Kind::One, &[], routes!(one)),
        Entry::new(Access::Public, Kind::One, &[], routes!(by_slug)),
        Entry::command(&[ChangeProduct::RULES], routes!(change)),
        Entry::command(&[RemoveProduct::RULES], routes!(remove)),
        Entry::command(&[MakeVariant::RULES], routes!(make_variant)),
        Entry::command(&[MakeSingle::RULES], routes!(make_single)),
        Entry::command(&[ActivateProduct::RULES], routes!(activate)),
        Entry::command(&[DeactivateProduct::RULES], routes!(deactivate)),
    ]
}

read_words!(ProductSort, "an order of products");
read_words!(TaxClass, "a tax class");

/// The readable part of a product's address, in its stored form.
pub(crate) struct Slug(String);

impl ReadText for Slug {
    const WANTED: &'static str =
        "1 to 80 characters: words of lower-case letters, digits and Hangul with a hyphen between them";
    const CODE: &'static str = "invalid_slug";
    fn parse_text(given: &str) -> Option<Self> {
        text::slug(given).map(Self)
    }
    fn text_schema() -> ObjectBuilder {
        ObjectBuilder::new()
            .pattern(Some(text::SLUG_PATTERN))
            .min_length(Some(1))
            .max_length(Some(text::LONGEST_SLUG))
            .examples(["jeju-감귤-5kg"])
    }
}

/// References of other systems.
pub(crate) type Metadata = Pairs<20, 40, 500>;

request_body! {
    /// Which products.
    pub(crate) struct ProductListQuery {
        /// Words in name or description.
        q: Option<Line<1, 200>>,
        /// Only of this category and those below it.
        category: Option<CategoryId>,
        /// Only of this seller.
        seller: Option<UserId>,
        /// Only the variants of this product.
        variant_of: Option<ProductId>,
        /// At this price or more, in won.
        min_price: Option<money::Amount>,
        /// At this price or less, in won.
        max_price: Option<money::Amount>,
        /// Only what is there, or only what is sold out.
        in_stock: Option<bool>,
        /// In which order; the newest first when it is left out.
        sort: Option<ProductSort>,
        /// What to count beside the list, among the products that the other fields choose: `category`, `seller`,
        /// `price` and `in_stock`, or some of them, with commas between.
        facets: Option<Facets>,
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
        /// The main category that it is filed in.
        category_id: Option<CategoryId>,
        /// Further categories; the first is the main one when `category_id` is left out.
        category_ids: Option<List<CategoryId, 0, MOST_CATEGORIES>>,
        /// Who sells it.
        seller_id: Option<UserId>,
        /// The unit price.
        price: money::Amount,
        /// Whether value added tax is contained in the price; `taxable` when it is left out.
        tax_class: Option<TaxClass>,
        /// Where its images are, the main one first.
        image_urls: Option<List<Line<1, 2000>, 0, 20>>,
        /// Grams of one, as it is shipped.
        weight_grams: Option<Whole<0, 1_000_000>>,
        /// The readable part of its address, which no other product has.
        slug: Option<Slug>,
        /// References of other systems, by name.
        metadata: Option<Metadata>,
    }
}

request_body! {
    /// Changes parts of a product. What is left out stays.
    pub(crate) struct ChangeProductBody {
        /// What it is called.
        name: Option<Line<1, 200>>,
        /// What it is; null takes the description away.
        description: Change<Text<1, 5000>>,
        /// The unit price, in the currency that it has. Orders keep the price that they were placed at.
        price: Option<money::Amount>,
        /// All the categories that it is filed in, the main one first.
        category_ids: Option<List<CategoryId, 0, MOST_CATEGORIES>>,
        /// Who sells it; null: nobody in particular.
        seller_id: Change<UserId>,
        /// Whether value added tax is contained in the price.
        tax_class: Option<TaxClass>,
        /// Where all its images are, the main one first.
        image_urls: Option<List<Line<1, 2000>, 0, 20>>,
        /// Grams of one, as it is shipped.
        weight_grams: Option<Whole<0, 1_000_000>>,
        /// The readable part of its address, which no other product has; null: none.
        slug: Change<Slug>,
        /// All references of other systems, by name.
        metadata: Option<Metadata>,
    }
}

request_body! {
    /// Makes a product a variant of another.
    pub(crate) struct VariantBody {
        /// The product that it is a variant of.
        of: ProductId,
        /// What tells it from the other variants, such as a size and a colour, by the options' names.
        options: Pairs<5, 40, 80>,
    }
}

/// A variant of a product.
#[derive(Serialize, ToSchema)]
#[schema(as = Variant)]
pub(crate) struct VariantView {
    product_id: Uuid,
    /// What tells it from the other variants.
    options: BTreeMap<String, String>,
}

/// A product.
#[derive(Serialize, ToSchema)]
#[schema(as = Product)]
pub(crate) struct ProductView {
    id: Uuid,
    name: String,
    description: Option<String>,
    /// The main category that it is filed in.
    category_id: Option<Uuid>,
    /// All of them, the main one first.
    category_ids: Vec<Uuid>,
    seller_id: Option<Uuid>,
    price: Amount,
    /// Whether value added tax is contained in the price.
    #[schema(value_type = String)]
    tax_class: TaxClass,
    /// Where its images are, the main one first.
    image_urls: Vec<String>,
    /// Grams of one, as it is shipped; 0 when nobody has weighed it.
    weight_grams: u32,
    /// The readable part of its address.
    slug: Option<String>,
    /// References of other systems, by name.
    metadata: BTreeMap<String, String>,
    /// The product that it is a variant of.
    variant_of: Option<Uuid>,
    /// What tells it from the other variants of that product.
    options: BTreeMap<String, String>,
    /// Its own variants: products with their own prices and stock.
    variants: Vec<VariantView>,
    /// Whether it can be bought.
    active: bool,
    /// How many can be bought now; 0 is sold out.
    available: i64,
    created_at: Moment,
    #[schema(value_type = u64)]
    version: Version,
}

impl ProductView {
    fn of(product: ProductRow, available: i64) -> Self {
        let variants = product.variants.into_iter();
        Self {
            id: product.id.uuid(),
            name: product.name,
            description: product.description,
            category_id: product.category_ids.first().map(|id| id.uuid()),
            category_ids: product.category_ids.iter().map(|id| id.uuid()).collect(),
            seller_id: product.seller_id.map(|id| id.uuid()),
            price: product.price.into(),
            tax_class: product.tax_class,
            image_urls: product.image_urls,
            weight_grams: product.weight_grams,
            slug: product.slug,
            metadata: product.metadata,
            variant_of: product.variant_of.map(|id| id.uuid()),
            options: product.options,
            variants: variants.map(|(id, options)| VariantView { product_id: id.uuid(), options }).collect(),
            active: product.active,
            available,
            created_at: product.created_at.into(),
            version: product.version,
        }
    }
}

/// A page of products.
#[derive(Serialize, ToSchema)]
#[schema(as = ProductPage)]
pub(crate) struct ProductListing {
    items: Vec<ProductView>,
    /// Where the next page begins; null on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
    /// The counts that were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    facets: Option<FacetsView>,
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
    fn version(&self) -> Version {
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
        let available = app.state.queries.stock(self.id).await?.map_or(0, |stock| stock.available.max(0));
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
    responses((status = 200, description = "a page of products", body = ProductListing)),
)]
async fn list(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<ProductListQuery>,
) -> Result<Json<ProductListing>, Problem> {
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
        variant_of: query.variant_of,
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
    let items = items.collect();
    let facets = match &query.facets {
        Some(wanted) => Some(FacetsView::of(wanted, app.state.queries.product_facets(&filter).await?)),
        None => None,
    };
    Ok(Json(ProductListing { items, next_cursor, facets }))
}

/// Puts a product into the catalogue, on sale.
#[utoipa::path(
    post, path = "/v1/products", operation_id = "createProduct", tag = "products",
    request_body(content = CreateProductBody, example = json!({"name": "제주 감귤 5kg", "price": {"amount": "25000", "currency": "KRW"}})),
    responses((status = 201, description = "the product", body = ProductView)),
)]
async fn create(State(app): State<App>, call: Call, body: JsonBody<CreateProductBody>) -> Result<Response, Problem> {
    let command = creation(&app, body.value)?;
    let answer = call.execute(&app, command, &body.bytes).await?;
    let location = format!("/v1/products/{}", answer.stream.id);
    reply::command::<ProductRow>(&app, &call, answer, Made::Created(location)).await
}

/// The command that a body asks for.
fn creation(app: &App, body: CreateProductBody) -> Result<CreateProduct, Problem> {
    let CreateProductBody {
        name,
        description,
        category_id,
        category_ids,
        seller_id,
        price,
        tax_class,
        image_urls,
        weight_grams,
        slug,
        metadata,
    } = body;
    let mut errors = Errors::default();
    let root = At::Root("");
    let price = price.or_won(&At::Name(&root, "price"), &mut errors);
    let price = price.filter(|_| errors.is_empty()).ok_or_else(|| Problem::invalid(errors.into_vec()))?;
    let further = category_ids.map(|ids| ids.0.into_iter().filter(|id| Some(*id) != category_id).collect::<Vec<_>>());
    let category_ids: Vec<_> = category_id.into_iter().chain(further.into_iter().flatten()).collect();
    let other = ProductChange {
        category_ids: Some(category_ids),
        tax_class,
        image_urls: image_urls.map(texts),
        weight_grams: weight_grams.map(grams),
        slug: slug.map(|slug| Some(slug.0)),
        metadata: metadata.map(|pairs| pairs.0),
        ..ProductChange::default()
    };
    let product_id = ProductId::new(app.state.world.ids.new_id());
    let description = description.map(|text| text.0);
    Ok(CreateProduct { product_id, name: name.0, description, price, seller_id, other })
}

pub(crate) fn texts<const MOST: usize>(lines: List<Line<1, 2000>, 0, MOST>) -> Vec<String> {
    lines.0.into_iter().map(|line| line.0).collect()
}

pub(crate) fn grams(grams: Whole<0, 1_000_000>) -> u32 {
    // Bounded by its type.
    u32::try_from(grams.0).unwrap_or(u32::MAX)
}

/// What a part is to be: nothing asked, nothing there, or this.
pub(crate) fn wanted<T>(change: Change<T>) -> Option<Option<T>> {
    match change {
        Change::Keep => None,
        Change::Clear => Some(None),
        Change::Set(value) => Some(Some(value)),
    }
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

/// One product, on sale or off, by the readable part of its address.
#[utoipa::path(
    get, path = "/v1/products/by-slug/{slug}", operation_id = "getProductBySlug", tag = "products",
    params(("slug" = String, Path, description = "the product's slug")),
    responses((status = 200, description = "the product", body = ProductView)),
)]
async fn by_slug(State(app): State<App>, PathText(given): PathText, call: Call) -> Result<Response, Problem> {
    await_min_position(&app, &call).await?;
    let slug = text::slug(&given).ok_or_else(|| Problem::not_found(ProductRow::WHAT))?;
    let id = match app.state.queries.product_with_slug(&slug).await? {
        Some(id) => Some(id),
        // The read model may not have it yet.
        None => load_state::<SlugClaim>(app.state.commands.log().as_ref(), slug_stream(&slug).id).await?.0.product_id(),
    };
    let id = id.ok_or_else(|| Problem::not_found(ProductRow::WHAT))?;
    reply::read::<ProductRow>(&app, &call, id.uuid(), None).await
}

/// Changes parts of a product.
#[utoipa::path(
    put, path = "/v1/products/{id}", operation_id = "changeProduct", tag = "products",
    params(("id" = Uuid, Path, description = "the product")),
    request_body(content = ChangeProductBody, example = json!({"price": {"amount": "23000", "currency": "KRW"}})),
    responses((status = 200, description = "the product", body = ProductView)),
)]
async fn change(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<ChangeProductBody>,
) -> Result<Response, Problem> {
    let ChangeProductBody {
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
    } = body.value;
    let mut errors = Errors::default();
    let price = price.and_then(|price| price.or_won(&At::Name(&At::Root(""), "price"), &mut errors));
    errors.none()?;
    let change = ProductChange {
        name: name.map(|name| name.0),
        description: wanted(description).map(|text| text.map(|text| text.0)),
        price,
        category_ids: category_ids.map(|ids| ids.0),
        seller_id: wanted(seller_id),
        tax_class,
        image_urls: image_urls.map(texts),
        weight_grams: weight_grams.map(grams),
        slug: wanted(slug).map(|slug| slug.map(|slug| slug.0)),
        metadata: metadata.map(|pairs| pairs.0),
    };
    let answer = call.execute(&app, ChangeProduct { product_id: ProductId::new(id), change }, &body.bytes).await?;
    reply::command::<ProductRow>(&app, &call, answer, Made::Changed).await
}

/// Takes a product out of the catalogue for good. Orders keep what they were placed with.
#[utoipa::path(
    delete, path = "/v1/products/{id}", operation_id = "removeProduct", tag = "products",
    params(("id" = Uuid, Path, description = "the product")),
    responses((status = 204, description = "it is not in the catalogue any more")),
)]
async fn remove(State(app): State<App>, PathId(id): PathId, call: Call, body: NoBody) -> Result<Response, Problem> {
    let answer = call.execute(&app, RemoveProduct { product_id: ProductId::new(id) }, &body.0).await?;
    Ok(reply::gone(&app, &call, answer).await)
}

/// Makes a product a variant of another: one of several sizes or colours, with a price and a stock of its own.
#[utoipa::path(
    put, path = "/v1/products/{id}/variant", operation_id = "makeVariant", tag = "products",
    params(("id" = Uuid, Path, description = "the product")),
    request_body(content = VariantBody, example = json!({"of": "01890a5d-ac96-774b-bcce-b302099a8057", "options": {"색상": "남색", "크기": "M"}})),
    responses((status = 200, description = "the product", body = ProductView)),
)]
async fn make_variant(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<VariantBody>,
) -> Result<Response, Problem> {
    let VariantBody { of, options } = body.value;
    let command = MakeVariant { product_id: ProductId::new(id), of, options: options.0 };
    let answer = call.execute(&app, command, &body.bytes).await?;
    reply::command::<ProductRow>(&app, &call, answer, Made::Changed).await
}

/// Makes a variant a product of its own.
#[utoipa::path(
    delete, path = "/v1/products/{id}/variant", operation_id = "makeSingle", tag = "products",
    params(("id" = Uuid, Path, description = "the product")),
    responses((status = 200, description = "the product", body = ProductView)),
)]
async fn make_single(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: NoBody,
) -> Result<Response, Problem> {
    let answer = call.execute(&app, MakeSingle { product_id: ProductId::new(id) }, &body.0).await?;
    reply::command::<ProductRow>(&app, &call, answer, Made::Changed).await
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
