//! The server that is measured: this program again, in processes of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::BenchArgs;

/// A start that takes longer than this has failed.
const START_LIMIT: Duration = Duration::from_secs(60);
/// A stop that takes longer than this has failed.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// The administrator of the measured server; it lives on loopback and for minutes.
pub const ADMIN_EMAIL: &str = "bench@example.com";

/// A running server with its sandbox.
pub struct ServerUnderTest {
    /// `host:port` of the API.
    pub address: String,
    /// The administrator's password.
    pub admin_password: String,
    data_dir: PathBuf,
    database_url: Option<String>,
    server: Child,
    sandbox: Child,
    // Removes the folder when it goes.
    _temporary: Option<tempfile::TempDir>,
}

/// How a measured server ended.
pub struct Finished {
    /// It drained and exited with 0.
    pub clean_exit: bool,
    /// `audit verify` found nothing.
    pub audit_holds: bool,
}

impl ServerUnderTest {
    /// Starts the sandbox, then the server.
    pub async fn start(args: &BenchArgs) -> anyhow::Result<Self> {
        let temporary = match &args.keep {
            Some(_) => None,
            None => Some(tempfile::tempdir().context("no temporary folder")?),
        };
        let data_dir = match (&args.keep, &temporary) {
            (Some(kept), _) => kept.clone(),
            (None, Some(made)) => made.path().to_owned(),
            (None, None) => bail!("no data folder"),
        };
        let mut sandbox = program(&data_dir, args.database_url.as_deref())?;
        // Each has to know the other's address, so one of them is chosen beforehand.
        let listen = free_address()?;
        sandbox.args(["sandbox", "--shop", &format!("http://{listen}")]);
        let (sandbox, sandbox_address) = start(sandbox, "sandbox listening on http://").await?;
        let admin_password = uuid::Uuid::now_v7().simple().to_string();
        let mut server = program(&data_dir, args.database_url.as_deref())?;
        server
            .args(["serve", "--roles", &args.roles])
            .env("JANGBU_LISTEN", listen.to_string())
            .env("JANGBU_RATE_LIMIT", "off")
            .env("JANGBU_LOG", "warn")
            .env("JANGBU_ADMIN_EMAIL", ADMIN_EMAIL)
            .env("JANGBU_ADMIN_PASSWORD", &admin_password)
            .env("JANGBU_SANDBOX_URL", format!("http://{sandbox_address}"));
        let (server, address) = start(server, "listening on http://").await?;
        Ok(Self {
            address,
            admin_password,
            data_dir,
            database_url: args.database_url.clone(),
            server,
            sandbox,
            _temporary: temporary,
        })
    }

    /// Runs another command of this program against the same data and gives its output.
    pub async fn command(&self, arguments: &[&str]) -> anyhow::Result<std::process::Output> {
        let mut command = program(&self.data_dir, self.database_url.as_deref())?;
        command.stdin(Stdio::null()).args(arguments).output().await.context("could not run a command")
    }

    /// Stops the server, checks the log, stops the sandbox.
    pub async fn finish(mut self) -> anyhow::Result<Finished> {
        let clean_exit = stop(&mut self.server).await?;
        let audit = self.command(&["audit", "verify"]).await?;
        if !audit.status.success() {
            eprintln!("{}", String::from_utf8_lossy(&audit.stdout));
            eprintln!("{}", String::from_utf8_lossy(&audit.stderr));
        }
        stop(&mut self.sandbox).await?;
        Ok(Finished { clean_exit, audit_holds: audit.status.success() })
    }
}

fn program(data_dir: &Path, database_url: Option<&str>) -> anyhow::Result<Command> {
    let this = std::env::current_exe().context("this program cannot find itself")?;
    let mut command = Command::new(this);
    command.env("JANGBU_DATA_DIR", data_dir).kill_on_drop(true);
    if let Some(url) = database_url {
        command.env("JANGBU_DATABASE_URL", url).env("JANGBU_MASTER_KEY", master_key(data_dir)?);
    }
    Ok(command)
}

/// On Postgres the program makes no key of its own; the bench keeps one beside its data.
fn master_key(data_dir: &Path) -> anyhow::Result<String> {
    let file = data_dir.join("bench-master-key");
    if let Ok(key) = std::fs::read_to_string(&file) {
        return Ok(key);
    }
    std::fs::create_dir_all(data_dir)?;
    let half = || uuid::Uuid::new_v4().simple().to_string();
    let key = format!("{}{}", half(), half());
    std::fs::write(&file, &key)?;
    Ok(key)
}

fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?)
}

async fn start(mut command: Command, announcement: &str) -> anyhow::Result<(Child, String)> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("could not start the server")?;
    let stdout = child.stdout.take().context("no output to read")?;
    let mut lines = BufReader::new(stdout).lines();
    let address = tokio::time::timeout(START_LIMIT, announced(&mut lines, announcement))
        .await
        .context("the server did not start in time")??;
    // A pipe that nobody reads would stop the server once it is full.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((child, address))
}

async fn announced(lines: &mut Lines<BufReader<ChildStdout>>, announcement: &str) -> anyhow::Result<String> {
    while let Some(line) = lines.next_line().await? {
        if let Some(address) = line.trim().strip_prefix(announcement) {
            return Ok(address.trim_end_matches('/').to_owned());
        }
    }
    bail!("the server ended before it listened")
}

async fn stop(child: &mut Child) -> anyhow::Result<bool> {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw) {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    }
    let status = tokio::time::timeout(STOP_LIMIT, child.wait()).await.context("the server did not stop in time")??;
    Ok(status.success())
}
