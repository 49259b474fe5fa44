//! A node: put together, started, watched and stopped in order.
//!
//! [`Node::start`] is the only place where everything is wired. What runs is in one list,
//! [`Parts`], in the order in which it is stopped: HTTP, operators' port, inbox, process manager,
//! notices, sandbox, decider, projector, sealer; the store is closed after them.

mod admin;
mod banner;
mod files;
mod identity;
pub mod keys;
mod notices;
pub mod outside;
mod server;
mod serving;
mod watch;
mod write_check;
mod write_side;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jangbu_commands::LeaseHolder;
use jangbu_commands::inbox::InboxOptions;
use jangbu_commands::process::ProcessOptions;
use jangbu_commands::workers::{self, WorkerDeps, Workers};
use jangbu_kernel::part::Parts;
use jangbu_projections::{Projector, ProjectorHandle, ReadModels};
use jangbu_sandbox::RunningSandbox;
use jangbu_store::Sealer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::{Engine, Settings};
use crate::operator::{self, Operator, Published, Token, reachable};
use crate::{engine, folder, observe};
use admin::FirstAdmin;
use banner::Greeting;
use files::Files;
use identity::Identity;
use outside::{Outside, OwnSandbox};
use server::Server;
pub use write_side::WriteSide;

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Answers HTTP requests.
    pub api: bool,
    /// Keeps the read models.
    pub projector: bool,
    /// Carries orders through payment and shipping.
    pub process_manager: bool,
}

impl Roles {
    /// Everything.
    pub const ALL: Self = Self { api: true, projector: true, process_manager: true };
}

/// How a node is started.
#[derive(Clone, Copy, Debug)]
pub struct NodeOptions {
    /// Its roles.
    pub roles: Roles,
    /// Whether it may migrate the store to this version.
    pub may_migrate: bool,
    /// Whether an embedded store may have only some of the roles. No other process can take the
    /// others, so this is only for measuring their cost.
    pub roles_apart: bool,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self { roles: Roles::ALL, may_migrate: true, roles_apart: false }
    }
}

/// The lease of the work that one node does for all: how long a silent node keeps it.
const LEASE: Duration = Duration::from_secs(5);
/// How often the parts are checked.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// A running node.
pub struct Node {
    settings: Settings,
    /// Holding it keeps the node's id locked.
    _identity: Identity,
    bound: SocketAddr,
    admin: Option<FirstAdmin>,
    sandbox_url: Option<String>,
    own_sandbox: bool,
    mailbox: Option<String>,
    side: WriteSide,
    models: ReadModels,
    /// What runs, in the order in which it is stopped.
    parts: Parts,
    upkeep: JoinHandle<((), ())>,
    shutdown: CancellationToken,
    published: Option<Published>,
}

