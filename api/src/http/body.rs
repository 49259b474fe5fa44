//! Bodies: bounded in size and time, JSON only, read strictly.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::fields::{Read, read_all};
use super::node::Node;
use super::problem::{Code, Problem};

/// Largest body that is taken, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// A body has to arrive within this time of its headers.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The exact bytes of a body.
pub(crate) struct RawBody(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let declared = declared_length(request.headers());
        let coded = is_coded(request.headers());
        let body = request.into_body();
        if declared.is_some_and(|length| length > MAX_BODY as u64) {
            return Err(too_large());
        }
        let collected = Limited::new(body, MAX_BODY).collect();
        match tokio::time::timeout(BODY_TIMEOUT, collected).await {
            Err(_) => Err(Problem::new(Code::RequestTimeout, "the body took too long to arrive")),
            Ok(Ok(collected)) => match collected.to_bytes() {
                bytes if coded && !bytes.is_empty() => Err(Problem::new(
                    Code::UnsupportedMediaType,
                    "send the body as it is, without a Content-Encoding such as gzip",
                )),
                bytes => Ok(Self(bytes)),
            },
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(Problem::invalid_at("", "malformed_body", "the body ended early or cannot be read")),
        }
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether a body is compressed or otherwise coded. None is decompressed: 64 KiB can expand to a
/// thousand times as much.
pub(crate) fn is_coded(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(CONTENT_ENCODING).iter();
    codings.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).any(|coding| {
        let coding = coding.trim_ascii();
        !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
    })
}

fn too_large() -> Problem {
    Problem::new(Code::PayloadTooLarge, format!("a body has at most {MAX_BODY} bytes"))
}

/// A JSON body, with its bytes for the fingerprint of the request.
pub(crate) struct JsonBody<T> {
    pub(crate) value: T,
    pub(crate) bytes: Bytes,
}

impl<T: Read, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let RawBody(bytes) = RawBody::from_request(request, state).await?;
        if !is_json {
            return Err(Problem::new(Code::UnsupportedMediaType, "send Content-Type: application/json"));
        }
        let value = parse(&bytes)?;
        Ok(Self { value, bytes })
    }
}

/// A JSON body that may be left out, or be null.
pub(crate) struct MaybeJson<T> {
    pub(crate) value: Option<T>,
    pub(crate) bytes: Bytes,
}

impl<T: Read, S: Send + Sync> FromRequest<S> for MaybeJson<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let RawBody(bytes) = RawBody::from_request(request, state).await?;
        if bytes.is_empty() {
            return Ok(Self { value: None, bytes });
        }
        if !is_json {
            return Err(Problem::new(Code::UnsupportedMediaType, "send Content-Type: application/json"));
        }
        let node = node(&bytes)?;
        let value = if node == Node::Null { None } else { Some(read_all(node, "").map_err(Problem::invalid)?) };
        Ok(Self { value, bytes })
    }
}

/// A request that takes no body: none, or an empty object.
pub(crate) struct NoBody(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for NoBody {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let RawBody(bytes) = RawBody::from_request(request, state).await?;
        if bytes.is_empty() || matches!(Node::parse(&bytes), Ok(Node::Object(members)) if members.is_empty()) {
            return Ok(Self(bytes));
        }
        Err(Problem::invalid_at("", "unexpected_body", "this takes no body"))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim();
    let subtype = essence.split_once('/').filter(|(main, _)| main.eq_ignore_ascii_case("application"));
    subtype.is_some_and(|(_, sub)| sub.eq_ignore_ascii_case("json") || sub.to_ascii_lowercase().ends_with("+json"))
}

fn parse<T: Read>(bytes: &Bytes) -> Result<T, Problem> {
    read_all(node(bytes)?, "").map_err(Problem::invalid)
}

fn node(bytes: &Bytes) -> Result<Node, Problem> {
    Node::parse(bytes).map_err(|error| {
        // The parser's own message names a place and a rule, never a value.
        let place = format!("line {}, column {}", error.line(), error.column());
        let detail = if error.is_data() { "a name stands twice in one object" } else { "the body is not JSON" };
        Problem::invalid_at("", "malformed_json", format!("{detail}, {place}"))
    })
}
