//! Probes, metrics and documents, for operators and tools. No login.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::entry::{Entry, Kind};
use crate::http::gate::Access;
use crate::http::words;
use crate::readiness::CheckView;
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

async fn readiness(app: &App) -> Response {
    let checks = app.looked.look(&app.state.readiness, &app.state.outside).await;
    let stopping = app.draining.is_cancelled();
    let ready = !stopping && checks.iter().all(CheckView::lets_serve);
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
