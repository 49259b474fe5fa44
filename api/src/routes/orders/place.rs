//! Placing an order, and how it is paid.

use axum::extract::State;
use axum::response::Response;
use chrono::TimeDelta;
use jangbu_commands::commands::PlaceOrder;
use jangbu_commands::{Command as _, WantedLine, WantedPayment, order_number, sealing};
use jangbu_kernel::ports::{AddressFault, PostalAddress};
use jangbu_kernel::{Currency, Money, OrderId, PaymentId, ProductId, UserId};
use jangbu_projections::OrderRow;

use super::OrderView;
use super::legs::{CheckedLegs, LegBody, Legs, checked_legs, none_wrong};
use crate::http::body::JsonBody;
use crate::http::call::Call;
use crate::http::fields::{At, Errors, Line, List, Whole, request_body};
use crate::http::money::Amount;
use crate::http::problem::Problem;
use crate::http::reply::{self, Made};
use crate::http::resource::Resource as _;
use crate::http::view::Opener;
use crate::state::App;

/// Lines as they come; equal products are merged, and the shop's own limit holds after that.
pub(super) type Lines = List<LineBody, 1, 1_000>;

request_body! {
    /// What somebody wants to buy.
    pub(crate) struct LineBody {
        /// The product.
        product_id: ProductId,
        /// Number of units.
        quantity: Whole<1, 1_000_000>,
    }
}

request_body! {
    /// Where an order goes.
    pub(crate) struct AddressBody {
        /// Who receives.
        recipient: Line<1, 100>,
        /// How to reach them.
        phone: Line<3, 32>,
        /// Postal code.
        postal_code: Line<1, 16>,
        /// Street and number.
        line1: Line<1, 200>,
        /// Flat, floor, door.
        line2: Option<Line<1, 200>>,
    }
}

request_body! {
    /// How an order is paid.
    pub(crate) struct PaymentBody {
        /// 1 to 4 parts whose amounts sum to the total.
        legs: Legs,
    }
}

request_body! {
    /// Buys.
    pub(crate) struct PlaceOrderBody {
        /// The goods; lines of the same product are merged.
        lines: Lines,
        /// Where to.
        shipping_address: AddressBody,
        /// What the client believes it costs: another total is refused.
        expected_total: Option<Amount>,
        /// Seconds in which it has to be paid, when that is to be less than the shop's own time.
        pay_within_seconds: Option<Whole<1, 86_400>>,
        /// How it is paid; it may also be paid later, until its deadline.
        payment: Option<PaymentBody>,
    }
}

/// Buys.
///
/// One decision: every line is reserved, held points are held and the payment is
/// opened, or nothing is. The answer does not wait for the payment unless it is
/// asked to (`Jangbu-Wait-For: settled`).
#[utoipa::path(
    post, path = "/v1/orders", operation_id = "placeOrder", tag = "orders",
    request_body(content = PlaceOrderBody, example = json!({
        "lines": [{"product_id": "01890a5d-ac96-774b-bcce-b302099a8057", "quantity": 2}],
        "shipping_address": {"recipient": "김민지", "phone": "010-0000-0000", "postal_code": "04524", "line1": "서울특별시 중구 세종대로 110"},
        "payment": {"legs": [{"method": "card", "amount": "53000", "card_token": "tok_ok"}]}
    })),
    responses((status = 201, description = "the order", body = OrderView)),
)]
pub(super) async fn place(
    State(app): State<App>,
    call: Call,
    body: JsonBody<PlaceOrderBody>,
) -> Result<Response, Problem> {
    // Before anything is sealed: without a key the request is rejected.
    call.check_key(PlaceOrder::RULES.key)?;
    let currency = currency_of_goods(&app, &body.value).await?;
    let checked = checked(&app, body.value, currency)?;
    let user_id = call.principal()?.user_id;
    let world = &app.state.world;
    let order_id = OrderId::new(world.ids.new_id());
    let payment = match checked.legs {
        Some(legs) => {
            let payment_id = PaymentId::new(world.ids.new_id());
            Some(WantedPayment { payment_id, legs: legs.sealed(&app, user_id, payment_id).await? })
        }
        None => None,
    };
    let sealed = seal_address(&app, user_id, order_id, &checked.address).await?;
    let command = PlaceOrder {
        order_id,
        number: order_number(world.clock.now(), order_id),
        user_id,
        lines: checked.lines,
        shipping_address: sealed.clone(),
        postal_code: Some(checked.address.postal_code.clone()),
        expected_total: checked.expected_total,
        pay_within: checked.pay_within,
        payment,
    };
    let answer = call.execute(&app, command, &body.bytes).await?;
    let location = format!("/v1/orders/{}", answer.stream.id);
    let (row, outcome) = reply::settle::<OrderRow>(&app, &call, answer, Made::Created(location)).await?;
    let view = if row.shipping_address == sealed {
        OrderView::of(row, Some(checked.address.into()), Opener::new(&app)).await?
    } else {
        // The earlier answer to the same request, with its own sealed address.
        row.view(&app).await?
    };
    Ok(outcome.respond(&call, &view))
}

