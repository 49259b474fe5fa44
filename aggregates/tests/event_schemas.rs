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

use jangbu_aggregates::schemas::{catalogue, file_name, only_adds};
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
        // The tests beside this one read the files: only what differs is written.
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
    let known: BTreeSet<String> = catalogue().into_iter().map(|(name, _)| name).collect();
    let stored: BTreeSet<String> = names(&folder()).into_iter().filter(|name| name.ends_with(".json")).collect();
    assert_eq!(stored, known);
}

#[test]
fn every_sample_fits_its_schema_decodes_evolves_and_writes_back_the_same() {
    let mut seen = BTreeSet::new();
    for info in DomainEvent::types() {
        let name = format!("{}.v{}", info.event_type, info.schema_version);
        let samples = folder().join("samples").join(&name);
        let schema = read(&folder().join(file_name(info.event_type, info.schema_version)));
        let validator = jsonschema::validator_for(&schema).expect("the schema is one");
        let kind = AggregateKind::from_name(info.event_type.split('.').next().unwrap()).expect("a kind");
        let stream = StreamId::new(kind, uuid::Uuid::nil());
        for file in names(&samples) {
            let sample = read(&samples.join(&file));
            if let Err(error) = validator.validate(&sample) {
                panic!("{name}/{file}: {error}");
            }
            let event = DomainEvent::decode(stream, info.event_type, info.schema_version, &sample.to_string())
                .unwrap_or_else(|error| panic!("{name}/{file}: {error:?}"));
            assert_eq!((event.kind(), event.event_type()), (kind, info.event_type));
            let written: Value = serde_json::from_str(&event.payload_json()).unwrap();
            assert_eq!(written, sample, "{name}/{file} is written back differently");
            AnyState::initial(kind).evolve(&event);
        }
        seen.insert(name);
    }
    assert_eq!(names(&folder().join("samples")), seen, "every event type has samples, and nothing else has");
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
