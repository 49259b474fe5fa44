//! The server under test: the program `jangbu`, in processes of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::machine;
use super::place::Place;
use super::report::Report;

/// A start that takes longer than this has failed; read models may have a long way to go.
const START_LIMIT: Duration = Duration::from_secs(300);
/// A stop that takes longer than this has failed.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// The administrator of the measured server; it lives on loopback and for minutes.
pub const ADMIN_EMAIL: &str = "bench@example.com";
/// Every part of the server.
pub const ALL_ROLES: &str = "api,projector,process-manager";

/// Running nodes over one place, with their sandbox.
pub struct ServerUnderTest {
    /// Where each node's API is.
    pub nodes: Vec<SocketAddr>,
    /// Where its data is.
    pub place: Place,
    /// From the start of the first node until it listened.
    pub started_in: Duration,
    children: Vec<Child>,
    sandbox: Child,
    sandbox_address: String,
}

impl ServerUnderTest {
    /// Starts the sandbox, then a node.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn start(place: Place, roles: &str) -> anyhow::Result<Self> {
        let mut sandbox = program()?;
        // Each has to know the other's address, so one of them is chosen beforehand.
        let listen = free_address()?;
        sandbox.envs(place.environment()).args(["sandbox", "--shop", &format!("http://{listen}")]);
        let (sandbox, sandbox_address) = announced(sandbox, "sandbox listening on http://").await?;
        let mut server = Self {
            nodes: Vec::new(),
            place,
            started_in: Duration::ZERO,
            children: Vec::new(),
            sandbox,
            sandbox_address,
        };
        let begun = Instant::now();
        server.add_node(listen, roles).await?;
        server.started_in = begun.elapsed();
        Ok(server)
    }

    /// Starts one more node over the same database.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn another_node(&mut self, roles: &str) -> anyhow::Result<()> {
        self.add_node(free_address()?, roles).await
    }

    async fn add_node(&mut self, listen: SocketAddr, roles: &str) -> anyhow::Result<()> {
        let mut node = program()?;
        node.arg("serve").envs(self.place.environment());
        if roles != ALL_ROLES {
            node.args(["--roles", roles]);
            if self.place.database_url.is_none() {
                node.arg("--measure-roles-apart");
            }
        }
        if !self.nodes.is_empty() {
            // Each node needs a folder of its own for the files that it publishes.
            node.env("JANGBU_DATA_DIR", self.place.data_dir.join(format!("node-{}", self.nodes.len() + 1)));
        }
        node.env("JANGBU_LISTEN", listen.to_string())
            .env("JANGBU_RATE_LIMIT", "off")
            .env("JANGBU_LOG", "warn")
            .env("JANGBU_ADMIN_EMAIL", ADMIN_EMAIL)
            .env("JANGBU_SANDBOX_URL", format!("http://{}", self.sandbox_address));
        let (child, address) = announced(node, "listening on http://").await?;
        self.nodes.push(address.parse().context("the server listens nowhere")?);
        self.children.push(child);
        Ok(())
    }

    /// The first node.
    ///
    /// # Errors
    /// When there is none.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        self.nodes.first().copied().context("no node runs")
    }

    /// Runs another command of the program against the same data and gives its output.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn command(&self, arguments: &[&str]) -> anyhow::Result<std::process::Output> {
        self.place.command(arguments).await
    }

    /// Megabytes of memory that the first node uses now, and its maximum so far, in thousandths.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn memory(&self) -> anyhow::Result<(u64, u64)> {
        let pid = self.children.first().and_then(Child::id).context("no node runs")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such field")?;
            let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
            anyhow::Ok(kibibytes.saturating_mul(1_024) / 1_000)
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Processor time that the nodes have used since they started, without sandbox and database.
    ///
    /// # Errors
    /// When a node has ended.
    pub fn processor_time(&self) -> anyhow::Result<Duration> {
        self.children.iter().map(|child| machine::processor_time(child.id().context("a node has ended")?)).sum()
    }

    /// Stops the nodes and the sandbox, and checks the log against the shop's invariants.
    ///
    /// # Errors
    /// When they do not stop.
    pub async fn finish(mut self, report: &mut Report) -> anyhow::Result<Place> {
        for child in &mut self.children {
            let clean = stop(child).await?;
            report.check("the server ended cleanly", clean);
        }
        let audit = self.command(&["audit", "verify"]).await?;
        if !audit.status.success() {
            eprintln!("{}", String::from_utf8_lossy(&audit.stdout));
            eprintln!("{}", String::from_utf8_lossy(&audit.stderr));
        }
        report.check("audit verify holds", audit.status.success());
        stop(&mut self.sandbox).await?;
        Ok(self.place)
    }
}

/// The program that is measured: the one that was built beside this one.
///
/// # Errors
/// When it is not there.
pub fn program() -> anyhow::Result<Command> {
    let program = itself()?.with_file_name("jangbu");
    ensure!(program.exists(), "{} is not there: build it with the same profile as this program", program.display());
    Ok(silent(&program))
}

/// This program, as a command to start it once more.
///
/// # Errors
/// When it cannot find itself.
pub fn this_program() -> anyhow::Result<Command> {
    Ok(silent(&itself()?))
}

fn itself() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("this program cannot find itself")
}

fn silent(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// An address with a port that is free now.
///
/// # Errors
/// When there is none.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?)
}

/// Starts a process and reads the address on which it listens from its output.
///
/// # Errors
/// When it does not start in time.
pub async fn announced(mut command: Command, announcement: &str) -> anyhow::Result<(Child, String)> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("could not start a process")?;
    let stdout = child.stdout.take().context("no output to read")?;
    let mut lines = BufReader::new(stdout).lines();
    let address = tokio::time::timeout(START_LIMIT, find(&mut lines, announcement))
        .await
        .context("the server did not start in time")??;
    // A pipe that is not drained would block the server once it is full.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((child, address))
}

async fn find(lines: &mut Lines<BufReader<ChildStdout>>, announcement: &str) -> anyhow::Result<String> {
    while let Some(line) = lines.next_line().await? {
        if let Some(address) = line.trim().strip_prefix(announcement) {
            return Ok(address.trim_end_matches('/').to_owned());
        }
    }
    bail!("the server ended before it listened")
}

/// Sends a signal to a child of ours that has not been waited for.
///
/// # Errors
/// When the system refuses.
pub fn signal(child: &Child, signal: rustix::process::Signal) -> anyhow::Result<()> {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw) {
        rustix::process::kill_process(pid, signal)?;
    }
    Ok(())
}

/// Asks a process to end; true when it ended well.
///
/// # Errors
/// When it does not end in time.
pub async fn stop(child: &mut Child) -> anyhow::Result<bool> {
    signal(child, rustix::process::Signal::TERM)?;
    let status = tokio::time::timeout(STOP_LIMIT, child.wait()).await.context("a process did not stop in time")??;
    Ok(status.success())
}
