//! Cursors: where a page ended, as opaque text.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jangbu_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::QueryError;
use crate::view::Value;

/// A longer text is not a cursor of this program.
const LONGEST: usize = 2_048;

/// The sort key of a page's last item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    /// The list's name and order: the cursor of another list is rejected.
    list: String,
    keys: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Part {
    #[serde(rename = "u")]
    Uuid(Uuid),
    #[serde(rename = "s")]
    Text(String),
    #[serde(rename = "n")]
    Int(i64),
    /// Milliseconds since 1970.
    #[serde(rename = "t")]
    Time(i64),
}

/// Writes a cursor; none if a value is absent or of a kind without an order, which sort keys never
/// are.
pub(super) fn write(list: &str, keys: &[Value]) -> Option<String> {
    let parts: Option<Vec<Part>> = keys
        .iter()
        .map(|key| match key {
            Value::Uuid(Some(id)) => Some(Part::Uuid(*id)),
            Value::Text(Some(text)) => Some(Part::Text(text.clone())),
            Value::Name(name) => Some(Part::Text((*name).to_owned())),
            Value::Int(Some(number)) => Some(Part::Int(*number)),
            Value::Time(Some(at)) => Some(Part::Time(at.timestamp_millis())),
            Value::Uuid(None)
            | Value::Text(None)
            | Value::Int(None)
            | Value::Time(None)
            | Value::Bool(_)
            | Value::Terms(_) => None,
        })
        .collect();
    let cursor = Cursor { list: list.to_owned(), keys: parts? };
    serde_json::to_vec(&cursor).ok().map(|json| URL_SAFE_NO_PAD.encode(json))
}

/// Reads a cursor of a list whose sort key has values of these kinds.
pub(super) fn read(list: &str, text: &str, like: &[Like]) -> Result<Vec<Value>, QueryError> {
    if text.len() > LONGEST {
        return Err(QueryError::BadCursor);
    }
    let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| QueryError::BadCursor)?;
    let cursor: Cursor = serde_json::from_slice(&json).map_err(|_| QueryError::BadCursor)?;
    if cursor.list != list || cursor.keys.len() != like.len() {
        return Err(QueryError::BadCursor);
    }
    cursor
        .keys
        .into_iter()
        .zip(like)
        .map(|(part, like)| match (part, like) {
            (Part::Uuid(id), Like::Uuid) => Ok(Value::id(id)),
            // Stored texts contain no zero character, and Postgres refuses one.
            (Part::Text(text), Like::Text) if !text.contains('\0') => Ok(Value::text(text)),
            (Part::Int(number), Like::Int) => Ok(Value::int(number)),
            (Part::Time(millis), Like::Time) => {
                Timestamp::from_timestamp_millis(millis).filter(in_range).map(Value::time).ok_or(QueryError::BadCursor)
            }
            (
                Part::Uuid(_) | Part::Text(_) | Part::Int(_) | Part::Time(_),
                Like::Uuid | Like::Text | Like::Int | Like::Time,
            ) => Err(QueryError::BadCursor),
        })
        .collect()
}

/// Whether both engines can store a time; a cursor never has another.
fn in_range(at: &Timestamp) -> bool {
    use chrono::Datelike as _;
    (0..=9_999).contains(&at.year())
}

/// The kind of a sort key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Like {
    Uuid,
    Text,
    Int,
    Time,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_reads_back_for_its_own_list_only() {
        let keys = [Value::int(7), Value::id(Uuid::from_u128(1))];
        let text = write("a", &keys).unwrap();
        assert_eq!(read("a", &text, &[Like::Int, Like::Uuid]), Ok(keys.to_vec()));
        assert_eq!(read("b", &text, &[Like::Int, Like::Uuid]), Err(QueryError::BadCursor));
        assert_eq!(read("a", &text, &[Like::Time, Like::Uuid]), Err(QueryError::BadCursor));
        assert_eq!(read("a", &text, &[Like::Int]), Err(QueryError::BadCursor));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "!", "e30", "bnVsbA", &"A".repeat(LONGEST + 1)] {
            assert_eq!(read("a", text, &[Like::Int]), Err(QueryError::BadCursor), "{text}");
        }
    }

    #[test]
    fn a_moment_beyond_the_calendar_is_refused() {
        let json = r#"{"list":"a","keys":[{"t":9000000000000000}]}"#;
        assert_eq!(read("a", &URL_SAFE_NO_PAD.encode(json), &[Like::Time]), Err(QueryError::BadCursor));
    }

    fn key() -> impl Strategy<Value = (Value, Like)> {
        // The times that both engines can store.
        let millis = -62_135_596_800_000_i64..=253_402_300_799_999;
        prop_oneof![
            any::<u128>().prop_map(|bits| (Value::id(Uuid::from_u128(bits)), Like::Uuid)),
            "[^\\x00]{0,40}".prop_map(|text| (Value::text(text), Like::Text)),
            any::<i64>().prop_map(|number| (Value::int(number), Like::Int)),
            millis.prop_map(|at| (Value::time(Timestamp::from_timestamp_millis(at).unwrap()), Like::Time)),
        ]
    }

    fn like() -> impl Strategy<Value = Like> {
        prop::sample::select(vec![Like::Uuid, Like::Text, Like::Int, Like::Time])
    }

    proptest! {
        #[test]
        fn any_keys_read_back(keys in prop::collection::vec(key(), 0..4), list in "[a-z:]{0,20}") {
            let (values, likes): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
            let text = write(&list, &values).unwrap();
            prop_assert_eq!(read(&list, &text, &likes), Ok(values));
        }

        #[test]
        fn any_text_is_refused_and_no_panic(text in "(?s).{0,60}|[-_A-Za-z0-9]{0,80}", likes in prop::collection::vec(like(), 0..3)) {
            prop_assert_eq!(read("a", &text, &likes), Err(QueryError::BadCursor));
        }

        #[test]
        fn any_json_is_a_cursor_or_is_refused(
            list in "[ab]",
            keys in "\\[(\\{\"[usntx]\":(-?[0-9]{1,20}|\"[a-z0-9-]{0,36}\"|\"\\\\u0000\"|null|1e400)\\},?){0,3}\\]",
            likes in prop::collection::vec(like(), 0..3),
        ) {
            let text = URL_SAFE_NO_PAD.encode(format!(r#"{{"list":"{list}","keys":{keys}}}"#));
            if let Ok(values) = read("a", &text, &likes) {
                prop_assert_eq!(values.len(), likes.len());
                let again = write("a", &values).unwrap();
                prop_assert_eq!(read("a", &again, &likes), Ok(values));
            }
        }
    }
}