impl Node {
    /// Starts a node. It answers requests as soon as this returns.
    ///
    /// # Errors
    /// When something that it needs is missing; the text says what to do.
    pub async fn start(settings: Settings, options: NodeOptions) -> anyhow::Result<Self> {
        let roles = options.roles;
        prepare(roles, &settings, options.roles_apart)?;
        let store = engine::open_for_writing(&settings).await?;
        let identity = Identity::of(&settings.data_dir)?;
        let listener = listen(settings.listen).await?;
        let bound = listener.local_addr()?;
        let mut side = WriteSide::over(store, &settings, options.may_migrate).await?;
        let files = Files::of_this_process();
        let outside = if roles.api || roles.process_manager {
            Some(Outside::start(&settings, files.outside_calls).await?)
        } else {
            None
        };
        let sealer = Sealer::spawn(Arc::clone(&side.store) as _, Arc::clone(&side.world.clock));
        let models = engine::own_read_models(&settings).await?;
        let projector = roles
            .projector
            .then(|| Projector::spawn(Arc::clone(&side.store) as _, models.clone(), Arc::clone(&side.world.clock)));
        let workers = start_workers(roles, &settings, identity.id, &side, &models, outside.as_ref())?;
        let admin = admin::ensure(&*side.store, &side.identity, &side.world, &settings).await?;

        let shutdown = CancellationToken::new();
        let readiness = serving::readiness(&side, &models);
        let watch = watch::tell_what_is_lost(readiness.clone(), shutdown.clone());
        let deps = serving::ServerDeps {
            settings: &settings,
            side: &side,
            models: &models,
            projector: projector.as_ref(),
            workers: workers.as_ref().zip(outside.as_ref()).filter(|_| roles.api),
            connections: files.connections,
            sealer: sealer.health(),
            readiness,
        };
        let mut parts = Parts::default();
        parts.add(serving::spawn(listener, deps, shutdown.clone()).await?);
        let operators = serve_operators(&side, projector.clone(), shutdown.clone()).await?;
        let (operator_address, token) = parts.keep(operators);
        parts.append(workers.map(|workers| workers.parts).unwrap_or_default());
        let sandbox_url = outside.as_ref().map(|outside| outside.sandbox_url.as_str());
        let published = Published::write(&settings.data_dir, bound, operator_address, sandbox_url, token)
            .with_context(|| format!("cannot write to the data folder {}", settings.data_dir.display()))?;
        let (sandbox, sandbox_url) = outside.map(|outside| (outside.sandbox, outside.sandbox_url)).unzip();
        let sandbox = sandbox.flatten();
        let own_sandbox = sandbox.is_some();
        let mailbox = sandbox.as_ref().map(RunningSandbox::smtp_url);
        if let Some(sandbox) = &sandbox {
            sandbox.set_webhook_target(outside::parse_url(&format!("http://{}", reachable(bound)))?);
        }
        parts.extend(sandbox.map(OwnSandbox));
        parts.append(std::mem::take(&mut side.parts));
        parts.extend(projector);
        parts.add(sealer);
        let upkeep = tokio::spawn(futures::future::join(serving::upkeep(shutdown.clone()), watch));
        Ok(Self {
            settings,
            _identity: identity,
            bound,
            admin,
            sandbox_url,
            own_sandbox,
            mailbox,
            side,
            models,
            parts,
            upkeep,
            shutdown,
            published: Some(published),
        })
    }

    /// The address on which it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.bound
    }

    /// The base address of the sandbox that it uses.
    #[must_use]
    pub fn sandbox_url(&self) -> Option<&str> {
        self.sandbox_url.as_deref()
    }

    /// The first admin's address and generated password, if this start created one.
    #[must_use]
    pub fn first_admin(&self) -> Option<(&str, Option<&str>)> {
        self.admin.as_ref().map(|admin| (admin.email.as_str(), admin.password.as_deref()))
    }

    /// Prints the addresses and folders.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn greet(&self) -> std::io::Result<()> {
        let url = format!("http://{}", reachable(self.bound));
        let greeting = Greeting {
            bound: self.bound,
            url: &url,
            settings: &self.settings,
            sandbox_url: self.sandbox_url.as_deref(),
            own_sandbox: self.own_sandbox,
            mailbox: self.mailbox.as_deref(),
            admin: self.admin.as_ref(),
        };
        let mut output = std::io::stdout().lock();
        output.write_all(greeting.text().as_bytes())?;
        output.flush()
    }

    /// Resolves when a part that the node cannot run without has ended by itself; returns its name.
    pub async fn failed(&mut self) -> String {
        let mut watch = tokio::time::interval(WATCH_EVERY);
        watch.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            watch.tick().await;
            // Checked first, because its failure ends others, too.
            let writing = self.side.store.has_failed().then_some("writing to the disk");
            if let Some(part) = writing.or_else(|| self.parts.ended()) {
                tracing::error!(part, "{part} has ended by itself; the server stops");
                return format!("{part} has ended by itself");
            }
        }
    }

    /// Stops in order: nothing that was acknowledged is lost, and the next start has nothing to
    /// repair.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.parts.stop().await;
        self.models.close().await;
        self.side.store.close().await;
        // The recorder outlives the node; its upkeep ended with the first line above.
        let _ = self.upkeep.await;
        drop(self.published);
        tracing::info!("stopped");
    }
}

