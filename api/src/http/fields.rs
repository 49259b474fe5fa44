//! Reading requests field by field, collecting everything that is wrong with them.
//!
//! The bounds of a value are part of its type (`Text<1, 200>`), so the check, the
//! message and the schema in the OpenAPI document cannot differ.

use jangbu_commands::identity::Change;
use jangbu_kernel::text::{self, Unfit};
use utoipa::openapi::schema::{
    AnyOfBuilder, ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr};

use super::node::Node;
use super::problem::{FieldProblem, Problem};

/// The place of a value in the request: a JSON pointer that grows on the way down.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    Root(&'static str),
    Name(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl At<'_> {
    /// The pointer as text (RFC 6901, section 3).
    pub(crate) fn pointer(&self) -> String {
        match self {
            Self::Root(prefix) => (*prefix).to_owned(),
            Self::Name(parent, name) => {
                format!("{}/{}", parent.pointer(), name.replace('~', "~0").replace('/', "~1"))
            }
            Self::Index(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }
}

/// Everything that is wrong with a request, up to a bound.
#[derive(Default)]
pub(crate) struct Errors(Vec<FieldProblem>);

impl Errors {
    /// Errors beyond this number would only make the answer larger.
    const MOST: usize = 50;

    pub(crate) fn push(&mut self, at: &At<'_>, code: &'static str, detail: impl Into<String>) {
        if self.0.len() < Self::MOST {
            self.0.push(FieldProblem { pointer: at.pointer(), code, detail: detail.into() });
        }
    }
    pub(crate) fn wrong_type(&mut self, at: &At<'_>, wanted: &str, node: &Node) {
        self.push(at, "wrong_type", format!("expected {wanted}, not {}", node.kind()));
    }
    pub(crate) fn into_vec(self) -> Vec<FieldProblem> {
        self.0
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Rejects the request if there are errors.
    pub(crate) fn none(self) -> Result<(), Problem> {
        if self.is_empty() { Ok(()) } else { Err(Problem::invalid(self.0)) }
    }
}

/// A value that can be read from a request.
pub(crate) trait Read: Sized {
    /// Whether it has to be present.
    const REQUIRED: bool = true;
    /// Reads it; none if it is invalid, in which case `errors` says why.
    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self>;
    /// The value of a field that is absent.
    fn absent(at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        errors.push(at, "required", "this is required");
        None
    }
    /// Whether an optional field is present and yet counts as absent.
    fn is_absent(_: &Node) -> bool {
        false
    }
    /// The name of its schema among the shared ones; none for a schema that is written where it is
    /// used.
    const NAME: Option<&'static str> = None;
    /// Its schema.
    fn schema() -> RefOr<Schema>;
    /// The shared schemas that it consists of, itself included.
    fn parts(_: &mut Vec<(String, RefOr<Schema>)>) {}
    /// Its schema where it may be left out.
    fn optional_schema() -> RefOr<Schema> {
        Self::schema()
    }
    /// Its schema in a query, where everything is a text.
    fn query_schema() -> RefOr<Schema> {
        Self::schema()
    }
}

/// The schema of a part of something larger: a reference for a shared one.
pub(crate) fn part<T: Read>() -> RefOr<Schema> {
    T::NAME.map_or_else(T::schema, |name| Ref::from_schema_name(name).into())
}

impl<T: Read> Read for Option<T> {
    const REQUIRED: bool = false;
    const NAME: Option<&'static str> = T::NAME;
    fn parts(into: &mut Vec<(String, RefOr<Schema>)>) {
        T::parts(into);
    }
    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        let absent = node == Node::Null || T::is_absent(&node);
        if absent { Some(None) } else { T::read(node, at, errors).map(Some) }
    }
    fn absent(_: &At<'_>, _: &mut Errors) -> Option<Self> {
        Some(None)
    }
    fn schema() -> RefOr<Schema> {
        T::optional_schema()
    }
    fn query_schema() -> RefOr<Schema> {
        T::query_schema()
    }
}

/// A text of one line, whose length in characters is bounded in the form in which it is stored
/// ([`text::line`]).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Line<const MIN: usize, const MAX: usize>(pub(crate) String);

/// The same, of several lines ([`text::prose`]).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Text<const MIN: usize, const MAX: usize>(pub(crate) String);

macro_rules! read_text {
    ($type:ident, $keep:path, $one_line:literal) => {
        impl<const MIN: usize, const MAX: usize> Read for $type<MIN, MAX> {
            fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
                read_kept(node, at, errors, $keep, MIN..=MAX).map(Self)
            }
            fn is_absent(node: &Node) -> bool {
                is_blank(node)
            }
            fn schema() -> RefOr<Schema> {
                text_schema(text::pattern($one_line, false, MIN), MIN, MAX)
            }
            fn optional_schema() -> RefOr<Schema> {
                text_schema(text::pattern($one_line, true, MIN), 0, MAX)
            }
        }
    };
}
read_text!(Line, text::line, true);
read_text!(Text, text::prose, false);

/// An optional field without a visible character counts as absent.
fn is_blank(node: &Node) -> bool {
    match node {
        Node::Text(text) | Node::Bare(text) => matches!(text::prose(text), Err(Unfit::Blank)),
        Node::Null | Node::Bool(_) | Node::Integer(_) | Node::OtherNumber | Node::List(_) | Node::Object(_) => false,
    }
}

fn read_kept(
    node: Node,
    at: &At<'_>,
    errors: &mut Errors,
    keep: impl Fn(&str) -> Result<String, Unfit>,
    length: std::ops::RangeInclusive<usize>,
) -> Option<String> {
    let (Node::Text(given) | Node::Bare(given)) = node else {
        errors.wrong_type(at, "a text", &node);
        return None;
    };
    match keep(&given) {
        Ok(kept) if length.contains(&kept.chars().count()) => Some(kept),
        Err(Unfit::Characters) => {
            errors.push(at, "invalid_characters", Unfit::Characters.to_string());
            None
        }
        Ok(_) | Err(Unfit::Blank) => {
            errors.push(at, "invalid_length", format!("expected {} to {} characters", length.start(), length.end()));
            None
        }
    }
}

fn text_schema(pattern: String, min: usize, max: usize) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(pattern))
        .min_length(Some(min))
        .max_length(Some(max))
        .into()
}

