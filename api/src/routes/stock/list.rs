//! The list of stock: what is low, what is depleted.

use axum::Json;
use axum::extract::State;
use jangbu_projections::{NamedStock, Page, StockFilter, StockLevel};
use serde::Serialize;
use utoipa::ToSchema;

use super::StockView;
use crate::http::call::Call;
use crate::http::fields::{Line, Whole, read_words, request_body};
use crate::http::params::QueryFields;
use crate::http::problem::Problem;
use crate::http::resource::await_min_position;
use crate::http::view::Listing;
use crate::routes::orders::page_request;
use crate::state::App;

read_words!(StockLevel, "a level of stock");

request_body! {
    /// Which stock.
    pub(crate) struct StockListQuery {
        /// Only what is at this level.
        level: Option<StockLevel>,
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

/// The stock of a product, with the product's name.
#[derive(Serialize, ToSchema)]
#[schema(as = NamedStock)]
pub(crate) struct NamedStockView {
    /// The product's name.
    name: String,
    /// Its stock.
    stock: StockView,
}

impl From<NamedStock> for NamedStockView {
    fn from(item: NamedStock) -> Self {
        Self { stock: StockView::whole(&item.stock), name: item.name }
    }
}

/// The stock of the products in the catalogue, the oldest product first. A product that never had
/// any is not in the list.
#[utoipa::path(
    get, path = "/v1/stock", operation_id = "listStock", tag = "stock",
    params(StockListQuery),
    responses((status = 200, description = "a page of stock", body = Listing<NamedStockView>)),
)]
pub(super) async fn list(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<StockListQuery>,
) -> Result<Json<Listing<NamedStockView>>, Problem> {
    await_min_position(&app, &call).await?;
    let StockListQuery { level, cursor, limit } = query;
    let page = page_request(cursor, limit);
    let Page { items, next_cursor } = app.state.queries.stocks(StockFilter { level }, &page).await?;
    Ok(Json(Listing { items: items.into_iter().map(NamedStockView::from).collect(), next_cursor }))
}
