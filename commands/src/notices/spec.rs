//! Every notice has its texts, and every text its values.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jangbu_aggregates::DomainEvent;
use jangbu_aggregates::notice::{Locale, Recipient};
use serde_json::Value;

use super::table::NOTICES;
use super::words::{Values, write};

/// The members of the first sample of an event's newest version.
fn sample(event_type: &str) -> Values {
    let version = DomainEvent::types().find(|info| info.event_type == event_type).unwrap().schema_version;
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../event-schemas/samples");
    let mut files: Vec<_> = fs::read_dir(samples.join(format!("{event_type}.v{version}"))).unwrap().collect();
    files.sort_by_key(|file| file.as_ref().unwrap().path());
    let text = fs::read_to_string(files[0].as_ref().unwrap().path()).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The values that a text about this fact has.
fn values(fact: &str) -> Values {
    let mut values = match fact.split('.').next().unwrap() {
        "order" | "payment" | "shipment" | "fulfilment" | "return" => sample("order.placed"),
        _ => Values::new(),
    };
    values.extend(sample(fact));
    for name in ["shop", "buyer", "product", "order_id"] {
        values.insert(name.to_owned(), format!("the {name}").into());
    }
    values
}

/// The names in braces.
fn places(template: &str) -> BTreeSet<&str> {
    template.split('{').skip(1).map(|behind| behind.split_once('}').unwrap().0).collect()
}

#[test]
fn every_notice_has_a_fact_and_a_name_of_its_own() {
    let mut names: Vec<&str> = NOTICES.iter().map(|notice| notice.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), NOTICES.len());
    for notice in NOTICES {
        assert!(DomainEvent::types().any(|info| info.event_type == notice.fact), "{}", notice.name);
        assert!(notice.to == Recipient::Buyer || notice.topic.is_none(), "{}: the shop has no topics", notice.name);
    }
}

#[test]
fn every_text_says_in_both_languages_what_its_fact_has() {
    for notice in NOTICES {
        let values = values(notice.fact);
        let [korean, english] = [Locale::Ko, Locale::En].map(|locale| notice.template(locale));
        assert_eq!(places(korean), places(english), "{}", notice.name);
        for locale in [Locale::Ko, Locale::En] {
            let template = notice.template(locale);
            for place in places(template) {
                let said = write(&format!("x\n\n{{{place}}}"), &values, locale).text;
                assert!(!said.trim().is_empty(), "{}: {{{place}}} is empty", notice.name);
            }
            let written = write(template, &values, locale);
            assert!(written.subject.starts_with("[the shop] "), "{}: {}", notice.name, written.subject);
            assert!(written.subject.chars().count() < 120 && written.text.len() > 20, "{}", notice.name);
            assert!(!written.text.contains("{\""), "{}: {}", notice.name, written.text);
        }
    }
}

#[test]
fn nobody_is_told_of_a_notice() {
    // A notice about notices would never end.
    assert!(NOTICES.iter().all(|notice| !notice.fact.starts_with("notice.")));
    assert!(matches!(values("order.placed").get("lines"), Some(Value::Array(_))));
}