/// A field that can be cleared: left out, blank, null, or a value.
impl<T: Read> Read for Change<T> {
    const REQUIRED: bool = false;
    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        if node == Node::Null {
            return Some(Self::Clear);
        }
        if T::is_absent(&node) { Some(Self::Keep) } else { T::read(node, at, errors).map(Self::Set) }
    }
    fn absent(_: &At<'_>, _: &mut Errors) -> Option<Self> {
        Some(Self::Keep)
    }
    fn schema() -> RefOr<Schema> {
        let mut schema = T::optional_schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.schema_type = SchemaType::from_iter([Type::String, Type::Null]);
        }
        schema
    }
}

/// A secret text that is read unchanged: only its length is checked here.
pub(crate) struct Secret<const MAX: usize>(pub(crate) String);

impl<const MAX: usize> Read for Secret<MAX> {
    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        read_secret(node, MAX, at, errors).map(Self)
    }
    fn schema() -> RefOr<Schema> {
        secret_schema(MAX)
    }
}

/// Reads a text unchanged, of 1 to `longest` characters.
pub(crate) fn read_secret(node: Node, longest: usize, at: &At<'_>, errors: &mut Errors) -> Option<String> {
    let Node::Text(text) = node else {
        errors.wrong_type(at, "a text", &node);
        return None;
    };
    if text.contains('\0') {
        errors.push(at, "invalid_characters", "U+0000 is not allowed here");
        return None;
    }
    if !(1..=longest).contains(&text.chars().count()) {
        errors.push(at, "invalid_length", format!("expected 1 to {longest} characters"));
        return None;
    }
    Some(text)
}

/// The schema of what [`read_secret`] reads.
pub(crate) fn secret_schema(longest: usize) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        .pattern(Some(r"^[^\x00]*$"))
        .min_length(Some(1))
        .max_length(Some(longest))
        .into()
}

/// A whole number within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole<const MIN: i64, const MAX: i64>(pub(crate) i64);

impl<const MIN: i64, const MAX: i64> Read for Whole<MIN, MAX> {
    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        let number = match &node {
            Node::Integer(number) => Some(*number),
            Node::Bare(text) => text.parse().ok(),
            Node::Null | Node::Bool(_) | Node::OtherNumber | Node::Text(_) | Node::List(_) | Node::Object(_) => None,
        };
        match number {
            Some(number) if (MIN..=MAX).contains(&number) => Some(Self(number)),
            Some(_) => {
                errors.push(at, "out_of_range", format!("expected {MIN} to {MAX}"));
                None
            }
            None => {
                errors.wrong_type(at, "a whole number", &node);
                None
            }
        }
    }
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(MIN))
            .maximum(Some(MAX))
            .into()
    }
}

impl Read for bool {
    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        let value = match &node {
            Node::Bool(value) => Some(*value),
            Node::Bare(text) => text.parse().ok(),
            Node::Null | Node::Integer(_) | Node::OtherNumber | Node::Text(_) | Node::List(_) | Node::Object(_) => None,
        };
        if value.is_none() {
            errors.wrong_type(at, "true or false", &node);
        }
        value
    }
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Boolean).into()
    }
}

/// A list with a bounded number of items.
pub(crate) struct List<T, const MIN: usize, const MAX: usize>(pub(crate) Vec<T>);

