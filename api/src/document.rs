//! The OpenAPI document: handlers describe what is particular to them, and everything that follows
//! from a route's kind and access is added here.

use axum::body::Bytes;
use http::{Method, StatusCode};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ContentBuilder, Info, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::http::gate::Access;
use crate::http::params::PATH_TEXT;
use crate::http::problem::{Code, FieldProblem, PROBLEM_JSON, ProblemBody};
use crate::http::words::ProblemCode;
use crate::routes::{self, Kind};
use jangbu_commands::{Key, Reach};

mod polish;

const BEARER: &str = "bearer";

/// The OpenAPI 3.1 document of all routes.
#[must_use]
pub fn openapi() -> OpenApi {
    let mut document = OpenApiBuilder::new().info(info()).components(Some(Components::new())).build();
    document.tags =
        Some(TAGS.iter().map(|(name, text)| TagBuilder::new().name(*name).description(Some(*text)).build()).collect());
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(
        BEARER,
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("JWT")
                .description(Some("The access token of POST /v1/auth/login, good for five minutes."))
                .build(),
        ),
    );
    components.schemas.insert("Problem".to_owned(), ProblemBody::<'_>::schema());
    components.schemas.insert(FieldProblem::name().into_owned(), FieldProblem::schema());
    components.schemas.insert(ProblemCode::name().into_owned(), ProblemCode::schema());
    for entry in routes::all() {
        let (schemas, paths, _) = entry.routes;
        components.schemas.extend(schemas);
        for (path, mut item) in paths.paths {
            for (method, operation) in operations_mut(&mut item) {
                complete(operation, &method, &path, entry.access, entry.kind, &entry.refusals);
            }
            match document.paths.paths.get_mut(&path) {
                Some(known) => known.merge_operations(item),
                None => {
                    document.paths.paths.insert(path, item);
                }
            }
        }
    }
    polish::finish(&mut document);
    document
}

/// The document as `/openapi.json` answers it.
pub(crate) fn written() -> Bytes {
    // Texts, numbers and lists of them always serialize.
    Bytes::from(serde_json::to_vec(&openapi()).unwrap_or_default())
}

const TAGS: &[(&str, &str)] = &[
    ("auth", "Sign-up, login, one's own profile"),
    ("users", "Accounts and roles"),
    ("products", "The catalogue"),
    ("stock", "How much is there"),
    ("orders", "Buying"),
    ("payments", "Paying and giving back"),
    ("shipments", "Sending"),
    ("points", "The points ledger"),
    ("imports", "Files in and out"),
    ("hooks", "What gateways and carriers tell"),
    ("operations", "Processes and read models"),
    ("audit", "The log itself"),
    ("probes", "For those who watch"),
];

fn info() -> Info {
    let text = "An event-sourced shop: orders, payments, shipments, and the log that proves them.\n\n\
        Every rejection is a problem body (RFC 9457). Commands answer with the resource, its version in `ETag` and \
        `Jangbu-Position`; give that position as `Jangbu-Min-Position` to read what you have just written. \
        `Prefer: wait=N` with `Jangbu-Wait-For: committed | projected | settled` says how far things have to have come \
        before the answer; 202 is the answer when they have not.";
    InfoBuilder::new()
        .title("jangbu")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(text))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build()))
        .build()
}

/// The operations of a path, by method.
pub(crate) fn operations(item: &PathItem) -> Vec<(Method, &Operation)> {
    let all = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?))).collect()
}

fn operations_mut(item: &mut PathItem) -> Vec<(Method, &mut Operation)> {
    let all = [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::DELETE, &mut item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?))).collect()
}

/// Adds what follows from a route's kind and access.
fn complete(operation: &mut Operation, method: &Method, path: &str, access: Access, kind: Kind, refusals: &[Code]) {
    // One handler under two methods would have one id twice.
    if *method == Method::PUT && PUT_TOO.contains(&path) {
        operation.operation_id = operation.operation_id.as_ref().map(|id| format!("{id}WithPut"));
    }
    let codes = codes(method, path, access, kind, refusals);
    for status in statuses(&codes) {
        operation.responses.responses.entry(status.as_str().to_owned()).or_insert_with(|| {
            let of_status = codes.iter().filter(|code| code.status() == status);
            RefOr::T(problem(status, &of_status.map(|code| code.name()).collect::<Vec<_>>()))
        });
    }
    texts_in_the_path(operation);
    cursors(operation);
    headers(operation, kind);
    describe_access(operation, access);
}

/// The pattern of what `PathText` accepts.
fn texts_in_the_path(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        if parameter.parameter_in == ParameterIn::Path
            && let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema
            && object.format.is_none()
        {
            object.pattern.get_or_insert_with(|| PATH_TEXT.to_owned());
        }
    }
}

