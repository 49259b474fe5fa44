//! What holds for every schema: which fields are always present, the meaning of fields that occur
//! in many places, and examples of values that people type.

use jangbu_commands::registered_methods;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, Object, Schema};
use utoipa::openapi::{OpenApi, Ref, RefOr};

/// Fields of answers that are left out when they have no value. Every other field is always
/// present, with null where it has none.
const LEFT_OUT: [(&str, &[&str]); 6] = [
    ("Problem", &["errors", "current_state", "allowed_commands"]),
    ("RowOutcome", &["product_id", "code", "pointer", "detail", "errors"]),
    ("DependencyCheck", &["detail"]),
    ("ProductPage", &["facets"]),
    ("ProductFacets", &["category", "seller", "price", "in_stock"]),
    (
        "Stock",
        &[
            "on_hand",
            "locations",
            "in_transit",
            "transfers",
            "reserved",
            "allocated",
            "buyer_limit",
            "back_order",
            "low",
            "level",
            "level_since",
        ],
    ),
];

/// The meaning of fields that occur in many places, where a place has no description of its own.
const MEANINGS: [(&str, &str); 44] = [
    ("id", "Its id: a UUID, version 7."),
    ("order_id", "The order."),
    ("user_id", "Whose it is."),
    ("payment_id", "The payment."),
    ("product_id", "The product."),
    ("category_id", "Where it is filed."),
    ("seller_id", "Who sells it."),
    ("shipment_ids", "Its parcels."),
    ("command_id", "The command that decided it."),
    ("name", "What it or they are called."),
    ("description", "What it is."),
    ("status", "Where it stands."),
    ("lines", "What was bought, a line for each product."),
    ("legs", "Its parts, one for each method."),
    ("items", "The items."),
    ("amount", "How much."),
    ("price", "The unit price."),
    ("unit_price", "What one cost when it was bought."),
    ("quantity", "How many."),
    ("line_total", "`unit_price` times `quantity`."),
    ("subtotal", "The sum of the lines."),
    ("discount", "What is taken off."),
    ("shipping_fee", "What sending costs."),
    ("total", "What is to be paid."),
    ("captured", "What was taken for certain."),
    ("refunded", "What went back for certain."),
    ("refunds", "What was given back, or is to be."),
    ("allocation", "From which parts it is taken."),
    ("method", "The method of payment."),
    ("reason", "Why, in a person's words."),
    ("reference", "The caller's own name for it."),
    ("version", "Goes up with every change; the `ETag` begins with it."),
    ("created_at", "When it was made."),
    ("updated_at", "When it changed last."),
    ("registered_at", "When they signed up."),
    ("requested_at", "When it was asked for."),
    ("expires_at", "From then on it does not count."),
    ("at", "When."),
    ("carrier", "Who carries it."),
    ("tracking_number", "The carrier's number of the parcel."),
    ("note", "What else there is to say."),
    ("place", "Where it was."),
    ("phone", "A telephone number."),
    ("email", "The e-mail address."),
];

/// Example values for fields that people fill in.
const EXAMPLES: [(&str, &str); 14] = [
    ("reason", "the tin was dented"),
    ("reference", "welcome-2026"),
    ("email", "minji@example.com"),
    ("password", "a long passphrase"),
    ("name", "김민지"),
    ("recipient", "김민지"),
    ("phone", "010-1234-5678"),
    ("postal_code", "06236"),
    ("line1", "서울특별시 강남구 테헤란로 152"),
    ("line2", "1203호"),
    ("carrier", "sandbox"),
    ("tracking_number", "SBX0000000042"),
    ("note", "left with the neighbour"),
    ("number", "261121-7ZK3M0Q9XB"),
];

/// What every cursor of a list looks like: the text of an object whose first field is the
/// list's name.
const CURSOR_PATTERN: &str = "^eyJsaXN0Ijoi[0-9A-Za-z_-]+$";

/// The prefix that the library which collects the schemas gives to the page of an item type.
const PAGE_PREFIX: &str = "Page_";

/// Finishes the document.
pub(super) fn finish(document: &mut OpenApi) {
    name_pages(document);
    let schemas = document.components.iter_mut().flat_map(|components| components.schemas.iter_mut());
    for (name, schema) in schemas {
        if let RefOr::T(Schema::Object(object)) = schema {
            finish_object(name, object);
        }
    }
    for item in document.paths.paths.values_mut() {
        for (_, operation) in super::operations_mut(item) {
            operation.parameters.iter_mut().flatten().for_each(cursor);
        }
    }
}

