//! Configuration: flag, then environment, then `jangbu.toml`, then default.
//!
//! [`raw`] reads the sources, [`Settings::resolve`] turns them into values that are known to be
//! valid. Every error names the setting, what is wrong with it and what would be valid. Secrets
//! come from the environment or from files (`JANGBU_..._FILE`), never from flags, and never show in
//! `Debug`.

mod log;
mod notices;
mod policy;
mod raw;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use jangbu_aggregates::Policy;
use jangbu_api::{Network, RateLimit};
use jangbu_integrations::carriers::{CARRIERS, sandbox as sandbox_carrier};
use jangbu_integrations::gateways::{GATEWAYS, sandbox as sandbox_gateway};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;
use thiserror::Error;

pub use notices::{MailTo, MessageSettings, NoticeSettings};
use raw::Raw;
pub use raw::{Flags, Sources};

/// The environment variables.
pub type Environment = BTreeMap<String, String>;

/// What is wrong with the configuration, and what would be valid.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file named by `--config` or `JANGBU_CONFIG`, or a `*_FILE`, cannot be read.
    #[error("cannot read {}: {cause}", .path.display())]
    File {
        /// The configuration file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is not understood.
    #[error("{} is not understood: {cause}", .path.display())]
    Syntax {
        /// The configuration file.
        path: PathBuf,
        /// Where and what.
        cause: String,
    },
    /// A value is not usable.
    #[error("{setting}: {problem}")]
    Value {
        /// The setting, as it is called in the environment.
        setting: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// Values do not fit together or have the wrong form.
    #[error("the configuration is not understood: {0}")]
    Form(String),
}

impl ConfigError {
    fn value(setting: &'static str, problem: impl Into<String>) -> Self {
        Self::Value { setting, problem: problem.into() }
    }
}

/// Where the log and the read models are.
#[derive(Clone, Debug)]
pub enum Engine {
    /// SQLite in the data folder; one process writes.
    Embedded,
    /// Postgres; any number of processes write.
    Postgres(PostgresUrl),
}

impl Engine {
    /// Its name in the log.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Embedded => "the embedded store",
            Self::Postgres(_) => "Postgres",
        }
    }
}

/// The address of a Postgres with its password in it; `Debug` and `Display` show
/// neither user nor password.
#[derive(Clone)]
pub struct PostgresUrl(SecretString);

impl PostgresUrl {
    /// The whole address.
    #[must_use]
    pub fn expose(&self) -> &str {
        secrecy::ExposeSecret::expose_secret(&self.0)
    }
}

impl PostgresUrl {
    /// Parses an address. One whose password would be taken for host, port or database is rejected.
    fn parse(url: &str) -> Result<Self, ConfigError> {
        // The value is not repeated: it may hold a password.
        let refused = |problem: &str| Err(ConfigError::value("JANGBU_DATABASE_URL", problem));
        let Some((_, behind)) = authority_and_rest(url) else {
            return refused(
                "not a Postgres address, expected postgres://USER:PASSWORD@HOST/DATABASE; leave it out for the embedded store",
            );
        };
        if behind.contains(['@', '#']) {
            return refused(
                "an @ or # behind the host: write these in a password as %40 and %23, and / and ? as %2F and %3F",
            );
        }
        if PgConnectOptions::from_str(url).is_err() {
            return refused(
                "not understood, expected postgres://USER:PASSWORD@HOST:PORT/DATABASE; special characters of a password \
                 are written percent-encoded, as %40 for @",
            );
        }
        Ok(Self(SecretString::from(url.to_owned())))
    }
}

/// Splits an address at the end of user, password, host and port.
fn authority_and_rest(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"))?;
    Some(rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())))
}

impl std::fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (authority, behind) = authority_and_rest(self.expose()).unwrap_or_default();
        let place = authority.rsplit('@').next().unwrap_or_default();
        let database = behind.split(['?', '#']).next().unwrap_or_default();
        write!(f, "postgres://{place}{database}")
    }
}

impl std::fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The service that follows parcels.
#[derive(Clone, Debug)]
pub struct Tracker {
    /// Where it answers.
    pub url: String,
    /// The client id and the client secret, with a colon between them.
    pub api_key: SecretString,
    /// Where it reaches this shop.
    pub callback_url: String,
}

