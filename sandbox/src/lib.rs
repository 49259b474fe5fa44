//! The simulated external systems: a payment gateway and a carrier behind a real HTTP server with a
//! file of its own, so that killing the shop does not make the gateway forget a charge.
//!
//! It is separate from the shop: of the other crates it uses only the types of `kernel`, and only
//! `app` and tests start it. The shop reaches it over HTTP like any other gateway. Start with
//! [`Sandbox::start`]; `script.rs` lists what each card token does, `books/` is its data, `http/`
//! has its three interfaces (gateway, carrier, the tester's own), and `courier.rs` sends its
//! webhooks.
//!
//! Gateway and carrier require a key in `X-Api-Key`:
//!
//! | request | does |
//! |---|---|
//! | `POST /gateway/v1/charges` + `Idempotency-Key` | takes money: `{order_id, payment_id, amount, currency, method, details}`, for a card `{"card_token": ...}` |
//! | `POST /gateway/v1/charges/{id}/confirm` | takes it after a challenge |
//! | `POST /gateway/v1/charges/{id}/refunds` + `Idempotency-Key` | gives some back: `{amount, currency}` |
//! | `GET /gateway/v1/keys/{idempotency key}` | the charge under a key |
//! | `POST /gateway/v1/keys/{idempotency key}/net-cancel` | nothing is or will be charged under the key |
//! | `GET /bank/{id}`, `POST /bank/{id}/pay`, `POST /bank/{id}/cancel` | the page at which a buyer pays, without the key |
//! | `POST /carrier/v1/labels` | a label: `{shipment_id, order_id, address}` |
//! | `DELETE /carrier/v1/labels/{shipment id}` | cancels it |
//!
//! Beside the HTTP server a mail server (`smtp.rs`) catches every mail on a port of its own;
//! `GET /sandbox/mails?to=` shows them.
//!
//! Webhooks follow every change of a charge and every scan, to
//! `{target}/v1/hooks/payments/sandbox` and `{target}/v1/hooks/carriers/sandbox`. `dialect.rs`
//! lists the gateways that it plays.

mod books;
mod courier;
mod dialect;
mod http;
mod script;
mod smtp;
mod store;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt as _;
pub use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use standardwebhooks::Webhook;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use courier::Courier;
use store::Store;
pub use store::StoreError;

/// Less than servers keep an idle connection: a webhook on a connection that the server closes at
/// the same moment is lost until the next attempt.
const LONGEST_IDLE: Duration = Duration::from_secs(4);
/// How long a stop waits for requests under way.
const PATIENCE_AT_STOP: Duration = Duration::from_secs(5);

/// The configuration of a sandbox.
pub struct SandboxConfig {
    /// Where it listens; port 0 picks one.
    pub listen: SocketAddr,
    /// Where its mail server listens; port 0 picks one.
    pub smtp_listen: SocketAddr,
    /// Its file; none keeps everything in memory.
    pub data_file: Option<PathBuf>,
    /// Base address of the shop, for webhooks. They stay queued until it is set.
    pub webhook_target: Option<Url>,
    /// The secret that signs webhooks: base64, with or without `whsec_`.
    pub webhook_secret: SecretString,
    /// The required value of `X-Api-Key`.
    pub api_key: SecretString,
    /// The seed of the random faults, until `POST /sandbox/faults` sets another.
    pub seed: u64,
    /// The time between two scans of a parcel; none: parcels are only scanned on request.
    pub carrier_step: Option<Duration>,
    /// How long a connection is kept open for "the answer never comes".
    pub silence: Duration,
    /// How long `tok_slow` takes, and the money of a transfer.
    pub slow: Duration,
}

impl SandboxConfig {
    /// The default of [`SandboxConfig::silence`]: longer than any client's timeout.
    pub const SILENCE: Duration = Duration::from_secs(60);
    /// The default of [`SandboxConfig::slow`].
    pub const SLOW: Duration = Duration::from_secs(3);

    /// A sandbox in memory on a free port of this machine.
    #[must_use]
    pub fn new(api_key: SecretString, webhook_secret: SecretString) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            smtp_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_file: None,
            webhook_target: None,
            webhook_secret,
            api_key,
            seed: 0,
            carrier_step: None,
            silence: Self::SILENCE,
            slow: Self::SLOW,
        }
    }
}

/// Why a sandbox did not start.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// The webhook secret is not base64.
    #[error("the sandbox's webhook secret is not base64")]
    WebhookSecret,
    /// The API key is empty.
    #[error("the sandbox's API key is empty")]
    ApiKey,
    /// The file cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sandbox cannot listen on the address.
    #[error("the sandbox cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// No HTTP client could be made.
    #[error("the sandbox cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
}

/// The simulated external systems; [`Sandbox::start`] starts them.
pub struct Sandbox;