/// An order that is valid as far as its body tells.
struct CheckedOrder {
    lines: Vec<WantedLine>,
    address: PostalAddress,
    expected_total: Option<Money>,
    pay_within: Option<TimeDelta>,
    legs: Option<CheckedLegs>,
}

/// Checks what the values alone tell, and reports all errors at once.
fn checked(app: &App, wanted: PlaceOrderBody, currency: Currency) -> Result<CheckedOrder, Problem> {
    let mut errors = Errors::default();
    check_lines(app, &wanted.lines, &mut errors);
    let address = checked_address(app, wanted.shipping_address, &mut errors);
    let total_at = At::Name(&At::Root(""), "expected_total");
    let expected_total = wanted.expected_total.and_then(|total| total.or_in(currency, &total_at, &mut errors));
    let payment = wanted.payment.map(|payment| payment.legs);
    let legs = payment.map(|legs| checked_legs(app, legs, currency, &At::Root("/payment/legs"), &mut errors));
    none_wrong(errors)?;
    Ok(CheckedOrder {
        lines: wanted_lines(&wanted.lines),
        address,
        expected_total,
        pay_within: wanted.pay_within_seconds.and_then(|seconds| TimeDelta::try_seconds(seconds.0)),
        legs,
    })
}

/// The currency of the goods, which applies to amounts of the body without a currency. It is looked
/// up only if there are such amounts.
async fn currency_of_goods(app: &App, wanted: &PlaceOrderBody) -> Result<Currency, Problem> {
    let mut legs = wanted.payment.iter().flat_map(|payment| &payment.legs.0);
    let is_open = legs.any(LegBody::is_open) || matches!(wanted.expected_total, Some(Amount::Open(_)));
    let Some(line) = wanted.lines.0.first().filter(|_| is_open) else { return Ok(Currency::KRW) };
    if let Some(known) = app.currencies.get(&line.product_id) {
        return Ok(known);
    }
    let currency = jangbu_commands::currency_of(&app.state.commands, line.product_id).await?;
    // The decision refuses products that do not exist.
    let Some(currency) = currency else { return Ok(Currency::KRW) };
    app.currencies.insert(line.product_id, currency);
    Ok(currency)
}

/// The shop's limit on a line, before equal products are merged.
pub(super) fn check_lines(app: &App, lines: &Lines, errors: &mut Errors) {
    let most = i64::from(app.state.policy.max_line_quantity);
    let list = At::Root("/lines");
    for (index, _) in lines.0.iter().enumerate().filter(|(_, line)| line.quantity.0 > most) {
        let line = At::Index(&list, index);
        errors.push(&At::Name(&line, "quantity"), "out_of_range", format!("expected 1 to {most}"));
    }
}

pub(super) fn wanted_lines(lines: &Lines) -> Vec<WantedLine> {
    lines
        .0
        .iter()
        .map(|line| WantedLine {
            product_id: line.product_id,
            // Bounded by its type.
            quantity: u32::try_from(line.quantity.0).unwrap_or(u32::MAX),
        })
        .collect()
}

/// The address, and whether the carrier delivers there: what a label needs is known before anything
/// is paid.
pub(crate) fn checked_address(app: &App, body: AddressBody, errors: &mut Errors) -> PostalAddress {
    let address = PostalAddress {
        recipient: body.recipient.0,
        phone: body.phone.0,
        postal_code: body.postal_code.0,
        line1: body.line1.0,
        line2: body.line2.map(|line| line.0),
    };
    let root = At::Root("/shipping_address");
    for AddressFault { field, detail } in app.state.carriers.chosen().address_faults(&address) {
        errors.push(&At::Name(&root, field), "refused_by_carrier", detail);
    }
    address
}

pub(super) async fn seal_address(
    app: &App,
    user_id: UserId,
    order_id: OrderId,
    address: &PostalAddress,
) -> Result<jangbu_kernel::Sealed, Problem> {
    let json = serde_json::to_string(address).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(app.state.world.vault.seal(user_id, sealing::shipping_address(order_id), &json).await?)
}
