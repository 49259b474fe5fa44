//! A shop with its sandbox, for one scenario.

use std::cell::Cell;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;
use tokio::process::Command;

use super::client::Client;
use super::database::Database;
use super::eventually;
use super::program::{Program, Stillborn, behind, jangbu, run_to_end};
use super::shopping::Books;

pub const ADMIN_EMAIL: &str = "admin@shop.example";
pub const ADMIN_PASSWORD: &str = "correct horse battery staple";
/// The secrets that shop and sandbox share.
const SHARED_SECRETS: &str = "sandbox-secrets.json";
/// The announcement of a server that takes requests; its address follows.
const ANNOUNCEMENT: &str = "listening on http://";
/// Longer than any regular answer of the sandbox on a busy machine, shorter than `tok_slow`.
const GATEWAY_TIMEOUT_MS: &str = "1500";

/// The shop's settings with short waits, so that retries and deadlines pass quickly.
const SETTINGS: &str = "
[policy]
inquiry_ladder_ms = [200, 400, 800, 1500]
label_retries_ms = [50, 100, 200]
undo_retries_ms = [100, 200, 400, 800, 1500]
";

/// The engine of the log and the read models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A shop, its sandbox and its data.
pub struct World {
    engine: Engine,
    folder: TempDir,
    data: PathBuf,
    database: Option<Database>,
    shop_port: u16,
    sandbox_port: u16,
    smtp_port: u16,
    shop: Option<Program>,
    sandbox: Option<Program>,
    /// The prefix of the shop's command, as in `strace ... jangbu serve`.
    before_the_shop: Vec<String>,
    /// Environment variables of the shop alone.
    around_the_shop: Vec<(String, String)>,
    tampered: bool,
    replays: Cell<bool>,
}

