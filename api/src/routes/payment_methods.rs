//! The ways to pay, read from the registry of methods.

use axum::Json;
use axum::extract::State;
use jangbu_commands::{Method, registered_methods};
use jangbu_kernel::{Currency, Money};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::entry::{Entry, Kind};
use super::orders::is_usable;
use crate::http::gate::Access;
use crate::http::problem::Problem;
use crate::http::view::{Amount, Listing};
use crate::http::words;
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    vec![Entry::new(Access::Public, Kind::Page, &[], routes!(list))]
}

/// A way to pay.
#[derive(Serialize, ToSchema)]
#[schema(as = PaymentMethod)]
pub(crate) struct MethodView {
    /// As a leg names it.
    #[schema(examples("card"))]
    name: &'static str,
    /// Who moves the money.
    #[schema(value_type = words::Placement)]
    placement: &'static str,
    /// The smallest leg, in won.
    smallest: Amount,
    /// The largest leg, in won.
    largest: Amount,
}

impl MethodView {
    fn of(method: Method) -> Option<Self> {
        let (smallest, largest) = method.limits(Currency::KRW)?;
        Some(Self {
            name: method.name(),
            placement: if method.own_books().is_some() { "internal" } else { "gateway" },
            smallest: Money::krw(smallest).ok()?.into(),
            largest: Money::krw(largest).ok()?.into(),
        })
    }
}

/// The ways to pay in won, with their limits: those that the gateway of new charges takes, and
/// the shop's own.
#[utoipa::path(
    get, path = "/v1/payment-methods", operation_id = "listPaymentMethods", tag = "payments",
    responses((status = 200, description = "the methods", body = Listing<MethodView>)),
)]
async fn list(State(app): State<App>) -> Result<Json<Listing<MethodView>>, Problem> {
    let usable = registered_methods().iter().filter(|method| is_usable(&app, **method));
    let items = usable.filter_map(|method| MethodView::of(*method)).collect();
    Ok(Json(Listing { items, next_cursor: None }))
}
