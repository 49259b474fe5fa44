//! How staff resolve what an order's process waits for: a parcel that is lost or came back, a
//! charge of another amount.

use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::{AcceptOrder, RefundOrder, SendOrderAgain};
use jangbu_kernel::{OrderId, RefundId, ShipmentId, StreamId};

use super::place::{Lines, wanted_lines};
use super::{HoldBody, OrderView, carry_out};
use crate::http::body::JsonBody;
use crate::http::call::Call;
use crate::http::fields::{Text, request_body};
use crate::http::params::PathId;
use crate::http::problem::Problem;
use crate::http::view::sealed_remark;
use crate::state::App;

request_body! {
    /// Ends what an order's process waits for, where goods may have come back.
    pub(crate) struct GoodsBackBody {
        /// Why; it is recorded.
        reason: Text<1, 500>,
        /// Whether what came back can be sold again: then it is put back into stock. Only for a
        /// parcel that came back; false when it is left out.
        restock: Option<bool>,
    }
}

request_body! {
    /// Sends an order again.
    pub(crate) struct SendAgainBody {
        /// Why; it is recorded.
        reason: Text<1, 500>,
        /// Whether what came back can be sold again: then it is put back into stock. Only for a
        /// parcel that came back; false when it is left out.
        restock: Option<bool>,
        /// What goes into the further parcel: products of the order, each once, at most as many
        /// as were bought. Everything when it is left out.
        lines: Option<Lines>,
    }
}

/// Gives all the money of an order back whose parcel is lost or came back, or of which the
/// gateway took another amount, for staff.
///
/// The order fails once the money is back. One that had arrived before its parcel came back
/// stays so and completes in its time, with its money given back.
#[utoipa::path(
    post, path = "/v1/orders/{id}/refund", operation_id = "refundOrder", tag = "orders",
    params(("id" = uuid::Uuid, Path, description = "the order")),
    request_body = GoodsBackBody,
    responses((status = 200, description = "the order", body = OrderView)),
)]
pub(super) async fn refund_order(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<GoodsBackBody>,
) -> Result<Response, Problem> {
    let (order_id, refund_id) = (OrderId::new(id), RefundId::new(app.state.world.ids.new_id()));
    let reason = sealed_remark(&app, StreamId::order(order_id), &body.value.reason.0).await?;
    let restock = body.value.restock.unwrap_or(false);
    let command = RefundOrder { order_id, refund_id, reason, restock };
    carry_out(&app, &call, command, &body.bytes).await
}

/// Sends an order again whose parcel is lost or came back, for staff.
///
/// A further parcel of the order's lines, or of those that are named, is begun. The goods are
/// kept for it as they were for the first one; where there are not enough of them nothing is
/// done. What is not sent is not refunded by this: `POST /v1/payments/{id}/refunds`.
#[utoipa::path(
    post, path = "/v1/orders/{id}/send-again", operation_id = "sendOrderAgain", tag = "orders",
    params(("id" = uuid::Uuid, Path, description = "the order")),
    request_body = SendAgainBody,
    responses((status = 200, description = "the order", body = OrderView)),
)]
pub(super) async fn send_order_again(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<SendAgainBody>,
) -> Result<Response, Problem> {
    let (order_id, shipment_id) = (OrderId::new(id), ShipmentId::new(app.state.world.ids.new_id()));
    let reason = sealed_remark(&app, StreamId::order(order_id), &body.value.reason.0).await?;
    let restock = body.value.restock.unwrap_or(false);
    let lines = body.value.lines.as_ref().map(wanted_lines).unwrap_or_default();
    let command = SendOrderAgain { order_id, shipment_id, lines, reason, restock };
    carry_out(&app, &call, command, &body.bytes).await
}

/// Takes an order as it is that waits for a person, for staff.
///
/// A parcel that is lost or came back counts as arrived; of a charge the smaller amount that
/// the gateway took counts as enough, and the order goes on with it. More than was asked for
/// cannot be taken: it can only be given back.
#[utoipa::path(
    post, path = "/v1/orders/{id}/accept", operation_id = "acceptOrder", tag = "orders",
    params(("id" = uuid::Uuid, Path, description = "the order")),
    request_body = HoldBody,
    responses((status = 200, description = "the order", body = OrderView)),
)]
pub(super) async fn accept_order(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<HoldBody>,
) -> Result<Response, Problem> {
    let order_id = OrderId::new(id);
    let reason = sealed_remark(&app, StreamId::order(order_id), &body.value.reason.0).await?;
    let command = AcceptOrder { order_id, reason };
    carry_out(&app, &call, command, &body.bytes).await
}
