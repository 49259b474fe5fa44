//! The outermost layer: names every request, measures it, and gives every
//! rejection the same shape, whichever layer rejected.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use http::header::{ALLOW, CONTENT_TYPE, HOST, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

use super::origin::name_the_caller;
use super::prefer::LONGEST_WAIT;
use super::problem::{self, Problem};
use super::told::{self, Rejected};
use super::trace::{REQUEST_ID, RequestNames};
use crate::state::App;

/// Limit for any request: the longest wait that a client can ask for, and some more.
const REQUEST_TIMEOUT: Duration = LONGEST_WAIT.saturating_add(Duration::from_secs(10));

/// Limit for a request that brings a file.
const FILE_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// The routes that take files.
const FILES: &str = "/v1/imports/";

/// Why a request cannot be routed although it is valid HTTP. The server finds it, because it sees
/// the connection; it is answered here, where every rejection gets its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unroutable {
    /// An HTTP/1.1 request names its host exactly once (RFC 9112, section 3.2), so that no two
    /// readers of the request see different hosts.
    Host,
}

impl Unroutable {
    /// What is wrong with this request.
    pub(crate) fn of<B>(request: &http::Request<B>) -> Option<Self> {
        let mut hosts = request.headers().get_all(HOST).iter();
        let good = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.as_bytes().iter().all(|byte| is_of_a_host(*byte)),
            (None, _) => request.version() < Version::HTTP_11,
            (Some(_), Some(_)) => false,
        };
        (!good).then_some(Self::Host)
    }
}

/// The characters of host names, addresses and ports (RFC 3986, section 3.2.2).
const fn is_of_a_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~' | b':' | b'[' | b']' | b'%')
}

impl From<Unroutable> for Problem {
    fn from(reason: Unroutable) -> Self {
        match reason {
            Unroutable::Host => Self::invalid_at(
                "/headers/Host",
                "malformed_header",
                "send one Host header with the name of this server",
            ),
        }
    }
}

/// The layer around everything.
pub(crate) async fn edge(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    name_the_caller(&mut request, &app.state.trusted_proxies);
    let names = RequestNames::of(request.headers(), &*app.state.world.ids);
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|matched| matched.as_str().to_owned());
    request.extensions_mut().insert(names.clone());
    let unroutable = request.extensions_mut().remove::<Unroutable>();

    let answer = async {
        match unroutable {
            Some(reason) => Problem::from(reason).into_response(),
            None => next.run(request).await,
        }
    };
    // A panic is a defect of the program; the client gets an answer nevertheless.
    let answered = AssertUnwindSafe(answer).catch_unwind();
    let limit =
        if route.as_deref().is_some_and(|route| route.starts_with(FILES)) { FILE_TIMEOUT } else { REQUEST_TIMEOUT };
    let response = match tokio::time::timeout(limit, answered).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => Problem::internal("a handler panicked").into_response(),
        Err(_) => Problem::unavailable("a request took too long").into_response(),
    };
    // Routes by their template, methods by their known names: text made up by a client becomes
    // neither a label nor part of the log.
    let place = Place { method: method_label(&method), route: route.as_deref().unwrap_or("none"), path: &path };
    let mut response = shape(response, place, &names);
    measure(&app, place, &names, &response, started);
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, names.request_id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The method and route of a request.
#[derive(Clone, Copy)]
struct Place<'a> {
    method: &'static str,
    route: &'a str,
    path: &'a str,
}

/// Gives a rejection its problem body and logs it; leaves every other response alone.
fn shape(mut response: Response, place: Place<'_>, names: &RequestNames) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if is_finished(response.headers()) => return response,
        None => problem::of_framework(&response),
    };
    told::rejected(&Rejected {
        problem: &problem,
        method: place.method,
        route: place.route,
        trace_id: &names.trace_id,
        request_id: names.request_id.to_str().unwrap_or_default(),
    });
    let mut rendered = problem.render(place.path, &names.trace_id);
    for (name, value) in response.headers() {
        if kept(name) {
            rendered.headers_mut().append(name.clone(), value.clone());
        }
    }
    rendered
}

/// A probe that says "not ready" has a body of its own.
fn is_finished(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/"))
}

/// Headers of the replaced response that a rejection keeps.
fn kept(name: &HeaderName) -> bool {
    let name = name.as_str();
    name == ALLOW.as_str() || name.starts_with("ratelimit") || name.starts_with("access-control") || name == "vary"
}

fn measure(app: &App, place: Place<'_>, names: &RequestNames, response: &Response, started: Instant) {
    let Place { method, route, .. } = place;
    let took = started.elapsed();
    let status = response.status();
    let trace_id = names.trace_id.as_str();
    tracing::debug!(trace_id, method, route, status = status.as_u16(), ?took, "answered");
    app.durations.record(method, route, status, took);
}

/// A method as a label and in the log. Clients can invent methods, and a label is kept for good.
fn method_label(method: &http::Method) -> &'static str {
    const KNOWN: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}
