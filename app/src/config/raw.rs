//! The settings as written in each source, before they are interpreted.

use std::path::{Path, PathBuf};

use config::{Config, File, FileFormat};
use serde::Deserialize;

use super::policy::{PolicyFile, ShippingFile};
use super::{ConfigError, Environment};

/// The prefix of every variable.
const PREFIX: &str = "JANGBU_";
/// The file that is read if none is named and it exists.
const DEFAULT_FILE: &str = "jangbu.toml";

/// Settings that can be given as a flag.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Configuration (each also as environment JANGBU_... or in jangbu.toml)")]
pub struct Flags {
    /// Configuration file [default: jangbu.toml when there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the embedded store and of the keys of a first start [default: ./data]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Log filter, as in info,jangbu_commands=debug [default: info]
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    /// Address of the HTTP server; port 0 picks one [default: 127.0.0.1:8080]
    #[arg(skip)]
    pub listen: Option<String>,
    /// Address of the sandbox.
    #[arg(skip)]
    pub sandbox_listen: Option<String>,
    /// Address of the sandbox's mail server.
    #[arg(skip)]
    pub sandbox_smtp_listen: Option<String>,
}

/// The sources of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The command line.
    pub flags: Flags,
    /// The environment.
    pub environment: Environment,
}

/// The settings as written, all of them optional. The names are those of the file; in the
/// environment they are in capitals and begin with `JANGBU_`.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) listen: Option<String>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) database_url: Option<String>,
    pub(super) nats_url: Option<String>,
    pub(super) master_key: Option<String>,
    pub(super) admin_email: Option<String>,
    pub(super) admin_password: Option<String>,
    pub(super) gateway: Option<String>,
    pub(super) carrier: Option<String>,
    pub(super) tracker_url: Option<String>,
    pub(super) tracker_api_key: Option<String>,
    pub(super) tracker_callback_url: Option<String>,
    pub(super) gateway_timeout_ms: Option<u64>,
    pub(super) sandbox: Option<String>,
    pub(super) sandbox_listen: Option<String>,
    pub(super) sandbox_smtp_listen: Option<String>,
    pub(super) sandbox_url: Option<String>,
    pub(super) sandbox_api_key: Option<String>,
    pub(super) sandbox_webhook_secret: Option<String>,
    pub(super) sandbox_carrier_step_ms: Option<u64>,
    pub(super) smtp_url: Option<String>,
    pub(super) mail_from: Option<String>,
    pub(super) shop_name: Option<String>,
    pub(super) shop_email: Option<String>,
    pub(super) locale: Option<String>,
    pub(super) message_url: Option<String>,
    pub(super) message_secret: Option<String>,
    pub(super) rate_limit: Option<String>,
    pub(super) trusted_proxies: Option<String>,
    pub(super) auth_rate_limit: Option<String>,
    pub(super) command_queue: Option<u64>,
    pub(super) expire_points_every_ms: Option<u64>,
    pub(super) cors_origins: Option<String>,
    pub(super) max_open_unpaid_orders: Option<String>,
    pub(super) max_unpaid_units: Option<String>,
    pub(super) log: Option<String>,
    pub(super) log_format: Option<String>,
    pub(super) otlp_endpoint: Option<String>,
    pub(super) policy: Option<PolicyFile>,
    pub(super) shipping: Option<ShippingFile>,
}

/// Every plain setting, in the order of the documentation.
const SETTINGS: [&str; 38] = [
    "listen",
    "data_dir",
    "database_url",
    "nats_url",
    "master_key",
    "admin_email",
    "admin_password",
    "gateway",
    "carrier",
    "tracker_url",
    "tracker_api_key",
    "tracker_callback_url",
    "gateway_timeout_ms",
    "sandbox",
    "sandbox_listen",
    "sandbox_smtp_listen",
    "sandbox_url",
    "sandbox_api_key",
    "sandbox_webhook_secret",
    "sandbox_carrier_step_ms",
    "smtp_url",
    "mail_from",
    "shop_name",
    "shop_email",
    "locale",
    "message_url",
    "message_secret",
    "rate_limit",
    "trusted_proxies",
    "auth_rate_limit",
    "command_queue",
    "expire_points_every_ms",
    "cors_origins",
    "max_open_unpaid_orders",
    "max_unpaid_units",
    "log",
    "log_format",
    "otlp_endpoint",
];

