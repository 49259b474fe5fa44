//! A request apart from its content: the user, the key, the condition, and how long the client is
//! ready to wait.

use aws_lc_rs::digest;
use axum::extract::FromRequestParts;
use http::header::IF_NONE_MATCH;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};
use jangbu_commands::identity::{AddressBlock, RequestContext};
use jangbu_commands::{Answer, AnyCommand, Idempotency, Key, Request};
use jangbu_kernel::{CommandId, Version};

use super::caller;
use super::conditional::IfMatch;
use super::failure::version_conflict;
use super::gate::Principal;
use super::prefer::Wait;
use super::problem::{Code, Problem};
use super::trace::RequestNames;
use crate::state::App;

pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The request apart from its content.
pub(crate) struct Call {
    principal: Option<Principal>,
    pub(crate) names: RequestNames,
    pub(crate) wait: Wait,
    /// The headers that only some routes read: `If-None-Match`, `Last-Event-ID`.
    pub(crate) headers: HeaderMap,
    if_match: IfMatch,
    key: Option<String>,
    from: AddressBlock,
    method: Method,
    path: String,
}

impl FromRequestParts<App> for Call {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let names = parts.extensions.get::<RequestNames>().cloned();
        Ok(Self {
            principal: parts.extensions.get::<Principal>().cloned(),
            names: names.ok_or_else(|| Problem::internal("a request without names"))?,
            wait: Wait::read(&parts.headers)?,
            if_match: IfMatch::read(&parts.headers)?,
            key: read_key(&parts.headers)?,
            headers: looked_at(&parts.headers),
            from: AddressBlock::of(caller::address(&parts.extensions)),
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
        })
    }
}

impl Call {
    /// The key that the client has chosen.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The logged-in user.
    pub(crate) fn principal(&self) -> Result<&Principal, Problem> {
        self.principal.as_ref().ok_or_else(|| Problem::new(Code::Unauthenticated, "send an access token"))
    }

    /// The logged-in user, if there is one.
    pub(crate) fn visitor(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// Checks that a required key is present.
    pub(crate) fn check_key(&self, needed: Key) -> Result<(), Problem> {
        if self.key.is_none() && needed == Key::Required {
            return Err(Problem::new(
                Code::IdempotencyKeyRequired,
                "send an Idempotency-Key of your own choice, 8 to 255 visible characters, so that a repeat is safe",
            ));
        }
        Ok(())
    }

    /// The key with the fingerprint of this request. Fingerprints are made only here.
    fn idempotency(&self, needed: Key, body: &[u8]) -> Result<Option<Idempotency>, Problem> {
        self.check_key(needed)?;
        Ok(self.key.as_ref().map(|key| Idempotency { key: key.clone(), fingerprint: self.fingerprint(body) }))
    }

    /// What the identity service needs to know of the request.
    pub(crate) fn context(&self, body: &[u8]) -> Result<RequestContext, Problem> {
        Ok(RequestContext { idempotency: self.idempotency(Key::Optional, body)?, ..self.context_without_key() })
    }

    /// The same for a login. It has no key because a repeat is another login: the secrets of the
    /// first one were never stored.
    pub(crate) fn context_without_key(&self) -> RequestContext {
        RequestContext {
            correlation_id: self.names.correlation_id,
            trace: Some(self.names.traceparent.clone()),
            idempotency: None,
            from: self.from,
        }
    }

    /// SHA-256 over method, path and the exact bytes of the body, each ended by a zero byte.
    fn fingerprint(&self, body: &[u8]) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [self.method.as_str().as_bytes(), self.path.as_bytes(), body] {
            context.update(part);
            context.update(&[0]);
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.finish().as_ref());
        fingerprint
    }

    /// The versions of which the resource must have one. They are checked where the command is
    /// decided: after the receipt and the ownership check, and against the version that the
    /// decision is based on.
    pub(crate) fn expected_versions(&self) -> Option<Vec<Version>> {
        match &self.if_match {
            IfMatch::Anything => None,
            IfMatch::OneOf(versions) => Some(versions.clone()),
        }
    }

    /// Checks `If-Match` for a request that is not a command; the caller must be allowed to see the
    /// resource.
    pub(crate) fn check_version(&self, current: Version) -> Result<(), Problem> {
        match &self.if_match {
            IfMatch::OneOf(versions) if !versions.contains(&current) => Err(version_conflict(current)),
            IfMatch::Anything | IfMatch::OneOf(_) => Ok(()),
        }
    }

    /// Executes a command as the logged-in user.
    pub(crate) async fn execute(
        &self,
        app: &App,
        command: impl Into<AnyCommand>,
        body: &[u8],
    ) -> Result<Answer, Problem> {
        let command = command.into();
        let idempotency = self.idempotency(command.rules().key, body)?;
        let request = Request { idempotency, if_match: self.expected_versions(), ..self.request(app, command)? };
        app.state.commands.execute(request).await.map_err(Problem::from)
    }

    fn request(&self, app: &App, command: AnyCommand) -> Result<Request, Problem> {
        let command_id = CommandId::new(app.state.world.ids.new_id());
        let caller = self.principal()?.caller();
        let trace = Some(self.names.traceparent.clone());
        Ok(Request { trace, ..Request::new(command, caller, command_id, self.names.correlation_id) })
    }
}

/// The headers that only some routes read. Most requests have none of them.
fn looked_at(all: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in [IF_NONE_MATCH, LAST_EVENT_ID] {
        for value in all.get_all(&name) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}

pub(super) fn read_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let fits = values.next().is_none()
        && (8..=255).contains(&value.len())
        && value.as_bytes().iter().all(u8::is_ascii_graphic);
    let key = value.to_str().ok().filter(|_| fits);
    key.map(|key| Some(key.to_owned())).ok_or_else(|| {
        let detail = "one key of 8 to 255 visible ASCII characters";
        Problem::invalid_at("/headers/Idempotency-Key", "malformed_header", detail)
    })
}
