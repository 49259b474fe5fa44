//! A Postgres server of a scenario's own, which can be stopped and started.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

/// Faster than durable settings, because only processes end here and the power stays on.
const SETTINGS: &str = "-c fsync=off -c full_page_writes=off -c max_connections=100 -c shared_buffers=32MB \
     -c listen_addresses=127.0.0.1 -c logging_collector=off";

/// How a server is stopped.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// Transactions under way are rolled back, and connections are notified.
    Fast,
    /// Everything ends at once; the next start recovers.
    Immediate,
}

/// The server. [`Cluster::remove`] ends it.
pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

impl Cluster {
    pub async fn start() -> Self {
        let programs = programs();
        let folder = TempDir::new().unwrap();
        // The server runs as another user than root and needs access to the folder.
        open_to(folder.path());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { folder, programs, port };
        let locale = ["--username", "jangbu", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"];
        cluster.run("initdb", &[&["--pgdata", "data"][..], &locale].concat()).await;
        cluster.go_on().await;
        cluster
    }

    pub fn url(&self) -> String {
        format!("postgres://jangbu@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops the server.
    pub async fn stop(&self, how: Stop) {
        let mode = match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        self.run("pg_ctl", &["--pgdata", "data", "--mode", mode, "--wait", "stop"]).await;
    }

    /// Starts the server again.
    pub async fn go_on(&self) {
        let options =
            format!("{SETTINGS} -p {} -c unix_socket_directories={}", self.port, self.folder.path().display());
        self.run("pg_ctl", &["--pgdata", "data", "--log", "log", "--wait", "-o", &options, "start"]).await;
    }

    pub async fn remove(self) {
        self.stop(Stop::Immediate).await;
    }

    async fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = as_somebody(&self.programs.join(program));
        // The server inherits the output: with a pipe, reading the command's output would never
        // end.
        command.args(arguments).current_dir(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let ended = tokio::time::timeout(super::LIMIT, command.stdin(Stdio::null()).status()).await;
        let status = ended.expect("it ends within the limit").unwrap();
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        assert!(status.success(), "{program} {arguments:?} ended with {status}\n{log}");
    }
}

/// The folder of the newest server's programs.
fn programs() -> PathBuf {
    let packaged = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = packaged
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join("initdb").exists())
        .collect();
    found.sort();
    if let Some((_, folder)) = found.pop() {
        return folder;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|folder| folder.join("initdb").exists());
    on_path.expect("Postgres is not installed: ./test installs it")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The user that the server runs as if this is root, because Postgres refuses to run as root.
fn somebody() -> &'static str {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    if accounts.lines().any(|line| line.starts_with("postgres:")) { "postgres" } else { "nobody" }
}

fn as_somebody(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", somebody(), "--"]).arg(program);
    command
}

fn open_to(folder: &Path) {
    if !is_root() {
        return;
    }
    let ended = std::process::Command::new("chown").arg(somebody()).arg(folder).status().unwrap();
    assert!(ended.success(), "the folder cannot be given to {}", somebody());
}