/// The simulated external systems.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// Where it listens if this process runs it.
    pub listen: SocketAddr,
    /// Where its mail server listens then.
    pub smtp_listen: SocketAddr,
    /// A sandbox that runs elsewhere, instead of one in this process.
    pub url: Option<String>,
    /// The shop's API key for it; generated at the first start if absent.
    pub api_key: Option<SecretString>,
    /// The secret that signs its webhooks; generated at the first start if absent.
    pub webhook_secret: Option<SecretString>,
    /// Time between a parcel's scans; none: a scan is only sent on request.
    pub carrier_step: Option<Duration>,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The configuration, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// The folder of the embedded store and of the keys of a first start.
    pub data_dir: PathBuf,
    /// The engine of the log.
    pub engine: Engine,
    /// The master key, base64 of 32 bytes; generated at the first start (embedded only).
    pub master_key: Option<SecretString>,
    /// The first admin's address.
    pub admin_email: String,
    /// The first admin's password; generated if absent.
    pub admin_password: Option<SecretString>,
    /// Timeout of a call to the gateway; its outcome is unknown then.
    pub gateway_timeout: Duration,
    /// The sandbox; none: it is off.
    pub sandbox: Option<SandboxSettings>,
    /// The service that follows parcels, if there is one.
    pub tracker: Option<Tracker>,
    /// How many requests a caller may make; none: no limit.
    pub rate_limit: Option<RateLimit>,
    /// Trusted proxies, which name the client.
    pub trusted_proxies: Vec<Network>,
    /// How many requests for sign-up and log-in a block of addresses may make; none: no limit.
    pub auth_rate_limit: Option<RateLimit>,
    /// Requests that may wait for the decider; further ones are answered 503.
    pub command_queue: usize,
    /// How often lapsed points are written off.
    pub expire_points_every: Duration,
    /// Origins of web pages that may call; empty: only the server's own pages.
    pub cors_origins: Vec<String>,
    /// How buyers and the shop are told of what happens.
    pub notices: NoticeSettings,
    /// The log filter, as in `info,jangbu_commands=debug`.
    pub log: String,
    /// How logs are written.
    pub log_format: LogFormat,
    /// The shop's policy.
    pub policy: Policy,
    /// Settings that have no effect in this version, for a warning at the start.
    pub ignored: Vec<String>,
}

const DEFAULT_LISTEN: &str = "127.0.0.1:8080";
const DEFAULT_SANDBOX_LISTEN: &str = "127.0.0.1:0";
const DEFAULT_DATA_DIR: &str = "./data";
const DEFAULT_ADMIN_EMAIL: &str = "admin@example.com";
const DEFAULT_GATEWAY_TIMEOUT_MS: u64 = 5_000;
const LONGEST_GATEWAY_TIMEOUT_MS: u64 = 60_000;
/// About a second of work on a small machine; further commands are refused.
const DEFAULT_COMMAND_QUEUE: usize = 8_192;
const LARGEST_COMMAND_QUEUE: usize = 1_000_000;
const DEFAULT_EXPIRE_POINTS_EVERY_MS: u64 = 60_000;
/// An hour, so that points are written off on the day on which they lapse.
const LONGEST_EXPIRE_POINTS_EVERY_MS: u64 = 3_600_000;
const DEFAULT_RATE_LIMIT: &str = "1000/min";
const DEFAULT_AUTH_RATE_LIMIT: &str = "30/min";
/// Parcels stay where they are until the sandbox is asked to move them: the shop ignores scans of a
/// parcel that it has not handed over yet.
const DEFAULT_TRACKER_URL: &str = "https://apis.tracker.delivery/graphql";
const DEFAULT_CARRIER_STEP_MS: u64 = 0;

impl Settings {
    /// The administrator's password, if one is configured.
    #[must_use]
    pub fn admin_password(&self) -> Option<String> {
        self.admin_password.as_ref().map(|password| password.expose_secret().to_owned())
    }

