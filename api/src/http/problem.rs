//! The one shape of every rejection: RFC 9457 problem bodies.
//!
//! A handler returns a [`Problem`]; the edge of the server writes its body, because only the edge
//! knows the request's path and trace. Rejections by the framework get the same shape.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use jangbu_kernel::{Refusal, RefusalCode, Version};
use serde::Serialize;
use utoipa::ToSchema;

use super::words;

/// The media type of problem bodies.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// The prefix of the code in `type`.
const TYPE_PREFIX: &str = "urn:jangbu:problem:";

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:ident, $title:literal;)+) => {
        /// Every code a client can meet, with its status and title. Public contract:
        /// add, never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $variant,)+ }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// The code as clients see it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }
            /// The status it comes with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }
            /// The title, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}

codes! {
    /// Something in the request breaks a rule.
    ValidationFailed = "validation_failed", BAD_REQUEST, "The request is not valid";
    /// The request has no token, or an invalid one.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "Not authenticated";
    /// The token was valid and has expired.
    TokenExpired = "token_expired", UNAUTHORIZED, "The access token has expired";
    /// The gateway declined.
    PaymentDeclined = "payment_declined", PAYMENT_REQUIRED, "The payment was declined";
    /// The role may not do this.
    Forbidden = "forbidden", FORBIDDEN, "Your roles do not allow this";
    /// There is no such thing, or it is not the caller's.
    NotFound = "not_found", NOT_FOUND, "There is no such thing";
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not allowed here";
    /// The request took too long to arrive.
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The request took too long to arrive";
    /// The address has an account.
    EmailTaken = "email_taken", CONFLICT, "The address has an account";
    /// Not enough available stock.
    InsufficientStock = "insufficient_stock", CONFLICT, "Not enough stock";
    /// Not enough points.
    InsufficientPoints = "insufficient_points", CONFLICT, "Not enough points";
    /// The order's state does not allow this.
    OrderStateConflict = "order_state_conflict", CONFLICT, "The order's state does not allow this";
    /// The buyer has as many orders open without a payment in flight as the shop allows.
    TooManyOpenOrders = "too_many_open_orders", CONFLICT, "Too many orders wait for their payment";
    /// The notice was sent, and is not sent twice.
    NoticeAlreadySent = "notice_already_sent", CONFLICT, "The notice was sent";
    /// The order has as many notes as are kept of one.
    TooManyNotes = "too_many_notes", CONFLICT, "Too many notes";
    /// A part of the order has been sent.
    OrderAlreadyDispatched = "order_already_dispatched", CONFLICT, "The order is on its way";
    /// A payment is under way or its outcome is unknown.
    PaymentInProgress = "payment_in_progress", CONFLICT, "A payment is in progress";
    /// The payment's state does not allow this.
    PaymentStateConflict = "payment_state_conflict", CONFLICT, "The payment's state does not allow this";
    /// More than the captured amount would be refunded.
    RefundExceedsCaptured = "refund_exceeds_captured", CONFLICT, "The refund exceeds what was captured";
    /// The shipment's state does not allow this.
    ShipmentStateConflict = "shipment_state_conflict", CONFLICT, "The shipment's state does not allow this";
    /// See [`RefusalCode::ReturnStateConflict`].
    ReturnStateConflict = "return_state_conflict", CONFLICT, "The state of the return does not allow this";
    /// See [`RefusalCode::ReturnWindowOver`].
    ReturnWindowOver = "return_window_over", CONFLICT, "The time to return this is over";
    /// See [`RefusalCode::ReturnExceedsDelivered`].
    ReturnExceedsDelivered = "return_exceeds_delivered", CONFLICT, "More than was delivered would be returned";
    /// The process's state does not allow this.
    SagaStateConflict = "saga_state_conflict", CONFLICT, "The process's state does not allow this";
    /// The product cannot be bought now.
    ProductNotActive = "product_not_active", CONFLICT, "The product cannot be bought now";
    /// The account may not act.
    UserNotActive = "user_not_active", CONFLICT, "The account is not active";
    /// No administrator would be left.
    LastAdministrator = "last_administrator", CONFLICT, "The last administrator stays one";
    /// See [`RefusalCode::CategoryCycle`].
    CategoryCycle = "category_cycle", CONFLICT, "A category is not below itself";
    /// See [`RefusalCode::CategoryNotEmpty`].
    CategoryNotEmpty = "category_not_empty", CONFLICT, "Categories are below it";
    /// See [`RefusalCode::VariantConflict`].
    VariantConflict = "variant_conflict", CONFLICT, "The variants do not allow this";
    /// See [`RefusalCode::SlugTaken`].
    SlugTaken = "slug_taken", CONFLICT, "Another product has the slug";
    /// See [`RefusalCode::LocationConflict`].
    LocationConflict = "location_conflict", CONFLICT, "The locations do not allow this";
    /// The reference was used for another entry.
    ReferenceReused = "reference_reused", CONFLICT, "The reference was used before";
    /// The log never assigned this position: it is another log, or an older state of this one.
    PositionUnknown = "position_unknown", CONFLICT, "This log never gave that position";
    /// The version in `If-Match` is not the current one.
    VersionConflict = "version_conflict", PRECONDITION_FAILED, "The version has moved on";
    /// The body is too large.
    PayloadTooLarge = "payload_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// The address of the request is too long.
    UriTooLong = "uri_too_long", URI_TOO_LONG, "The address is too long";
    /// The head of the request has too many headers.
    HeadersTooLarge = "headers_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The request has too many headers";
    /// The body is not JSON, or it is compressed.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body has to be JSON";
    /// The legs do not add up to the order's total.
    PaymentTotalMismatch = "payment_total_mismatch", UNPROCESSABLE_ENTITY, "The legs do not add up to the total";
    /// The method cannot be used like this.
    PaymentMethodInvalid = "payment_method_invalid", UNPROCESSABLE_ENTITY, "The payment method cannot be used like this";
    /// The total is not what the client expected.
    TotalChanged = "total_changed", UNPROCESSABLE_ENTITY, "The total has changed";
    /// The key was used for another request.
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The idempotency key was used for another request";
    /// Too many wrong passwords: logins with this address are delayed.
    AccountLocked = "account_locked", LOCKED, "Too many wrong passwords";
    /// The request needs an idempotency key and has none.
    IdempotencyKeyRequired = "idempotency_key_required", PRECONDITION_REQUIRED, "An Idempotency-Key is required";
    /// Too many requests.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests";
    /// A defect of the program.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something broke";
    /// Something in the log that is needed for this cannot be read: a retry does not help before an
    /// operator has looked.
    StreamUnreadable = "stream_unreadable", INTERNAL_SERVER_ERROR, "Something stored cannot be read";
    /// A dependency of the request does not answer.
    UpstreamUnavailable = "upstream_unavailable", SERVICE_UNAVAILABLE, "Something this needs is unavailable";
    /// The read model has not reached the position that the client asked for.
    ReadModelBehind = "read_model_behind", SERVICE_UNAVAILABLE, "The read model is behind";
}

impl From<RefusalCode> for Code {
    fn from(code: RefusalCode) -> Self {
        match code {
            RefusalCode::ValidationFailed => Self::ValidationFailed,
            RefusalCode::Unauthenticated => Self::Unauthenticated,
            RefusalCode::PaymentDeclined => Self::PaymentDeclined,
            RefusalCode::Forbidden => Self::Forbidden,
            RefusalCode::NotFound => Self::NotFound,
            RefusalCode::EmailTaken => Self::EmailTaken,
            RefusalCode::InsufficientStock => Self::InsufficientStock,
            RefusalCode::InsufficientPoints => Self::InsufficientPoints,
            RefusalCode::OrderStateConflict => Self::OrderStateConflict,
            RefusalCode::TooManyOpenOrders => Self::TooManyOpenOrders,
            RefusalCode::NoticeAlreadySent => Self::NoticeAlreadySent,
            RefusalCode::TooManyNotes => Self::TooManyNotes,
            RefusalCode::OrderAlreadyDispatched => Self::OrderAlreadyDispatched,
            RefusalCode::PaymentInProgress => Self::PaymentInProgress,
            RefusalCode::PaymentStateConflict => Self::PaymentStateConflict,
            RefusalCode::RefundExceedsCaptured => Self::RefundExceedsCaptured,
            RefusalCode::ShipmentStateConflict => Self::ShipmentStateConflict,
            RefusalCode::ReturnStateConflict => Self::ReturnStateConflict,
            RefusalCode::ReturnWindowOver => Self::ReturnWindowOver,
            RefusalCode::ReturnExceedsDelivered => Self::ReturnExceedsDelivered,
            RefusalCode::SagaStateConflict => Self::SagaStateConflict,
            RefusalCode::StreamUnreadable => Self::StreamUnreadable,
            RefusalCode::ProductNotActive => Self::ProductNotActive,
            RefusalCode::UserNotActive => Self::UserNotActive,
            RefusalCode::LastAdministrator => Self::LastAdministrator,
            RefusalCode::CategoryCycle => Self::CategoryCycle,
            RefusalCode::CategoryNotEmpty => Self::CategoryNotEmpty,
            RefusalCode::VariantConflict => Self::VariantConflict,
            RefusalCode::SlugTaken => Self::SlugTaken,
            RefusalCode::LocationConflict => Self::LocationConflict,
            RefusalCode::ReferenceReused => Self::ReferenceReused,
            RefusalCode::PaymentTotalMismatch => Self::PaymentTotalMismatch,
            RefusalCode::PaymentMethodInvalid => Self::PaymentMethodInvalid,
            RefusalCode::TotalChanged => Self::TotalChanged,
            RefusalCode::AccountLocked => Self::AccountLocked,
        }
    }
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// JSON pointer (RFC 6901) into the body; `/query/<name>`, `/path/<name>` and
    /// `/headers/<name>` for what is not in the body.
    pub pointer: String,
    /// Stable code of the broken rule.
    #[schema(value_type = String, examples("required"))]
    pub code: &'static str,
    /// One sentence for a person.
    pub detail: String,
}

/// A problem body (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// A URN that names the kind of problem.
    #[serde(rename = "type")]
    #[schema(examples("urn:jangbu:problem:insufficient_stock"))]
    kind: String,
    /// The kind of problem in words.
    title: &'a str,
    /// The HTTP status.
    #[schema(examples(409))]
    status: u16,
    /// What happened this time.
    detail: &'a str,
    /// The path of the request.
    instance: &'a str,
    /// What went wrong, for programs: the last part of `type`.
    #[schema(value_type = words::ProblemCode)]
    code: &'a str,
    /// Everything that is wrong with the request, when it is not valid.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldProblem],
    /// The state in the way, when it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_state: Option<&'a str>,
    /// What could be asked of the thing in that state.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_commands: Option<&'a [&'static str]>,
    /// The trace to look for in the logs.
    trace_id: &'a str,
}

