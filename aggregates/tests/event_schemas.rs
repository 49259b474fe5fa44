//! The published contract of the log: every event type has its schema on disk, equal to
//! the types, and samples that can be read for ever.
//!
//! After adding an event or an optional field, write the files with
//! `JANGBU_BLESS=1 cargo test -p jangbu-aggregates --test event_schemas`. A published
//! schema is only replaced by one that adds to it. Samples are written by hand and never
//! changed: `event-schemas/samples/<type>.v<version>/<what it shows>.json`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jangbu_aggregates::schemas::{catalogue, earlier, file_name, only_adds};
use jangbu_aggregates::{AnyState, DomainEvent};
use jangbu_kernel::{AggregateKind, StreamId};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../event-schemas")
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn names(path: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn bless() -> bool {
    std::env::var_os("JANGBU_BLESS").is_some_and(|value| value == "1")
}

fn write(path: &Path, text: &str) {
    if path.exists() {
        let new: Value = serde_json::from_str(text).unwrap();
        only_adds(&read(path), &new).unwrap_or_else(|error| panic!("{} {error}", path.display()));
    }
    fs::write(path, text).unwrap();
}

#[test]
fn the_schemas_on_disk_are_those_of_the_types() {
    for (name, text) in catalogue() {
        let path = folder().join(&name);
        // Other tests read the files at the same time, so only what differs is written.
        if bless() && fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            write(&path, &text);
        }
        let stored =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}; see the head of this test"));
        assert_eq!(stored, text, "{name} differs from its type; see the head of this test");
    }
}

#[test]
fn no_published_schema_is_without_its_type() {
    let known: BTreeSet<String> = catalogue().into_iter().map(|(name, _)| name).chain(earlier()).collect();
    let stored: BTreeSet<String> = names(&folder()).into_iter().filter(|name| name.ends_with(".json")).collect();
    assert_eq!(stored, known);
}

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::validator_for(schema).expect("the schema is one")
}

/// The samples of one version of an event, each with its name, after a check against the version's
/// schema.
fn samples(event_type: &str, version: u16) -> Vec<(String, Value)> {
    let validator = validator(&read(&folder().join(file_name(event_type, version))));
    let of_version = folder().join("samples").join(format!("{event_type}.v{version}"));
    let mut all = Vec::new();
    for file in names(&of_version) {
        let sample = read(&of_version.join(&file));
        let name = format!("{event_type}.v{version}/{file}");
        if let Err(error) = validator.validate(&sample) {
            panic!("{name}: {error}");
        }
        all.push((name, sample));
    }
    all
}

#[test]
fn every_sample_fits_its_schema_decodes_evolves_and_writes_back_the_same() {
    let mut seen = BTreeSet::new();
    for info in DomainEvent::types() {
        let kind = AggregateKind::from_name(info.event_type.split('.').next().unwrap()).expect("a kind");
        let stream = StreamId::new(kind, uuid::Uuid::nil());
        let newest = validator(&read(&folder().join(file_name(info.event_type, info.schema_version))));
        let versions = info.upcasters.iter().map(|upcaster| upcaster.from).chain([info.schema_version]);
        for version in versions {
            for (name, sample) in samples(info.event_type, version) {
                let event = DomainEvent::decode(stream, info.event_type, version, &sample.to_string())
                    .unwrap_or_else(|error| panic!("{name}: {error:?}"));
                assert_eq!((event.kind(), event.event_type()), (kind, info.event_type));
                let written: Value = serde_json::from_str(&event.payload_json()).unwrap();
                if version == info.schema_version {
                    assert_eq!(written, sample, "{name} is written back differently");
                }
                assert!(newest.is_valid(&written), "{name} is written back as {written}, which does not fit");
                AnyState::initial(kind).evolve(&event);
            }
            seen.insert(format!("{}.v{version}", info.event_type));
        }
    }
    assert_eq!(names(&folder().join("samples")), seen, "every event type has samples, and nothing else has");
}

#[test]
fn an_event_of_a_later_version_names_how_each_earlier_one_becomes_the_next() {
    for info in DomainEvent::types() {
        let from: Vec<u16> = info.upcasters.iter().map(|upcaster| upcaster.from).collect();
        let all: Vec<u16> = (1..info.schema_version).collect();
        assert_eq!(from, all, "{} v{}", info.event_type, info.schema_version);
    }
}

#[test]
fn an_unknown_type_version_or_payload_is_an_error_and_no_panic() {
    let stream = StreamId::new(AggregateKind::Order, uuid::Uuid::nil());
    for (event_type, version, payload) in
        [("order.parroted", 1, "{}"), ("order.paid", 2, "{}"), ("order.placed", 1, "{}"), ("stock.received", 1, "{}")]
    {
        assert!(DomainEvent::decode(stream, event_type, version, payload).is_err(), "{event_type} v{version}");
    }
}
