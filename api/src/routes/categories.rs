//! The categories of the catalogue: a tree.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::Command as _;
use jangbu_commands::commands::{ChangeCategory, CreateCategory, RemoveCategory};
use jangbu_commands::identity::Change;
use jangbu_kernel::{CategoryId, OrderId, RecordedEvent, StreamId, UserId, Version};
use jangbu_projections::fold::{self, FoldError};
use jangbu_projections::{CategoryPlace, CategoryRow, Page, Queries, QueryError};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use super::orders::page_request;
use crate::http::body::{JsonBody, NoBody};
use crate::http::call::Call;
use crate::http::fields::{Line, Whole, request_body};
use crate::http::gate::Access;
use crate::http::params::{PathId, QueryFields};
use crate::http::problem::Problem;
use crate::http::reply::{self, Made};
use crate::http::resource::{Resource, await_min_position};
use crate::http::view::{Listing, Moment};
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new(Access::Public, Kind::Query, &[], routes!(list)),
        Entry::command(&[CreateCategory::RULES], routes!(create)),
        Entry::new(Access::Public, Kind::One, &[], routes!(one)),
        Entry::command(&[ChangeCategory::RULES], routes!(change)),
        Entry::command(&[RemoveCategory::RULES], routes!(remove)),
    ]
}

request_body! {
    /// Which categories.
    pub(crate) struct CategoryListQuery {
        /// Only those right below this category.
        parent: Option<CategoryId>,
        /// Only those at the top, when it is true.
        top: Option<bool>,
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

request_body! {
    /// Makes a category.
    pub(crate) struct CreateCategoryBody {
        /// What it is called.
        name: Line<1, 100>,
        /// The category that it is a part of; one at the top when it is left out.
        parent_id: Option<CategoryId>,
    }
}

request_body! {
    /// Renames or moves a category, with all that is below it. What is left out stays.
    pub(crate) struct ChangeCategoryBody {
        /// What it is called.
        name: Option<Line<1, 100>>,
        /// The category that it is a part of; null puts it at the top.
        parent_id: Change<CategoryId>,
    }
}

/// A category.
#[derive(Serialize, ToSchema)]
#[schema(as = Category)]
pub(crate) struct CategoryView {
    id: Uuid,
    name: String,
    /// The category that it is a part of; null for one at the top.
    parent_id: Option<Uuid>,
    /// How many categories are right below it.
    children: u32,
    created_at: Moment,
    #[schema(value_type = u64)]
    version: Version,
}

impl From<CategoryRow> for CategoryView {
    fn from(row: CategoryRow) -> Self {
        Self {
            id: row.id.uuid(),
            name: row.name,
            parent_id: row.parent_id.map(|id| id.uuid()),
            children: row.children,
            created_at: row.created_at.into(),
            version: row.version,
        }
    }
}

impl Resource for CategoryRow {
    const WHAT: &'static str = "category";
    type View = CategoryView;

    fn stream(id: Uuid) -> StreamId {
        StreamId::category(CategoryId::new(id))
    }
    fn fold(events: &[RecordedEvent]) -> Result<Option<Self>, FoldError> {
        fold::category(events)
    }
    async fn find(queries: &Queries, id: Uuid) -> Result<Option<Self>, QueryError> {
        queries.category(CategoryId::new(id)).await
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
    async fn view(self, _: &App) -> Result<CategoryView, Problem> {
        Ok(self.into())
    }
}

/// The categories, by name.
#[utoipa::path(
    get, path = "/v1/categories", operation_id = "listCategories", tag = "products",
    params(CategoryListQuery),
    responses((status = 200, description = "a page of categories", body = Listing<CategoryView>)),
)]
async fn list(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<CategoryListQuery>,
) -> Result<Json<Listing<CategoryView>>, Problem> {
    await_min_position(&app, &call).await?;
    let place = match (query.parent, query.top) {
        (Some(parent_id), _) => CategoryPlace::Below(parent_id),
        (None, Some(true)) => CategoryPlace::Top,
        (None, Some(false) | None) => CategoryPlace::Anywhere,
    };
    let Page { items, next_cursor } =
        app.state.queries.categories(place, &page_request(query.cursor, query.limit)).await?;
    Ok(Json(Listing { items: items.into_iter().map(Into::into).collect(), next_cursor }))
}

/// Makes a category, at the top or right below another.
#[utoipa::path(
    post, path = "/v1/categories", operation_id = "createCategory", tag = "products",
    request_body(content = CreateCategoryBody, example = json!({"name": "과일"})),
    responses((status = 201, description = "the category", body = CategoryView)),
)]
async fn create(State(app): State<App>, call: Call, body: JsonBody<CreateCategoryBody>) -> Result<Response, Problem> {
    let CreateCategoryBody { name, parent_id } = body.value;
    let category_id = CategoryId::new(app.state.world.ids.new_id());
    let answer = call.execute(&app, CreateCategory { category_id, name: name.0, parent_id }, &body.bytes).await?;
    let location = format!("/v1/categories/{}", answer.stream.id);
    reply::command::<CategoryRow>(&app, &call, answer, Made::Created(location)).await
}

/// One category.
#[utoipa::path(
    get, path = "/v1/categories/{id}", operation_id = "getCategory", tag = "products",
    params(("id" = Uuid, Path, description = "the category")),
    responses((status = 200, description = "the category", body = CategoryView)),
)]
async fn one(State(app): State<App>, PathId(id): PathId, call: Call) -> Result<Response, Problem> {
    reply::read::<CategoryRow>(&app, &call, id, None).await
}

/// Renames or moves a category, with all that is below it.
#[utoipa::path(
    put, path = "/v1/categories/{id}", operation_id = "changeCategory", tag = "products",
    params(("id" = Uuid, Path, description = "the category")),
    request_body(content = ChangeCategoryBody, example = json!({"name": "국산 과일"})),
    responses((status = 200, description = "the category", body = CategoryView)),
)]
async fn change(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<ChangeCategoryBody>,
) -> Result<Response, Problem> {
    let ChangeCategoryBody { name, parent_id } = body.value;
    let parent_id = match parent_id {
        Change::Keep => None,
        Change::Clear => Some(None),
        Change::Set(parent_id) => Some(Some(parent_id)),
    };
    let command = ChangeCategory { category_id: CategoryId::new(id), name: name.map(|name| name.0), parent_id };
    let answer = call.execute(&app, command, &body.bytes).await?;
    reply::command::<CategoryRow>(&app, &call, answer, Made::Changed).await
}

/// Removes a category that has none below it. Products that are in it stay in the catalogue.
#[utoipa::path(
    delete, path = "/v1/categories/{id}", operation_id = "removeCategory", tag = "products",
    params(("id" = Uuid, Path, description = "the category")),
    responses((status = 204, description = "it is gone")),
)]
async fn remove(State(app): State<App>, PathId(id): PathId, call: Call, body: NoBody) -> Result<Response, Problem> {
    let answer = call.execute(&app, RemoveCategory { category_id: CategoryId::new(id) }, &body.0).await?;
    Ok(reply::gone(&app, &call, answer).await)
}