impl World {
    pub async fn start(engine: Engine) -> Self {
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Database::make().await),
        };
        Self::start_over(engine, database).await
    }

    /// A world whose data is in a database on another Postgres server.
    pub async fn start_on_server(server: &str) -> Self {
        Self::start_over(Engine::Postgres, Some(Database::make_on(server).await)).await
    }

    async fn start_over(engine: Engine, database: Option<Database>) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("jangbu.toml"), SETTINGS).unwrap();
        let mut world = Self {
            engine,
            data: folder.path().join("data"),
            folder,
            database,
            shop_port: free_port(),
            sandbox_port: free_port(),
            smtp_port: free_port(),
            shop: None,
            sandbox: None,
            before_the_shop: Vec::new(),
            around_the_shop: Vec::new(),
            tampered: false,
            replays: Cell::new(false),
        };
        world.start_sandbox().await;
        world.start_shop().await;
        world
    }

    pub const fn engine(&self) -> Engine {
        self.engine
    }

    pub fn data_dir(&self) -> PathBuf {
        self.data.clone()
    }

    /// Moves the shop's data to this folder, from its next start on; the sandbox's stays.
    pub fn move_data_to(&mut self, folder: PathBuf) {
        for entry in std::fs::read_dir(&self.data).unwrap().flatten() {
            // The sandbox is using its books where they are.
            if !entry.file_name().to_string_lossy().starts_with("sandbox.db") {
                std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
            }
        }
        self.data = folder;
    }

    /// A folder for other files of the scenario.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn database_url(&self) -> Option<&str> {
        self.database.as_ref().map(|database| database.url.as_str())
    }

    /// The program with this world's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(jangbu());
        for (name, _) in std::env::vars_os() {
            // Settings in the test's own environment are not this shop's.
            if name.to_string_lossy().starts_with("JANGBU_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("JANGBU_CONFIG", self.folder.path().join("jangbu.toml"))
            .env("JANGBU_DATA_DIR", self.data_dir())
            .env("JANGBU_LISTEN", format!("127.0.0.1:{}", self.shop_port))
            .env("JANGBU_SANDBOX_LISTEN", format!("127.0.0.1:{}", self.sandbox_port))
            .env("JANGBU_SANDBOX_SMTP_LISTEN", format!("127.0.0.1:{}", self.smtp_port))
            .env("JANGBU_SANDBOX_URL", self.sandbox_url())
            .env("JANGBU_SANDBOX_CARRIER_STEP_MS", "0")
            .env("JANGBU_ADMIN_EMAIL", ADMIN_EMAIL)
            .env("JANGBU_ADMIN_PASSWORD", ADMIN_PASSWORD)
            .env("JANGBU_GATEWAY_TIMEOUT_MS", GATEWAY_TIMEOUT_MS)
            .env("JANGBU_RATE_LIMIT", "off")
            // Other cases test these limits; here buyers are not limited.
            .env("JANGBU_MAX_OPEN_UNPAID_ORDERS", "off")
            .env("JANGBU_MAX_UNPAID_UNITS", "off")
            .env("JANGBU_LOG", "info")
            .env("NO_COLOR", "1");
        if let Some(url) = self.database_url() {
            command.env("JANGBU_DATABASE_URL", url).env("JANGBU_MASTER_KEY", "5a".repeat(32));
        }
        command
    }

    /// Runs another command of the program on this world's data, and asserts that its output
    /// through a pipe has no colours.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let output = run_to_end(self.command(arguments)).await;
        let coloured = [&output.stdout, &output.stderr].into_iter().any(|printed| printed.contains(&0x1b));
        assert!(!coloured, "jangbu {arguments:?} colours what is piped:\n{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// Runs a command that has to succeed; returns its output.
    pub async fn run_well(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "jangbu {arguments:?} ended with {}:\n{out}\n{err}", output.status);
        out.into_owned()
    }

    /// Waits until `health` says that the server is ready, because it listens before it is.
    pub async fn is_ready(&self) {
        eventually("the server is ready", async || self.run(&["health"]).await.status.success().then_some(())).await;
    }

    pub async fn start_sandbox(&mut self) {
        let shop = format!("http://{}", self.shop_address());
        self.start_sandbox_towards(&shop).await;
    }

    /// Starts a sandbox that sends its webhooks to this address.
    pub async fn start_sandbox_towards(&mut self, shop: &str) {
        let log = self.log_file("sandbox");
        let command = self.command(&["sandbox", "--shop", shop]);
        self.sandbox = Some(Program::start(command, log, "sandbox listening on http://").await);
    }

    pub async fn start_shop(&mut self) {
        self.begin_shop().await.unwrap_or_else(|Stillborn { status, said }| {
            panic!("the shop ended with {status} at its start:\n{said}");
        });
    }

    /// Starts the shop where it may end before it has announced its address.
    pub async fn begin_shop(&mut self) -> Result<(), Stillborn> {
        let mut command = self.command(&["serve"]);
        command.envs(self.around_the_shop.iter().cloned());
        let command = behind(&self.before_the_shop, command);
        let shop = Program::begin(command, self.log_file("shop"), ANNOUNCEMENT).await?;
        assert_eq!(shop.address, self.shop_address());
        self.shop = Some(shop);
        Ok(())
    }

    /// Sets a prefix for the shop's command from its next start on; empty: none.
    pub fn put_before_the_shop(&mut self, words: Vec<String>) {
        self.before_the_shop = words;
    }

    /// Sets an environment variable of the shop from its next start on.
    pub fn put_around_the_shop(&mut self, name: &str, value: impl Into<String>) {
        self.around_the_shop.push((name.to_owned(), value.into()));
    }

    /// The running shop.
    pub fn shop(&self) -> &Program {
        self.shop.as_ref().expect("the shop runs")
    }

    /// Whether the shop has ended by itself, and how.
    pub fn shop_has_ended(&mut self) -> Option<ExitStatus> {
        self.shop.as_mut().expect("the shop was started").has_ended()
    }

    /// Waits until the shop ends by itself; returns how.
    pub async fn shop_ends(&mut self) -> ExitStatus {
        self.shop.take().expect("the shop was started").ended().await
    }

    /// A second node on the same Postgres, with a folder of its own, all roles.
    pub async fn second_node(&self) -> Program {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("JANGBU_DATA_DIR", self.data_dir().with_file_name("second"));
        // The secrets that shops and sandbox share are in the first one's folder.
        let (first, second) = (self.data_dir(), self.data_dir().with_file_name("second"));
        std::fs::create_dir_all(&second).unwrap();
        std::fs::copy(first.join(SHARED_SECRETS), second.join(SHARED_SECRETS)).unwrap();
        self.serve(command, "second").await
    }

    /// Another server, which announces its address.
    pub async fn serve(&self, command: Command, name: &str) -> Program {
        Program::start(command, self.log_file(name), ANNOUNCEMENT).await
    }

    /// `kill -9` of the shop.
    pub async fn kill_shop(&mut self) {
        self.shop.take().expect("the shop runs").kill().await;
    }

    /// SIGTERM to the shop; returns how it ended.
    pub async fn terminate_shop(&mut self) -> ExitStatus {
        self.shop.take().expect("the shop runs").terminate().await
    }

    /// SIGHUP to the shop; returns how it ended.
    pub async fn hang_up_shop(&mut self) -> ExitStatus {
        self.shop.take().expect("the shop runs").hang_up().await
    }

    /// `kill -9` of the sandbox.
    pub async fn kill_sandbox(&mut self) {
        self.sandbox.take().expect("the sandbox runs").kill().await;
    }

    pub fn shop_address(&self) -> String {
        format!("127.0.0.1:{}", self.shop_port)
    }

    pub fn sandbox_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.sandbox_port)
    }

    /// The mail server of the sandbox. The shop sends mails only where it is told to.
    pub fn mailbox_url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.smtp_port)
    }

    /// A client without a token.
    pub fn visitor(&self) -> Client {
        Client::anonymous(format!("http://{}", self.shop_address()))
    }

    /// The tester's interface of the sandbox.
    pub fn books(&self) -> Books {
        Books::new(Client::anonymous(self.sandbox_url()))
    }

    /// Notes that the log was altered on purpose, so that its audit is expected to fail.
    pub const fn log_was_tampered_with(&mut self) {
        self.tampered = true;
    }

    pub const fn database(&self) -> Option<&Database> {
        self.database.as_ref()
    }

    /// Asserts that the log is intact, the read models are its fold, and the gateway's books have
    /// the same charges.
    pub async fn everything_holds(&self) {
        let mut audit = vec!["audit", "verify", "--read-models"];
        let books = self.sandbox_url();
        if self.sandbox.is_some() {
            audit.extend(["--gateway-books", &books]);
        } else {
            audit.push("--no-gateway-books");
        }
        self.run_well(&audit).await;
        if self.replays.get() {
            self.run_well(&["replay", "--verify-only"]).await;
        }
    }

    /// Also rebuilds the read models at the end; the result has to be the same.
    pub fn replay_at_the_end(&self) {
        self.replays.set(true);
    }

    /// After a scenario the shop has to stop cleanly, and its log has to be intact.
    pub async fn check_the_end(&mut self) {
        if let Some(shop) = self.shop.take() {
            let said = shop.said();
            assert!(!said.contains("panicked at"), "something panicked");
            let status = shop.terminate().await;
            assert!(status.success(), "the shop ended with {status}");
        }
        if self.tampered {
            return;
        }
        self.everything_holds().await;
    }

    /// Shows the output of the processes.
    pub fn show_logs(&self) {
        for name in ["sandbox", "shop", "second"] {
            let said = std::fs::read(self.log_file(name)).unwrap_or_default();
            println!("---- {name} ({:?})\n{}", self.engine, String::from_utf8_lossy(&said));
        }
    }

    /// Ends all processes and drops the database.
    pub async fn remove(mut self) {
        for program in [self.shop.take(), self.sandbox.take()].into_iter().flatten() {
            program.kill().await;
        }
        if let Some(database) = self.database.take() {
            database.drop_it().await;
        }
    }

    fn log_file(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }
}

/// A port for a server that has to come back at the same address. It is below the ports that
/// systems give to outgoing connections, so that no other process takes it meanwhile; the runner's
/// slot keeps concurrent tests apart.
fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const PER_SLOT: u16 = 100;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let slot: u16 = std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|slot| slot.parse().ok()).unwrap_or(0);
    let base = FIRST + (slot % 80) * PER_SLOT;
    (0..PER_SLOT)
        .map(|_| base + NEXT.fetch_add(1, Ordering::Relaxed) % PER_SLOT)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}
