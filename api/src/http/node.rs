//! JSON before it is interpreted. Unlike the usual value tree it rejects duplicate names, so that
//! no two readers of one text see different values.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON value, or a bare text from a query string.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    /// A number without fraction that fits 64 bit. 7.0 is one, as for JSON Schema.
    Integer(i64),
    /// Any other number. Money and counts are never read from it, so its value is not kept.
    OtherNumber,
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// A text from a query string; it is read as whatever type is expected there.
    Bare(String),
}

impl Node {
    /// Reads a JSON text. The parser bounds the depth at 128.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Its kind, in words for a person.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::OtherNumber => "a number",
            Self::Text(_) | Self::Bare(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(i64::try_from(value).map_or(Node::OtherNumber, Node::Integer))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        // Below this every integer has exactly one float, so text and value correspond one to one.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let whole = value.fract() == 0.0 && value.abs() < EXACT;
        Ok(if whole { Node::Integer(value as i64) } else { Node::OtherNumber })
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }
    fn visit_string<E: Error>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        // Valid objects are small, and a set is worth its cost only for large ones; those are
        // checked with a set because comparing all pairs takes quadratic time.
        const SMALL: usize = 32;
        let mut members: Vec<(String, Node)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some((name, value)) = map.next_entry::<String, Node>()? {
            if members.len() == SMALL {
                seen.extend(members.iter().map(|(name, _)| name.clone()));
            }
            let duplicate = if members.len() < SMALL {
                members.iter().any(|(known, _)| *known == name)
            } else {
                !seen.insert(name.clone())
            };
            if duplicate {
                return Err(A::Error::custom("a name stands twice in one object"));
            }
            members.push((name, value));
        }
        Ok(Node::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_names_are_refused_in_small_and_large_objects() {
        assert!(Node::parse(br#"{"a":1,"a":2}"#).is_err());
        let many: Vec<_> = (0..100).map(|i| format!("\"n{i}\":1")).collect();
        assert!(Node::parse(format!("{{{}}}", many.join(",")).as_bytes()).is_ok());
        for repeated in ["n0", "n50", "n99"] {
            let text = format!("{{{},\"{repeated}\":1}}", many.join(","));
            assert!(Node::parse(text.as_bytes()).is_err(), "{repeated}");
        }
    }

    #[test]
    fn a_depth_bomb_is_refused() {
        let bomb = "[".repeat(10_000);
        assert!(Node::parse(bomb.as_bytes()).is_err());
    }

    #[test]
    fn only_whole_numbers_keep_their_value() {
        for (text, value) in [("7", 7), ("7.0", 7), ("-1e2", -100), ("9007199254740991.0", 9_007_199_254_740_991)] {
            assert_eq!(Node::parse(text.as_bytes()).unwrap(), Node::Integer(value), "{text}");
        }
        for other in ["7.5", "1e-2", "9007199254740993.0", "1e300", "18446744073709551615"] {
            assert_eq!(Node::parse(other.as_bytes()).unwrap(), Node::OtherNumber, "{other}");
        }
    }
}