/// Settings that may come from a file whose name is in `JANGBU_..._FILE`, as container platforms
/// pass secrets.
const SECRETS: [&str; 8] = [
    "database_url",
    "master_key",
    "admin_password",
    "tracker_api_key",
    "sandbox_api_key",
    "sandbox_webhook_secret",
    "smtp_url",
    "message_secret",
];

/// Variables with the prefix that are not settings of the server.
const NO_SETTINGS: [&str; 3] = ["JANGBU_CONFIG", "JANGBU_PASSWORD", "JANGBU_URL"];

/// Merges the sources. The second value lists settings that have no effect.
pub(super) fn merge(sources: &Sources) -> Result<(Raw, Vec<String>), ConfigError> {
    let mut builder = Config::builder();
    if let Some((path, text)) = file(sources)? {
        check_file(&path, &text)?;
        builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
    }
    for name in SETTINGS {
        if let Some(value) = from_environment(name, &sources.environment)? {
            builder = builder.set_override(name, value).map_err(form)?;
        }
    }
    let Flags { config: _, data_dir, log, listen, sandbox_listen, sandbox_smtp_listen } = sources.flags.clone();
    let data_dir = data_dir.map(|path| path.to_string_lossy().into_owned());
    for (name, value) in [
        ("data_dir", data_dir),
        ("log", log),
        ("listen", listen),
        ("sandbox_listen", sandbox_listen),
        ("sandbox_smtp_listen", sandbox_smtp_listen),
    ] {
        builder = builder.set_override_option(name, value).map_err(form)?;
    }
    let raw: Raw = builder.build().and_then(Config::try_deserialize).map_err(form)?;
    let ignored = ignored(&raw, &sources.environment);
    Ok((raw, ignored))
}

fn form(error: config::ConfigError) -> ConfigError {
    ConfigError::Form(error.to_string())
}

/// The configuration file, if there is one.
fn file(sources: &Sources) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let named = sources.flags.config.clone().or_else(|| sources.environment.get("JANGBU_CONFIG").map(PathBuf::from));
    let path = named.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && named.is_none() => Ok(None),
        Err(cause) => Err(ConfigError::File { path, cause }),
    }
}

/// Checks the names in a file separately, so that an error names the file and a misspelt setting is
/// not ignored.
fn check_file(path: &Path, text: &str) -> Result<(), ConfigError> {
    let read = Config::builder().add_source(File::from_str(text, FileFormat::Toml)).build();
    read.and_then(Config::try_deserialize::<Raw>)
        .map(|_| ())
        .map_err(|error| ConfigError::Syntax { path: path.to_owned(), cause: without_the_line(&error.to_string()) })
}

/// The parser's message without the line that it quotes, because that line may contain a secret.
fn without_the_line(told: &str) -> String {
    let shown = |line: &str| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with('|');
    told.lines().filter(|line| !shown(line)).collect::<Vec<_>>().join("; ")
}

fn from_environment(name: &str, environment: &Environment) -> Result<Option<String>, ConfigError> {
    let variable = format!("{PREFIX}{}", name.to_uppercase());
    // An empty variable counts as not set, because compose files pass variables on without a value.
    if let Some(value) = environment.get(&variable).filter(|value| !value.is_empty()) {
        return Ok(Some(value.clone()));
    }
    if !SECRETS.contains(&name) {
        return Ok(None);
    }
    let Some(path) = environment.get(&format!("{variable}_FILE")).filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(cause) => Err(ConfigError::File { path: path.into(), cause }),
    }
}

fn ignored(raw: &Raw, environment: &Environment) -> Vec<String> {
    let mut notes = Vec::new();
    if raw.nats_url.is_some() {
        notes.push("JANGBU_NATS_URL is set, but this version does not use NATS yet: nodes learn of each other's events from Postgres".to_owned());
    }
    if raw.otlp_endpoint.is_some() {
        notes.push(
            "JANGBU_OTLP_ENDPOINT is set, but this version does not export traces yet: metrics are at /metrics"
                .to_owned(),
        );
    }
    for name in environment.keys().filter(|name| name.starts_with(PREFIX)) {
        let setting = name.trim_start_matches(PREFIX).to_lowercase();
        let secret = setting.strip_suffix("_file").is_some_and(|secret| SECRETS.contains(&secret));
        let test = setting.starts_with("test_");
        if !(SETTINGS.contains(&setting.as_str()) || secret || test || NO_SETTINGS.contains(&name.as_str())) {
            notes.push(format!("{name} is set, but there is no such setting"));
        }
    }
    notes
}
