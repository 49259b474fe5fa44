//! Looking at orders.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::Scope;
use jangbu_kernel::{StreamId, Timestamp, UserId, text};
use jangbu_projections::{OrderFilter, OrderRow, OrderStatus, PageRequest, PaymentRow, ShipmentRow};

use super::OrderView;
use crate::http::call::Call;
use crate::http::events;
use crate::http::fields::{Line, Whole, read_words, request_body};
use crate::http::params::{PathId, PathText, QueryFields};
use crate::http::problem::Problem;
use crate::http::reply;
use crate::http::resource::{AsOf, await_min_position, is_visible, load};
use crate::http::view::Listing;
use crate::routes::audit::RecordView;
use crate::routes::payments::PaymentView;
use crate::routes::shipments::ShipmentView;
use crate::state::App;

read_words!(OrderStatus, "an order status such as paid");

request_body! {
    /// Which orders.
    pub(crate) struct OrderListQuery {
        /// Only those in this state.
        status: Option<OrderStatus>,
        /// Only this buyer's; staff only, all others see their own.
        user_id: Option<UserId>,
        /// Placed at this moment or later.
        from: Option<Timestamp>,
        /// Placed before this moment.
        to: Option<Timestamp>,
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

request_body! {
    /// When.
    pub(crate) struct AsOfQuery {
        /// The state at this version or time instead of the present one.
        as_of: Option<AsOf>,
    }
}

request_body! {
    /// Which events of an order.
    pub(crate) struct HistoryQuery {
        /// `next_cursor` of the page before.
        cursor: Option<Line<1, 1000>>,
        /// Items of a page, 50 when it is left out.
        limit: Option<Whole<1, 200>>,
    }
}

/// Items of a page that is asked for without a number.
const DEFAULT_LIMIT: u8 = 50;

/// A page as it is asked for.
pub(crate) fn page_request(cursor: Option<Line<1, 1000>>, limit: Option<Whole<1, 200>>) -> PageRequest {
    let limit = limit.and_then(|limit| u32::try_from(limit.0).ok()).unwrap_or(DEFAULT_LIMIT.into());
    PageRequest { cursor: cursor.map(|cursor| cursor.0), limit }
}

/// How many items a page of events has.
pub(crate) fn page_limit(limit: Option<Whole<1, 200>>) -> usize {
    limit.and_then(|limit| usize::try_from(limit.0).ok()).unwrap_or(DEFAULT_LIMIT.into())
}

/// Whose things a list shows: one's own, or whoever's is asked for.
pub(crate) fn listed_user(call: &Call, asked: Option<UserId>) -> Result<Option<UserId>, Problem> {
    Ok(match call.principal()?.scope {
        Scope::Any => asked,
        Scope::Own(own) => Some(own),
    })
}

/// Orders, newest first.
#[utoipa::path(
    get, path = "/v1/orders", operation_id = "listOrders", tag = "orders",
    params(OrderListQuery),
    responses((status = 200, description = "a page of orders", body = Listing<OrderView>)),
)]
pub(super) async fn list(
    State(app): State<App>,
    call: Call,
    QueryFields(query): QueryFields<OrderListQuery>,
) -> Result<Json<Listing<OrderView>>, Problem> {
    await_min_position(&app, &call).await?;
    let filter = OrderFilter {
        user_id: listed_user(&call, query.user_id)?,
        status: query.status,
        from: query.from,
        to: query.to,
    };
    let page = app.state.queries.orders(&filter, &page_request(query.cursor, query.limit)).await?;
    reply::page(&app, page).await
}

/// One order.
#[utoipa::path(
    get, path = "/v1/orders/{id}", operation_id = "getOrder", tag = "orders",
    params(("id" = uuid::Uuid, Path, description = "the order"), AsOfQuery),
    responses((status = 200, description = "the order", body = OrderView)),
)]
pub(super) async fn one(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    QueryFields(query): QueryFields<AsOfQuery>,
) -> Result<Response, Problem> {
    reply::read::<OrderRow>(&app, &call, id, query.as_of).await
}

/// One order by the number that people use.
#[utoipa::path(
    get, path = "/v1/orders/by-number/{number}", operation_id = "getOrderByNumber", tag = "orders",
    params(("number" = String, Path, description = "the order's number")),
    responses((status = 200, description = "the order", body = OrderView)),
)]
pub(super) async fn by_number(
    State(app): State<App>,
    PathText(number): PathText,
    call: Call,
) -> Result<Response, Problem> {
    await_min_position(&app, &call).await?;
    // Numbers are read out and typed: their letters are capital ones, of no particular width.
    let number = text::compatible(number.trim()).to_uppercase();
    let row = app.state.queries.order_by_number(&number).await?;
    let row = row.filter(|row| is_visible(Some(row.user_id), &call)).ok_or_else(|| Problem::not_found("order"))?;
    reply::show(&app, &call, row).await
}

/// Everything that happened to an order: who, when, what.
#[utoipa::path(
    get, path = "/v1/orders/{id}/history", operation_id = "getOrderHistory", tag = "orders",
    params(("id" = uuid::Uuid, Path, description = "the order"), HistoryQuery),
    responses((status = 200, description = "a page of its events, oldest first", body = Listing<RecordView>)),
)]
pub(super) async fn history(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    QueryFields(query): QueryFields<HistoryQuery>,
) -> Result<Json<Listing<RecordView>>, Problem> {
    let order: OrderRow = load(&app, &call, id, None).await?;
    events::page(&app, StreamId::order(order.id), None, query.cursor, page_limit(query.limit)).await
}

/// The payments of an order, oldest first.
#[utoipa::path(
    get, path = "/v1/orders/{id}/payments", operation_id = "listOrderPayments", tag = "orders",
    params(("id" = uuid::Uuid, Path, description = "the order")),
    responses((status = 200, description = "its payments", body = Listing<PaymentView>)),
)]
pub(super) async fn payments(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
) -> Result<Json<Listing<PaymentView>>, Problem> {
    let order: OrderRow = load(&app, &call, id, None).await?;
    let rows: Vec<PaymentRow> = app.state.queries.payments_of_order(order.id).await?;
    reply::whole(&app, rows).await
}

/// The parcels of an order, oldest first.
#[utoipa::path(
    get, path = "/v1/orders/{id}/shipments", operation_id = "listOrderShipments", tag = "orders",
    params(("id" = uuid::Uuid, Path, description = "the order")),
    responses((status = 200, description = "its parcels", body = Listing<ShipmentView>)),
)]
pub(super) async fn shipments(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
) -> Result<Json<Listing<ShipmentView>>, Problem> {
    let order: OrderRow = load(&app, &call, id, None).await?;
    let rows: Vec<ShipmentRow> = app.state.queries.shipments_of_order(order.id).await?;
    reply::whole(&app, rows).await
}