    /// Reads flags, this process's environment and the configuration file.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn load(flags: Flags) -> Result<Self, ConfigError> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self::resolve(&Sources { flags, environment })
    }

    /// The settings that result from these sources.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn resolve(sources: &Sources) -> Result<Self, ConfigError> {
        let (raw, ignored) = raw::merge(sources)?;
        let listen = address("JANGBU_LISTEN", raw.listen.as_deref().unwrap_or(DEFAULT_LISTEN))?;
        let gateway_timeout_ms = raw.gateway_timeout_ms.unwrap_or(DEFAULT_GATEWAY_TIMEOUT_MS);
        if !(1..=LONGEST_GATEWAY_TIMEOUT_MS).contains(&gateway_timeout_ms) {
            return Err(ConfigError::value(
                "JANGBU_GATEWAY_TIMEOUT_MS",
                format!(
                    "{gateway_timeout_ms} is out of range, expected 1 to {LONGEST_GATEWAY_TIMEOUT_MS} milliseconds"
                ),
            ));
        }
        let (rate_limit, auth_rate_limit) = rate_limits(&raw)?;
        let sandbox = sandbox(&raw)?;
        Ok(Self {
            listen,
            data_dir: raw.data_dir.clone().unwrap_or_else(|| DEFAULT_DATA_DIR.into()),
            engine: engine(raw.database_url.as_deref())?,
            master_key: raw.master_key.clone().map(SecretString::from),
            admin_email: admin_email(raw.admin_email.as_deref())?,
            admin_password: raw.admin_password.clone().map(SecretString::from),
            gateway_timeout: Duration::from_millis(gateway_timeout_ms),
            notices: notices::notices(&raw, sandbox.as_ref())?,
            sandbox,
            tracker: tracker(&raw)?,
            trusted_proxies: trusted_proxies(raw.trusted_proxies.as_deref())?,
            rate_limit,
            auth_rate_limit,
            command_queue: command_queue(raw.command_queue)?,
            expire_points_every: expire_points_every(raw.expire_points_every_ms)?,
            cors_origins: cors_origins(raw.cors_origins.as_deref())?,
            log: log::filter(raw.log.as_deref())?,
            log_format: log_format(raw.log_format.as_deref())?,
            policy: Policy {
                gateway: one_of("JANGBU_GATEWAY", raw.gateway.as_deref(), sandbox_gateway::NAME, &names(GATEWAYS))?,
                carrier: one_of("JANGBU_CARRIER", raw.carrier.as_deref(), sandbox_carrier::NAME, &names(CARRIERS))?,
                ..policy::policy(&raw)?
            },
            ignored,
        })
    }

    /// A file in the data folder.
    #[must_use]
    pub fn data_file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.data_dir.join(name)
    }
}

fn address(setting: &'static str, text: &str) -> Result<SocketAddr, ConfigError> {
    let with_ip = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    with_ip.as_deref().unwrap_or(text).parse().map_err(|_| {
        ConfigError::value(
            setting,
            format!("{text:?} is not an address, expected IP:PORT such as {DEFAULT_LISTEN}; port 0 picks one"),
        )
    })
}

