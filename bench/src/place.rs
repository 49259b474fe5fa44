//! A place for a shop: its folder, its database, and the secrets that its processes share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jangbu_app::config::{Flags, Settings, Sources};

use super::server::program;

/// A place for a shop.
#[derive(Clone, Debug)]
pub struct Place {
    /// The data folder.
    pub data_dir: PathBuf,
    /// The Postgres database; none on the embedded engine.
    pub database_url: Option<String>,
    /// The administrator's password.
    pub admin_password: String,
    secrets: [String; 3],
}

impl Place {
    /// A new shop's place in a folder that exists.
    #[must_use]
    pub fn new(data_dir: PathBuf, database_url: Option<String>) -> Self {
        let secret = || {
            let halves = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
            BASE64_STANDARD.encode(halves.map(uuid::Uuid::into_bytes).concat())
        };
        let admin_password = uuid::Uuid::new_v4().simple().to_string();
        Self { data_dir, database_url, admin_password, secrets: [secret(), secret(), secret()] }
    }

    /// The environment of a process that works here.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        let [master_key, api_key, webhook_secret] = &self.secrets;
        let mut environment: BTreeMap<String, String> = [
            ("JANGBU_DATA_DIR", self.data_dir.to_string_lossy().as_ref()),
            ("JANGBU_MASTER_KEY", master_key),
            ("JANGBU_SANDBOX_API_KEY", api_key),
            ("JANGBU_SANDBOX_WEBHOOK_SECRET", webhook_secret),
            ("JANGBU_ADMIN_PASSWORD", &self.admin_password),
            // All unpaid orders of a load come from a few buyers.
            ("JANGBU_MAX_OPEN_UNPAID_ORDERS", "off"),
            ("JANGBU_MAX_UNPAID_UNITS", "off"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        if let Some(url) = &self.database_url {
            environment.insert("JANGBU_DATABASE_URL".to_owned(), url.clone());
        }
        environment
    }

    /// The same for work in this process.
    ///
    /// # Errors
    /// When a configuration file in the working folder is not understood.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings::resolve(&Sources { flags: Flags::default(), environment: self.environment() })?)
    }

    /// Runs a command of the program here and gives its output.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn command(&self, arguments: &[&str]) -> anyhow::Result<std::process::Output> {
        let mut command = program()?;
        command.envs(self.environment()).args(arguments).output().await.context("could not run a command")
    }

    /// How many events of a type are in the log; all of them without one.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn count_events(&self, event_type: Option<&str>) -> anyhow::Result<u64> {
        let mut arguments = vec!["events", "count"];
        arguments.extend(event_type.into_iter().flat_map(|name| ["--type", name]));
        let output = self.command(&arguments).await?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().parse().context("`events count` printed no number")
    }
}
