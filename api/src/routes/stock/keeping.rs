//! Stock: receive, count, write off, correct, and the terms on which it is sold.

use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::{
    AdjustStock, CountStock, ReceiveStock, SetBackOrder, SetBuyerLimit, SetStockThreshold, WriteOffStock,
};
use jangbu_commands::{AnyCommand, LocationCode};
use jangbu_kernel::ProductId;
use jangbu_projections::StockRow;
use uuid::Uuid;

use super::StockView;
use crate::http::body::JsonBody;
use crate::http::call::Call;
use crate::http::fields::{Text, Whole, request_body};
use crate::http::long::Before;
use crate::http::params::PathId;
use crate::http::problem::Problem;
use crate::state::App;

/// A larger number is taken for a typing error.
pub(super) const MOST_AT_ONCE: i64 = 1_000_000_000;
const LEAST_AT_ONCE: i64 = -MOST_AT_ONCE;

request_body! {
    /// Goods came in.
    pub(crate) struct ReceiveStockBody {
        /// Number of units that came in.
        quantity: Whole<1, MOST_AT_ONCE>,
        /// The code of the location; `main` when it is left out, here and below.
        location: Option<LocationCode>,
    }
}

request_body! {
    /// Records a count.
    pub(crate) struct CountStockBody {
        /// Number of units at the location, including those that are kept for orders.
        counted: Whole<0, MOST_AT_ONCE>,
        /// The code of the location that was counted.
        location: Option<LocationCode>,
        /// Why there was a count, or what explains a difference; it is recorded.
        reason: Option<Text<1, 500>>,
    }
}

request_body! {
    /// Writes units off.
    pub(crate) struct WriteOffStockBody {
        /// Number of units that can never be sold.
        quantity: Whole<1, MOST_AT_ONCE>,
        /// The code of the location where they are.
        location: Option<LocationCode>,
        /// What became of them; it is recorded.
        reason: Text<1, 500>,
    }
}

request_body! {
    /// Corrects the count.
    pub(crate) struct AdjustStockBody {
        /// By how many; not 0.
        delta: Whole<LEAST_AT_ONCE, MOST_AT_ONCE>,
        /// The code of the location.
        location: Option<LocationCode>,
        /// The reason, such as a count or damage; it is recorded.
        reason: Text<1, 500>,
    }
}

request_body! {
    /// Sets when the stock is low.
    pub(crate) struct StockThresholdBody {
        /// At so many available units or fewer it counts as low; 0: never, only as depleted.
        low: Whole<0, MOST_AT_ONCE>,
    }
}

request_body! {
    /// Sets how much may be promised ahead.
    pub(crate) struct BackOrderBody {
        /// By how many units orders may exceed what is available; 0: not at all.
        limit: Whole<0, MOST_AT_ONCE>,
    }
}

request_body! {
    /// Sets how much one buyer may have.
    pub(crate) struct BuyerLimitBody {
        /// Number of units that one buyer may have in open orders; 0: no limit of the product's own.
        limit: Whole<0, MOST_AT_ONCE>,
    }
}

/// Sends the command and answers with the stock as it left it.
pub(super) async fn answered(
    app: &App,
    call: &Call,
    id: Uuid,
    command: impl Into<AnyCommand>,
    bytes: &[u8],
) -> Result<Response, Problem> {
    let before = Before::<StockRow>::read(app, id).await;
    let answer = call.execute(app, command, bytes).await?;
    before.answer(app, call, answer).await
}

/// A number of units whose type keeps it within these bounds.
pub(super) fn units<const MIN: i64>(number: &Whole<MIN, MOST_AT_ONCE>) -> u32 {
    u32::try_from(number.0).unwrap_or(u32::MAX)
}

/// Goods came in.
#[utoipa::path(
    post, path = "/v1/stock/{product_id}/receive", operation_id = "receiveStock", tag = "stock",
    params(("product_id" = Uuid, Path, description = "the product")),
    request_body(content = ReceiveStockBody, example = json!({"quantity": 100})),
    responses((status = 200, description = "its stock", body = StockView)),
)]
pub(super) async fn receive(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<ReceiveStockBody>,
) -> Result<Response, Problem> {
    let ReceiveStockBody { quantity, location } = body.value;
    let command = ReceiveStock { product_id: ProductId::new(id), quantity: units(&quantity), location };
    answered(&app, &call, id, command, &body.bytes).await
}

