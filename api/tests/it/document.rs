use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use futures::future::join_all;
use jangbu_api::{Access, ApiState, DependencyCheck, openapi, route_table};
use jangbu_commands::Reach;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::house::{House, request};

fn document() -> Value {
    serde_json::to_value(openapi()).unwrap()
}

fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation))
        })
        .collect()
}

#[test]
fn the_document_and_the_router_have_the_same_routes() {
    let document = document();
    let documented: BTreeSet<_> = operations(&document).into_iter().map(|(method, path, _)| (method, path)).collect();
    let routed: BTreeSet<_> = route_table().into_iter().map(|route| (route.method.to_string(), route.path)).collect();
    assert_eq!(documented, routed);
    assert_eq!(document["openapi"], "3.1.0");
}

#[test]
fn every_operation_is_complete() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let route = route_table().into_iter().find(|route| route.method == *method && route.path == path).unwrap();
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{place} has no id"));
        assert!(ids.insert(id.to_owned()), "{id} twice");
        assert!(operation["summary"].is_string(), "{place}");
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{place}");
        let statuses: BTreeSet<&str> = operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut wanted = vec!["500"];
        if !matches!(route.access, Access::Open | Access::Public | Access::Auth) {
            wanted.extend(["401", "403", "429", "400"]);
            assert_eq!(operation["security"][0]["bearer"], serde_json::json!([]), "{place}");
        }
        if route.access == Access::Holder(Reach::LoggedIn) {
            wanted.retain(|status| *status != "403");
        }
        if path.contains('{') {
            wanted.push("404");
        }
        if method != "GET" {
            wanted.extend(["400", "408", "413", "503"]);
        }
        for status in wanted {
            assert!(statuses.contains(status), "{place} lacks {status}: {statuses:?}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            // A probe that answers "not ready" has a body of its own.
            let is_probe = matches!(path.as_str(), "/readyz" | "/health") && status == "503";
            let is_problem = response["content"].get("application/problem+json").is_some();
            assert_eq!(is_problem, status.as_str() >= "400" && !is_probe, "{place} {status}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut wanted = BTreeSet::new();
    collect_references(&document, &mut wanted);
    assert!(wanted.contains("Problem") && wanted.contains("Order"), "{wanted:?}");
    let missing: Vec<_> = wanted.iter().filter(|name| !schemas.contains_key(*name)).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

fn collect_references(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(name) =
                members.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/components/schemas/"))
            {
                into.insert(name.to_owned());
            }
            members.values().for_each(|value| collect_references(value, into));
        }
        Value::Array(items) => items.iter().for_each(|value| collect_references(value, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The properties of all shared schemas, with where they stand.
fn properties(document: &Value) -> Vec<(String, String, &Value)> {
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let objects = schemas.iter().filter_map(|(name, schema)| Some((name, schema["properties"].as_object()?)));
    let fields = objects.flat_map(|(name, fields)| fields.iter().map(move |(field, schema)| (name, field, schema)));
    fields.map(|(name, field, schema)| (name.clone(), field.clone(), schema)).collect()
}

/// The schema behind a reference, or the schema itself.
fn followed<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|to| to.strip_prefix("#/components/schemas/"));
    name.map_or(schema, |name| &document["components"]["schemas"][name])
}

/// Every field of a schema and of what is written inside it, with its path.
fn fields<'a>(path: &str, schema: &'a Value, into: &mut Vec<(String, &'a Value)>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        into.push((path.clone(), field));
        fields(&path, field, into);
    }
    for form in ["oneOf", "anyOf", "allOf"].iter().flat_map(|form| schema[form].as_array().into_iter().flatten()) {
        fields(path, form, into);
    }
    if schema["items"].is_object() {
        fields(path, &schema["items"], into);
    }
}

#[test]
fn every_schema_and_every_field_says_what_it_is() {
    let document = document();
    let mut all = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        all.push((name.clone(), schema));
        fields(name, schema, &mut all);
    }
    assert!(all.len() > 300 && all.iter().any(|(path, _)| path == "AmountBody.currency"), "{}", all.len());
    let says = |schema: &Value| schema["description"].as_str().is_some_and(|text| !text.trim().is_empty());
    let silent: Vec<_> = all.iter().filter(|(_, schema)| !says(schema)).map(|(path, _)| path).collect();
    assert_eq!(silent, Vec::<&String>::new());
}

#[test]
fn what_is_chosen_from_a_list_is_a_list_in_the_document() {
    let document = document();
    let mut lists = 0;
    for (name, field, schema) in properties(&document) {
        if matches!(field.as_str(), "status" | "state" | "kind" | "placement" | "roles" | "code") && name != "Problem" {
            // An entry of a list of errors has its own codes, one for each rule of a field.
            // A location has a code that staff gave it.
            let own = ["FieldProblem", "RowOutcome", "RowError", "Scan", "Location", "OpenLocationBody"];
            if field == "code" && own.contains(&name.as_str()) {
                continue;
            }
            let schema = if schema["items"].is_object() { &schema["items"] } else { schema };
            assert!(followed(&document, schema)["enum"].is_array(), "{name}.{field} is one of a list: {schema}");
            lists += 1;
        }
    }
    assert!(lists >= 12, "{lists} lists");
    let codes = followed(&document, &document["components"]["schemas"]["Problem"]["properties"]["code"]);
    assert!(codes["enum"].as_array().unwrap().contains(&"insufficient_stock".into()), "{codes}");
}

#[test]
fn what_is_shared_is_referred_to() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let pages: Vec<_> = schemas.iter().filter(|(_, schema)| schema["properties"]["next_cursor"].is_object()).collect();
    assert!(pages.len() >= 8, "{:?}", schemas.keys());
    for (name, page) in pages {
        let item = page["properties"]["items"]["items"]["$ref"].as_str().unwrap_or_else(|| panic!("{name}: {page}"));
        assert_eq!(format!("{}Page", item.rsplit('/').next().unwrap()), *name);
    }
    let order = &schemas["PlaceOrderBody"]["properties"];
    assert_eq!(order["shipping_address"]["$ref"], "#/components/schemas/AddressBody", "{order}");
    assert_eq!(order["lines"]["items"]["$ref"], "#/components/schemas/LineBody", "{order}");
    assert_eq!(schemas["Order"]["properties"]["total"]["$ref"], "#/components/schemas/Money");
}

