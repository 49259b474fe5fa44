//! Calls to external services: bounded in time, number and size, retried only where that is safe,
//! and failed fast while a service is down.
//!
//! From the outside in: a bulkhead (a limit of concurrent calls), a deadline for the whole call,
//! retries with jitter, a circuit breaker around each attempt.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _};
use tower_resilience::circuitbreaker::{CircuitBreakerError, CircuitBreakerLayer};

use crate::SetupError;

/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Less than servers keep an idle connection: a request on a connection that the server closes at
/// the same moment is lost, and its outcome is unknown.
const LONGEST_IDLE: Duration = Duration::from_secs(4);

/// Limits of the calls to an external service.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboundPolicy {
    /// Limit for a whole call, including waits and retries. After it the outcome is unknown.
    pub timeout: Duration,
    /// Attempts including the first, at least one.
    pub attempts: usize,
    /// Pause before the first retry; doubled for each further one, with jitter.
    pub first_pause: Duration,
    /// Concurrent calls.
    pub at_once: usize,
    /// How long a call waits for a free slot.
    pub queue_timeout: Duration,
    /// When and for how long calls fail fast.
    pub breaker: BreakerPolicy,
}

/// When a service counts as down, and for how long no calls are made then.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// The number of latest attempts that are considered.
    pub window: usize,
    /// The least number of attempts before the breaker may open.
    pub minimum: usize,
    /// The part of failed attempts at which it opens (above 0, at most 1).
    pub failure_rate: f64,
    /// How long no attempt is made then.
    pub open_for: Duration,
    /// The number of attempts that then test whether the service is back.
    pub probes: usize,
}

impl Default for OutboundPolicy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            attempts: 4,
            first_pause: Duration::from_millis(50),
            at_once: 256,
            queue_timeout: Duration::from_secs(1),
            breaker: BreakerPolicy::default(),
        }
    }
}

impl Default for BreakerPolicy {
    /// Tolerant, because a service that answers half of the time is better than none, and an
    /// unknown outcome costs only an inquiry.
    fn default() -> Self {
        Self { window: 100, minimum: 40, failure_rate: 0.6, open_for: Duration::from_secs(2), probes: 3 }
    }
}

/// Why there is no answer. None of these means that the service did nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// Too many concurrent calls.
    #[error("not sent: too many calls are under way")]
    Busy,
    /// The circuit breaker is open.
    #[error("not sent: the circuit breaker is open")]
    Open,
    /// No connection.
    #[error("no connection")]
    Connect,
    /// No answer in time.
    #[error("no answer within the timeout")]
    Timeout,
    /// The connection broke.
    #[error("the connection broke before the answer was read")]
    Broken,
    /// An answer that says the service itself failed.
    #[error("the service failed with status {0}")]
    ServerError(u16),
    /// An answer that cannot be understood.
    #[error("the answer cannot be understood: {0}")]
    Garbled(&'static str),
}

impl CallError {
    /// Only a request that was certainly not sent, or was certainly answered with an error of the
    /// service, is retried; under the same idempotency key that is safe.
    const fn is_retryable(&self) -> bool {
        match self {
            Self::Connect | Self::ServerError(_) => true,
            Self::Busy | Self::Open | Self::Timeout | Self::Broken | Self::Garbled(_) => false,
        }
    }
}

/// One request. It may be sent more than once, so it has to be idempotent.
#[derive(Clone)]
pub struct OutboundRequest {
    method: Method,
    path: String,
    idempotency_key: Option<String>,
    body: Option<(&'static str, Vec<u8>)>,
    deadline: Option<Instant>,
}

impl OutboundRequest {
    /// A request to a path below the base address, which starts with a slash.
    #[must_use]
    pub const fn new(method: Method, path: String) -> Self {
        Self { method, path, idempotency_key: None, body: None, deadline: None }
    }

    /// With an `Idempotency-Key` header.
    #[must_use]
    pub fn idempotency_key(mut self, key: String) -> Self {
        self.idempotency_key = Some(key);
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(mut self, body: &impl serde::Serialize) -> Self {
        // Bodies here are plain structs with text keys, which always serialize.
        self.body = Some(("application/json", serde_json::to_vec(body).unwrap_or_default()));
        self
    }

    /// With a body in the form of an HTML form.
    #[must_use]
    pub fn form<'a>(mut self, fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body = Some(("application/x-www-form-urlencoded", body.into_bytes()));
        self
    }
}

/// A received answer: any status below 500 except a redirect.
#[derive(Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    body: Vec<u8>,
    is_json: bool,
}

impl Answer {
    /// Reads the body.
    ///
    /// # Errors
    /// [`CallError::Garbled`] when it is not JSON of this shape.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        if !self.is_json {
            return Err(CallError::Garbled("not JSON"));
        }
        serde_json::from_slice(&self.body).map_err(|_| CallError::Garbled("not the expected JSON"))
    }
}

/// The connection to one external service.
pub struct Outbound {
    exchange: BoxCloneSyncService<OutboundRequest, Answer, CircuitBreakerError<CallError>>,
    turns: Arc<Semaphore>,
    policy: OutboundPolicy,
}

