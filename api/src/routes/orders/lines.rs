//! Cancelling some of an order's lines.

use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::{CancelLines, LineToCancel};
use jangbu_commands::{CancelledBy, Command as _, Scope};
use jangbu_kernel::{OrderId, ProductId, RefundId, ShipmentId, StreamId};

use super::{OrderView, carry_out};
use crate::http::body::JsonBody;
use crate::http::call::Call;
use crate::http::fields::{List, Text, Whole, request_body};
use crate::http::params::PathId;
use crate::http::problem::Problem;
use crate::http::view::sealed_remark;
use crate::state::App;

request_body! {
    /// A line that is to be cancelled, or a part of it.
    pub(crate) struct CancelledLineBody {
        /// A product of the order.
        product_id: ProductId,
        /// Number of units; all that are left if it is left out.
        quantity: Option<Whole<1, 1_000_000>>,
    }
}

request_body! {
    /// Cancels some of an order's lines.
    pub(crate) struct CancelLinesBody {
        /// What to cancel, each product once, and not the whole order.
        lines: List<CancelledLineBody, 1, 1_000>,
        /// The reason; staff have to give one.
        reason: Option<Text<1, 500>>,
    }
}

/// Cancels some of an order's lines; the rest stands.
///
/// The units become available at once. If the order is not paid yet, it costs less from then on;
/// while a payment is under way this is refused. If it is paid, the lines are refunded, and a parcel
/// that is being prepared is cancelled with its label and replaced by one for the remaining lines.
/// Discount and shipping fee do not change. Owners may do this within 24 hours of the payment, staff
/// at any time with a reason, and nobody once the order is on its way. To cancel everything, cancel
/// the order.
#[utoipa::path(
    post, path = "/v1/orders/{id}/lines/cancel", operation_id = "cancelOrderLines", tag = "orders",
    params(("id" = uuid::Uuid, Path, description = "the order")),
    request_body(content = CancelLinesBody, example = json!({
        "lines": [{"product_id": "01890a5d-ac96-774b-bcce-b302099a8057", "quantity": 1}], "reason": "one is enough"
    })),
    responses((status = 200, description = "the order", body = OrderView)),
)]
pub(super) async fn cancel_lines(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<CancelLinesBody>,
) -> Result<Response, Problem> {
    call.check_key(CancelLines::RULES.key)?;
    let by = match call.principal()?.scope {
        Scope::Any => CancelledBy::Staff,
        Scope::Own(_) => CancelledBy::Owner,
    };
    let order_id = OrderId::new(id);
    let reason = match &body.value.reason {
        Some(words) => Some(sealed_remark(&app, StreamId::order(order_id), &words.0).await?),
        None => None,
    };
    let lines = body.value.lines.0.iter().map(|line| LineToCancel {
        product_id: line.product_id,
        // Bounded by its type.
        quantity: line.quantity.as_ref().map(|quantity| u32::try_from(quantity.0).unwrap_or(u32::MAX)),
    });
    let ids = &app.state.world.ids;
    let (refund_id, shipment_id) = (RefundId::new(ids.new_id()), ShipmentId::new(ids.new_id()));
    let command = CancelLines { order_id, by, lines: lines.collect(), reason, refund_id, shipment_id };
    carry_out(&app, &call, command, &body.bytes).await
}