impl Sandbox {
    /// Starts a sandbox. It answers requests as soon as this returns.
    ///
    /// # Errors
    /// When a secret is not valid, the file cannot be opened or the address is in use.
    pub async fn start(config: SandboxConfig) -> Result<RunningSandbox, SandboxError> {
        let signer = Webhook::new(config.webhook_secret.expose_secret()).map_err(|_| SandboxError::WebhookSecret)?;
        if config.api_key.expose_secret().is_empty() {
            return Err(SandboxError::ApiKey);
        }
        let client = webhook_client(config.webhook_target.as_ref()).map_err(SandboxError::Client)?;
        let (listener, addr) = bind(config.listen).await?;
        let (mail_listener, smtp_addr) = bind(config.smtp_listen).await?;
        let store = Store::open(config.data_file.as_deref())?;
        let seed = config.seed;
        store
            .call(move |db| {
                books::faults::start_from(db, seed)?;
                books::charges::finish_all(db)
            })
            .await?;

        let stopping = CancellationToken::new();
        let tasks = TaskTracker::new();
        let courier = Courier::new(store.clone(), client, signer, config.webhook_target);
        tasks.spawn(courier.clone().run(stopping.clone()));
        if let Some(step) = config.carrier_step {
            tasks.spawn(clock(store.clone(), courier.clone(), step, stopping.clone()));
        }
        tasks.spawn(smtp::serve(
            mail_listener,
            smtp::Post {
                store: store.clone(),
                silence: config.silence,
                tasks: tasks.clone(),
                stopping: stopping.clone(),
            },
        ));
        let router = http::router(http::Shared {
            store: store.clone(),
            courier: courier.clone(),
            api_key: Arc::new(config.api_key),
            base_url: base_url(addr).into(),
            carrier_step: config.carrier_step,
            silence: config.silence,
            slow: config.slow,
            tasks: tasks.clone(),
            stopping: stopping.clone(),
        });
        let server = tokio::spawn(serve(listener, router, stopping.clone()));
        Ok(RunningSandbox { addr, smtp_addr, courier, store, tasks, server, stopping: stopping.drop_guard() })
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), SandboxError> {
    let failed = |error| SandboxError::Listen(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// The client for webhooks. Unless the target uses TLS it needs no trust anchors, which a minimal
/// machine does not have.
fn webhook_client(target: Option<&Url>) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(LONGEST_IDLE)
        .no_proxy();
    match target {
        Some(url) if url.scheme() == "https" => builder.build(),
        _ => builder.tls_certs_only([]).build(),
    }
}

async fn serve(listener: TcpListener, router: axum::Router, stopping: CancellationToken) {
    let listener = listener.tap_io(|stream| {
        // A failure only makes answers slower.
        let _ = stream.set_nodelay(true);
    });
    let served = axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the sandbox stopped serving");
    }
}

/// Scans parcels automatically, one scan every `step`.
async fn clock(store: Store, courier: Courier, step: Duration, stopping: CancellationToken) {
    let step_ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
    // A coarser tick would delay short steps, a finer one only costs processor time.
    let tick = step.clamp(Duration::from_millis(10), Duration::from_millis(500));
    while stopping.run_until_cancelled(tokio::time::sleep(tick)).await.is_some() {
        match store.call(move |db| books::labels::advance_due(db, step_ms)).await {
            Ok(0) => {}
            Ok(_) => courier.wake(),
            Err(error) => tracing::warn!(%error, "the carrier's clock could not move parcels on"),
        }
    }
}

/// The base address of a sandbox. One that listens on all addresses is reached on this machine.
fn base_url(addr: SocketAddr) -> String {
    let ip = match addr.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    format!("http://{}", SocketAddr::new(ip, addr.port()))
}

/// A running sandbox. Dropping it stops it without waiting.
pub struct RunningSandbox {
    addr: SocketAddr,
    smtp_addr: SocketAddr,
    courier: Courier,
    store: Store,
    tasks: TaskTracker,
    server: JoinHandle<()>,
    stopping: tokio_util::sync::DropGuard,
}

impl RunningSandbox {
    /// The address on which it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its base address, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        base_url(self.addr)
    }

    /// The address of its mail server, as `smtp://HOST:PORT`.
    #[must_use]
    pub fn smtp_url(&self) -> String {
        base_url(self.smtp_addr).replace("http://", "smtp://")
    }

    /// Sets where webhooks go from now on. `http` only, unless the sandbox was started with an
    /// `https` target.
    pub fn set_webhook_target(&self, target: Url) {
        self.courier.set_target(Some(target));
    }

    /// Finishes what is under way, writes everything and closes the file.
    pub async fn stop(self) {
        let Self { addr: _, smtp_addr: _, courier: _, store, tasks, mut server, stopping } = self;
        stopping.disarm().cancel();
        if tokio::time::timeout(PATIENCE_AT_STOP, &mut server).await.is_err() {
            server.abort();
            // An aborted task reports itself as cancelled, which is expected here.
            let _ = server.await;
        }
        tasks.close();
        tasks.wait().await;
        store.close().await;
    }
}