impl Outbound {
    /// The connection to the service at `base_url`, with our key in `key_header`.
    ///
    /// # Errors
    /// When the address, the key or the policy is unusable.
    pub fn new(
        name: &'static str,
        base_url: &str,
        key_header: &'static str,
        api_key: &SecretString,
        policy: OutboundPolicy,
    ) -> Result<Self, SetupError> {
        let base = Url::parse(base_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = base.ok_or_else(|| SetupError::BaseUrl(base_url.to_owned()))?;
        let mut key = HeaderValue::from_str(api_key.expose_secret()).map_err(|_| SetupError::ApiKey)?;
        key.set_sensitive(true);
        let wire = Wire {
            client: client(&base).map_err(SetupError::Client)?,
            base: base.as_str().trim_end_matches('/').to_owned(),
            key_header: HeaderName::from_static(key_header),
            key,
        };
        let breaker = CircuitBreakerLayer::builder()
            .name(name)
            .sliding_window_size(policy.breaker.window)
            .minimum_number_of_calls(policy.breaker.minimum)
            .failure_rate_threshold(policy.breaker.failure_rate)
            .wait_duration_in_open(policy.breaker.open_for)
            .permitted_calls_in_half_open(policy.breaker.probes)
            .on_state_transition(move |from, to| {
                tracing::warn!(service = name, ?from, ?to, "the circuit breaker of an outside service changed");
            })
            .build()
            .map_err(|error| SetupError::Breaker(error.to_string()))?;
        let exchange = breaker.layer(tower::service_fn(move |request| wire.clone().exchange(request)));
        Ok(Self {
            exchange: BoxCloneSyncService::new(exchange),
            turns: Arc::new(Semaphore::new(policy.at_once)),
            policy,
        })
    }

    /// Sends an idempotent request, with retries if needed, and returns within the timeout.
    ///
    /// # Errors
    /// When there is no usable answer; what the service did is unknown.
    pub async fn send(&self, mut request: OutboundRequest) -> Result<Answer, CallError> {
        let deadline = Instant::now() + self.policy.timeout;
        let patience = self.policy.queue_timeout.min(self.policy.timeout);
        let turn = tokio::time::timeout(patience, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(CallError::Busy);
        };
        request.deadline = Some(deadline);
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.policy.first_pause)
            .with_max_delay(self.policy.timeout)
            .with_max_times(self.policy.attempts.saturating_sub(1))
            .with_jitter();
        (|| self.attempt(request.clone()))
            .retry(pauses)
            .when(CallError::is_retryable)
            // A pause that would end after the deadline is not started.
            .adjust(|_, pause| pause.filter(|pause| Instant::now() + *pause < deadline))
            .await
    }

    async fn attempt(&self, request: OutboundRequest) -> Result<Answer, CallError> {
        self.exchange.clone().oneshot(request).await.map_err(|error| match error {
            CircuitBreakerError::OpenCircuit => CallError::Open,
            CircuitBreakerError::Inner(error) => error,
        })
    }
}

/// A client that follows no redirects. For a service without TLS it needs no trust anchors, which a
/// minimal machine does not have.
fn client(base: &Url) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_idle_timeout(LONGEST_IDLE)
        .no_proxy();
    if base.scheme() == "https" { builder.build() } else { builder.tls_certs_only([]).build() }
}

#[derive(Clone)]
struct Wire {
    client: reqwest::Client,
    base: String,
    key_header: HeaderName,
    key: HeaderValue,
}

impl Wire {
    /// One attempt. It ends at the deadline by itself, inside the breaker, so that the breaker
    /// counts a lost answer.
    async fn exchange(self, request: OutboundRequest) -> Result<Answer, CallError> {
        let deadline = request.deadline;
        let exchange = self.send_and_read(request);
        match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, exchange).await.unwrap_or(Err(CallError::Timeout)),
            None => exchange.await,
        }
    }

    async fn send_and_read(self, request: OutboundRequest) -> Result<Answer, CallError> {
        let mut builder = self
            .client
            .request(request.method, format!("{}{}", self.base, request.path))
            .header(self.key_header, self.key);
        if let Some(key) = request.idempotency_key {
            builder = builder.header("idempotency-key", key);
        }
        if let Some((kind, body)) = request.body {
            builder = builder.header(CONTENT_TYPE, kind).body(body);
        }
        let mut response = builder.send().await.map_err(|error| lost(&error))?;
        let status = response.status();
        if status.is_server_error() {
            return Err(CallError::ServerError(status.as_u16()));
        }
        if status.is_redirection() || status.is_informational() {
            return Err(CallError::Garbled("a redirect"));
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_json = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
            if body.len().saturating_add(chunk.len()) > LARGEST_ANSWER {
                return Err(CallError::Garbled("too large"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body, is_json })
    }
}

fn lost(error: &reqwest::Error) -> CallError {
    if error.is_timeout() {
        CallError::Timeout
    } else if error.is_connect() {
        CallError::Connect
    } else {
        CallError::Broken
    }
}