/// The names of the adapters of one kind.
fn names<T>(adapters: &[(&'static str, T)]) -> Vec<&'static str> {
    adapters.iter().map(|(name, _)| *name).collect()
}

/// The adapter for what is new, by its name.
fn one_of(setting: &'static str, name: Option<&str>, default: &str, known: &[&str]) -> Result<String, ConfigError> {
    let name = name.unwrap_or(default);
    if !known.contains(&name) {
        let expected = known.join(" or ");
        return Err(ConfigError::value(setting, format!("{name:?} is not known, expected {expected}")));
    }
    Ok(name.to_owned())
}

fn engine(url: Option<&str>) -> Result<Engine, ConfigError> {
    url.map_or(Ok(Engine::Embedded), |url| PostgresUrl::parse(url).map(Engine::Postgres))
}

fn admin_email(email: Option<&str>) -> Result<String, ConfigError> {
    let email = email.unwrap_or(DEFAULT_ADMIN_EMAIL);
    let (name, host) = email.split_once('@').unwrap_or_default();
    if name.is_empty() || host.is_empty() {
        return Err(ConfigError::value("JANGBU_ADMIN_EMAIL", format!("{email:?} is not an e-mail address")));
    }
    Ok(email.to_owned())
}

fn sandbox(raw: &Raw) -> Result<Option<SandboxSettings>, ConfigError> {
    match raw.sandbox.as_deref() {
        None | Some("on") => {}
        Some("off") => return Ok(None),
        Some(other) => {
            return Err(ConfigError::value("JANGBU_SANDBOX", format!("{other:?} is not known, expected on or off")));
        }
    }
    if let Some(url) = &raw.sandbox_url
        && !(url.starts_with("http://") || url.starts_with("https://"))
    {
        return Err(ConfigError::value(
            "JANGBU_SANDBOX_URL",
            format!("{url:?} is not an address, expected http://HOST:PORT"),
        ));
    }
    let step_ms = raw.sandbox_carrier_step_ms.unwrap_or(DEFAULT_CARRIER_STEP_MS);
    Ok(Some(SandboxSettings {
        listen: address("JANGBU_SANDBOX_LISTEN", raw.sandbox_listen.as_deref().unwrap_or(DEFAULT_SANDBOX_LISTEN))?,
        smtp_listen: address(
            "JANGBU_SANDBOX_SMTP_LISTEN",
            raw.sandbox_smtp_listen.as_deref().unwrap_or(DEFAULT_SANDBOX_LISTEN),
        )?,
        url: raw.sandbox_url.as_ref().map(|url| url.trim_end_matches('/').to_owned()),
        api_key: raw.sandbox_api_key.clone().map(SecretString::from),
        webhook_secret: raw.sandbox_webhook_secret.clone().map(SecretString::from),
        carrier_step: (step_ms > 0).then(|| Duration::from_millis(step_ms)),
    }))
}

/// Parcels are followed when there is a key.
fn tracker(raw: &Raw) -> Result<Option<Tracker>, ConfigError> {
    let Some(api_key) = &raw.tracker_api_key else { return Ok(None) };
    if !api_key.contains(':') || !api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
        // The value is not repeated: it holds a secret.
        let problem = "not a key, expected CLIENT_ID:CLIENT_SECRET";
        return Err(ConfigError::value("JANGBU_TRACKER_API_KEY", problem));
    }
    let address = |setting, url: Option<&String>| match url {
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => Ok(url.clone()),
        Some(url) => {
            Err(ConfigError::value(setting, format!("{url:?} is not an address, expected for example https://HOST")))
        }
        None => Err(ConfigError::value(setting, "it is needed with JANGBU_TRACKER_API_KEY")),
    };
    let url = raw.tracker_url.clone().unwrap_or_else(|| DEFAULT_TRACKER_URL.to_owned());
    Ok(Some(Tracker {
        url: address("JANGBU_TRACKER_URL", Some(&url))?,
        api_key: SecretString::from(api_key.clone()),
        callback_url: address("JANGBU_TRACKER_CALLBACK_URL", raw.tracker_callback_url.as_ref())?,
    }))
}

/// The limit of callers, and that of the login routes. Without the first there is no second.
fn rate_limits(raw: &Raw) -> Result<(Option<RateLimit>, Option<RateLimit>), ConfigError> {
    let read = |setting, text: Option<&str>, default| {
        let text = text.unwrap_or(default);
        RateLimit::parse(text).map_err(|error| ConfigError::value(setting, format!("{text:?}: {error}")))
    };
    let callers = read("JANGBU_RATE_LIMIT", raw.rate_limit.as_deref(), DEFAULT_RATE_LIMIT)?;
    let auth = read("JANGBU_AUTH_RATE_LIMIT", raw.auth_rate_limit.as_deref(), DEFAULT_AUTH_RATE_LIMIT)?;
    Ok((callers, auth.filter(|_| callers.is_some())))
}

fn trusted_proxies(text: Option<&str>) -> Result<Vec<Network>, ConfigError> {
    let networks = text.unwrap_or_default().split(',').map(str::trim).filter(|network| !network.is_empty());
    networks
        .map(|network| {
            Network::parse(network)
                .map_err(|error| ConfigError::value("JANGBU_TRUSTED_PROXIES", format!("{network:?}: {error}")))
        })
        .collect()
}

fn command_queue(length: Option<u64>) -> Result<usize, ConfigError> {
    let Some(length) = length else { return Ok(DEFAULT_COMMAND_QUEUE) };
    usize::try_from(length).ok().filter(|length| (1..=LARGEST_COMMAND_QUEUE).contains(length)).ok_or_else(|| {
        ConfigError::value(
            "JANGBU_COMMAND_QUEUE",
            format!("{length} is out of range, expected 1 to {LARGEST_COMMAND_QUEUE} requests"),
        )
    })
}

fn expire_points_every(ms: Option<u64>) -> Result<Duration, ConfigError> {
    let ms = ms.unwrap_or(DEFAULT_EXPIRE_POINTS_EVERY_MS);
    if (100..=LONGEST_EXPIRE_POINTS_EVERY_MS).contains(&ms) {
        return Ok(Duration::from_millis(ms));
    }
    let problem = format!("{ms} is out of range, expected 100 to {LONGEST_EXPIRE_POINTS_EVERY_MS} milliseconds");
    Err(ConfigError::value("JANGBU_EXPIRE_POINTS_EVERY_MS", problem))
}

fn cors_origins(text: Option<&str>) -> Result<Vec<String>, ConfigError> {
    let origins = text.unwrap_or_default().split(',').map(str::trim).filter(|origin| !origin.is_empty());
    origins
        .map(|origin| {
            let fits = origin == "*" || origin.starts_with("http://") || origin.starts_with("https://");
            if fits && !origin.ends_with('/') {
                return Ok(origin.to_owned());
            }
            let problem = format!("{origin:?} is not an origin, expected for example https://shop.example.com");
            Err(ConfigError::value("JANGBU_CORS_ORIGINS", problem))
        })
        .collect()
}

fn log_format(text: Option<&str>) -> Result<LogFormat, ConfigError> {
    match text {
        None | Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some(other) => {
            Err(ConfigError::value("JANGBU_LOG_FORMAT", format!("{other:?} is not known, expected text or json")))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod hostile;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