/// Checks that the configuration allows a node's roles.
fn check_roles(roles: Roles, settings: &Settings, apart: bool) -> anyhow::Result<()> {
    if roles == Roles::ALL {
        return Ok(());
    }
    if matches!(settings.engine, Engine::Embedded) && !apart {
        bail!("--roles is for several nodes on one Postgres: set JANGBU_DATABASE_URL, or leave --roles out");
    }
    let own_sandbox = settings.sandbox.as_ref().is_some_and(|sandbox| sandbox.url.is_none());
    if (roles.api || roles.process_manager) && own_sandbox {
        bail!("several nodes need one outside world in common: run `jangbu sandbox` and set JANGBU_SANDBOX_URL");
    }
    Ok(())
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        if error.kind() == std::io::ErrorKind::AddrInUse {
            anyhow::anyhow!(
                "{address} is in use: stop what listens there, or choose another with --listen (port 0 picks one)"
            )
        } else {
            anyhow::Error::new(error).context(format!("cannot listen on {address}: choose another with --listen"))
        }
    })
}

/// Prepares what everything else needs.
fn prepare(roles: Roles, settings: &Settings, roles_apart: bool) -> anyhow::Result<()> {
    check_roles(roles, settings, roles_apart)?;
    // Before any part starts, because each may set a gauge, and only once.
    observe::metrics()?;
    folder::make_private(&settings.data_dir)?;
    Ok(())
}

/// Starts the process manager, the inbox and the notices, as the roles say; none on a node without the
/// external systems.
fn start_workers(
    roles: Roles,
    settings: &Settings,
    node: Uuid,
    side: &WriteSide,
    models: &ReadModels,
    outside: Option<&Outside>,
) -> anyhow::Result<Option<Workers>> {
    let Some(outside) = outside else { return Ok(None) };
    let mailbox = outside.sandbox.as_ref().map(RunningSandbox::smtp_url);
    let notices = notices::options(settings, mailbox.as_deref())?;
    Ok(Some(workers::start(&WorkerDeps {
        commands: side.commands.clone(),
        inbox: Arc::clone(&side.store) as _,
        checkpoints: Arc::clone(&side.store) as _,
        parked: Arc::clone(&side.store) as _,
        timers: Arc::new(models.clone()),
        lease: LeaseHolder { leases: Arc::clone(&side.store) as _, node, length: LEASE },
        world: side.world.clone(),
        gateways: Arc::clone(&outside.gateways),
        carriers: Arc::clone(&outside.carriers),
        receiving: InboxOptions::default(),
        processing: roles.process_manager.then(|| ProcessOptions {
            outside_calls: outside.calls_at_once,
            expire_points_every: settings.expire_points_every,
            ..ProcessOptions::default()
        }),
        notices: Some(notices),
    })))
}

/// Opens the operators' port: on this machine only, and with a token of this start.
async fn serve_operators(
    side: &WriteSide,
    projector: Option<ProjectorHandle>,
    shutdown: CancellationToken,
) -> anyhow::Result<((SocketAddr, Token), Server)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("cannot open the operators' port")?;
    let address = listener.local_addr()?;
    let token = Token::random();
    let router = operator::router(Operator { projector, ..side.operator() }, token.clone());
    let ended = shutdown.clone();
    // A rebuild may take long; it is cancelled with the server.
    let task = tokio::spawn(async move {
        let server = axum::serve(listener, router);
        ended.run_until_cancelled_owned(IntoFuture::into_future(server)).await.unwrap_or(Ok(()))
    });
    Ok(((address, token), Server { name: "the operators' port", task, shutdown }))
}
