//! What the node answers over HTTP: the whole API, or only probes and metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::get;
use futures::FutureExt as _;
use jangbu_api::{ApiState, DependencyCheck, Rebuild, RenderMetrics, ServerOptions};
use jangbu_commands::workers::Workers;
use jangbu_projections::{ProjectorHandle, ReadModels, RebuildOptions};
use jangbu_store::{SealerHealth, Store};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::outside::Outside;
use super::server::Server;
use super::{WriteSide, keys, write_check};
use crate::config::Settings;
use crate::observe;

/// What the HTTP server is made from.
pub(super) struct ServerDeps<'a> {
    pub(super) settings: &'a Settings,
    pub(super) side: &'a WriteSide,
    pub(super) models: &'a ReadModels,
    pub(super) projector: Option<&'a ProjectorHandle>,
    /// The workers and the external systems; none on a node without the API.
    pub(super) workers: Option<(&'a Workers, &'a Outside)>,
    /// Connections that clients may hold at once.
    pub(super) connections: usize,
    /// Whether the log is being sealed.
    pub(super) sealer: SealerHealth,
    /// The dependencies without which the node is not ready.
    pub(super) readiness: Vec<(&'static str, DependencyCheck)>,
}

/// The server's name in a sentence.
const NAME: &str = "the HTTP server";
/// The most parked streams that readiness names.
const STREAMS_NAMED: usize = 3;
/// How often the metrics recorder is tidied up and freed memory is returned.
const UPKEEP_EVERY: Duration = Duration::from_secs(1);
/// The size of an allocation, in bytes, at which the allocator looks for memory that it can return;
/// less than the size from which it allocates directly from the system (`.cargo/config.toml`).
const LARGE: usize = 8 * 1024 * 1024;

/// Starts the server; it ends after `shutdown`, when requests under way are answered.
pub(super) async fn spawn(
    listener: TcpListener,
    deps: ServerDeps<'_>,
    shutdown: CancellationToken,
) -> anyhow::Result<Server> {
    let metrics = observe::metrics()?;
    let render_metrics: RenderMetrics = Arc::new(move || metrics.render());
    let readiness = deps.readiness;
    let sealing = sealing(deps.sealer);
    let Some((workers, outside)) = deps.workers else {
        let router = how_it_is(readiness, vec![sealing], render_metrics);
        let serving = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
        let task = tokio::spawn(IntoFuture::into_future(serving));
        return Ok(Server { name: NAME, task, shutdown });
    };
    let state = ApiState {
        commands: deps.side.commands.clone(),
        identity: deps.side.identity.clone(),
        queries: deps.models.queries(),
        processes: workers.processes.clone(),
        gateways: Arc::clone(&outside.gateways),
        carriers: Arc::clone(&outside.carriers),
        parked: Arc::clone(&deps.side.store) as _,
        hooks: workers.hooks.clone(),
        world: deps.side.world.clone(),
        policy: Arc::new(deps.settings.policy.clone()),
        signing_key: keys::signing_key(&deps.side.secrets).await?,
        rate_limit: deps.settings.rate_limit,
        trusted_proxies: deps.settings.trusted_proxies.clone(),
        auth_rate_limit: deps.settings.auth_rate_limit,
        cors_origins: deps.settings.cors_origins.iter().map(|origin| origin.parse()).collect::<Result<_, _>>()?,
        readiness,
        outside: vec![
            gateway_and_carrier(&outside.sandbox_url)?,
            sealing,
            parked_streams(deps.models),
            parked(deps.side),
        ],
        spool: deps.settings.data_dir.clone(),
        render_metrics,
        rebuild: rebuild(deps.projector.cloned()),
    };
    let options = ServerOptions { max_connections: deps.connections, ..ServerOptions::default() };
    let task = tokio::spawn(jangbu_api::serve(listener, state, options, shutdown.clone()));
    Ok(Server { name: NAME, task, shutdown })
}

/// The dependencies without which a node is not ready.
pub(super) fn readiness(side: &WriteSide, models: &ReadModels) -> Vec<(&'static str, DependencyCheck)> {
    let store: Arc<dyn Store> = Arc::clone(&side.store);
    let log: DependencyCheck = Arc::new(move || {
        let store = Arc::clone(&store);
        async move { store.head().await.map(|_| ()).map_err(|error| error.to_string()) }.boxed()
    });
    let log_writes = write_check::of(&side.store);
    let queries = models.queries();
    let read_models: DependencyCheck = Arc::new(move || {
        let queries = queries.clone();
        async move { queries.problem().await.map_or(Ok(()), Err) }.boxed()
    });
    vec![("log", log), ("log_writes", log_writes), ("read_models", read_models)]
}

/// Whether the log is being sealed. Requests are served in any case: what is appended is durable,
/// it is only not covered by a root yet.
fn sealing(health: SealerHealth) -> (&'static str, DependencyCheck) {
    let check: DependencyCheck = Arc::new(move || std::future::ready(health.check()).boxed());
    ("sealer", check)
}

