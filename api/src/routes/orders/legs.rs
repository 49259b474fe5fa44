//! The parts of a payment: how they are read, judged and sealed.

use jangbu_commands::{Instrument, Leg, MethodName, sealing};
use jangbu_kernel::{Currency, Money, PaymentId, UserId};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};

use crate::http::fields::{At, Errors, Fields, Line, List, Read, Secret, described, part};
use crate::http::money::Amount;
use crate::http::node::Node;
use crate::http::problem::{Code, Problem};
use crate::state::App;

/// Legs as they come; the shop's own limit is lower.
pub(crate) type Legs = List<LegBody, 1, 20>;

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

/// The legs of a payment, right as far as the body tells.
pub(crate) struct CheckedLegs(Vec<(Money, LegMethod)>);

/// Judges amounts and methods; what is given lacks those that are wrong.
pub(crate) fn checked_legs(bodies: Legs, currency: Currency, list: &At<'_>, errors: &mut Errors) -> CheckedLegs {
    let mut checked = Vec::with_capacity(bodies.0.len());
    for (index, LegBody { amount, method }) in bodies.0.into_iter().enumerate() {
        let at = At::Index(list, index);
        if let LegMethod::Unknown(name) = &method {
            let detail = format!("there is no payment method {name:?} here, see GET /v1/payment-methods");
            errors.push(&At::Name(&at, "method"), Code::PaymentMethodInvalid.name(), detail);
        }
        let amount = amount.and_then(|amount| amount.or_in(currency, &At::Name(&at, "amount"), errors));
        checked.extend(amount.map(|amount| (amount, method)));
    }
    CheckedLegs(checked)
}

/// Ends the request when something is wrong with it. Where that is nothing but methods this
/// shop does not know, the request is refused for them.
pub(crate) fn none_wrong(errors: Errors) -> Result<(), Problem> {
    errors.none().map_err(|problem| problem.named_for_its_errors(Code::PaymentMethodInvalid))
}

impl CheckedLegs {
    /// As the command wants them, card tokens sealed under the buyer's key for this payment.
    pub(crate) async fn sealed(self, app: &App, user_id: UserId, payment_id: PaymentId) -> Result<Vec<Leg>, Problem> {
        let mut legs = Vec::with_capacity(self.0.len());
        for (amount, method) in self.0 {
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
}
