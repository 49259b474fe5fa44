//! Parsers of this floor return a result for any input, and read back what was written.

#![allow(clippy::unwrap_used, reason = "tests")]

use jangbu_kernel::event::Actor;
use jangbu_kernel::{AggregateKind, Currency, Money, OrderId, Sealed, StreamId, Timestamp, time};
use proptest::prelude::*;
use uuid::Uuid;

/// Currencies with each number of decimals that money can have.
fn currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(vec!["KRW", "JPY", "USD", "EUR", "KWD", "CLF"]).prop_map(|code| code.parse().unwrap())
}

/// Any text, and texts that are nearly decimals.
fn amount_text() -> impl Strategy<Value = String> {
    prop_oneof!["(?s).{0,60}", "-?[0-9]{0,45}\\.?[0-9]{0,10}", "[-+.0-9eE,_ ]{0,45}"]
}

/// Any text, and texts that are nearly stream ids.
fn stream_text() -> impl Strategy<Value = String> {
    prop_oneof!["(?s).{0,60}", "(order|stock|user|parrot)-[-0-9a-fA-F{}]{0,40}"]
}

fn actor_text() -> impl Strategy<Value = String> {
    prop_oneof!["(?s).{0,60}", "(user|system|operator|gateway|carrier|parrot):(?s).{0,40}"]
}

#[derive(serde::Serialize, serde::Deserialize)]
struct At(#[serde(with = "jangbu_kernel::time::millis")] Timestamp);

#[derive(serde::Serialize, serde::Deserialize)]
struct MaybeAt {
    #[serde(default, with = "jangbu_kernel::time::millis::option")]
    at: Option<Timestamp>,
}

proptest! {
    #[test]
    fn an_amount_is_read_exactly_or_refused(text in amount_text(), currency in currency()) {
        if let Ok(money) = Money::parse(&text, currency) {
            // An accepted amount is written as the same number, and reads back as itself.
            let written = money.amount().to_string();
            prop_assert_eq!(Money::parse(&written, currency), Ok(money));
            prop_assert_eq!(Money::from_minor_units(money.minor_units(), currency), Ok(money));
        }
    }

    #[test]
    fn an_amount_survives_its_json(units in -Money::MAX_UNITS..=Money::MAX_UNITS, currency in currency()) {
        let money = Money::from_minor_units(units, currency).unwrap();
        let json = serde_json::to_string(&money).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
    }

    #[test]
    fn json_that_is_no_amount_is_refused(amount in amount_text(), code in "[A-Za-z]{0,4}", more in any::<bool>()) {
        let mut json = serde_json::json!({"amount": amount, "currency": code});
        if more {
            json["more"] = 1.into();
        }
        let read = serde_json::from_str::<Money>(&json.to_string());
        prop_assert!(!more || read.is_err());
    }

    #[test]
    fn sums_and_products_are_exact_or_refused(a in any::<i64>(), b in any::<i64>(), times in any::<u32>(), small in any::<bool>()) {
        let cut = |units: i64| if small { units % 1_000_000 } else { units % (Money::MAX_UNITS + 1) };
        let (first, second) = (Money::krw(cut(a)).unwrap(), Money::krw(cut(b)).unwrap());
        if let Ok(sum) = first.checked_add(&second) {
            prop_assert_eq!(Some(sum.minor_units()), cut(a).checked_add(cut(b)));
            prop_assert_eq!(sum.checked_sub(&second), Ok(first));
        }
        if let Ok(product) = first.checked_mul(times) {
            prop_assert_eq!(Some(product.minor_units()), cut(a).checked_mul(i64::from(times)));
        }
    }

    #[test]
    fn a_currency_is_its_code(text in "(?s).{0,5}|[A-Z]{3}") {
        if let Ok(currency) = text.parse::<Currency>() {
            prop_assert_eq!(currency.code(), text);
            prop_assert!(currency.scale() <= 4);
        }
    }

    #[test]
    fn an_id_survives_its_text(bits in any::<u128>(), text in "(?s).{0,50}|[-0-9a-fA-F]{30,40}") {
        let id = OrderId::new(Uuid::from_u128(bits));
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        if let Ok(read) = text.parse::<OrderId>() {
            prop_assert_eq!(read.to_string().parse(), Ok(read));
        }
    }

    #[test]
    fn a_stream_survives_its_text(bits in any::<u128>(), kind in prop::sample::select(AggregateKind::ALL), text in stream_text()) {
        let stream = StreamId::new(kind, Uuid::from_u128(bits));
        prop_assert_eq!(stream.to_string().parse(), Ok(stream));
        let json = serde_json::to_string(&stream).unwrap();
        prop_assert_eq!(serde_json::from_str::<StreamId>(&json).unwrap(), stream);
        if let Ok(read) = text.parse::<StreamId>() {
            prop_assert_eq!(read.to_string().parse(), Ok(read));
        }
    }

    #[test]
    fn an_actor_survives_its_text(text in actor_text()) {
        if let Ok(actor) = text.parse::<Actor>() {
            prop_assert_eq!(actor.to_string().parse(), Ok(actor));
        }
    }

    #[test]
    fn a_moment_survives_to_the_millisecond(millis in -62_135_596_800_000_i64..=253_402_300_799_999) {
        let moment = Timestamp::from_timestamp_millis(millis).unwrap();
        let json = serde_json::to_string(&At(moment)).unwrap();
        prop_assert_eq!(json.len(), "\"2026-11-21T01:07:00.000Z\"".len());
        prop_assert_eq!(serde_json::from_str::<At>(&json).unwrap().0, moment);
        let json = serde_json::to_string(&MaybeAt { at: Some(moment) }).unwrap();
        prop_assert_eq!(serde_json::from_str::<MaybeAt>(&json).unwrap().at, Some(moment));
    }

    #[test]
    fn what_is_no_moment_is_refused(text in "(?s).{0,40}|[-+0-9TZ:. ]{10,40}") {
        let json = serde_json::to_string(&text).unwrap();
        if let Ok(At(moment)) = serde_json::from_str(&json) {
            let _ = time::rfc3339(time::to_millis(moment));
        }
    }

    #[test]
    fn a_sealed_text_survives_and_never_shows(text in "(?s).{0,80}") {
        let sealed = Sealed::from_ciphertext(text.clone());
        prop_assert_eq!(format!("{sealed:?}"), "Sealed(..)");
        let json = serde_json::to_string(&sealed).unwrap();
        let read: Sealed = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(read.ciphertext(), text);
    }
}
