//! Money: a decimal amount in one currency, with checked arithmetic only.
//!
//! There is no conversion and no rounding here. An amount with more decimals than its currency has
//! is refused when it is made, so all later arithmetic is exact.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::never::never;

/// A currency by its ISO 4217 code, with the number of its decimals.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// South Korean won, no decimals: the shop's home currency and the unit of points.
    pub const KRW: Self = Self(iso_currency::Currency::KRW);

    /// The three-letter code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals an amount may carry: KRW 0, JPY 0, USD 2, EUR 2.
    #[must_use]
    pub fn scale(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl FromStr for Currency {
    type Err = MoneyError;
    fn from_str(code: &str) -> Result<Self, MoneyError> {
        iso_currency::Currency::from_code(code).map(Self).ok_or(MoneyError::UnknownCurrency)
    }
}
impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.code())
    }
}
impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<'de, str>::deserialize(from)?;
        code.parse().map_err(serde::de::Error::custom)
    }
}

/// Why an amount could not be made or combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// The code is not in ISO 4217.
    #[error("unknown currency code, expected an ISO 4217 code such as KRW")]
    UnknownCurrency,
    /// The text is not a plain decimal number.
    #[error("not a decimal amount, expected digits such as \"53000\" or \"12.50\"")]
    NotADecimal,
    /// The amount has more decimals than the currency.
    #[error("more decimals than the currency allows")]
    TooManyDecimals,
    /// The result does not fit, or the amount exceeds [`Money::MAX_UNITS`] or what 64-bit minor
    /// units can represent.
    #[error("amount out of range")]
    OutOfRange,
    /// Two currencies were mixed.
    #[error("amounts of different currencies")]
    CurrencyMismatch,
}

/// An amount of money. Serialised as `{"amount": "53000", "currency": "KRW"}`. The amount is always
/// text, never a float, and always in normal form: `53000.00` in KRW is written as `53000`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

impl Money {
    /// The largest absolute amount in whole units of any currency: 10^15. 64-bit minor units limit
    /// it further in a currency of four decimals, to about 9.2 * 10^14.
    pub const MAX_UNITS: i64 = 1_000_000_000_000_000;

    /// An amount in a currency.
    ///
    /// # Errors
    /// [`MoneyError::TooManyDecimals`] or [`MoneyError::OutOfRange`].
    pub fn new(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let amount = amount.normalize();
        if amount.scale() > currency.scale() {
            return Err(MoneyError::TooManyDecimals);
        }
        let most_minor_units = Decimal::new(i64::MAX, currency.scale());
        if amount.abs() > Decimal::from(Self::MAX_UNITS).min(most_minor_units) {
            return Err(MoneyError::OutOfRange);
        }
        Ok(Self { amount, currency })
    }

