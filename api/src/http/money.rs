//! Money in requests: an object with amount and currency, or a plain decimal text.
//! Never a JSON number: those pass through floats in too many clients.

use jangbu_kernel::{Currency, Money, MoneyError};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema, Type};

use super::fields::{At, Errors, Fields, Read};
use super::node::Node;

/// The longest decimal that can be an amount.
const LONGEST: usize = 40;

/// An amount as it was sent, 0 or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// With its currency.
    Named(Money),
    /// A plain decimal; the currency is that of what it pays for.
    Open(String),
}

impl Amount {
    /// The amount, in this currency if none was given.
    pub(crate) fn or_in(&self, currency: Currency, at: &At<'_>, errors: &mut Errors) -> Option<Money> {
        match self {
            Self::Named(money) => Some(*money),
            Self::Open(text) => checked(Money::parse(text, currency), at, errors),
        }
    }

    /// The amount, in won when no currency was named.
    pub(crate) fn or_won(&self, at: &At<'_>, errors: &mut Errors) -> Option<Money> {
        self.or_in(Currency::KRW, at, errors)
    }
}

impl Read for Amount {
    const NAME: Option<&'static str> = Some("AmountBody");
    fn parts(into: &mut Vec<(String, RefOr<Schema>)>) {
        into.push(("AmountBody".to_owned(), Self::schema()));
    }
    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        match node {
            Node::Text(text) | Node::Bare(text) => read_plain(text, at, errors),
            node @ Node::Object(_) => {
                let mut fields = Fields::open(node, &["amount", "currency"], at, errors)?;
                let amount: Option<Decimal> = fields.take("amount", at, errors);
                let currency: Option<CurrencyCode> = fields.take("currency", at, errors);
                let money = checked(Money::parse(&amount?.0, currency?.0), &At::Name(at, "amount"), errors)?;
                Some(Self::Named(money))
            }
            node @ (Node::Null | Node::Bool(_) | Node::Integer(_) | Node::OtherNumber | Node::List(_)) => {
                let wanted = r#"{"amount": "53000", "currency": "KRW"} or a text such as "53000""#;
                errors.push(at, "wrong_type", format!("expected {wanted}, not {}", node.kind()));
                None
            }
        }
    }

    fn schema() -> RefOr<Schema> {
        let currency = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[A-Z]{3}$"))
            .description(Some("The currency (ISO 4217)."));
        let object = ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("amount", decimal().description(Some("In whole units of the currency.")))
            .property("currency", currency)
            .required("amount")
            .required("currency")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .examples([serde_json::json!({"amount": "53000", "currency": "KRW"})]);
        OneOfBuilder::new()
            .description(Some(
                "An amount of money, 0 or more: with its currency, or as a plain decimal. Never a number.",
            ))
            .item(object)
            .item(decimal().description(Some("an amount in won, or in the currency of what it is for")))
            .into()
    }
    fn query_schema() -> RefOr<Schema> {
        decimal().description(Some("an amount in won")).into()
    }
}

/// No more decimals than the currency has, and 10^15 whole units at most: that is
/// beyond what a pattern can say.
fn decimal() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^[0-9]+(\.[0-9]+)?$")).max_length(Some(LONGEST))
}

/// Whether it is a decimal in any currency is seen at once, so that it is named
/// together with the other errors of the request.
fn read_plain(text: String, at: &At<'_>, errors: &mut Errors) -> Option<Amount> {
    let whole = text.split_once('.').map_or(text.as_str(), |(whole, _)| whole);
    let well_formed = Money::parse(whole, Currency::KRW).is_ok()
        && !text.starts_with('-')
        && text.len() <= LONGEST
        && text.strip_prefix(whole).is_some_and(|rest| {
            rest.is_empty()
                || rest.strip_prefix('.').is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
        });
    if well_formed {
        return Some(Amount::Open(text));
    }
    errors.push(at, "invalid_amount", "expected a decimal of 0 or more, such as \"53000\"");
    None
}

fn checked(money: Result<Money, MoneyError>, at: &At<'_>, errors: &mut Errors) -> Option<Money> {
    match money {
        Ok(money) if money.is_negative() => {
            errors.push(at, "invalid_amount", "expected 0 or more");
            None
        }
        Ok(money) => Some(money),
        Err(error) => {
            errors.push(at, "invalid_amount", error.to_string());
            None
        }
    }
}

/// The digits in an amount object.
struct Decimal(String);

impl Read for Decimal {
    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        if let Node::Text(text) = node {
            return Some(Self(text));
        }
        errors.push(at, "wrong_type", format!("expected a text such as \"53000\", not {}", node.kind()));
        None
    }
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).into()
    }
}

/// The currency in an amount object.
struct CurrencyCode(Currency);

impl Read for CurrencyCode {
    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        let currency = if let Node::Text(code) = &node { code.parse().ok() } else { None };
        if currency.is_none() {
            errors.push(at, "invalid_currency", "expected an ISO 4217 code such as KRW");
        }
        currency.map(Self)
    }
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::read_all;
    use super::*;

    fn read(json: &str) -> Result<Money, String> {
        let node = Node::parse(json.as_bytes()).unwrap();
        let amount: Amount = read_all(node, "").map_err(|errors| format!("{errors:?}"))?;
        let mut errors = Errors::default();
        amount.or_won(&At::Root(""), &mut errors).ok_or_else(|| format!("{:?}", errors.into_vec()))
    }

    #[test]
    fn an_object_and_a_plain_text_are_one_amount() {
        let wanted = Money::krw(53_000).unwrap();
        for json in [r#""53000""#, r#""53000.00""#, r#"{"amount":"53000","currency":"KRW"}"#] {
            assert_eq!(read(json), Ok(wanted), "{json}");
        }
        assert_eq!(read(r#"{"amount":"1.50","currency":"USD"}"#).unwrap().minor_units(), 150);
    }

    #[test]
    fn what_is_not_an_exact_amount_is_refused() {
        for json in [
            "53000",
            "1.5",
            "null",
            "[]",
            r#""""#,
            r#""-1""#,
            r#""1e3""#,
            r#"" 1""#,
            r#""1,000""#,
            r#""1.2.3""#,
            r#""NaN""#,
            r#""٣""#,
            r#""0.5""#,
            r#""99999999999999999999""#,
            r#"{"amount":53000,"currency":"KRW"}"#,
            r#"{"amount":"1","currency":"XXY"}"#,
            r#"{"amount":"1"}"#,
            r#"{"amount":"1","currency":"KRW","x":1}"#,
            r#"{"amount":"0.001","currency":"USD"}"#,
            r#"{"amount":"-1","currency":"KRW"}"#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
