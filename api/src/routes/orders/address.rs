//! Changing where an order goes.

use axum::extract::State;
use axum::response::Response;
use jangbu_commands::commands::ChangeShippingAddress;
use jangbu_commands::{CancelledBy, Scope};
use jangbu_kernel::{OrderId, ShipmentId};
use jangbu_projections::OrderRow;

use super::place::{AddressBody, checked_address, seal_address};
use super::{OrderView, carry_out, none_wrong};
use crate::http::body::JsonBody;
use crate::http::call::Call;
use crate::http::fields::Errors;
use crate::http::params::PathId;
use crate::http::problem::Problem;
use crate::http::resource::load;
use crate::state::App;

/// Has an order sent elsewhere, before anything is sent.
///
/// Not paid yet, its shipping fee is that of the new address; while a payment is under way this is
/// refused. Paid, the fee stays: the buyer can have it sent, within 24 hours of the payment, where
/// shipping costs no more, staff anywhere. A parcel that is being prepared is cancelled with its label
/// and replaced.
#[utoipa::path(
    put, path = "/v1/orders/{id}/shipping-address", operation_id = "changeShippingAddress", tag = "orders",
    params(("id" = uuid::Uuid, Path, description = "the order")),
    request_body(content = AddressBody, example = json!({
        "recipient": "김민지", "phone": "010-0000-0000", "postal_code": "04524", "line1": "서울특별시 중구 세종대로 110"
    })),
    responses((status = 200, description = "the order", body = OrderView)),
)]
pub(super) async fn change_address(
    State(app): State<App>,
    PathId(id): PathId,
    call: Call,
    body: JsonBody<AddressBody>,
) -> Result<Response, Problem> {
    let order: OrderRow = load(&app, &call, id, None).await?;
    let mut errors = Errors::default();
    let address = checked_address(&app, body.value, &mut errors);
    none_wrong(errors)?;
    let by = match call.principal()?.scope {
        Scope::Any => CancelledBy::Staff,
        Scope::Own(_) => CancelledBy::Owner,
    };
    let order_id = OrderId::new(id);
    let command = ChangeShippingAddress {
        order_id,
        by,
        shipping_address: seal_address(&app, order.user_id, order_id, &address).await?,
        postal_code: address.postal_code,
        shipment_id: ShipmentId::new(app.state.world.ids.new_id()),
    };
    carry_out(&app, &call, command, &body.bytes).await
}
