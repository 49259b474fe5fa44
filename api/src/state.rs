//! What the HTTP floor works with. The program builds an [`ApiState`] once and passes it to
//! [`crate::serve`] (or [`crate::router`]).

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use futures::future::BoxFuture;
use jangbu_commands::identity::Identity;
use jangbu_commands::inbox::Hooks;
use jangbu_commands::process::ProcessManagerHandle;
use jangbu_commands::{Carriers, Commands, Gateways, Policy};
use jangbu_kernel::ports::{ParkedProcesses, World};
use jangbu_kernel::{Currency, ProductId, UserId};
use jangbu_projections::Queries;
use tokio_util::sync::CancellationToken;

use crate::http::durations::Durations;
use crate::http::limiter::Limiter;
use crate::http::origin::Network;
use crate::http::rate_limit::RateLimit;
use crate::readiness::{DependencyCheck, LastLook};
use crate::shares::Shares;
use crate::tokens::{SigningKey, Tokens};

/// Starts to rebuild read models by name, all of them if none is named, and returns when the work
/// has begun. The text says why it could not begin.
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
    /// The process manager; none on a node that does not run one. Without it nothing is reported as
    /// settled, and payments cannot be synchronised on this node.
    pub processes: Option<ProcessManagerHandle>,
    /// The gateways: whether the one of new charges supports a method.
    pub gateways: Arc<Gateways>,
    /// The carriers: whether they deliver to an address.
    pub carriers: Arc<Carriers>,
    /// Lists the processes that are parked because a stream of theirs cannot be read.
    pub parked: Arc<dyn ParkedProcesses>,
    /// Receives the webhooks of gateways and carriers.
    pub hooks: Hooks,
    /// Clock, ids and vault.
    pub world: World,
    /// The shop's policy, the same as the decider's.
    pub policy: Arc<Policy>,
    /// Signs the access tokens.
    pub signing_key: SigningKey,
    /// Requests a caller may make; none: no limit.
    pub rate_limit: Option<RateLimit>,
    /// Trusted proxies in front of this server, which name the client.
    pub trusted_proxies: Vec<Network>,
    /// Requests for sign-up, log-in, refresh and log-out that a block of addresses may make; none:
    /// no limit.
    pub auth_rate_limit: Option<RateLimit>,
    /// Origins of web pages that may call the API; empty: only the server's own pages.
    pub cors_origins: Vec<http::HeaderValue>,
    /// The dependencies that `/readyz` reports, by name; the server is ready only if all of them
    /// answer.
    pub readiness: Vec<(&'static str, DependencyCheck)>,
    /// Checks that are reported beside them: external systems, and what an operator should look at.
    /// The shop takes orders even if they fail.
    pub outside: Vec<(&'static str, DependencyCheck)>,
    /// Folder for files that are being taken in; they have no names there.
    pub spool: PathBuf,
    /// What `/metrics` answers.
    pub render_metrics: RenderMetrics,
    /// What `POST /v1/projections/{name}/rebuild` starts.
    pub rebuild: Rebuild,
}

/// Streams of events that may be open at once.
const MOST_STREAMS: usize = 1_000;
/// Of one user.
const STREAMS_OF_ONE: usize = 10;

/// Imports that may run at once.
const MOST_IMPORTS: usize = 4;
/// Of one user.
const IMPORTS_OF_ONE: usize = 2;

/// Products whose currency is cached.
const MOST_CURRENCIES: u64 = 20_000;

/// The state as the handlers hold it: behind one pointer.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) state: ApiState,
    pub(crate) tokens: Tokens,
    pub(crate) limiter: Option<Limiter>,
    pub(crate) auth_limiter: Option<Limiter>,
    pub(crate) streams: Arc<Shares<UserId>>,
    pub(crate) imports: Arc<Shares<UserId>>,
    /// How long requests took.
    pub(crate) durations: Durations,
    /// The last check of the dependencies.
    pub(crate) looked: LastLook,
    /// The currency of products, for amounts without one. A product never changes its currency, so
    /// entries stay valid; the bound limits the memory for a large catalogue.
    pub(crate) currencies: moka::sync::Cache<ProductId, Currency>,
    /// Cancelled when the server begins to drain: open streams end then.
    pub(crate) draining: CancellationToken,
    /// What `/openapi.json` answers, written on the first request. It is built from the routes,
    /// which need this state, so the router passes it in.
    pub(crate) document: LazyLock<Bytes>,
}

impl App {
    pub(crate) fn new(state: ApiState, draining: CancellationToken, document: LazyLock<Bytes>) -> Self {
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
            imports: Shares::new(MOST_IMPORTS, IMPORTS_OF_ONE),
            durations: Durations::default(),
            looked: LastLook::default(),
            currencies: moka::sync::Cache::new(MOST_CURRENCIES),
            draining,
            document,
        }))
    }
}

impl std::ops::Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}
