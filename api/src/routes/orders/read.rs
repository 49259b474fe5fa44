//! Reading orders.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jangbu_commands::{Permission, Scope};
use jangbu_kernel::{ProductId, StreamId, Timestamp, UserId, text};
use jangbu_projections::{Desk, OrderFilter, OrderRow, OrderStatus, Page, PageRequest, PaymentRow, ShipmentRow};

use super::OrderView;
use crate::http::call::Call;
use crate::http::events;
use crate::http::fields::{Line, Whole, read_words, request_body};
use crate::http::params::{PathId, PathText, QueryFields};
use crate::http::problem::{Code, Problem};
use crate::http::reply;
use crate::http::resource::{AsOf, await_min_position, is_visible, load};
use crate::http::view::Listing;
use crate::routes::audit::RecordView;
use crate::routes::payments::PaymentView;
use crate::routes::shipments::ShipmentView;
use crate::state::App;

read_words!(OrderStatus, "an order status such as paid");
read_words!(Desk, "what is to be done: to_pack, to_send, on_hold or late");

request_body! {
    /// Which orders.
    pub(crate) struct OrderListQuery {
        /// Only those about which the order desk has this to do, the oldest first; staff only.
        desk: Option<Desk>,
        /// Only those in this state.
        status: Option<OrderStatus>,
        /// Only this buyer's; staff only, all others see their own.
        user_id: Option<UserId>,
        /// Only those of the buyer with this e-mail address; staff only.
        email: Option<Line<1, 254>>,
        /// Only the one with this number.
        number: Option<Line<1, 40>>,
        /// Only those with this product.
        product_id: Option<ProductId>,
        /// Only those with a product that has all these words in its present name or description.
        q: Option<Line<1, 200>>,
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

/// Items of a page if no limit is given.
const DEFAULT_LIMIT: u8 = 50;

/// A page as requested.
pub(crate) fn page_request(cursor: Option<Line<1, 1000>>, limit: Option<Whole<1, 200>>) -> PageRequest {
    let limit = limit.and_then(|limit| u32::try_from(limit.0).ok()).unwrap_or(DEFAULT_LIMIT.into());
    PageRequest { cursor: cursor.map(|cursor| cursor.0), limit }
}

/// How many items a page of events has.
pub(crate) fn page_limit(limit: Option<Whole<1, 200>>) -> usize {
    limit.and_then(|limit| usize::try_from(limit.0).ok()).unwrap_or(DEFAULT_LIMIT.into())
}

/// The owner of the listed things: the caller, or the user that is asked for.
pub(crate) fn listed_user(call: &Call, asked: Option<UserId>) -> Result<Option<UserId>, Problem> {
    Ok(match call.principal()?.scope {
        Scope::Any => asked,
        Scope::Own(own) => Some(own),
    })
}

/// Orders, newest first.
///
/// `desk` lists what is to be done: `to_pack` is paid and not packed, `to_send` is packed and not
/// handed over, `on_hold` waits for somebody, `late` is paid and was not handed over by its
/// `ship_by`.
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
    for (field, given) in [("desk", query.desk.is_some()), ("email", query.email.is_some())] {
        if given && call.principal()?.scope != Scope::Any {
            let needed = Permission::OrdersReadAny.name();
            return Err(Problem::new(Code::Forbidden, format!("`{field}` needs {needed}")));
        }
    }
    let page = page_request(query.cursor, query.limit);
    let Some(buyer) = buyer(&app, query.email).await? else { return reply::page(&app, nothing::<OrderRow>()).await };
    let user_id = listed_user(&call, query.user_id)?;
    let products = products(&app, query.product_id, query.q).await?;
    if buyer.is_some() && user_id.is_some() && buyer != user_id {
        return reply::page(&app, nothing::<OrderRow>()).await;
    }
    let filter = OrderFilter {
        desk: query.desk,
        now: Some(app.state.world.clock.now()),
        number: query.number.map(|number| as_number(&number.0)),
        products,
        user_id: buyer.or(user_id),
        status: query.status,
        from: query.from,
        to: query.to,
    };
    reply::page(&app, app.state.queries.orders(&filter, &page).await?).await
}

/// A list without items.
const fn nothing<R>() -> Page<R> {
    Page { items: Vec::new(), next_cursor: None }
}

/// The buyer with an address, where one is given; none where nobody has it.
async fn buyer(app: &App, email: Option<Line<1, 254>>) -> Result<Option<Option<UserId>>, Problem> {
    let Some(email) = email else { return Ok(Some(None)) };
    Ok(app.state.identity.user_by_email(&email.0).await?.map(Some))
}

/// The products of which an order has to have one, where that matters.
async fn products(
    app: &App,
    product_id: Option<ProductId>,
    words: Option<Line<1, 200>>,
) -> Result<Option<Vec<ProductId>>, Problem> {
    let Some(words) = words else { return Ok(product_id.map(|id| vec![id])) };
    let mut found = app.state.queries.products_with(&words.0).await?;
    found.retain(|id| product_id.is_none_or(|wanted| wanted == *id));
    Ok(Some(found))
}

/// Numbers are read out and typed in: letters are compared as capitals, whatever their width.
fn as_number(typed: &str) -> String {
    text::compatible(typed.trim()).to_uppercase()
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
    let row = app.state.queries.order_by_number(&as_number(&number)).await?;
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
