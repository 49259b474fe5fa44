//! What the HTTP floor is given to work with. The program builds an [`ApiState`]
//! once and hands it to [`crate::serve`] (or [`crate::router`]).

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::Bytes;
use futures::future::BoxFuture;
use jangbu_commands::identity::Identity;
use jangbu_commands::inbox::Hooks;
use jangbu_commands::process::ProcessManagerHandle;
use jangbu_commands::{Carriers, Commands, Policy};
use jangbu_kernel::ports::{ParkedProcesses, World};
use jangbu_kernel::{Currency, ProductId, UserId};
use jangbu_projections::Queries;
use tokio_util::sync::CancellationToken;

use crate::document::openapi;
use crate::http::limiter::Limiter;
use crate::http::origin::Network;
use crate::routes::probes::Looked;
use crate::shares::Shares;
use crate::tokens::{SigningKey, Tokens};

/// Looks at one dependency; the text says what is wrong with it.
pub type DependencyCheck = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Begins to rebuild read models by name, all of them when none is named, and
/// answers when the work has begun. The text says why it has not.
pub type Rebuild = Arc<dyn Fn(Vec<String>) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Writes the metrics in the Prometheus text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Everything the routes need, as plain fields. Nothing here has a default: the
/// program decides.
#[derive(Clone)]
pub struct ApiState {
    /// The write side.
    pub commands: Commands,
    /// Sign-up, login, profiles.
    pub identity: Identity,
    /// The read side.
    pub queries: Queries,
    /// The process manager; none on a node that does not run one. Without it nothing is
    /// reported as settled and payments cannot be synchronised here.
    pub processes: Option<ProcessManagerHandle>,
    /// Who carries the parcels: asked whether an address will do.
    pub carriers: Arc<Carriers>,
    /// Says which processes are left alone, because something of theirs cannot be read.
    pub parked: Arc<dyn ParkedProcesses>,
    /// Takes in what gateways and carriers tell.
    pub hooks: Hooks,
    /// Clock, ids and vault.
    pub world: World,
    /// The shop's numbers, as the decider has them.
    pub policy: Arc<Policy>,
    /// Signs the access tokens.
    pub signing_key: SigningKey,
    /// Requests a caller may make; none: as many as he likes.
    pub rate_limit: Option<RateLimit>,
    /// Proxies in front of this server, which say who calls.
    pub trusted_proxies: Vec<Network>,
    /// Requests for sign-up, log-in, refresh and log-out that a block of addresses may make;
    /// none: as many as it likes.
    pub auth_rate_limit: Option<RateLimit>,
    /// Origins of web pages that may call; empty: none but the server's own pages.
    pub cors_origins: Vec<http::HeaderValue>,
    /// The dependencies that `/readyz` reports, by name; without one of them it is not ready.
    pub readiness: Vec<(&'static str, DependencyCheck)>,
    /// What is reported beside them: what stands outside, and what somebody has to look at.
    /// The shop takes orders without it.
    pub outside: Vec<(&'static str, DependencyCheck)>,
    /// What `/metrics` answers.
    pub render_metrics: RenderMetrics,
    /// What `POST /v1/projections/{name}/rebuild` begins.
    pub rebuild: Rebuild,
}

/// So many requests in so much time, per caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many, all of which may come at once.
    pub requests: std::num::NonZeroU32,
    /// In how much time.
    pub per: Duration,
}

/// A rate limit that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidRateLimit;

impl std::fmt::Display for InvalidRateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("expected a rate limit such as 1000/min, 20/s or 50000/hour, or off")
    }
}
impl std::error::Error for InvalidRateLimit {}

impl RateLimit {
    /// Reads `1000/min`, `20/s`, `50000/hour`; `off` is none.
    ///
    /// # Errors
    /// [`InvalidRateLimit`].
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidRateLimit> {
        if text.trim().eq_ignore_ascii_case("off") {
            return Ok(None);
        }
        let (requests, unit) = text.split_once('/').ok_or(InvalidRateLimit)?;
        let per = match unit.trim() {
            "s" | "sec" | "second" => Duration::from_secs(1),
            "m" | "min" | "minute" => Duration::from_secs(60),
            "h" | "hour" => Duration::from_secs(3600),
            _ => return Err(InvalidRateLimit),
        };
        let requests = requests.trim().parse().map_err(|_| InvalidRateLimit)?;
        Ok(Some(Self { requests, per }))
    }
}

/// Streams of events that may be open at once.
const MOST_STREAMS: usize = 1_000;
/// Of one user.
const STREAMS_OF_ONE: usize = 10;

/// Products whose currency is kept in mind.
const MOST_CURRENCIES: u64 = 20_000;

/// The state as the handlers hold it: one pointer.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) state: ApiState,
    pub(crate) tokens: Tokens,
    pub(crate) limiter: Option<Limiter>,
    pub(crate) auth_limiter: Option<Limiter>,
    pub(crate) streams: Arc<Shares<UserId>>,
    /// The last look at the dependencies; held while somebody looks.
    pub(crate) looked: tokio::sync::Mutex<Option<Looked>>,
    /// What products are priced in, for amounts that name no currency. A product keeps its
    /// currency, so what is known stays true; the bound keeps a large catalogue out of memory.
    pub(crate) currencies: moka::sync::Cache<ProductId, Currency>,
    /// Cancelled when the server begins to drain: open streams end then.
    pub(crate) draining: CancellationToken,
    /// The OpenAPI document, written out when somebody asks for it first.
    pub(crate) document: LazyLock<Bytes>,
}

impl App {
    pub(crate) fn new(state: ApiState, draining: CancellationToken) -> Self {
        let tokens =
            Tokens::new(state.signing_key.clone(), Arc::clone(&state.world.clock), Arc::clone(&state.world.ids));
        let limiter = state.rate_limit.map(|limit| Limiter::new("caller", limit));
        let auth_limiter = state.auth_rate_limit.map(|limit| Limiter::new("auth", limit));
        Self(Arc::new(Shared {
            state,
            tokens,
            limiter,
            auth_limiter,
            streams: Shares::new(MOST_STREAMS, STREAMS_OF_ONE),
            looked: tokio::sync::Mutex::default(),
            currencies: moka::sync::Cache::new(MOST_CURRENCIES),
            draining,
            // Texts, numbers and lists of them: writing them cannot fail.
            document: LazyLock::new(|| Bytes::from(serde_json::to_vec(&openapi()).unwrap_or_default())),
        }))
    }
}

impl std::ops::Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_limit_is_read() {
        let limit = RateLimit::parse("1000/min").unwrap().unwrap();
        assert_eq!((limit.requests.get(), limit.per), (1000, Duration::from_secs(60)));
        assert_eq!(RateLimit::parse("off"), Ok(None));
        for text in ["", "0/min", "10", "10/day", "-1/s"] {
            assert_eq!(RateLimit::parse(text), Err(InvalidRateLimit), "{text}");
        }
    }
}
