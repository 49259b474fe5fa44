//! Placing an order, and the way somebody pays.

use axum::extract::State;
use axum::response::Response;
use chrono::TimeDelta;
use jangbu_commands::{
    Command, Instrument, Leg, MethodName, PlaceOrder, WantedLine, WantedPayment, order_number, sealing,
};
use jangbu_kernel::ports::{AddressFault, PostalAddress};
use jangbu_kernel::{Currency, Money, OrderId, PaymentId, ProductId, UserId};
use jangbu_projections::OrderRow;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};

use super::OrderView;
use crate::http::body::JsonBody;
use crate::http::call::{Call, Key};
use crate::http::fields::{At, Errors, Fields, Line, List, Read, Secret, Whole, described, part, request_body};
use crate::http::money::Amount;
use crate::http::node::Node;
use crate::http::problem::{Code, FieldProblem, Problem};
use crate::http::reply::{self, Made};
use crate::state::App;

/// What placing an order can be refused with.
pub(super) const REFUSALS: &[Code] = &[
    Code::InsufficientStock,
    Code::InsufficientPoints,
    Code::ProductNotActive,
    Code::UserNotActive,
    Code::NotFound,
    Code::TooManyOpenOrders,
    Code::PaymentTotalMismatch,
    Code::PaymentMethodInvalid,
    Code::TotalChanged,
];

/// Lines as they come; equal products are merged, and the shop's own limit holds after that.
pub(super) type Lines = List<LineBody, 1, 1_000>;
/// Legs as they come; the shop's own limit is lower.
pub(crate) type Legs = List<LegBody, 1, 20>;

request_body! {
    /// What somebody wants to buy.
    pub(crate) struct LineBody {
        /// The product.
        product_id: ProductId,
        /// How many.
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
        /// What.
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
    // Before anything is sealed: without a key there is nothing to be done.
    call.idempotency(Key::Required, &body.bytes)?;
    let wanted = body.value;
    check_lines(&app, &wanted.lines)?;
    let currency = currency_of_goods(&app, &wanted).await?;
    let address = checked_address(&app, wanted.shipping_address)?;
    let user_id = call.principal()?.user_id;
    let world = &app.state.world;
    let order_id = OrderId::new(world.ids.new_id());
    let mut errors = Errors::default();
    let total_at = At::Name(&At::Root(""), "expected_total");
    let expected_total = wanted.expected_total.as_ref().and_then(|total| total.or_in(currency, &total_at, &mut errors));
    if !errors.is_empty() {
        return Err(Problem::invalid(errors.into_vec()));
    }
    let payment = match wanted.payment {
        Some(payment) => {
            let payment_id = PaymentId::new(world.ids.new_id());
            let legs = legs(&app, user_id, payment_id, payment.legs, currency, "/payment/legs").await?;
            Some(WantedPayment { payment_id, legs })
        }
        None => None,
    };
    let command = Command::PlaceOrder(PlaceOrder {
        order_id,
        number: order_number(world.clock.now(), order_id),
        user_id,
        lines: wanted_lines(&wanted.lines),
        shipping_address: seal_address(&app, user_id, order_id, &address).await?,
        expected_total,
        pay_within: wanted.pay_within_seconds.and_then(|seconds| TimeDelta::try_seconds(seconds.0)),
        payment,
    });
    let answer = call.execute(&app, command, Key::Required, &body.bytes).await?;
    let location = format!("/v1/orders/{}", answer.stream.id);
    reply::command::<OrderRow>(&app, &call, answer, Made::Created(location)).await
}

/// The currency of the goods: amounts of the body that name none are in it. Looked up only
/// when there are such amounts.
async fn currency_of_goods(app: &App, wanted: &PlaceOrderBody) -> Result<Currency, Problem> {
    let mut legs = wanted.payment.iter().flat_map(|payment| &payment.legs.0);
    let is_open = legs.any(LegBody::is_open) || matches!(wanted.expected_total, Some(Amount::Open(_)));
    let Some(line) = wanted.lines.0.first().filter(|_| is_open) else { return Ok(Currency::KRW) };
    if let Some(known) = app.currencies.get(&line.product_id) {
        return Ok(known);
    }
    let currency = jangbu_commands::currency_of(&app.state.commands, line.product_id).await?;
    // What is not there is refused by the decision.
    let Some(currency) = currency else { return Ok(Currency::KRW) };
    app.currencies.insert(line.product_id, currency);
    Ok(currency)
}

/// The shop's limit on a line, before equal products are merged: all lines at once.
pub(super) fn check_lines(app: &App, lines: &Lines) -> Result<(), Problem> {
    let most = i64::from(app.state.policy.max_line_quantity);
    let errors: Vec<FieldProblem> = lines
        .0
        .iter()
        .enumerate()
        .filter(|(_, line)| line.quantity.0 > most)
        .map(|(index, _)| FieldProblem {
            pointer: format!("/lines/{index}/quantity"),
            code: "out_of_range",
            detail: format!("expected 1 to {most}"),
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(errors)) }
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

/// The address, when the carrier can send something there: what a label needs is known before
/// anything is paid.
pub(super) fn checked_address(app: &App, body: AddressBody) -> Result<PostalAddress, Problem> {
    let address = PostalAddress {
        recipient: body.recipient.0,
        phone: body.phone.0,
        postal_code: body.postal_code.0,
        line1: body.line1.0,
        line2: body.line2.map(|line| line.0),
    };
    let faults = app.state.carriers.chosen().address_faults(&address);
    if faults.is_empty() {
        return Ok(address);
    }
    let root = At::Root("/shipping_address");
    let problem = |AddressFault { field, detail }| FieldProblem {
        pointer: At::Name(&root, field).pointer(),
        code: "refused_by_carrier",
        detail,
    };
    Err(Problem::invalid(faults.into_iter().map(problem).collect()))
}

async fn seal_address(
    app: &App,
    user_id: UserId,
    order_id: OrderId,
    address: &PostalAddress,
) -> Result<jangbu_kernel::Sealed, Problem> {
    let json = serde_json::to_string(address).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(app.state.world.vault.seal(user_id, sealing::shipping_address(order_id), &json).await?)
}

/// A part of a payment as it came.
pub(crate) struct LegBody {
    amount: Option<Amount>,
    method: LegMethod,
}

enum LegMethod {
    Card {
        token: Secret<255>,
    },
    Points,
    /// A method this shop does not know.
    Unknown(String),
}

impl LegBody {
    /// Whether the currency of its amount was left open.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.amount, Some(Amount::Open(_)))
    }
}

impl LegBody {
    /// A part by one method, as the document has it.
    fn of_method(method: &str) -> ObjectBuilder {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("method", ObjectBuilder::new().schema_type(Type::String).enum_values(Some([method])))
            .required("method")
            .property("amount", part::<Amount>())
            .required("amount")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
    }
}

impl Read for LegBody {
    const NAME: Option<&'static str> = Some("LegBody");
    fn parts(into: &mut Vec<(String, RefOr<Schema>)>) {
        let card = Self::of_method("card").description(Some("What a card pays."));
        let token = described(
            Secret::<255>::schema(),
            "The gateway's own token of the card; with the sandbox it says what happens.",
        );
        let points = Self::of_method("points").description(Some("What the buyer's points pay."));
        into.push(("LegBody".to_owned(), Self::schema()));
        into.push(("CardLegBody".to_owned(), card.property("card_token", token).required("card_token").into()));
        into.push(("PointsLegBody".to_owned(), points.into()));
        Amount::parts(into);
    }

    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        let named = if let Node::Object(members) = &node {
            members.iter().find(|(name, _)| name == "method").map(|(_, value)| value)
        } else {
            None
        };
        let named = if let Some(Node::Text(name)) = named { Some(name.clone()) } else { None };
        let known: &[&str] = match named.as_deref() {
            Some("card") | None => &["method", "amount", "card_token"],
            Some("points") => &["method", "amount"],
            // Its own fields are unknown too, and the method is what has to be named.
            Some(name) => {
                return Some(Self { amount: None, method: LegMethod::Unknown(name.chars().take(40).collect()) });
            }
        };
        let mut fields = Fields::open(node, known, at, errors)?;
        let method: Option<Line<1, 40>> = fields.take("method", at, errors);
        let amount: Option<Amount> = fields.take("amount", at, errors);
        let method = if method?.0 == "card" {
            LegMethod::Card { token: fields.take("card_token", at, errors)? }
        } else {
            LegMethod::Points
        };
        Some(Self { amount: Some(amount?), method })
    }

    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .description(Some("A part of a payment, by one method."))
            .item(Ref::from_schema_name("CardLegBody"))
            .item(Ref::from_schema_name("PointsLegBody"))
            .into()
    }
}

