//! Whatever a stored payload contains, decoding it gives an answer, and folding what could be
//! decoded never panics: a corrupted log is an error, not a crash.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::path::Path;

use jangbu_aggregates::{AnyState, DomainEvent};
use jangbu_kernel::macros::EventTypeInfo;
use jangbu_kernel::{AggregateKind, StreamId};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

/// A published sample with its type.
#[derive(Clone, Debug)]
struct Sample {
    kind: AggregateKind,
    event_type: &'static str,
    version: u16,
    /// The newest version of the type.
    newest: u16,
    payload: Value,
}

fn kind_of(info: &EventTypeInfo) -> AggregateKind {
    AggregateKind::from_name(info.event_type.split('.').next().unwrap()).expect("a kind")
}

fn samples() -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../event-schemas/samples");
    let mut all = Vec::new();
    for info in DomainEvent::types() {
        let (event_type, newest) = (info.event_type, info.schema_version);
        for version in info.upcasters.iter().map(|upcaster| upcaster.from).chain([newest]) {
            for file in fs::read_dir(folder.join(format!("{event_type}.v{version}"))).unwrap() {
                let payload = serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
                all.push(Sample { kind: kind_of(info), event_type, version, newest, payload });
            }
        }
    }
    all
}

fn decode(sample: &Sample, payload: &str) -> Option<DomainEvent> {
    let stream = StreamId::new(sample.kind, uuid::Uuid::nil());
    DomainEvent::decode(stream, sample.event_type, sample.version, payload).ok()
}

/// Every place in a value, as a JSON pointer.
fn places(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), into)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| places(item, &format!("{at}/{index}"), into));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The replacement for a place: values of every type, including extreme ones.
fn replacement() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::sample::select(vec![i64::MIN, -1, 0, 1, i64::from(u32::MAX), i64::MAX]).prop_map(Value::from),
        "(?s).{0,40}".prop_map(Value::from),
        "-?[0-9]{1,20}(\\.[0-9]{1,5})?".prop_map(|amount| json!({"amount": amount, "currency": "KRW"})),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z".prop_map(Value::from),
        Just(json!("+262142-12-31T23:59:59Z")),
        Just(json!([])),
        Just(json!({})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, ..ProptestConfig::default() })]

    #[test]
    fn a_spoilt_sample_is_refused_or_folds(
        sample in prop::sample::select(samples()),
        changes in prop::collection::vec((any::<Index>(), replacement()), 1..4),
        repeats in 1_usize..3,
    ) {
        let mut payload = sample.payload.clone();
        for (place, value) in changes {
            let mut all = Vec::new();
            places(&payload, "", &mut all);
            let place = place.get(&all);
            *payload.pointer_mut(place).unwrap() = value;
        }
        if let Some(event) = decode(&sample, &payload.to_string()) {
            // The event may come at any time, and twice.
            let mut state = AnyState::initial(sample.kind);
            for _ in 0..repeats {
                state.evolve(&event);
            }
            // What was read can be written, and then reads as the same.
            let again = decode(&Sample { version: sample.newest, ..sample.clone() }, &event.payload_json());
            prop_assert_eq!(again.as_ref(), Some(&event));
            let snapshot = state.to_snapshot();
            let stream = StreamId::new(sample.kind, uuid::Uuid::nil());
            prop_assert!(AnyState::from_snapshot(stream, &snapshot).is_ok(), "{}", snapshot);
        }
    }

    #[test]
    fn samples_fold_in_any_order(picks in prop::collection::vec(any::<Index>(), 1..30)) {
        let all = samples();
        let kind = picks[0].get(&all).kind;
        let mine: Vec<&Sample> = all.iter().filter(|sample| sample.kind == kind).collect();
        let mut state = AnyState::initial(kind);
        for pick in picks {
            let sample = pick.get(&mine);
            state.evolve(&decode(sample, &sample.payload.to_string()).unwrap());
        }
        prop_assert!(AnyState::from_snapshot(StreamId::new(kind, uuid::Uuid::nil()), &state.to_snapshot()).is_ok());
    }

    #[test]
    fn a_cut_or_overwritten_payload_is_an_error_and_no_panic(
        sample in prop::sample::select(samples()),
        cut in any::<Index>(),
        byte in any::<char>(),
    ) {
        let mut chars: Vec<char> = sample.payload.to_string().chars().collect();
        let place = cut.index(chars.len());
        let _ = decode(&sample, &chars[..place].iter().collect::<String>());
        chars[place] = byte;
        let _ = decode(&sample, &chars.iter().collect::<String>());
    }

    #[test]
    fn anything_at_all_is_an_error_and_no_panic(
        event_type in prop::sample::select(DomainEvent::types().map(|info| (info.event_type, info.schema_version)).collect::<Vec<_>>()),
        kind in prop::sample::select(AggregateKind::ALL),
        payload in "(?s).{0,80}|[\\[\\]{}\",:0-9a-z]{0,60}",
    ) {
        let stream = StreamId::new(kind, uuid::Uuid::nil());
        let (event_type, version) = event_type;
        let _ = DomainEvent::decode(stream, event_type, version, &payload);
        let unknown = DomainEvent::decode(stream, &payload, version, "{}");
        prop_assert!(unknown.is_err());
        let _ = AnyState::from_snapshot(stream, &payload);
    }
}
