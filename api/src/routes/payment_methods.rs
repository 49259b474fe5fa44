//! The ways to pay, read from the registry of methods.

use axum::Json;
use jangbu_commands::{PaymentMethod, Placement, registered_methods};
use jangbu_kernel::{Currency, Money};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::entry::{Entry, Kind};
use crate::http::gate::Access;
use crate::http::problem::Problem;
use crate::http::view::{Amount, Listing};
use crate::http::words;

pub(super) fn entries() -> Vec<Entry> {
    vec![Entry::new(Access::Public, Kind::Page, &[], routes!(list))]
}

/// A way to pay.
#[derive(Serialize, ToSchema)]
#[schema(as = PaymentMethod)]
pub(crate) struct MethodView {
    /// As a leg names it.
    #[schema(value_type = String, examples("card"))]
    name: jangbu_commands::MethodName,
    /// Who moves the money.
    #[schema(value_type = words::Placement)]
    placement: &'static str,
    /// The smallest leg, in won.
    smallest: Amount,
    /// The largest leg, in won.
    largest: Amount,
}

impl MethodView {
    fn of(method: &dyn PaymentMethod) -> Option<Self> {
        let (smallest, largest) = method.limits(Currency::KRW)?;
        Some(Self {
            name: method.name(),
            placement: match method.placement() {
                Placement::External => "gateway",
                Placement::Internal => "internal",
            },
            smallest: Money::krw(smallest).ok()?.into(),
            largest: Money::krw(largest).ok()?.into(),
        })
    }
}

/// The ways to pay in won, with their limits.
#[utoipa::path(
    get, path = "/v1/payment-methods", operation_id = "listPaymentMethods", tag = "payments",
    responses((status = 200, description = "the methods", body = Listing<MethodView>)),
)]
async fn list() -> Result<Json<Listing<MethodView>>, Problem> {
    let items = registered_methods().iter().filter_map(|method| MethodView::of(*method)).collect();
    Ok(Json(Listing { items, next_cursor: None }))
}