/// Parked streams of read models. The shop works without them, but an operator has to look.
fn parked_streams(models: &ReadModels) -> (&'static str, DependencyCheck) {
    let queries = models.queries();
    let check: DependencyCheck = Arc::new(move || {
        let queries = queries.clone();
        async move {
            let parked = queries.parked_streams().await.map_err(|error| error.to_string())?;
            let named: Vec<String> = parked
                .iter()
                .take(STREAMS_NAMED)
                .map(|parked| format!("{} in {} at position {}", parked.stream, parked.view, parked.position))
                .collect();
            match parked.len() {
                0 => Ok(()),
                count => Err(format!(
                    "{count} left out of read models, first {}: see `jangbu projections --json`",
                    named.join(", ")
                )),
            }
        }
        .boxed()
    });
    ("parked_streams", check)
}

/// Whether all processes are running. The shop takes orders while some are parked, but an operator
/// has to look at those.
fn parked(side: &WriteSide) -> (&'static str, DependencyCheck) {
    let store: Arc<dyn Store> = Arc::clone(&side.store);
    let check: DependencyCheck = Arc::new(move || {
        let store = Arc::clone(&store);
        async move {
            match store.parked_count().await {
                Ok(0) => Ok(()),
                Ok(parked) => Err(format!(
                    "{parked} parked, because something of theirs cannot be read: GET /v1/sagas?state=parked"
                )),
                Err(error) => Err(error.to_string()),
            }
        }
        .boxed()
    });
    ("processes", check)
}

/// Whether the addresses of gateway and carrier accept a connection. No request is sent, because it
/// would be additional load for them.
fn gateway_and_carrier(url: &str) -> anyhow::Result<(&'static str, DependencyCheck)> {
    let url = super::outside::parse_url(url)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or_default();
    let check: DependencyCheck = Arc::new(move || {
        let host = host.clone();
        async move { TcpStream::connect((host, port)).await.map(|_| ()).map_err(|error| error.to_string()) }.boxed()
    });
    Ok(("payment_gateway_and_carrier", check))
}

/// Starts a rebuild; returns when it is running, or why it is not.
fn rebuild(projector: Option<ProjectorHandle>) -> Rebuild {
    Arc::new(move |names| {
        let projector = projector.clone();
        async move {
            let Some(projector) = projector else { return Err("this node keeps no read models".to_owned()) };
            let (begun, mut begins) = mpsc::channel(1);
            let work = tokio::spawn(async move {
                let options = RebuildOptions { verify: true, ..RebuildOptions::default() };
                let report = projector
                    .rebuild(&names, options, move |_| {
                        // Only the first message counts; for later ones the channel is full.
                        let _ = begun.try_send(());
                    })
                    .await;
                match &report {
                    Ok(report) => tracing::info!(events = report.events, "read models are rebuilt"),
                    Err(error) => tracing::warn!(%error, "read models are not rebuilt"),
                }
                report.map(|_| ()).map_err(|error| error.to_string())
            });
            match begins.recv().await {
                Some(()) => Ok(()),
                // It ended before it could report progress.
                None => work.await.unwrap_or_else(|error| Err(error.to_string())),
            }
        }
        .boxed()
    })
}

/// The routes of a node without the API: liveness, readiness and metrics. Readiness includes
/// failures of what the node does not need.
fn how_it_is(
    readiness: Vec<(&'static str, DependencyCheck)>,
    beside: Vec<(&'static str, DependencyCheck)>,
    render_metrics: RenderMetrics,
) -> Router {
    let ready = async move || {
        for (checks, code) in [(&readiness, StatusCode::SERVICE_UNAVAILABLE), (&beside, StatusCode::OK)] {
            for (name, check) in checks {
                if let Err(problem) = check().await {
                    return (code, format!("{name}: {problem}")).into_response();
                }
            }
        }
        StatusCode::NO_CONTENT.into_response()
    };
    Router::new()
        .route("/livez", get(async || StatusCode::NO_CONTENT))
        .route("/readyz", get(ready.clone()))
        .route("/health", get(ready))
        .route("/metrics", get(async move || render_metrics()))
}

/// Keeps the memory of metrics recorder and allocator bounded until shutdown.
pub(super) async fn upkeep(shutdown: CancellationToken) {
    let Ok(metrics) = observe::metrics() else { return };
    while shutdown.run_until_cancelled(tokio::time::sleep(UPKEEP_EVERY)).await.is_some() {
        metrics.run_upkeep();
        give_back_memory();
    }
}

/// Makes the allocator return what was freed a second ago or earlier. It only looks for that when
/// something large is freed, so an idle shop would otherwise keep the memory of its last busy
/// minute forever.
fn give_back_memory() {
    // The memory is never touched, so this costs microseconds.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
}