/// The legs of a payment, card tokens sealed under the buyer's key for this payment.
pub(crate) async fn legs(
    app: &App,
    user_id: UserId,
    payment_id: PaymentId,
    bodies: Legs,
    currency: Currency,
    root: &'static str,
) -> Result<Vec<Leg>, Problem> {
    let mut errors = Errors::default();
    let mut checked: Vec<(Money, LegMethod)> = Vec::new();
    for (index, body) in bodies.0.into_iter().enumerate() {
        let list = At::Root(root);
        let at = At::Index(&list, index);
        if let LegMethod::Unknown(name) = &body.method {
            return Err(unknown_method(&at, name));
        }
        let amount = body.amount.and_then(|amount| amount.or_in(currency, &At::Name(&at, "amount"), &mut errors));
        checked.extend(amount.map(|amount| (amount, body.method)));
    }
    if !errors.is_empty() {
        return Err(Problem::invalid(errors.into_vec()));
    }
    let mut legs = Vec::with_capacity(checked.len());
    for (amount, method) in checked {
        let (method, instrument) = match method {
            LegMethod::Card { token } => {
                let at = sealing::card_token(payment_id);
                let card_token = app.state.world.vault.seal(user_id, at, &token.0).await?;
                (MethodName::Card, Instrument::Card { card_token })
            }
            LegMethod::Points | LegMethod::Unknown(_) => (MethodName::Points, Instrument::Points),
        };
        legs.push(Leg { method, amount, instrument });
    }
    Ok(legs)
}

fn unknown_method(at: &At<'_>, name: &str) -> Problem {
    let refusal = jangbu_kernel::Refusal::new(
        jangbu_kernel::RefusalCode::PaymentMethodInvalid,
        format!("there is no payment method {name:?} here, see GET /v1/payment-methods"),
    );
    refusal.at(format!("{}/method", at.pointer())).into()
}
