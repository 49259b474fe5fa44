//! Texts by name: an object whose members are not fixed.

use std::collections::BTreeMap;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};

use super::fields::{At, Errors, Read, Text, part};
use super::node::Node;

/// At most so many texts by name, names of 1 to `KEY` characters and texts of at most `VALUE`.
pub(crate) struct Pairs<const MOST: usize, const KEY: usize, const VALUE: usize>(pub(crate) BTreeMap<String, String>);

impl<const MOST: usize, const KEY: usize, const VALUE: usize> Read for Pairs<MOST, KEY, VALUE> {
    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        let Node::Object(members) = node else {
            errors.wrong_type(at, "an object", &node);
            return None;
        };
        if members.len() > MOST {
            errors.push(at, "invalid_length", format!("expected at most {MOST} entries"));
            return None;
        }
        let mut pairs = BTreeMap::new();
        let mut is_whole = true;
        for (name, value) in members {
            let at = At::Name(at, &name);
            if name.trim().is_empty() || name.chars().count() > KEY {
                errors.push(&at, "invalid_name", format!("expected a name of 1 to {KEY} characters"));
                is_whole = false;
            }
            match Text::<0, VALUE>::read(value, &at, errors) {
                Some(text) => {
                    pairs.insert(name.clone(), text.0);
                }
                None => is_whole = false,
            }
        }
        is_whole.then_some(Self(pairs))
    }

    fn schema() -> RefOr<Schema> {
        let names = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(KEY)).build();
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property_names(Some(names))
            .max_properties(Some(MOST))
            .additional_properties(Some(AdditionalProperties::RefOr(part::<Text<0, VALUE>>())))
            .into()
    }
}