#[test]
fn every_field_says_whether_it_is_always_there() {
    let document = document();
    for name in ["Order", "Payment", "Product", "Shipment", "User", "Saga", "OrderPage"] {
        let schema = &document["components"]["schemas"][name];
        let required = schema["required"].as_array().map_or(0, Vec::len);
        assert_eq!(required, schema["properties"].as_object().unwrap().len(), "{name}: {schema}");
    }
}

#[test]
fn keys_reasons_and_cursors_have_examples_or_a_pattern() {
    let document = document();
    for (method, path, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let place = format!("{method} {path} {}", parameter["name"]);
            match parameter["name"].as_str().unwrap() {
                "Idempotency-Key" | "If-Match" | "Prefer" => assert!(parameter["example"].is_string(), "{place}"),
                "cursor" => assert!(parameter["schema"].to_string().contains("pattern"), "{place}"),
                _ => {}
            }
            assert!(parameter["description"].is_string(), "{place}");
        }
    }
    let bodies =
        properties(&document).into_iter().filter(|(name, field, _)| name.ends_with("Body") && field == "reason");
    for (name, _, schema) in bodies {
        assert!(schema["examples"].is_array(), "{name}.reason");
    }
}

#[tokio::test]
async fn the_page_and_the_document_are_served_without_outside_assets() {
    let house = House::new().await;
    let served = house.get("", "/openapi.json").await.expect(200);
    assert_eq!(served.body, document());
    for path in ["/docs", "/docs/"] {
        let page = house.get("", path).await.expect(200);
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(page.header("content-security-policy").contains("default-src 'self'"));
        for attribute in page.text.split(['"', '\'']).filter(|part| part.starts_with("/docs/")) {
            house.get("", attribute).await.expect(200);
        }
        assert!(page.text.contains("/docs/swagger-ui-bundle.js"), "{}", page.text);
        assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{}", page.text);
    }
    let initializer = house.get("", "/docs/swagger-initializer.js").await.expect(200);
    assert!(initializer.text.contains("/openapi.json"), "{}", initializer.text);
    house.get("", "/docs/nothing.js").await.problem(404, "not_found");
}

#[tokio::test]
async fn probes_tell_how_things_stand() {
    let house = House::new().await;
    house.get("", "/livez").await.expect(200);
    for path in ["/readyz", "/health"] {
        let answer = house.get("", path).await.expect(503);
        assert_eq!(answer.body["status"], "not_ready");
        let states: Vec<_> =
            answer.body["checks"].as_array().unwrap().iter().map(|check| check["state"].clone()).collect();
        assert_eq!(states, ["up", "down"]);
    }
    house.get("", "/metrics").await.expect(200);
    let keys = house.get("", "/.well-known/jwks.json").await.expect(200);
    assert_eq!(keys.body["keys"][0]["kid"], "test");
}

#[tokio::test]
async fn many_who_ask_for_readiness_are_answered_by_one_look() {
    let house = House::new().await;
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    let check: DependencyCheck = Arc::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        // Other callers ask in the meantime.
        Box::pin(async {
            tokio::task::yield_now().await;
            Ok(())
        })
    });
    let state = ApiState { readiness: vec![("counted", check)], ..house.state.clone() };
    let router = jangbu_api::router(state);
    let asked =
        (0..50).map(|_| router.clone().oneshot(request("GET", "/readyz", "", &[]).body(Body::empty()).unwrap()));
    for answer in join_all(asked).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    // The check that was running, and one for all callers that came after it had begun.
    assert!(looks.load(Ordering::Relaxed) <= 3, "{looks:?}");
}