/// Records a count: what is at the location becomes the number that was counted. Refused if fewer were counted
/// than are kept for orders.
#[utoipa::path(
    post, path = "/v1/stock/{product_id}/count", operation_id = "countStock", tag = "stock",
    params(("product_id" = Uuid, Path, description = "the product")),
    request_body(content = CountStockBody, example = json!({"counted": 97, "reason": "the yearly count"})),
    responses((status = 200, description = "its stock", body = StockView)),
)]
pub(super) async fn count(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<CountStockBody>,
) -> Result<Response, Problem> {
    let CountStockBody { counted, location, reason } = body.value;
    let (counted, reason) = (units(&counted), reason.map(|reason| reason.0));
    let command = CountStock { product_id: ProductId::new(id), counted, reason, location };
    answered(&app, &call, id, command, &body.bytes).await
}

/// Writes units off that can never be sold; what is kept for orders cannot be written off.
#[utoipa::path(
    post, path = "/v1/stock/{product_id}/write-off", operation_id = "writeOffStock", tag = "stock",
    params(("product_id" = Uuid, Path, description = "the product")),
    request_body(content = WriteOffStockBody, example = json!({"quantity": 1, "reason": "broken in the house"})),
    responses((status = 200, description = "its stock", body = StockView)),
)]
pub(super) async fn write_off(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<WriteOffStockBody>,
) -> Result<Response, Problem> {
    let WriteOffStockBody { quantity, location, reason } = body.value;
    let (product_id, quantity, reason) = (ProductId::new(id), units(&quantity), reason.0);
    let command = WriteOffStock { product_id, quantity, reason, location };
    answered(&app, &call, id, command, &body.bytes).await
}

/// Corrects the count by a difference, up or down.
#[utoipa::path(
    post, path = "/v1/stock/{product_id}/adjust", operation_id = "adjustStock", tag = "stock",
    params(("product_id" = Uuid, Path, description = "the product")),
    request_body(content = AdjustStockBody, example = json!({"delta": -2, "reason": "broken in the house"})),
    responses((status = 200, description = "its stock", body = StockView)),
)]
pub(super) async fn adjust(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<AdjustStockBody>,
) -> Result<Response, Problem> {
    let AdjustStockBody { delta, location, reason } = body.value;
    let command = AdjustStock { product_id: ProductId::new(id), delta: delta.0, reason: reason.0, location };
    answered(&app, &call, id, command, &body.bytes).await
}

/// Sets when the stock counts as low. That it has run low, is depleted, or has been replenished
/// is recorded with the change that makes it so.
#[utoipa::path(
    put, path = "/v1/stock/{product_id}/threshold", operation_id = "setStockThreshold", tag = "stock",
    params(("product_id" = Uuid, Path, description = "the product")),
    request_body(content = StockThresholdBody, example = json!({"low": 10})),
    responses((status = 200, description = "its stock", body = StockView)),
)]
pub(super) async fn set_threshold(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<StockThresholdBody>,
) -> Result<Response, Problem> {
    let command = SetStockThreshold { product_id: ProductId::new(id), low: units(&body.value.low) };
    answered(&app, &call, id, command, &body.bytes).await
}

/// Sets how many units may be promised to orders before they are here. A parcel with such units
/// is dispatched when they have been received. What is promised already stays promised when the
/// limit is lowered.
#[utoipa::path(
    put, path = "/v1/stock/{product_id}/back-order", operation_id = "setBackOrder", tag = "stock",
    params(("product_id" = Uuid, Path, description = "the product")),
    request_body(content = BackOrderBody, example = json!({"limit": 20})),
    responses((status = 200, description = "its stock", body = StockView)),
)]
pub(super) async fn set_back_order(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<BackOrderBody>,
) -> Result<Response, Problem> {
    let command = SetBackOrder { product_id: ProductId::new(id), limit: units(&body.value.limit) };
    answered(&app, &call, id, command, &body.bytes).await
}

/// Sets how many units one buyer may have in open orders: in an order that is being placed, together
/// with those that wait for their payment. More is `too_many_open_orders`. The shop's own limit holds
/// beside it.
#[utoipa::path(
    put, path = "/v1/stock/{product_id}/buyer-limit", operation_id = "setBuyerLimit", tag = "stock",
    params(("product_id" = Uuid, Path, description = "the product")),
    request_body(content = BuyerLimitBody, example = json!({"limit": 2})),
    responses((status = 200, description = "its stock", body = StockView)),
)]
pub(super) async fn set_buyer_limit(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<BuyerLimitBody>,
) -> Result<Response, Problem> {
    let command = SetBuyerLimit { product_id: ProductId::new(id), limit: units(&body.value.limit) };
    answered(&app, &call, id, command, &body.bytes).await
}