impl<T: Read, const MIN: usize, const MAX: usize> Read for List<T, MIN, MAX> {
    fn parts(into: &mut Vec<(String, RefOr<Schema>)>) {
        T::parts(into);
    }
    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        let Node::List(nodes) = node else {
            errors.wrong_type(at, "a list", &node);
            return None;
        };
        if !(MIN..=MAX).contains(&nodes.len()) {
            errors.push(at, "invalid_length", format!("expected {MIN} to {MAX} items"));
            return None;
        }
        let items: Vec<Option<T>> =
            nodes.into_iter().enumerate().map(|(index, node)| T::read(node, &At::Index(at, index), errors)).collect();
        items.into_iter().collect::<Option<Vec<T>>>().map(Self)
    }
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(part::<T>()).min_items(Some(MIN)).max_items(Some(MAX)).into()
    }
}

/// Values that are written as a text and parsed as a whole.
pub(crate) trait ReadText: Sized {
    /// What is expected, in words for a person.
    const WANTED: &'static str;
    /// Code of the error for a value that cannot be parsed.
    const CODE: &'static str;
    fn parse_text(text: &str) -> Option<Self>;
    fn text_schema() -> ObjectBuilder;
    /// The forms that it can have, if there are several.
    fn one_of() -> Vec<ObjectBuilder> {
        Vec::new()
    }
}

impl<T: ReadText> Read for T {
    fn read(node: Node, at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        let (Node::Text(text) | Node::Bare(text)) = &node else {
            errors.wrong_type(at, T::WANTED, &node);
            return None;
        };
        let value = T::parse_text(text);
        if value.is_none() {
            errors.push(at, T::CODE, format!("expected {}", T::WANTED));
        }
        value
    }
    fn schema() -> RefOr<Schema> {
        let text = |schema: ObjectBuilder| schema.schema_type(SchemaType::new(Type::String));
        let forms = T::one_of();
        if forms.is_empty() {
            return text(T::text_schema()).into();
        }
        forms.into_iter().fold(OneOfBuilder::new(), |one_of, form| one_of.item(text(form))).into()
    }
}

macro_rules! read_ids {
    ($($id:ident),+) => {$(
        impl ReadText for jangbu_kernel::$id {
            const WANTED: &'static str = "a UUID";
            const CODE: &'static str = "invalid_id";
            fn parse_text(text: &str) -> Option<Self> {
                super::params::parse_uuid(text).map(Self::new)
            }
            fn text_schema() -> ObjectBuilder {
                ObjectBuilder::new().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
            }
        }
    )+};
}
read_ids!(UserId, ProductId, CategoryId, OrderId);

impl ReadText for jangbu_kernel::Timestamp {
    const WANTED: &'static str = "a time such as 2026-11-21T01:07:00.000Z (RFC 3339)";
    const CODE: &'static str = "invalid_time";
    fn parse_text(text: &str) -> Option<Self> {
        let time = chrono::DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&chrono::Utc);
        // Years beyond four digits have no RFC 3339 form, so they could not be written back as they
        // came.
        (1..=9999).contains(&chrono::Datelike::year(&time)).then(|| jangbu_kernel::time::to_millis(time))
    }
    fn text_schema() -> ObjectBuilder {
        ObjectBuilder::new().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
    }
}

/// Values that are one of a fixed list of words: types with `ALL`, `name` and `from_name`.
macro_rules! read_words {
    ($type:ty, $wanted:literal) => {
        impl $crate::http::fields::ReadText for $type {
            const WANTED: &'static str = $wanted;
            const CODE: &'static str = "unknown_value";
            fn parse_text(text: &str) -> Option<Self> {
                Self::from_name(text)
            }
            fn text_schema() -> utoipa::openapi::schema::ObjectBuilder {
                let words = <$type>::ALL.iter().map(|value| value.name());
                utoipa::openapi::schema::ObjectBuilder::new().enum_values(Some(words))
            }
        }
    };
}
pub(crate) use read_words;

/// The members of an object, taken out one by one.
pub(crate) struct Fields {
    members: Vec<(String, Node)>,
}

impl Fields {
    /// Opens an object and reports every unknown member.
    pub(crate) fn open(node: Node, known: &[&str], at: &At<'_>, errors: &mut Errors) -> Option<Self> {
        let Node::Object(members) = node else {
            errors.wrong_type(at, "an object", &node);
            return None;
        };
        for (name, _) in &members {
            if !known.contains(&name.as_str()) {
                errors.push(&At::Name(at, name), "unknown_field", "there is no such field");
            }
        }
        Some(Self { members })
    }