/// Why a request is rejected. Becomes a response with an empty body, which the
/// edge fills in.
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    code: Code,
    detail: String,
    errors: Vec<FieldProblem>,
    current_state: Option<&'static str>,
    allowed_commands: Vec<&'static str>,
    retry_after_seconds: Option<u64>,
    current_version: Option<Version>,
    /// For the log, never for the client.
    cause: Option<String>,
}

impl Problem {
    /// A problem with a sentence of its own.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            current_state: None,
            allowed_commands: Vec::new(),
            retry_after_seconds: None,
            current_version: None,
            cause: None,
        }))
    }

    /// Values of the request break rules; at least one.
    #[must_use]
    pub fn invalid(errors: Vec<FieldProblem>) -> Self {
        let detail = match errors.as_slice() {
            [only] => only.detail.clone(),
            many => format!("{} things in the request are not valid", many.len()),
        };
        let mut problem = Self::new(Code::ValidationFailed, detail);
        problem.0.errors = errors;
        problem
    }

    /// The same under another code, if all errors have this one.
    #[must_use]
    pub(crate) fn named_for_its_errors(mut self, code: Code) -> Self {
        let errors = &self.0.errors;
        if !errors.is_empty() && errors.iter().all(|error| error.code == code.name()) {
            self.0.code = code;
        }
        self
    }

    /// One value of the request breaks a rule.
    #[must_use]
    pub fn invalid_at(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldProblem { pointer: pointer.into(), code, detail: detail.into() }])
    }

    /// The resource does not exist, or is not the caller's: the two are not distinguished.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no such {what}"))
    }

    /// A dependency of this does not answer; the cause is logged.
    #[must_use]
    pub fn unavailable(cause: impl Into<String>) -> Self {
        Self::new(Code::UpstreamUnavailable, "something this request needs does not answer, try again")
            .retry_after(1)
            .because(cause)
    }

    /// A defect of the program; the cause is logged.
    #[must_use]
    pub fn internal(cause: impl Into<String>) -> Self {
        Self::new(Code::Internal, "something broke, and it is not your request").because(cause)
    }

    /// Adds when a retry makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_seconds = Some(seconds.max(1));
        self
    }

    /// Adds the current version of the resource.
    #[must_use]
    pub(crate) fn at_version(mut self, version: Version) -> Self {
        self.0.current_version = Some(version);
        self
    }

    pub(crate) fn because(mut self, cause: impl Into<String>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What happened, in a sentence.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Everything that is wrong with the request, when it is not valid.
    #[must_use]
    pub fn errors(&self) -> &[FieldProblem] {
        &self.0.errors
    }

    /// The cause, for the log.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The problem as JSON.
    pub(crate) fn body(&self, instance: &str, trace_id: &str) -> Vec<u8> {
        let parts = &*self.0;
        let body = ProblemBody {
            kind: format!("{TYPE_PREFIX}{}", parts.code.name()),
            title: parts.code.title(),
            status: parts.code.status().as_u16(),
            detail: &parts.detail,
            instance,
            code: parts.code.name(),
            errors: &parts.errors,
            current_state: parts.current_state,
            allowed_commands: parts.current_state.map(|_| parts.allowed_commands.as_slice()),
            trace_id,
        };
        // Texts, numbers and lists of them always serialize.
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// Writes the problem out.
    pub(crate) fn render(&self, instance: &str, trace_id: &str) -> Response {
        let parts = &*self.0;
        let mut response = Response::new(Body::from(self.body(instance, trace_id)));
        *response.status_mut() = parts.code.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = parts.retry_after_seconds {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(version) = parts.current_version {
            headers.insert(ETAG, super::conditional::etag(version));
        }
        if parts.code == Code::UnsupportedMediaType {
            // RFC 9110, section 15.5.16.
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Some(challenge) = challenge(parts.code) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// RFC 6750, section 3.
fn challenge(code: Code) -> Option<&'static str> {
    const EXPIRED: &str = r#"Bearer realm="jangbu", error="invalid_token", error_description="the token has expired""#;
    if code == Code::TokenExpired {
        return Some(EXPIRED);
    }
    (code.status() == StatusCode::UNAUTHORIZED).then_some(r#"Bearer realm="jangbu""#)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.code.status();
        response.extensions_mut().insert(self);
        response
    }
}

/// The problem for a rejection that the framework made.
pub(crate) fn of_framework(response: &Response) -> Problem {
    match response.status() {
        StatusCode::NOT_FOUND => Problem::new(Code::NotFound, "there is no such route"),
        // The framework adds `Allow` afterwards, so the text cannot repeat it.
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(Code::MethodNotAllowed, "the methods that are allowed here stand in Allow")
        }
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::PayloadTooLarge, "the body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(Code::UnsupportedMediaType, "the body has to be JSON"),
        StatusCode::REQUEST_TIMEOUT => Problem::new(Code::RequestTimeout, "the request took too long to arrive"),
        status if status.is_client_error() => {
            Problem::invalid_at("", "malformed_request", "the request cannot be understood")
        }
        status => Problem::internal(format!("the framework answered {status}")),
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = Code::from(refusal.code);
        let mut problem = Self::new(code, refusal.detail.clone());
        if let Some(pointer) = refusal.pointer {
            problem.0.errors = vec![FieldProblem { pointer, code: code.name(), detail: refusal.detail }];
        }
        problem.0.current_state = refusal.current_state;
        problem.0.allowed_commands = refusal.allowed_commands;
        problem
    }
}
