//! Stock: read, receive, adjust.

use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::{AdjustStock, ReceiveStock};
use jangbu_commands::{Command as _, Permission, Reach};
use jangbu_kernel::{OrderId, ProductId, RecordedEvent, StreamId, UserId};
use jangbu_projections::fold::{self, FoldError};
use jangbu_projections::{Queries, QueryError, StockRow};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::entry::{Entry, Kind};
use super::orders::AsOfQuery;
use crate::http::body::JsonBody;
use crate::http::call::Call;
use crate::http::fields::{Text, Whole, request_body};
use crate::http::long::{Before, LongStream};
use crate::http::params::{PathId, QueryFields};
use crate::http::problem::{Code, Problem};
use crate::http::reply;
use crate::http::resource::{Resource, load};
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::new(Reach::Any(Permission::StockRead), Kind::One, &[], routes!(one)),
        Entry::command(&[ReceiveStock::RULES], routes!(receive)),
        Entry::command(&[AdjustStock::RULES], routes!(adjust)),
    ]
}

/// More than this at once is a slip of the keyboard.
const MOST_AT_ONCE: i64 = 1_000_000_000;
const LEAST_AT_ONCE: i64 = -MOST_AT_ONCE;

request_body! {
    /// Goods came in.
    pub(crate) struct ReceiveStockBody {
        /// Number of units that came in.
        quantity: Whole<1, MOST_AT_ONCE>,
    }
}

request_body! {
    /// Corrects the count.
    pub(crate) struct AdjustStockBody {
        /// By how many; not 0.
        delta: Whole<LEAST_AT_ONCE, MOST_AT_ONCE>,
        /// The reason, such as a count or damage; it is recorded.
        reason: Text<1, 500>,
    }
}

/// The stock of a product.
#[derive(Serialize, ToSchema)]
#[schema(as = Stock)]
pub(crate) struct StockView {
    product_id: Uuid,
    /// In the house. Only for those who work in the shop, as are the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_hand: Option<i64>,
    /// Kept for orders that are not paid yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved: Option<i64>,
    /// Kept for paid orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    allocated: Option<i64>,
    /// `on_hand - reserved - allocated`: what can be bought.
    available: i64,
    version: u64,
}

impl Resource for StockRow {
    const WHAT: &'static str = "stock";
    type View = StockView;

    fn stream(id: Uuid) -> StreamId {
        StreamId::stock(ProductId::new(id))
    }
    fn fold(events: &[RecordedEvent]) -> Result<Option<Self>, FoldError> {
        fold::stock(events)
    }
    async fn find(queries: &Queries, id: Uuid) -> Result<Option<Self>, QueryError> {
        // A row at version 0 stands for a product that never had stock.
        Ok(queries.stock(ProductId::new(id)).await?.filter(|row| row.version > 0))
    }
    async fn at_version(app: &App, id: Uuid, version: u64) -> Result<Option<Self>, Problem> {
        let commands = &app.state.commands;
        let Some(mark) = app.state.queries.stock_before(ProductId::new(id), version).await? else {
            return Ok(Self::fold(&commands.history(Self::stream(id), Some(version)).await?)?);
        };
        let events = commands.between(Self::stream(id), mark.version + 1, Some(version)).await?;
        Ok(Some(mark.fold_onto(&events)?))
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
    async fn view(self, _: &App) -> Result<StockView, Problem> {
        let Self { product_id, on_hand, reserved, allocated, available, version } = self;
        Ok(StockView {
            product_id: product_id.uuid(),
            on_hand: Some(on_hand),
            reserved: Some(reserved),
            allocated: Some(allocated),
            available,
            version,
        })
    }
}

impl LongStream for StockRow {
    fn fold_onto(self, events: &[RecordedEvent]) -> Result<Self, FoldError> {
        fold::stock_onto(self, events)
    }
}

/// The stock of a product. A product that never had any has 0.
///
/// Who buys sees what is `available` now; the other numbers, and how it was earlier, need
/// `stock:read:any`.
#[utoipa::path(
    get, path = "/v1/stock/{product_id}", operation_id = "getStock", tag = "stock",
    params(("product_id" = Uuid, Path, description = "the product"), AsOfQuery),
    responses((status = 200, description = "its stock", body = StockView)),
)]
async fn one(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    QueryFields(query): QueryFields<AsOfQuery>,
) -> Result<Response, Problem> {
    let sees_all = call.principal()?.may(Permission::StockReadAny);
    if query.as_of.is_some() && !sees_all {
        let needed = Permission::StockReadAny.name();
        return Err(Problem::new(Code::Forbidden, format!("the stock of an earlier time needs {needed}")));
    }
    let row = match load::<StockRow>(&app, &call, id, query.as_of).await {
        Err(problem) if problem.code() == Code::NotFound && query.as_of.is_none() => {
            // No stock yet is 0 of a product, and nothing at all of what is no product.
            let product: jangbu_projections::ProductRow = super::products::load_row(&app, &call, id).await?;
            StockRow::empty(product.id)
        }
        loaded => loaded?,
    };
    if sees_all {
        return reply::show(&app, &call, row).await;
    }
    let (version, available) = (row.version, row.available);
    let view = StockView { product_id: id, on_hand: None, reserved: None, allocated: None, available, version };
    Ok(reply::show_view(&call, version, &view))
}

/// Goods came in.
#[utoipa::path(
    post, path = "/v1/stock/{product_id}/receive", operation_id = "receiveStock", tag = "stock",
    params(("product_id" = Uuid, Path, description = "the product")),
    request_body(content = ReceiveStockBody, example = json!({"quantity": 100})),
    responses((status = 200, description = "its stock", body = StockView)),
)]
async fn receive(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<ReceiveStockBody>,
) -> Result<Response, Problem> {
    // Bounded by its type.
    let quantity = u32::try_from(body.value.quantity.0).unwrap_or(u32::MAX);
    let command = ReceiveStock { product_id: ProductId::new(id), quantity };
    let before = Before::<StockRow>::read(&app, id).await;
    let answer = call.execute(&app, command, &body.bytes).await?;
    before.answer(&app, &call, answer).await
}

/// Corrects the count, up or down.
#[utoipa::path(
    post, path = "/v1/stock/{product_id}/adjust", operation_id = "adjustStock", tag = "stock",
    params(("product_id" = Uuid, Path, description = "the product")),
    request_body(content = AdjustStockBody, example = json!({"delta": -2, "reason": "broken in the house"})),
    responses((status = 200, description = "its stock", body = StockView)),
)]
async fn adjust(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<AdjustStockBody>,
) -> Result<Response, Problem> {
    let AdjustStockBody { delta, reason } = body.value;
    let command = AdjustStock { product_id: ProductId::new(id), delta: delta.0, reason: reason.0 };
    let before = Before::<StockRow>::read(&app, id).await;
    let answer = call.execute(&app, command, &body.bytes).await?;
    before.answer(&app, &call, answer).await
}