/// The prefix of every `next_cursor` (base64 of the name of its first member), and what follows it.
const CURSOR_PATTERN: &str = "^eyJsaXN0Ijoi[A-Za-z0-9_-]+$";

/// The pattern of the cursors that a list gives out.
fn cursors(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.name == "cursor"
            && let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema
        {
            object.pattern = Some(CURSOR_PATTERN.to_owned());
        }
    }
}

/// Paths whose handler answers PUT as it answers POST.
const PUT_TOO: &[&str] = &["/v1/orders/{id}/cancel", "/v1/shipments/{id}/status"];

fn codes(method: &Method, path: &str, access: Access, kind: Kind, refusals: &[Code]) -> Vec<Code> {
    let mut codes = refusals.to_vec();
    let hook = access == Access::Open && kind == Kind::Action;
    if kind == Kind::Page {
        if access != Access::Open {
            codes.push(Code::RateLimited);
        }
        codes.push(Code::Internal);
        return codes;
    }
    codes.extend([Code::ValidationFailed, Code::Internal, Code::StreamUnreadable, Code::UpstreamUnavailable]);
    if !hook {
        codes.push(Code::RateLimited);
    }
    if !matches!(access, Access::Open | Access::Public | Access::Auth) {
        codes.extend([Code::Unauthenticated, Code::TokenExpired, Code::UserNotActive]);
    }
    if matches!(access, Access::Holder(Reach::Any(_) | Reach::Own(_) | Reach::OwnOrAny { .. })) {
        codes.push(Code::Forbidden);
    }
    if path.contains('{') {
        codes.push(Code::NotFound);
    }
    if *method != Method::GET {
        codes.extend([Code::PayloadTooLarge, Code::RequestTimeout, Code::UnsupportedMediaType]);
    }
    match kind {
        Kind::Command(key) => {
            codes.extend([Code::VersionConflict, Code::IdempotencyKeyReused]);
            if key == Key::Required {
                codes.push(Code::IdempotencyKeyRequired);
            }
        }
        Kind::Query | Kind::One if *method == Method::GET => {
            codes.extend([Code::ReadModelBehind, Code::PositionUnknown]);
        }
        Kind::Query | Kind::One | Kind::Action | Kind::Import | Kind::Page => {}
    }
    codes
}

fn statuses(codes: &[Code]) -> Vec<StatusCode> {
    let mut statuses: Vec<StatusCode> = codes.iter().map(|code| code.status()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

fn problem(status: StatusCode, codes: &[&str]) -> Response {
    let mut codes = codes.to_vec();
    codes.sort_unstable();
    codes.dedup();
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let mut response = ResponseBuilder::new().description(codes.join(", ")).content(PROBLEM_JSON, content);
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response = response.header("Retry-After", text_header("seconds until it is worth trying again"));
    }
    if status == StatusCode::UNAUTHORIZED {
        response = response.header("WWW-Authenticate", text_header("RFC 6750"));
    }
    response.build()
}

fn text_header(text: &str) -> utoipa::openapi::Header {
    HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::String))).description(Some(text)).build()
}

/// The headers that a kind of route reads and writes.
fn headers(operation: &mut Operation, kind: Kind) {
    let mut taken = Vec::new();
    match kind {
        Kind::Page | Kind::Action => {}
        Kind::Import => {
            taken.push(KEY_OF_A_FILE);
            give(operation, &["200"], &[ROWS, IMPORTED]);
        }
        Kind::Query => taken.extend([MIN_POSITION, PREFER]),
        Kind::One => {
            taken.extend([MIN_POSITION, PREFER, IF_NONE_MATCH]);
            let unchanged = ResponseBuilder::new().description("the caller has this version").build();
            operation.responses.responses.insert("304".to_owned(), RefOr::T(unchanged));
            give(operation, &["200", "304"], &[ETAG]);
        }
        Kind::Command(key) => {
            taken.extend([if key == Key::Required { KEY_REQUIRED } else { KEY }, IF_MATCH, PREFER, WAIT_FOR]);
            accepted(operation);
            give(operation, &["200", "201", "202"], &[ETAG, POSITION, REPLAYED]);
            give(operation, &["201"], &[LOCATION]);
        }
    }
    let parameters = operation.parameters.get_or_insert_with(Vec::new);
    parameters.extend(taken.into_iter().map(|header| RefOr::T(header.parameter())));
}

/// A header in the document.
#[derive(Clone, Copy)]
struct HeaderDoc {
    name: &'static str,
    text: &'static str,
    required: bool,
    /// The pattern of its value; none for a header whose unreadable values are ignored.
    pattern: Option<&'static str>,
    example: Option<&'static str>,
}

