//! HTTP in: routes, the one error shape, bounded bodies.

mod bank;
mod carrier;
mod control;
mod gateway;
pub mod hostpay;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::courier::Courier;
use crate::store::{Store, StoreError};

/// The largest body that is read, in bytes.
const LARGEST_BODY: usize = 64 * 1024;

/// The state of the handlers.
#[derive(Clone)]
pub struct Shared {
    pub(crate) store: Store,
    pub(crate) courier: Courier,
    pub(crate) api_key: Arc<SecretString>,
    /// Its base address, without a slash at the end.
    pub(crate) base_url: Arc<str>,
    pub(crate) carrier_step: Option<Duration>,
    pub(crate) silence: Duration,
    pub(crate) slow: Duration,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
}

/// The whole sandbox as a router.
pub fn router(shared: Shared) -> Router {
    let authenticated = Router::new()
        .route("/gateway/v1/charges", post(gateway::charge))
        .route("/gateway/v1/charges/{id}/confirm", post(gateway::confirm))
        .route("/gateway/v1/charges/{id}/refunds", post(gateway::refund))
        .route("/gateway/v1/keys/{key}", get(gateway::inquire))
        .route("/gateway/v1/keys/{key}/net-cancel", post(gateway::net_cancel))
        .route("/carrier/v1/labels", post(carrier::request_label))
        .route("/carrier/v1/labels/{shipment_id}", delete(carrier::cancel_label))
        .route_layer(middleware::from_fn_with_state(shared.clone(), authenticate));
    let hostpay = Router::new()
        .route("/hostpay/payments", get(hostpay::find).post(hostpay::pay))
        .route("/hostpay/cancels", post(hostpay::cancel))
        .route("/hostpay/refunds", post(hostpay::refund))
        .route_layer(middleware::from_fn_with_state(shared.clone(), hostpay::authenticate));
    let open = Router::new()
        .route("/bank/{id}", get(bank::show))
        .route("/bank/{id}/pay", post(bank::pay))
        .route("/bank/{id}/cancel", post(bank::cancel))
        .route("/sandbox/charges", get(control::charges))
        .route("/sandbox/refunds", get(control::refunds))
        .route("/sandbox/mails", get(control::mails))
        .route("/sandbox/faults", get(control::faults).post(control::set_faults))
        .route("/sandbox/carrier/labels", get(control::labels))
        .route("/sandbox/carrier/advance", post(control::advance))
        .route("/sandbox/carrier/faults", get(control::carrier_faults).post(control::set_carrier_faults));
    Router::new()
        .merge(authenticated)
        .merge(hostpay)
        .merge(open)
        .fallback(async || Refused::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here"))
        .method_not_allowed_fallback(async || {
            Refused::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "not with this method")
        })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(shared)
}

/// Requires the key in `X-Api-Key`.
async fn authenticate(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let given = request.headers().get("x-api-key").map(axum::http::HeaderValue::as_bytes);
    if given == Some(shared.api_key.expose_secret().as_bytes()) {
        next.run(request).await
    } else {
        Refused::new(StatusCode::UNAUTHORIZED, "unauthenticated", "the X-Api-Key header is missing or wrong")
            .into_response()
    }
}

/// The body of an error: `{"code": ..., "detail": ...}`.
#[derive(Debug)]
pub struct Refused {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Refused {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    fn key_reused() -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", "the key belongs to another request")
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the sandbox could not use its file");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the sandbox cannot use its file")
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            code: &'a str,
            detail: &'a str,
        }
        (self.status, Json(Body { code: self.code, detail: &self.detail })).into_response()
    }
}

/// A JSON body; an invalid one is answered in the one error shape.
pub struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let bytes = axum::body::Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "at most 64 KiB")
            } else {
                Refused::invalid("the body cannot be read")
            }
        })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Refused::invalid(format!("the body does not fit: {error}")))
    }
}

/// The `Idempotency-Key` header, 8 to 255 visible characters.
fn idempotency_key(headers: &HeaderMap) -> Result<String, Refused> {
    let wrong = || Refused::invalid("the Idempotency-Key header has to hold 8 to 255 visible characters");
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).ok_or_else(wrong)?;
    check_key(key).map(str::to_owned).ok_or_else(wrong)
}

fn check_key(key: &str) -> Option<&str> {
    ((8..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())).then_some(key)
}