/// A page is named for what it holds, and refers to it.
fn name_pages(document: &mut OpenApi) {
    let Some(components) = &mut document.components else { return };
    let pages: Vec<String> = components.schemas.keys().filter(|name| name.starts_with(PAGE_PREFIX)).cloned().collect();
    for name in pages {
        let Some(mut page) = components.schemas.remove(&name) else { continue };
        let item = name.trim_start_matches(PAGE_PREFIX).to_owned();
        if let RefOr::T(Schema::Object(object)) = &mut page
            && let Some(RefOr::T(Schema::Array(list))) = object.properties.get_mut("items")
        {
            let reference = ArrayItems::RefOrSchema(Box::new(Ref::from_schema_name(&item).into()));
            if let ArrayItems::RefOrSchema(inline) = std::mem::replace(&mut list.items, reference) {
                components.schemas.entry(item.clone()).or_insert(*inline);
            }
        }
        components.schemas.insert(page_of(&item), page);
    }
    for item in document.paths.paths.values_mut() {
        for (_, operation) in super::operations_mut(item) {
            let responses = operation.responses.responses.values_mut();
            let contents = responses.filter_map(|response| match response {
                RefOr::T(response) => Some(response.content.values_mut()),
                RefOr::Ref(_) => None,
            });
            let schemas = contents.flatten().filter_map(|content| match content {
                RefOr::T(content) => content.schema.as_mut(),
                RefOr::Ref(_) => None,
            });
            schemas.for_each(refer_to_page);
        }
    }
}

fn page_of(item: &str) -> String {
    format!("{item}Page")
}

fn refer_to_page(schema: &mut RefOr<Schema>) {
    if let RefOr::Ref(reference) = schema
        && let Some((_, item)) = reference.ref_location.rsplit_once(PAGE_PREFIX)
    {
        *reference = Ref::from_schema_name(page_of(item));
    }
}

/// The fields that payment methods need, with an example of each.
fn of_methods() -> impl Iterator<Item = (&'static str, &'static str)> {
    let fields = registered_methods().iter().flat_map(|method| method.fields());
    fields.map(|field| (field.name, field.example))
}

fn finish_object(name: &str, object: &mut Object) {
    let is_answer = !matches!(object.additional_properties.as_deref(), Some(AdditionalProperties::FreeForm(false)));
    if is_answer {
        let left_out = LEFT_OUT.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, fields)| fields);
        object.required =
            object.properties.keys().filter(|field| !left_out.contains(&field.as_str())).cloned().collect();
    }
    for (field, schema) in &mut object.properties {
        lift_description(schema);
        if let Some((_, text)) = MEANINGS.iter().find(|(known, _)| known == field) {
            describe(schema, text);
        }
        if let Some((_, example)) = EXAMPLES.into_iter().chain(of_methods()).find(|(known, _)| known == field) {
            give_example(schema, example);
        }
    }
}

/// The library puts the description of a nullable field on one of its two forms. This moves it to
/// the field, where readers and generators look for it.
fn lift_description(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::OneOf(one_of)) = schema else { return };
    let said = one_of.items.iter_mut().find_map(|item| match item {
        RefOr::Ref(reference) if !reference.description.is_empty() => Some(std::mem::take(&mut reference.description)),
        RefOr::Ref(_) | RefOr::T(_) => None,
    });
    if let Some(said) = said {
        one_of.description.get_or_insert(said);
    }
}

/// Describes a field that has no description of its own.
fn describe(schema: &mut RefOr<Schema>, text: &str) {
    match schema {
        RefOr::Ref(reference) if reference.description.is_empty() => text.clone_into(&mut reference.description),
        RefOr::T(Schema::Object(object)) => {
            object.description.get_or_insert_with(|| text.to_owned());
        }
        RefOr::T(Schema::Array(array)) => {
            array.description.get_or_insert_with(|| text.to_owned());
        }
        RefOr::T(Schema::OneOf(one_of)) => {
            one_of.description.get_or_insert_with(|| text.to_owned());
        }
        RefOr::Ref(_) | RefOr::T(_) => {}
    }
}

fn give_example(schema: &mut RefOr<Schema>, example: &str) {
    if let RefOr::T(Schema::Object(object)) = schema
        && object.examples.is_empty()
        && object.format.is_none()
    {
        object.examples = vec![example.into()];
    }
}

fn cursor(parameter: &mut RefOr<Parameter>) {
    let RefOr::T(parameter) = parameter else { return };
    if parameter.name != "cursor" || parameter.parameter_in != ParameterIn::Query {
        return;
    }
    if let Some(RefOr::T(Schema::AnyOf(any_of))) = &mut parameter.schema
        && let Some(RefOr::T(Schema::Object(object))) = any_of.items.first_mut()
    {
        object.pattern = Some(CURSOR_PATTERN.to_owned());
    }
}