const fn header(name: &'static str, text: &'static str) -> HeaderDoc {
    HeaderDoc { name, text, required: false, pattern: None, example: None }
}

impl HeaderDoc {
    const fn like(self, pattern: &'static str) -> Self {
        Self { pattern: Some(pattern), ..self }
    }
    const fn such_as(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }
}

/// `*`, or a list of entity tags (RFC 9110, section 13.1.1).
const TAGS_PATTERN: &str = r#"^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$"#;

const KEY: HeaderDoc =
    header("Idempotency-Key", "8 to 255 visible characters of your choice; a repeat gives the first answer again")
        .like("^[!-~]{8,255}$")
        .such_as("9f2c1f5e-order-1");
const KEY_REQUIRED: HeaderDoc = HeaderDoc { required: true, ..KEY };
const KEY_OF_A_FILE: HeaderDoc = HeaderDoc {
    text: "8 to 255 visible characters of your choice that name this import: sent again under the same ones, the file \
           goes on where it was left",
    example: Some("catalogue-2026-11-29"),
    ..KEY
};
const ROWS: HeaderDoc = header("Jangbu-Rows", "how many rows the file has");
const IMPORTED: HeaderDoc = header("Location", "where the import is found; not for a dry run");
const IF_MATCH: HeaderDoc =
    header("If-Match", "the version it must have, as in the `ETag`; else 412").like(TAGS_PATTERN).such_as("\"3\"");
const IF_NONE_MATCH: HeaderDoc =
    header("If-None-Match", "the version you have, as in the `ETag`; 304 when it is the same").such_as("\"3\"");
const PREFER: HeaderDoc = header("Prefer", "`wait=N`: wait up to N seconds, 30 at most").such_as("wait=10");
const WAIT_FOR: HeaderDoc = header(
    "Jangbu-Wait-For",
    "`committed` (the default), `projected` or `settled`; 202 when it is not reached in time",
)
.like("^(committed|projected|settled)$")
.such_as("settled");
const MIN_POSITION: HeaderDoc = header(
    "Jangbu-Min-Position",
    "a `Jangbu-Position` of this shop: wait until the read model shows it; else 503 read_model_behind, and 409 \
     position_unknown at once when the log never gave it",
)
.like("^[0-9]{1,18}$")
.such_as("1042");
const ETAG: HeaderDoc = header(
    "ETag",
    "the version, and behind a hyphen what is shown beside it that has no version of its own; good for `If-Match` as it is",
);
const POSITION: HeaderDoc = header("Jangbu-Position", "the position of what was recorded");
const REPLAYED: HeaderDoc = header("Idempotent-Replayed", "`true` when this is the answer to an earlier request");
const LOCATION: HeaderDoc = header("Location", "where it is");

impl HeaderDoc {
    fn parameter(self) -> Parameter {
        ParameterBuilder::new()
            .name(self.name)
            .parameter_in(ParameterIn::Header)
            .required(if self.required { Required::True } else { Required::False })
            .description(Some(self.text))
            .example(self.example.map(Into::into))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String).pattern(self.pattern)))
            .build()
    }
}

fn give(operation: &mut Operation, statuses: &[&str], headers: &[HeaderDoc]) {
    for status in statuses {
        if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(*status) {
            for header in headers {
                response.headers.insert(header.name.to_owned(), text_header(header.text).into());
            }
        }
    }
}

/// The body of 202 is that of the resource, which is not finished yet.
fn accepted(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    let done = responses.get("201").or_else(|| responses.get("200")).cloned();
    if let Some(RefOr::T(mut response)) = done {
        response.description = "recorded, but the stage waited for was not reached in time: what is known".to_owned();
        responses.insert("202".to_owned(), RefOr::T(response));
    }
}

fn describe_access(operation: &mut Operation, access: Access) {
    let note = match access {
        Access::Open | Access::Public | Access::Auth => {
            operation.security = Some(vec![SecurityRequirement::default()]);
            return;
        }
        Access::Holder(Reach::LoggedIn) => "Needs a login.".to_owned(),
        Access::Holder(Reach::Any(permission)) => format!("Needs `{}`.", permission.name()),
        Access::Holder(Reach::Own(permission)) => {
            format!("Needs `{}`, and reaches what is the caller's own.", permission.name())
        }
        Access::Holder(Reach::OwnOrAny { own, any }) => {
            format!("Needs `{}` for what is the caller's own, `{}` for everything.", own.name(), any.name())
        }
    };
    let text = operation.description.take().unwrap_or_default();
    operation.description = Some(format!("{text}\n\n{note}").trim().to_owned());
    operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, [])]);
}
