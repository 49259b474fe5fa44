//! The JSON Schemas of all events, generated from the types, and which changes of them are allowed.
//!
//! Events are stored for ever, so a published schema only grows: optional fields and further values
//! of an enumeration may be added, anything else is a new version with an upcaster.

use jangbu_kernel::macros::EventTypeInfo;
use serde_json::{Map, Value};

use crate::event::DomainEvent;

/// Every event type's schema as a file: its name, such as `order.placed.v1.json`, and its text,
/// indented, with sorted keys, ending in a line feed.
#[must_use]
pub fn catalogue() -> Vec<(String, String)> {
    DomainEvent::types()
        .map(|info| {
            let schema = sorted((info.schema)().to_value());
            (file_name(info.event_type, info.schema_version), format!("{schema:#}\n"))
        })
        .collect()
}

/// The files of the versions that are no longer written, but are read for ever.
#[must_use]
pub fn earlier() -> Vec<String> {
    let versions =
        |info: &'static EventTypeInfo| info.upcasters.iter().map(|upcaster| (info.event_type, upcaster.from));
    DomainEvent::types().flat_map(versions).map(|(event_type, version)| file_name(event_type, version)).collect()
}

/// The name of a schema's file.
#[must_use]
pub fn file_name(event_type: &str, schema_version: u16) -> String {
    format!("{event_type}.v{schema_version}.json")
}

/// Sorts the keys, because their order in a map depends on features that other crates enable.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_by(|(left, _), (right, _)| left.cmp(right));
            Value::Object(entries.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => scalar,
    }
}

/// A change that a published schema may not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}; a changed meaning is a new version of the event")]
pub struct Incompatible {
    /// Where in the schema, as a JSON pointer.
    pub at: String,
    /// What changed there.
    pub what: &'static str,
}

/// Checks that `new` only adds to `published`: everything that was valid stays valid and means the
/// same.
///
/// # Errors
/// The first [`Incompatible`] place.
pub fn only_adds(published: &Value, new: &Value) -> Result<(), Incompatible> {
    compare(published, new, "")
}

fn compare(old: &Value, new: &Value, at: &str) -> Result<(), Incompatible> {
    let changed = |what| Err(Incompatible { at: at.to_owned(), what });
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => compare_objects(old, new, at),
        (Value::Array(old), Value::Array(new)) if at.ends_with("/enum") || at.ends_with("/oneOf") => {
            let kept = |value: &Value| new.iter().any(|other| compare(value, other, "").is_ok());
            if old.iter().all(kept) { Ok(()) } else { changed("a value was taken away") }
        }
        (Value::Array(old), Value::Array(new)) if at.ends_with("/required") => {
            let equal = old.len() == new.len() && old.iter().all(|name| new.contains(name));
            if equal { Ok(()) } else { changed("what is required was changed") }
        }
        (old, new) if old == new => Ok(()),
        (_, _) => changed("it was changed"),
    }
}

fn compare_objects(old: &Map<String, Value>, new: &Map<String, Value>, at: &str) -> Result<(), Incompatible> {
    // In a list of fields or definitions the keys are the shop's own names; elsewhere they are
    // rules.
    let names = at.ends_with("/properties") || at.ends_with("/$defs");
    for (key, value) in old {
        let at = format!("{at}/{key}");
        match new.get(key) {
            // Descriptions for people.
            _ if !names && (key == "description" || key == "title") => {}
            Some(other) => compare(value, other, &at)?,
            None => return Err(Incompatible { at, what: "it was taken away" }),
        }
    }
    let added = new.keys().find(|key| !old.contains_key(*key) && !names && !is_harmless(key));
    match added {
        Some(key) => Err(Incompatible { at: format!("{at}/{key}"), what: "a rule was added" }),
        None => Ok(()),
    }
}

/// Keys that may be added: descriptions, and lists that were empty before.
fn is_harmless(key: &str) -> bool {
    matches!(key, "description" | "title" | "properties" | "$defs")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    #[test]
    fn an_optional_field_and_a_further_value_may_be_added() {
        let old = json!({"properties": {"a": {"type": "string"}}, "required": ["a"], "$defs": {"E": {"enum": ["x"]}}});
        let new = json!({
            "description": "more words",
            "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
            "required": ["a"],
            "$defs": {"E": {"enum": ["x", "y"]}, "F": {"type": "string"}}
        });
        assert_eq!(only_adds(&old, &new), Ok(()));
        assert!(only_adds(&new, &old).is_err());
    }

    #[test]
    fn anything_else_is_a_new_version() {
        let old = json!({"properties": {"a": {"type": "string"}, "title": {"type": "string"}}, "required": ["a"]});
        let cases = [
            (
                "/properties/a/type",
                json!({"properties": {"a": {"type": "integer"}, "title": {"type": "string"}}, "required": ["a"]}),
            ),
            ("/properties/title", json!({"properties": {"a": {"type": "string"}}, "required": ["a"]})),
            (
                "/required",
                json!({"properties": {"a": {"type": "string"}, "title": {"type": "string"}, "b": {}}, "required": ["a", "b"]}),
            ),
            (
                "/required",
                json!({"properties": {"a": {"type": "string"}, "title": {"type": "string"}}, "required": []}),
            ),
            (
                "/properties/a/pattern",
                json!({"properties": {"a": {"type": "string", "pattern": "x"}, "title": {"type": "string"}}, "required": ["a"]}),
            ),
        ];
        for (at, new) in cases {
            assert_eq!(only_adds(&old, &new).unwrap_err().at, at);
        }
    }
}
