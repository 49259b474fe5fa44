//! What an order would cost, by the code that also prices placed orders.

use axum::Json;
use axum::extract::State;
use jangbu_commands::{Quote, WantedLine};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::place::{AddressBody, Lines, PaymentBody, check_lines, checked_address, wanted_lines};
use crate::http::body::JsonBody;
use crate::http::fields::{Errors, Line, request_body};
use crate::http::money::Amount;
use crate::http::problem::{Code, Problem};
use crate::http::view;
use crate::state::App;

/// The refusals of a quote.
pub(super) const REFUSALS: &[Code] = &[Code::InsufficientStock, Code::ProductNotActive, Code::NotFound];

request_body! {
    /// An order that is not meant yet: the body of an order will do as it is.
    pub(crate) struct QuoteBody {
        /// The goods; lines of the same product are merged.
        lines: Lines,
        /// Where to: what shipping costs more there is in the fee only when it is known.
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
    // Reading them was the check; the price does not depend on them.
    drop((expected_total, payment));
    let mut errors = Errors::default();
    check_lines(&app, &lines, &mut errors);
    let address = shipping_address.map(|address| checked_address(&app, address, &mut errors));
    errors.none()?;
    let postal_code = address.map(|address| address.postal_code);
    let lines = wanted_lines(&lines);
    let quote = quoted(&app, &lines, postal_code.as_deref()).await?;
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

async fn quoted(app: &App, lines: &[WantedLine], postal_code: Option<&str>) -> Result<Quote, Problem> {
    let (state, now) = (&app.state, app.state.world.clock.now());
    Ok(jangbu_commands::quote(&state.commands, &state.policy, now, lines, postal_code).await?)
}

request_body! {
    /// Goods, and where they would go.
    pub(crate) struct ShippingQuoteBody {
        /// The goods; lines of the same product are merged.
        lines: Lines,
        /// The postal code that they would go to: what shipping costs more there is in the fee only when it is known.
        postal_code: Option<Line<1, 16>>,
    }
}

/// What shipping would cost.
#[derive(Serialize, ToSchema)]
#[schema(as = ShippingQuote)]
pub(crate) struct ShippingQuoteView {
    subtotal: view::Amount,
    shipping_fee: view::Amount,
}

/// What shipping would cost, before an address is known.
#[utoipa::path(
    post, path = "/v1/shipping/quote", operation_id = "quoteShipping", tag = "shipments",
    request_body(content = ShippingQuoteBody, example = json!({"lines": [{"product_id": "01890a5d-ac96-774b-bcce-b302099a8057", "quantity": 2}], "postal_code": "63100"})),
    responses((status = 200, description = "what shipping would cost", body = ShippingQuoteView)),
)]
pub(super) async fn quote_shipping(
    State(app): State<App>,
    body: JsonBody<ShippingQuoteBody>,
) -> Result<Json<ShippingQuoteView>, Problem> {
    let ShippingQuoteBody { lines, postal_code } = body.value;
    let mut errors = Errors::default();
    check_lines(&app, &lines, &mut errors);
    errors.none()?;
    let quote = quoted(&app, &wanted_lines(&lines), postal_code.as_ref().map(|code| code.0.as_str())).await?;
    Ok(Json(ShippingQuoteView { subtotal: quote.subtotal.into(), shipping_fee: quote.shipping_fee.into() }))
}
