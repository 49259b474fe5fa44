//! What an order would cost, by the same code that prices it when it is placed.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::place::{AddressBody, Lines, PaymentBody, check_lines, checked_address, wanted_lines};
use crate::http::body::JsonBody;
use crate::http::fields::{Errors, request_body};
use crate::http::money::Amount;
use crate::http::problem::{Code, Problem};
use crate::http::view;
use crate::state::App;

/// What a quote can be refused with.
pub(super) const REFUSALS: &[Code] = &[Code::InsufficientStock, Code::ProductNotActive, Code::NotFound];

request_body! {
    /// An order that is not meant yet: the body of an order will do as it is.
    pub(crate) struct QuoteBody {
        /// The goods; lines of the same product are merged.
        lines: Lines,
        /// Where to.
        shipping_address: Option<AddressBody>,
        /// Not looked at.
        expected_total: Option<Amount>,
        /// Not looked at.
        payment: Option<PaymentBody>,
    }
}

/// A line as it would be sold.
#[derive(Serialize, ToSchema)]
#[schema(as = QuoteLine)]
pub(crate) struct QuoteLineView {
    product_id: Uuid,
    name: String,
    unit_price: view::Amount,
    quantity: u32,
    line_total: view::Amount,
}

/// What an order would cost if it were placed now.
#[derive(Serialize, ToSchema)]
#[schema(as = Quote)]
pub(crate) struct QuoteView {
    lines: Vec<QuoteLineView>,
    subtotal: view::Amount,
    discount: view::Amount,
    shipping_fee: view::Amount,
    /// `subtotal - discount + shipping_fee`.
    total: view::Amount,
}

/// What an order would cost now. Nothing is reserved and nothing is written.
#[utoipa::path(
    post, path = "/v1/orders/quote", operation_id = "quoteOrder", tag = "orders",
    request_body = QuoteBody,
    responses((status = 200, description = "what it would cost", body = QuoteView)),
)]
pub(super) async fn quote(State(app): State<App>, body: JsonBody<QuoteBody>) -> Result<Json<QuoteView>, Problem> {
    let QuoteBody { lines, shipping_address, expected_total, payment } = body.value;
    // They were checked by being read; what it costs does not depend on them.
    drop((expected_total, payment));
    let mut errors = Errors::default();
    check_lines(&app, &lines, &mut errors);
    if let Some(address) = shipping_address {
        checked_address(&app, address, &mut errors);
    }
    errors.none()?;
    let lines = wanted_lines(&lines);
    let quote =
        jangbu_commands::quote(&app.state.commands, &app.state.policy, app.state.world.clock.now(), &lines).await?;
    let lines = quote.lines.into_iter().map(|line| QuoteLineView {
        product_id: line.product_id.uuid(),
        name: line.name,
        unit_price: line.unit_price.into(),
        quantity: line.quantity,
        line_total: line.line_total.into(),
    });
    Ok(Json(QuoteView {
        lines: lines.collect(),
        subtotal: quote.subtotal.into(),
        discount: quote.discount.into(),
        shipping_fee: quote.shipping_fee.into(),
        total: quote.total.into(),
    }))
}
