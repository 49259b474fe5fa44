//! A private Postgres with Debian's defaults and fsync on, for the length of a run.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use sqlx::Connection as _;
use tokio::process::{Child, Command};

/// A start that takes longer than this has failed.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Where the programs of Postgres are, by version below it.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A running cluster; it ends with this value.
pub struct Cluster {
    server: Child,
    /// The address without the database's name.
    base: String,
    version: String,
    // Removes the folder when it goes, which is after the server.
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Makes a cluster below the folder and starts it.
    ///
    /// # Errors
    /// When Postgres is not installed or does not start.
    pub async fn start(below: &Path) -> anyhow::Result<Self> {
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("jangbu-bench-postgres.").tempdir_in(below)?;
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        // It refuses to run as root.
        let user = rustix::process::geteuid().is_root().then(unprivileged).transpose()?;
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid))?;
        }
        let program = |name: &str| {
            let mut command = Command::new(programs.join(name));
            command.current_dir(folder.path()).stdin(Stdio::null()).kill_on_drop(true);
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
        };
        let made = program("initdb")
            .args(["--pgdata", "data", "--username", "bench", "--auth", "trust", "--encoding", "UTF8"])
            .args(["--locale", "C"])
            .output()
            .await
            .context("initdb cannot be run")?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let version = program("postgres").arg("--version").output().await?;
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        let port = super::server::free_address()?.port();
        let log = std::fs::File::create(folder.path().join("log"))?;
        let server = program("postgres")
            .args(["-D", "data", "-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("postgres cannot be run")?;
        let cluster = Self { server, base: format!("postgres://bench@127.0.0.1:{port}"), version, folder };
        cluster.wait().await?;
        Ok(cluster)
    }

    async fn wait(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while let Err(error) = sqlx::PgConnection::connect(&self.url("postgres")).await {
            if begun.elapsed() > START_LIMIT {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                bail!("Postgres did not start: {error}\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// The address of a database.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.base)
    }

    /// The program's name and version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Ends it in good order.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        // SIGINT is its "fast" shutdown: connections are cut, the log is closed.
        super::server::signal(&self.server, rustix::process::Signal::INT)?;
        tokio::time::timeout(START_LIMIT, self.server.wait()).await.context("Postgres did not stop in time")??;
        Ok(())
    }
}

/// Makes an empty database beside the one of the address, and gives its address.
///
/// # Errors
/// When the server refuses.
pub async fn create_database(url: &str, name: &str) -> anyhow::Result<String> {
    let mut connection = sqlx::PgConnection::connect(url).await.context("the database cannot be reached")?;
    let statement = format!("create database {name}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
    let (before, query) = url.split_once('?').map_or((url, None), |(before, query)| (before, Some(query)));
    let base = before.rsplit_once('/').map_or(before, |(base, _)| base);
    Ok(query.map_or_else(|| format!("{base}/{name}"), |query| format!("{base}/{name}?{query}")))
}

/// The folder of the newest version's programs.
fn programs() -> anyhow::Result<PathBuf> {
    let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").exists())
        .max();
    newest.map(|(_, programs)| programs).with_context(|| {
        format!("no Postgres below {DEBIAN}: `apt-get install postgresql`, or name one with --database-url")
    })
}

/// Who Postgres runs as when this program runs as root.
fn unprivileged() -> anyhow::Result<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").context("/etc/passwd cannot be read")?;
    let find = |name: &str| {
        let mut fields = users.lines().find(|line| line.split(':').next() == Some(name))?.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody")).context("there is neither a user postgres nor nobody")
}
