//! The parts of a payment: how they are read, checked and sealed. The registry of methods says
//! which fields the part of a method has.

use jangbu_commands::{Leg, Method, registered_methods, sealing};
use jangbu_kernel::gateway::Details;
use jangbu_kernel::{Currency, Money, PaymentId, UserId};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};

use crate::http::fields::{At, Errors, Fields, Line, List, Read, described, part, secret_schema};
use crate::http::money::Amount;
use crate::http::node::Node;
use crate::http::problem::{Code, Problem};
use crate::state::App;

/// Legs as sent; the shop's own limit is lower.
pub(crate) type Legs = List<LegBody, 1, 20>;

/// A part of a payment as it came.
pub(crate) struct LegBody {
    amount: Option<Amount>,
    method: LegMethod,
}

enum LegMethod {
    Known(Method, Details),
    /// A method this shop does not know.
    Unknown(String),
}

/// What every part has.
const COMMON: [&str; 2] = ["method", "amount"];

impl LegBody {
    /// Whether the currency of its amount was left open.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.amount, Some(Amount::Open(_)))
    }

    /// A part by one method, as the document has it.
    fn of_method(method: Method) -> Schema {
        let part = ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("method", ObjectBuilder::new().schema_type(Type::String).enum_values(Some([method.name()])))
            .required("method")
            .property("amount", part::<Amount>())
            .required("amount")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .description(Some(method.description()));
        let fields = method.fields().iter();
        let with_fields = fields.fold(part, |part, field| {
            let schema = described(secret_schema(field.longest), field.description);
            part.property(field.name, schema).required(field.name)
        });
        with_fields.into()
    }
}

/// The name of a method's part among the shared schemas: `bank_transfer` has `BankTransferLegBody`.
fn schema_name(method: Method) -> String {
    let capitalised = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    method.name().split('_').map(capitalised).chain(["LegBody".to_owned()]).collect()
}

impl Read for LegBody {
    const NAME: Option<&'static str> = Some("LegBody");
    fn parts(into: &mut Vec<(String, RefOr<Schema>)>) {
        into.push(("LegBody".to_owned(), Self::schema()));
        into.extend(registered_methods().iter().map(|method| (schema_name(*method), Self::of_method(*method).into())));
        Amount::parts(into);
    }

    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        let named = if let Node::Object(members) = &node {
            members.iter().find(|(name, _)| name == "method").map(|(_, value)| value)
        } else {
            None
        };
        let method = if let Some(Node::Text(name)) = named {
            let Some(method) = Method::named(name) else {
                // Its own fields are unknown too, and the error has to name the method.
                return Some(Self { amount: None, method: LegMethod::Unknown(name.chars().take(40).collect()) });
            };
            Some(method)
        } else {
            None
        };
        // If no method is named, the fields of any method are accepted.
        let possible = registered_methods().iter().filter(|known| method.is_none_or(|method| method == **known));
        let fields = possible.flat_map(|method| method.fields()).map(|field| field.name);
        let known: Vec<&str> = COMMON.into_iter().chain(fields).collect();
        let mut fields = Fields::open(node, &known, at, errors)?;
        let named: Option<Line<1, 40>> = fields.take("method", at, errors);
        let amount: Option<Amount> = fields.take("amount", at, errors);
        let (method, _) = method.zip(named)?;
        let details: Vec<Option<(String, String)>> = method
            .fields()
            .iter()
            .map(|field| Some((field.name.to_owned(), fields.take_secret(field.name, field.longest, at, errors)?)))
            .collect();
        let details = details.into_iter().collect::<Option<Details>>()?;
        Some(Self { amount: Some(amount?), method: LegMethod::Known(method, details) })
    }

    fn schema() -> RefOr<Schema> {
        let parts = OneOfBuilder::new().description(Some("A part of a payment, by one method."));
        let methods = registered_methods().iter();
        methods.fold(parts, |parts, method| parts.item(Ref::from_schema_name(schema_name(*method)))).into()
    }
}

/// The legs of a payment, valid as far as the body tells.
pub(crate) struct CheckedLegs(Vec<(Money, Method, Details)>);

/// Checks amounts and methods; the result lacks the legs that are wrong.
pub(crate) fn checked_legs(
    app: &App,
    bodies: Legs,
    currency: Currency,
    list: &At<'_>,
    errors: &mut Errors,
) -> CheckedLegs {
    let mut checked = Vec::with_capacity(bodies.0.len());
    for (index, LegBody { amount, method }) in bodies.0.into_iter().enumerate() {
        let at = At::Index(list, index);
        let amount = amount.and_then(|amount| amount.or_in(currency, &At::Name(&at, "amount"), errors));
        match method {
            LegMethod::Known(method, details) if is_usable(app, method) => {
                checked.extend(amount.map(|amount| (amount, method, details)));
            }
            LegMethod::Known(method, _) => refuse_method(method.name(), &at, errors),
            LegMethod::Unknown(name) => refuse_method(&name, &at, errors),
        }
    }
    CheckedLegs(checked)
}

/// Whether the shop accepts a method: one that needs a gateway only if the gateway of new charges
/// supports it.
pub(crate) fn is_usable(app: &App, method: Method) -> bool {
    method.own_books().is_some() || app.state.gateways.chosen().takes(method.name())
}

fn refuse_method(name: &str, at: &At<'_>, errors: &mut Errors) {
    let detail = format!("there is no payment method {name:?} here, see GET /v1/payment-methods");
    errors.push(&At::Name(at, "method"), Code::PaymentMethodInvalid.name(), detail);
}

/// Rejects the request if there are errors. If all of them are methods that this shop does not
/// know, it is rejected with the code for them.
pub(crate) fn none_wrong(errors: Errors) -> Result<(), Problem> {
    errors.none().map_err(|problem| problem.named_for_its_errors(Code::PaymentMethodInvalid))
}

impl CheckedLegs {
    /// The legs as the command expects them: the methods' own fields are sealed under the buyer's
    /// key, for this payment.
    pub(crate) async fn sealed(self, app: &App, user_id: UserId, payment_id: PaymentId) -> Result<Vec<Leg>, Problem> {
        let mut legs = Vec::with_capacity(self.0.len());
        for (amount, method, details) in self.0 {
            let instrument = if method.fields().is_empty() {
                None
            } else {
                let at = sealing::instrument(payment_id);
                Some(app.state.world.vault.seal(user_id, at, &details.to_json()).await?.into())
            };
            legs.push(Leg { method, amount, instrument });
        }
        Ok(legs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_named_for_its_method() {
        let names: Vec<String> = registered_methods().iter().map(|method| schema_name(*method)).collect();
        assert!(names.contains(&"CardLegBody".to_owned()), "{names:?}");
        assert!(names.iter().all(|name| !name.contains('_')), "{names:?}");
    }
}
