//! The router: every route behind its gate, everything behind the edge.

use std::sync::{Arc, LazyLock};

use ::http::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH, LOCATION,
    RETRY_AFTER,
};
use ::http::{HeaderValue, Method, StatusCode};
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use jangbu_commands::Rules;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa_swagger_ui::Config;

use crate::document;
use crate::http::call::IDEMPOTENCY_KEY;
use crate::http::edge::edge;
use crate::http::gate::{Access, gate};
use crate::http::prefer::{MIN_POSITION, POSITION, WAIT_FOR};
use crate::http::problem::{Code, Problem};
use crate::http::trace::{REQUEST_ID, TRACEPARENT};
use crate::routes;
use crate::state::{ApiState, App};

/// A route of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path with its parameters in braces.
    pub path: String,
    /// Who may use it.
    pub access: Access,
    /// The rules of the commands that it executes; empty for a route that only reads.
    pub commands: Vec<Rules>,
}

/// Every route with who may use it.
#[must_use]
pub fn route_table() -> Vec<Route> {
    let mut table = Vec::new();
    for entry in routes::all() {
        let (_, paths, _) = &entry.routes;
        for (path, item) in &paths.paths {
            for (method, _) in document::operations(item) {
                let commands = entry.commands.clone();
                table.push(Route { method, path: path.clone(), access: entry.access, commands });
            }
        }
    }
    table
}

/// The routes as a service. Use [`crate::serve`] to run it, which adds the limits on connections
/// and slow clients.
pub fn router(state: ApiState) -> Router {
    build(state, CancellationToken::new())
}

/// The router, with a token that is cancelled when the server begins to drain.
pub(crate) fn build(state: ApiState, draining: CancellationToken) -> Router {
    let cors = cors(&state.cors_origins);
    let app = App::new(state, draining, LazyLock::new(document::written));
    let mut router: Router<App> = Router::new();
    for entry in routes::all() {
        let (_, paths, methods) = entry.routes;
        let gated = methods.route_layer(from_fn_with_state((app.clone(), entry.access), gate));
        for path in paths.paths.into_keys() {
            router = router.route(&path, gated.clone());
        }
    }
    let docs = Arc::new(
        Config::new(["/openapi.json"]).try_it_out_enabled(true).persist_authorization(true).validator_url("none"),
    );
    let docs_at = |path: &'static str| {
        let config = Arc::clone(&docs);
        get(move |tail: Option<Path<String>>| {
            let file = tail.map_or_else(|| path.to_owned(), |Path(tail)| tail);
            std::future::ready(docs_file(&file, config))
        })
    };
    let mut router = router
        .route("/", get(async || Redirect::temporary("/docs")))
        .route("/docs", docs_at(DOCS_INDEX))
        .route("/docs/", docs_at(DOCS_INDEX))
        .route("/docs/{*file}", docs_at(DOCS_INDEX))
        .fallback(no_route)
        .with_state(app.clone())
        .layer(from_fn_with_state(app, edge));
    if let Some(cors) = cors {
        // Outside the edge, because a preflight is not a request of its own.
        router = router.layer(cors);
    }
    router
}

async fn no_route() -> Problem {
    Problem::new(Code::NotFound, "there is no such route")
}

const DOCS_INDEX: &str = "index.html";

/// A file of the documentation page, from the binary.
fn docs_file(name: &str, config: Arc<Config<'static>>) -> Response {
    const OWN_ASSETS_ONLY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";
    let file = match utoipa_swagger_ui::serve(name, config) {
        Ok(Some(file)) => file,
        Ok(None) => return Problem::not_found("page").into_response(),
        Err(error) => return Problem::internal(error.to_string()).into_response(),
    };
    let mut bytes = file.bytes.into_owned();
    if name == DOCS_INDEX {
        // The page names its files relative to a folder, and is also served without the slash.
        let page = String::from_utf8_lossy(&bytes)
            .replace("\"./", "\"/docs/")
            .replace("href=\"index.css", "href=\"/docs/index.css");
        bytes = page.into_bytes();
    }
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    if let Ok(content_type) = HeaderValue::from_str(&file.content_type) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    if file.gzpipped {
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
    }
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(OWN_ASSETS_ONLY));
    *response.status_mut() = StatusCode::OK;
    response
}

/// Which web pages may call, and what they may see.
fn cors(origins: &[HeaderValue]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let name = |text: &'static str| HeaderName::from_static(text);
    let sent = [
        AUTHORIZATION,
        CONTENT_TYPE,
        IF_MATCH,
        IF_NONE_MATCH,
        name(IDEMPOTENCY_KEY),
        name("prefer"),
        name(WAIT_FOR),
        name(MIN_POSITION),
        name(TRACEPARENT),
        name(REQUEST_ID),
        name("last-event-id"),
    ];
    let seen = [
        ETAG,
        LOCATION,
        RETRY_AFTER,
        name(POSITION),
        name("idempotent-replayed"),
        name("preference-applied"),
        name("ratelimit"),
        name("ratelimit-policy"),
        name(REQUEST_ID),
    ];
    let anybody = origins.iter().any(|origin| origin == "*");
    let allowed = if anybody { AllowOrigin::any() } else { AllowOrigin::list(origins.iter().cloned()) };
    let cors = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT])
        .allow_headers(sent)
        .expose_headers(seen)
        .max_age(std::time::Duration::from_secs(3_600));
    Some(cors)
}