    /// Parses a plain decimal such as `53000` or `12.50`: no sign except `-`, no exponent, no
    /// separators.
    ///
    /// # Errors
    /// Any [`MoneyError`] except a mismatch.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, MoneyError> {
        const LONGEST: usize = 40;
        let digits = amount.strip_prefix('-').unwrap_or(amount);
        let plain = amount.len() <= LONGEST
            && digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.ends_with(|c: char| c.is_ascii_digit())
            && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if !plain {
            return Err(MoneyError::NotADecimal);
        }
        let parsed = Decimal::from_str_exact(amount).map_err(|_| MoneyError::NotADecimal)?;
        Self::new(parsed, currency)
    }

    /// Zero in a currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { amount: Decimal::ZERO, currency }
    }

    /// A whole number of won.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`].
    pub fn krw(units: i64) -> Result<Self, MoneyError> {
        Self::new(Decimal::from(units), Currency::KRW)
    }

    /// The decimal amount, normalised.
    #[must_use]
    pub const fn amount(&self) -> Decimal {
        self.amount
    }
    /// The amount with all decimals of its currency, as people write it: 10.50 USD. The stored form
    /// has the normalised amount.
    #[must_use]
    pub fn shown(&self) -> Decimal {
        let mut shown = self.amount;
        shown.rescale(self.currency.scale());
        shown
    }
    /// The currency.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }
    /// Whether the amount is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.amount.is_zero()
    }
    /// Whether the amount is more than zero.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.amount > Decimal::ZERO
    }
    /// Whether the amount is less than zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.amount < Decimal::ZERO
    }

    /// The amount in the currency's smallest unit: 12.50 USD is 1250.
    #[must_use]
    pub fn minor_units(&self) -> i64 {
        // The amount is in range, which `new` has checked.
        i64::try_from(self.shown().mantissa()).unwrap_or_else(|_| never("an amount is out of range", i64::MAX))
    }

    /// The amount with this many smallest units: the inverse of [`Money::minor_units`].
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`].
    pub fn from_minor_units(units: i64, currency: Currency) -> Result<Self, MoneyError> {
        Self::new(Decimal::new(units, currency.scale()), currency)
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] or [`MoneyError::OutOfRange`].
    pub fn checked_add(&self, other: &Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let sum = self.amount.checked_add(other.amount).ok_or(MoneyError::OutOfRange)?;
        Self::new(sum, self.currency)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] or [`MoneyError::OutOfRange`].
    pub fn checked_sub(&self, other: &Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let difference = self.amount.checked_sub(other.amount).ok_or(MoneyError::OutOfRange)?;
        Self::new(difference, self.currency)
    }

    /// The amount times a whole number.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`].
    pub fn checked_mul(&self, times: u32) -> Result<Self, MoneyError> {
        let product = self.amount.checked_mul(Decimal::from(times)).ok_or(MoneyError::OutOfRange)?;
        Self::new(product, self.currency)
    }

    /// Compares two amounts of one currency.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`].
    pub fn checked_cmp(&self, other: &Self) -> Result<std::cmp::Ordering, MoneyError> {
        self.same_currency(other)?;
        Ok(self.amount.cmp(&other.amount))
    }

    /// The sum of many amounts, zero in `currency` when there are none.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] or [`MoneyError::OutOfRange`].
    pub fn sum<'a>(amounts: impl IntoIterator<Item = &'a Self>, currency: Currency) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::zero(currency), |total, amount| total.checked_add(amount))
    }

    fn same_currency(&self, other: &Self) -> Result<(), MoneyError> {
        if self.currency == other.currency { Ok(()) } else { Err(MoneyError::CurrencyMismatch) }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.shown(), self.currency)
    }
}
impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Parts<'a> {
            #[serde(borrow)]
            amount: std::borrow::Cow<'a, str>,
            currency: Currency,
        }
        let parts = Parts::deserialize(from)?;
        Self::parse(&parts.amount, parts.currency).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Money {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "description": "An amount in a currency; the amount is a decimal written as text.",
            "properties": {
                "amount": {"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$"},
                "currency": {"type": "string", "pattern": "^[A-Z]{3}$"}
            },
            "required": ["amount", "currency"],
            "additionalProperties": false
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn won(units: i64) -> Money {
        Money::krw(units).unwrap()
    }

    #[test]
    fn an_amount_is_shown_with_the_decimals_of_its_currency() {
        let dollars: Currency = "USD".parse().unwrap();
        for (text, shown) in [("10.5", "10.50 USD"), ("10.50", "10.50 USD"), ("7", "7.00 USD"), ("0", "0.00 USD")] {
            assert_eq!(Money::parse(text, dollars).unwrap().to_string(), shown);
        }
        assert_eq!(won(53_000).to_string(), "53000 KRW");
    }

    #[test]
    fn normalised_amounts_are_equal() {
        assert_eq!(Money::parse("53000.00", Currency::KRW), Ok(won(53_000)));
        assert_eq!(serde_json::to_string(&won(53_000)).unwrap(), r#"{"amount":"53000","currency":"KRW"}"#);
    }

    #[test]
    fn more_decimals_than_the_currency_has_are_refused() {
        let dollar: Currency = "USD".parse().unwrap();
        assert_eq!(Money::parse("0.5", Currency::KRW), Err(MoneyError::TooManyDecimals));
        assert!(Money::parse("12.50", dollar).is_ok());
        assert_eq!(Money::parse("12.505", dollar), Err(MoneyError::TooManyDecimals));
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused() {
        for text in ["", "-", "1e5", "1,000", " 1", "1 ", "+1", "NaN", "1.", ".5", "1_000", "٣", "1.2.3"] {
            assert_eq!(Money::parse(text, Currency::KRW), Err(MoneyError::NotADecimal), "{text:?}");
        }
        assert_eq!(Money::parse("1000000000000001", Currency::KRW), Err(MoneyError::OutOfRange));
    }

    /// In a currency of four decimals, the minor units of 10^15 whole units do not fit into 64
    /// bits.
    #[test]
    fn an_amount_beyond_its_minor_units_is_refused() {
        let unit: Currency = "CLF".parse().unwrap();
        let most = Money::parse("922337203685477.5807", unit).unwrap();
        assert_eq!(most.minor_units(), i64::MAX);
        for text in ["922337203685477.5808", "922337204000000.0", "-922337204000000", "1000000000000000"] {
            assert_eq!(Money::parse(text, unit), Err(MoneyError::OutOfRange), "{text}");
        }
        assert_eq!(most.checked_add(&Money::from_minor_units(1, unit).unwrap()), Err(MoneyError::OutOfRange));
    }

    #[test]
    fn a_float_is_not_money() {
        assert!(serde_json::from_str::<Money>(r#"{"amount":1.5,"currency":"USD"}"#).is_err());
        assert!(serde_json::from_str::<Money>(r#"{"amount":"1","currency":"won"}"#).is_err());
    }

    #[test]
    fn currencies_do_not_mix() {
        let euro = Money::parse("1", "EUR".parse().unwrap()).unwrap();
        assert_eq!(euro.checked_add(&won(1)), Err(MoneyError::CurrencyMismatch));
    }

    proptest! {
        #[test]
        fn minor_units_round_trip(units in -Money::MAX_UNITS..Money::MAX_UNITS) {
            for code in ["KRW", "USD"] {
                let currency: Currency = code.parse().unwrap();
                let money = Money::from_minor_units(units, currency).unwrap();
                prop_assert_eq!(money.minor_units(), units);
                let text = serde_json::to_string(&money).unwrap();
                prop_assert_eq!(serde_json::from_str::<Money>(&text).unwrap(), money);
            }
        }

        #[test]
        fn parsing_never_panics(text in ".{0,60}") {
            let _ = Money::parse(&text, Currency::KRW);
        }
    }
}
