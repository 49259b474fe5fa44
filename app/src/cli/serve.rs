//! `jangbu serve`: the whole shop in one process, or some roles of it.

use clap::Args;
use tokio::time::Instant;

use super::Done;
use crate::config::{Flags, Settings};
use crate::node::{Node, NodeOptions, Roles};
use crate::observe;
use crate::signals::StopSignals;

#[derive(Debug, Args)]
#[command(after_help = "\
Without any configuration the server uses an embedded store in ./data, simulates the
payment gateway and the carrier, and prints how to log in.

Examples:
  jangbu serve
  jangbu serve --listen 127.0.0.1:0 --data-dir /tmp/shop
  jangbu serve --roles api                 several nodes on one Postgres: this one takes HTTP only

On Postgres every start needs the one master key that the store began with. Make it once,
keep it safe, and name its file from then on:
  (umask 077; openssl rand -base64 32 > master.key)
  export JANGBU_MASTER_KEY_FILE=$PWD/master.key
  JANGBU_DATABASE_URL=postgres://shop@localhost/shop jangbu serve

SIGTERM, SIGHUP or Ctrl-C ends it cleanly within about 15 seconds; one more after a second
or later ends it at once.")]
pub(super) struct Arguments {
    /// Address to listen on; port 0 picks one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// What this node does: any of api, projector, process-manager (default: all)
    #[arg(long, value_name = "ROLES", value_delimiter = ',', value_enum)]
    roles: Vec<Role>,
    /// Let an embedded store have only some roles too, so that their cost can be measured
    #[arg(long, hide = true)]
    measure_roles_apart: bool,
    /// Refuse to start on an older store instead of bringing it to this version
    #[arg(long)]
    no_migrate: bool,
}

/// What a node can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// Takes HTTP requests.
    Api,
    /// Keeps the read models.
    Projector,
    /// Carries orders through payment and shipping.
    ProcessManager,
}

pub(super) async fn run(arguments: Arguments, mut flags: Flags) -> anyhow::Result<Done> {
    flags.listen = arguments.listen;
    let settings = Settings::load(flags)?;
    observe::for_a_server(&settings)?;
    for note in &settings.ignored {
        tracing::warn!("{note}");
    }
    let has = |role| arguments.roles.is_empty() || arguments.roles.contains(&role);
    let roles =
        Roles { api: has(Role::Api), projector: has(Role::Projector), process_manager: has(Role::ProcessManager) };
    observe::log_panics();
    allow_open_files();
    let (version, data_dir) = (env!("CARGO_PKG_VERSION"), settings.data_dir.display().to_string());
    let engine = settings.engine.name();
    tracing::info!(version, engine, data_dir, "starting jangbu {version} on {engine}, data folder {data_dir}");
    let options = NodeOptions { roles, may_migrate: !arguments.no_migrate, roles_apart: arguments.measure_roles_apart };
    let mut node = Node::start(settings, options).await?;
    // Before the greeting, because its reader may send a signal at once.
    let mut signals = StopSignals::listen()?;
    if let Err(error) = node.greet() {
        // The output may have no reader, and the shop does not depend on one.
        tracing::warn!(%error, "where the server is could not be told on standard output");
    }
    let address = node.address();
    tracing::info!(%address, "ready at http://{address}");
    let failed = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal = signal?, "stopping");
            None
        }
        failure = node.failed() => Some(failure),
    };
    let begun = Instant::now();
    tokio::select! {
        () = node.stop() => {}
        signal = signals.once_more(begun) => {
            let signal = signal?;
            tracing::warn!(signal, "stopping at once");
            anyhow::bail!("stopped at once by a second {signal}");
        }
    }
    match failed {
        None => Ok(Done::Yes),
        Some(what) => anyhow::bail!("{what}; the server has stopped"),
    }
}

/// Raises the limit of open files: every connection is one, and most systems start a process with
/// 1,024 of them although they allow many more.
fn allow_open_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let most = getrlimit(Resource::Nofile).maximum;
        if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }) {
            tracing::warn!(%error, "the limit of open files stays as it is: it bounds the connections at once");
        }
    }
}
