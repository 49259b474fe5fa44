//! Transfers: goods go from one location of the shop to another.

use axum::extract::State;
use axum::response::Response;
use jangbu_commands::LocationCode;
use jangbu_commands::commands::{LoseTransfer, ReceiveTransfer, SendTransfer};
use jangbu_kernel::{ProductId, TransferId};

use super::StockView;
use super::keeping::{MOST_AT_ONCE, answered, units};
use crate::http::body::JsonBody;
use crate::http::call::Call;
use crate::http::fields::{Text, Whole, request_body};
use crate::http::params::{PathId, PathIds};
use crate::http::problem::Problem;
use crate::state::App;

request_body! {
    /// Sends goods to another location.
    pub(crate) struct SendTransferBody {
        /// The code of the location where they are; `main` when it is left out.
        from: Option<LocationCode>,
        /// The code of the location where they go.
        to: LocationCode,
        /// Number of units that go.
        quantity: Whole<1, MOST_AT_ONCE>,
    }
}

request_body! {
    /// Goods of a transfer arrived.
    pub(crate) struct ReceiveTransferBody {
        /// Number of units that arrived; further ones may follow.
        quantity: Whole<1, MOST_AT_ONCE>,
    }
}

request_body! {
    /// Writes off what does not arrive.
    pub(crate) struct LoseTransferBody {
        /// What became of it; it is recorded.
        reason: Text<1, 500>,
    }
}

/// Sends goods from one location to another. Until they are received they are on hand, in transit, and cannot
/// be sold. What is promised to orders does not go.
#[utoipa::path(
    post, path = "/v1/stock/{product_id}/transfers", operation_id = "sendTransfer", tag = "stock",
    params(("product_id" = Uuid, Path, description = "the product")),
    request_body(content = SendTransferBody, example = json!({"from": "main", "to": "pangyo", "quantity": 10})),
    responses((status = 200, description = "its stock; the transfer is the last one", body = StockView)),
)]
pub(super) async fn send(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<SendTransferBody>,
) -> Result<Response, Problem> {
    let SendTransferBody { from, to, quantity } = body.value;
    let (product_id, transfer_id) = (ProductId::new(id), TransferId::new(app.state.world.ids.new_id()));
    let (from, quantity) = (from.unwrap_or_else(LocationCode::main), units(&quantity));
    let command = SendTransfer { product_id, transfer_id, from, to, quantity };
    answered(&app, &call, id, command, &body.bytes).await
}

/// Receives goods of a transfer at the location where they go, all of them or a part.
#[utoipa::path(
    post, path = "/v1/stock/{product_id}/transfers/{id}/receive", operation_id = "receiveTransfer", tag = "stock",
    params(("product_id" = Uuid, Path, description = "the product"), ("id" = Uuid, Path, description = "the transfer")),
    request_body(content = ReceiveTransferBody, example = json!({"quantity": 1})),
    responses((status = 200, description = "its stock", body = StockView)),
)]
pub(super) async fn receive(
    State(app): State<App>,
    PathIds(id, transfer): PathIds,
    call: Call,
    body: JsonBody<ReceiveTransferBody>,
) -> Result<Response, Problem> {
    let (product_id, transfer_id) = (ProductId::new(id), TransferId::new(transfer));
    let command = ReceiveTransfer { product_id, transfer_id, quantity: units(&body.value.quantity) };
    answered(&app, &call, id, command, &body.bytes).await
}

/// Writes off what has not arrived of a transfer: it was lost or broken on its way.
#[utoipa::path(
    post, path = "/v1/stock/{product_id}/transfers/{id}/write-off", operation_id = "writeOffTransfer", tag = "stock",
    params(("product_id" = Uuid, Path, description = "the product"), ("id" = Uuid, Path, description = "the transfer")),
    request_body(content = LoseTransferBody, example = json!({"reason": "lost on the way"})),
    responses((status = 200, description = "its stock", body = StockView)),
)]
pub(super) async fn write_off(
    State(app): State<App>,
    PathIds(id, transfer): PathIds,
    call: Call,
    body: JsonBody<LoseTransferBody>,
) -> Result<Response, Problem> {
    let (product_id, transfer_id) = (ProductId::new(id), TransferId::new(transfer));
    let command = LoseTransfer { product_id, transfer_id, reason: body.value.reason.0 };
    answered(&app, &call, id, command, &body.bytes).await
}
