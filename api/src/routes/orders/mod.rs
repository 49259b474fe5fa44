//! Orders: place, quote, read, cancel, follow.

mod address;
mod events;
mod legs;
mod lines;
mod notes;
mod place;
mod quote;
mod read;
mod trouble;
mod view;

use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::{
    AcceptOrder, CancelLines, CancelOrder, ChangeShippingAddress, ConfirmDelivery, HoldOrder, NoteOrder, PackOrder,
    PlaceOrder, RefundOrder, ReleaseHold, SendOrderAgain,
};
use jangbu_commands::{AnyCommand, CancelledBy, Command as _, Permission, Reach, Scope};
use jangbu_kernel::{OrderId, StreamId};
use jangbu_projections::OrderRow;
use utoipa_axum::routes;

use super::entry::{Entry, Kind};
use crate::http::body::{JsonBody, MaybeJson, NoBody};
use crate::http::call::Call;
use crate::http::fields::{Text, request_body};
use crate::http::params::PathId;
use crate::http::problem::Problem;
use crate::http::reply::{self, Made};
use crate::http::view::sealed_remark;
use crate::state::App;
#[cfg(test)]
pub(crate) use {
    lines::CancelLinesBody, notes::NoteBody, notes::NoteQuery, place::PlaceOrderBody, quote::QuoteBody,
    quote::ShippingQuoteBody, read::OrderListQuery,
};

pub(crate) use legs::{LegBody, Legs, checked_legs, is_usable, none_wrong};
pub(crate) use place::{AddressBody, checked_address};
pub(crate) use read::{AsOfQuery, listed_user, page_limit, page_request};
pub(crate) use view::{LineView, OrderView};

/// Reading orders.
const READ: Reach = Reach::OwnOrAny { own: Permission::OrdersReadOwn, any: Permission::OrdersReadAny };

pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry::command(&[PlaceOrder::RULES], routes!(place::place)),
        Entry::new(Reach::Own(Permission::OrdersPlace), Kind::Query, quote::REFUSALS, routes!(quote::quote)),
        Entry::new(Reach::Own(Permission::OrdersPlace), Kind::Query, quote::REFUSALS, routes!(quote::quote_shipping)),
        Entry::new(READ, Kind::Query, &[], routes!(read::list)),
        Entry::new(READ, Kind::One, &[], routes!(read::one)),
        Entry::new(READ, Kind::One, &[], routes!(read::by_number)),
        Entry::new(READ, Kind::Query, &[], routes!(read::history)),
        Entry::new(READ, Kind::Query, &[], routes!(read::payments)),
        Entry::new(READ, Kind::Query, &[], routes!(read::shipments)),
        Entry::new(READ, Kind::Query, &[], routes!(events::follow)),
        Entry::command(&[CancelOrder::RULES], routes!(cancel_order)),
        Entry::command(&[CancelLines::RULES], routes!(lines::cancel_lines)),
        Entry::command(&[ChangeShippingAddress::RULES], routes!(address::change_address)),
        Entry::command(&[ConfirmDelivery::RULES], routes!(confirm_delivery)),
        Entry::command(&[HoldOrder::RULES], routes!(hold_order)),
        Entry::command(&[ReleaseHold::RULES], routes!(release_order)),
        Entry::command(&[PackOrder::RULES], routes!(pack_order)),
        Entry::command(&[NoteOrder::RULES], routes!(notes::note_order)),
        Entry::new(Reach::Any(Permission::OrdersReadAny), Kind::Query, &[], routes!(notes::notes)),
        Entry::command(&[RefundOrder::RULES], routes!(trouble::refund_order)),
        Entry::command(&[SendOrderAgain::RULES], routes!(trouble::send_order_again)),
        Entry::command(&[AcceptOrder::RULES], routes!(trouble::accept_order)),
    ]
}

request_body! {
    /// Calls an order off.
    pub(crate) struct CancelOrderBody {
        /// Why. Staff must say.
        reason: Option<Text<1, 500>>,
    }
}

