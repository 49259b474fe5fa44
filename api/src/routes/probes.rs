//! For those who watch the program: probes, metrics, documents. No login.

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures::future::join_all;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Entry, Kind};
use crate::http::gate::Access;
use crate::http::words;
use crate::state::App;

pub(super) fn entries() -> Vec<Entry> {
    let page = |routes| Entry::new(Access::Open, Kind::Page, &[], routes);
    vec![
        page(routes!(livez)),
        page(routes!(readyz)),
        page(routes!(health)),
        page(routes!(metrics)),
        page(routes!(document)),
    ]
}

/// A dependency that does not answer in this time is down.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// A dependency.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = DependencyCheck)]
pub(crate) struct CheckView {
    /// What it is.
    #[schema(examples("store"))]
    name: &'static str,
    /// Whether it answered within two seconds.
    #[schema(value_type = words::CheckState)]
    state: &'static str,
    /// Whether requests can only be served with it.
    required: bool,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Whether requests can be served.
#[derive(Serialize, ToSchema)]
#[schema(as = Readiness)]
pub(crate) struct ReadinessView {
    /// `ready` when every required dependency is up and the server is not stopping.
    #[schema(value_type = words::ReadinessStatus)]
    status: &'static str,
    /// The dependencies, the required ones first.
    checks: Vec<CheckView>,
}

/// The program runs.
#[utoipa::path(
    get, path = "/livez", operation_id = "livez", tag = "probes",
    responses((status = 200, description = "it runs", body = String, content_type = "text/plain")),
)]
async fn livez() -> &'static str {
    "ok\n"
}

/// Whether requests can be served, and the state of each dependency.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "probes",
    responses(
        (status = 200, description = "they can", body = ReadinessView),
        (status = 503, description = "they cannot", body = ReadinessView),
    ),
)]
async fn readyz(State(app): State<App>) -> Response {
    readiness(&app).await
}

/// The same as `/readyz`.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "probes",
    responses(
        (status = 200, description = "requests can be served", body = ReadinessView),
        (status = 503, description = "they cannot", body = ReadinessView),
    ),
)]
async fn health(State(app): State<App>) -> Response {
    readiness(&app).await
}

/// What the dependencies said.
pub(crate) struct Looked {
    began: Instant,
    checks: Vec<CheckView>,
}

/// The state of every dependency, asked for after the caller asked. One look at a time
/// serves all who wait for one: a look takes connections, and probes are not counted.
async fn look(app: &App) -> Vec<CheckView> {
    let asked = Instant::now();
    let mut last = app.looked.lock().await;
    if let Some(looked) = last.as_ref().filter(|looked| looked.began >= asked) {
        return looked.checks.clone();
    }
    let began = Instant::now();
    let required = app.state.readiness.iter().map(|dependency| (dependency, true));
    let outside = app.state.outside.iter().map(|dependency| (dependency, false));
    let checks = required.chain(outside).map(|((name, check), required)| async move {
        let answer = tokio::time::timeout(CHECK_TIMEOUT, check()).await;
        let problem = answer.unwrap_or_else(|_| Err("no answer in time".to_owned())).err();
        CheckView { name, state: if problem.is_none() { "up" } else { "down" }, required, detail: problem }
    });
    let checks = join_all(checks).await;
    *last = Some(Looked { began, checks: checks.clone() });
    checks
}

async fn readiness(app: &App) -> Response {
    let checks = look(app).await;
    let stopping = app.draining.is_cancelled();
    let ready = !stopping && checks.iter().all(|check| check.detail.is_none() || !check.required);
    let status = match (stopping, ready) {
        (true, _) => "stopping",
        (false, true) => "ready",
        (false, false) => "not_ready",
    };
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(ReadinessView { status, checks })).into_response()
}

/// Metrics in the Prometheus text format.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "probes",
    responses((status = 200, description = "the metrics", body = String, content_type = "text/plain")),
)]
async fn metrics(State(app): State<App>) -> Response {
    let text = (app.state.render_metrics)();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi", tag = "probes",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)),
)]
async fn document(State(app): State<App>) -> Response {
    ([(CONTENT_TYPE, "application/json")], Bytes::clone(&app.document)).into_response()
}