    /// Reads one member.
    pub(crate) fn take<T: Read>(&mut self, name: &str, at: &At<'_>, errors: &mut Errors) -> Option<T> {
        let at = At::Name(at, name);
        match self.members.iter().position(|(known, _)| known == name) {
            Some(place) => T::read(self.members.swap_remove(place).1, &at, errors),
            None => T::absent(&at, errors),
        }
    }

    /// Reads one member that is a required secret text.
    pub(crate) fn take_secret(
        &mut self,
        name: &str,
        longest: usize,
        at: &At<'_>,
        errors: &mut Errors,
    ) -> Option<String> {
        let at = At::Name(at, name);
        if let Some(place) = self.members.iter().position(|(known, _)| known == name) {
            return read_secret(self.members.swap_remove(place).1, longest, &at, errors);
        }
        errors.push(&at, "required", "this is required");
        None
    }
}

/// Declares the body of a request: the struct, how it is read, its schema. Field
/// docs become descriptions.
macro_rules! request_body {
    ($(#[doc = $doc:literal])* $vis:vis struct $name:ident { $($(#[doc = $field_doc:literal])* $field:ident: $type:ty,)+ }) => {
        $(#[doc = $doc])*
        $vis struct $name { $($(#[doc = $field_doc])* $vis $field: $type,)+ }

        impl $crate::http::fields::Read for $name {
            const NAME: Option<&'static str> = Some(stringify!($name));
            fn parts(into: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>) {
                into.push((stringify!($name).to_owned(), <Self as $crate::http::fields::Read>::schema()));
                $(<$type as $crate::http::fields::Read>::parts(into);)+
            }
            fn read(
                node: $crate::http::node::Node,
                at: &$crate::http::fields::At<'_>,
                errors: &mut $crate::http::fields::Errors,
            ) -> Option<Self> {
                let mut fields = $crate::http::fields::Fields::open(node, &[$(stringify!($field)),+], at, errors)?;
                $(let $field = fields.take::<$type>(stringify!($field), at, errors);)+
                Some(Self { $($field: $field?,)+ })
            }
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                use $crate::http::fields::{Read, described, part};
                let object = utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::Object)
                    .description(Some(concat!($($doc),*).trim()))
                    .additional_properties(Some(utoipa::openapi::schema::AdditionalProperties::FreeForm(false)));
                $(let object = object.property(
                    stringify!($field),
                    described(part::<$type>(), concat!($($field_doc),*).trim()),
                );
                let object = if <$type as Read>::REQUIRED { object.required(stringify!($field)) } else { object };)+
                object.into()
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                <Self as $crate::http::fields::Read>::schema()
            }
        }
        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn schemas(into: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>) {
                <Self as $crate::http::fields::Read>::parts(into);
            }
        }
        impl utoipa::IntoParams for $name {
            fn into_params(
                _: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
            ) -> Vec<utoipa::openapi::path::Parameter> {
                vec![$($crate::http::fields::query_parameter::<$type>(
                    stringify!($field),
                    concat!($($field_doc),*).trim(),
                ),)+]
            }
        }
    };
}
pub(crate) use request_body;

/// Puts a description on an inline schema.
pub(crate) fn described(mut schema: RefOr<Schema>, text: &str) -> RefOr<Schema> {
    let description = Some(text.to_owned());
    if let RefOr::Ref(reference) = &mut schema {
        text.clone_into(&mut reference.description);
    } else if let RefOr::T(Schema::Object(object)) = &mut schema {
        object.description = description;
    } else if let RefOr::T(Schema::Array(array)) = &mut schema {
        array.description = description;
    } else if let RefOr::T(Schema::OneOf(one_of)) = &mut schema {
        one_of.description = description;
    }
    schema
}

/// A field of a query as the OpenAPI document shows it.
pub(crate) fn query_parameter<T: Read>(name: &str, text: &str) -> utoipa::openapi::path::Parameter {
    let schema: RefOr<Schema> = if T::REQUIRED {
        T::query_schema()
    } else {
        // `?name=` means the same as leaving it out, because forms send it so.
        let empty = ObjectBuilder::new().schema_type(Type::String).max_length(Some(0));
        AnyOfBuilder::new().item(T::query_schema()).item(empty).into()
    };
    utoipa::openapi::path::ParameterBuilder::new()
        .name(name)
        .parameter_in(utoipa::openapi::path::ParameterIn::Query)
        .required(if T::REQUIRED { utoipa::openapi::Required::True } else { utoipa::openapi::Required::False })
        .description(Some(text))
        .schema(Some(schema))
        .build()
}

/// Reads a whole value, or everything that is wrong with it.
pub(crate) fn read_all<T: Read>(node: Node, root: &'static str) -> Result<T, Vec<FieldProblem>> {
    let mut errors = Errors::default();
    match T::read(node, &At::Root(root), &mut errors) {
        Some(value) if errors.is_empty() => Ok(value),
        _ => Err(errors.into_vec()),
    }
}