/// Calls an order off.
///
/// Not paid yet, it is cancelled at once; paid, the money goes back first and the
/// order is `cancelling` meanwhile. Owners may within 24 hours of the payment, staff
/// with a reason.
#[utoipa::path(
    method(post, put), path = "/v1/orders/{id}/cancel", operation_id = "cancelOrder", tag = "orders",
    params(("id" = uuid::Uuid, Path, description = "the order")),
    request_body = Option<CancelOrderBody>,
    responses((status = 200, description = "the order", body = OrderView)),
)]
async fn cancel_order(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: MaybeJson<CancelOrderBody>,
) -> Result<Response, Problem> {
    let by = match call.principal()?.scope {
        Scope::Any => CancelledBy::Staff,
        Scope::Own(_) => CancelledBy::Owner,
    };
    let order_id = OrderId::new(id);
    let reason = match body.value.and_then(|body| body.reason) {
        Some(words) => Some(sealed_remark(&app, StreamId::order(order_id), &words.0).await?),
        None => None,
    };
    let command = CancelOrder { order_id, by, reason };
    carry_out(&app, &call, command, &body.bytes).await
}

/// The buyer confirms that everything arrived: the order is completed.
#[utoipa::path(
    post, path = "/v1/orders/{id}/confirm-delivery", operation_id = "confirmDelivery", tag = "orders",
    params(("id" = uuid::Uuid, Path, description = "the order")),
    responses((status = 200, description = "the order", body = OrderView)),
)]
async fn confirm_delivery(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: NoBody,
) -> Result<Response, Problem> {
    let command = ConfirmDelivery { order_id: OrderId::new(id) };
    carry_out(&app, &call, command, &body.0).await
}

request_body! {
    /// Puts an order on hold, or lets it go on.
    pub(crate) struct HoldBody {
        /// Why; it is recorded.
        reason: Text<1, 500>,
    }
}

/// Puts an order on hold, for staff.
///
/// While it is, no payment is opened, no parcel is begun or sent, and nothing completes.
#[utoipa::path(
    post, path = "/v1/orders/{id}/hold", operation_id = "holdOrder", tag = "orders",
    params(("id" = uuid::Uuid, Path, description = "the order")),
    request_body = HoldBody,
    responses((status = 200, description = "the order", body = OrderView)),
)]
async fn hold_order(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<HoldBody>,
) -> Result<Response, Problem> {
    let order_id = OrderId::new(id);
    let reason = sealed_remark(&app, StreamId::order(order_id), &body.value.reason.0).await?;
    let command = HoldOrder { order_id, reason };
    carry_out(&app, &call, command, &body.bytes).await
}

/// Lets an order that is on hold go on, for staff.
#[utoipa::path(
    post, path = "/v1/orders/{id}/release", operation_id = "releaseOrder", tag = "orders",
    params(("id" = uuid::Uuid, Path, description = "the order")),
    request_body = HoldBody,
    responses((status = 200, description = "the order", body = OrderView)),
)]
async fn release_order(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<HoldBody>,
) -> Result<Response, Problem> {
    let order_id = OrderId::new(id);
    let reason = sealed_remark(&app, StreamId::order(order_id), &body.value.reason.0).await?;
    let command = ReleaseHold { order_id, reason };
    carry_out(&app, &call, command, &body.bytes).await
}

/// The goods of an order are in their parcel, which waits to be handed over; for staff.
///
/// From the order desk's list `to_pack` it moves on to `to_send`. A parcel may leave without it.
#[utoipa::path(
    post, path = "/v1/orders/{id}/pack", operation_id = "packOrder", tag = "orders",
    params(("id" = uuid::Uuid, Path, description = "the order")),
    responses((status = 200, description = "the order", body = OrderView)),
)]
async fn pack_order(State(app): State<App>, PathId(id): PathId, call: Call, body: NoBody) -> Result<Response, Problem> {
    carry_out(&app, &call, PackOrder { order_id: OrderId::new(id) }, &body.0).await
}

/// Executes a command on an order and answers with the order.
async fn carry_out(app: &App, call: &Call, command: impl Into<AnyCommand>, body: &[u8]) -> Result<Response, Problem> {
    let answer = call.execute(app, command, body).await?;
    reply::command::<OrderRow>(app, call, answer, Made::Changed).await
}
