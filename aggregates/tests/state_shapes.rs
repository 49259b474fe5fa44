//! A state whose shape changed has a new version, so that no snapshot of the old shape is
//! read into it.
//!
//! After changing a state raise its `STATE_VERSION` and write the files with
//! `JANGBU_BLESS=1 cargo test -p jangbu-aggregates --test state_shapes`. A version that was
//! recorded keeps its shape for ever.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use jangbu_aggregates::AnyState;
use jangbu_kernel::AggregateKind;
use serde_json::{Value, json};

/// The recorded shapes of a kind of state.
fn file(kind: AggregateKind) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("state-shapes").join(format!("{}.json", kind.name()))
}

/// Descriptions for people are not part of the shape, and the order of keys depends on features
/// that other crates enable.
fn bare(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> =
                members.into_iter().filter(|(key, value)| !(key == "description" && value.is_string())).collect();
            members.sort_by(|(left, _), (right, _)| left.cmp(right));
            Value::Object(members.into_iter().map(|(key, value)| (key, bare(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(bare).collect()),
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => scalar,
    }
}

#[test]
fn a_changed_state_has_a_new_version() {
    for &kind in AggregateKind::ALL {
        let now = json!({"version": AnyState::state_version(kind), "shape": bare(AnyState::shape(kind).to_value())});
        let path = file(kind);
        let recorded: Option<Value> = fs::read(&path).ok().map(|bytes| serde_json::from_slice(&bytes).unwrap());
        if recorded.as_ref() == Some(&now) {
            continue;
        }
        if let Some(recorded) = &recorded {
            assert!(
                now["version"].as_u64() > recorded["version"].as_u64(),
                "the state of {} changed: raise its STATE_VERSION, see the head of this test",
                kind.name()
            );
        }
        assert!(
            std::env::var_os("JANGBU_BLESS").is_some_and(|value| value == "1"),
            "the shape of {} is not recorded; see the head of this test",
            kind.name()
        );
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{now:#}\n")).unwrap();
    }
}
