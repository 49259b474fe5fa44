//! The external systems of this node: the sandbox, and the adapters that reach it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jangbu_commands::{Carriers, Gateways};
use jangbu_integrations::carriers::delivery_tracker::TrackerSettings;
use jangbu_integrations::{OutboundPolicy, ServiceSettings, carriers, gateways};
use jangbu_kernel::part::Part;
use jangbu_sandbox::{RunningSandbox, Sandbox, SandboxConfig, Url};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::{SandboxSettings, Settings};
use crate::folder;

/// The sandbox's books, in the data folder but a file of their own.
pub const BOOKS: &str = "sandbox.db";
/// The secrets that shop and sandbox share, unless the configuration has them.
pub const SECRETS: &str = "sandbox-secrets.json";

/// The secrets that shop and sandbox share.
#[derive(Clone)]
pub struct SharedSecrets {
    api_key: SecretString,
    webhook_secret: SecretString,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    api_key: String,
    webhook_secret: String,
}

impl SharedSecrets {
    /// From the configuration, else from the data folder; generated there at the first start.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn load(settings: &Settings, sandbox: &SandboxSettings) -> anyhow::Result<Self> {
        if let (Some(api_key), Some(webhook_secret)) = (&sandbox.api_key, &sandbox.webhook_secret) {
            return Ok(Self { api_key: api_key.clone(), webhook_secret: webhook_secret.clone() });
        }
        let path = settings.data_file(SECRETS);
        let stored = load_or_create(&path).with_context(|| format!("cannot use {}", path.display()))?;
        Ok(Self {
            api_key: sandbox.api_key.clone().unwrap_or_else(|| stored.api_key.into()),
            webhook_secret: sandbox.webhook_secret.clone().unwrap_or_else(|| stored.webhook_secret.into()),
        })
    }
}

fn load_or_create(path: &Path) -> anyhow::Result<Stored> {
    use std::io::Write as _;
    match std::fs::read_to_string(path) {
        Ok(text) => return Ok(serde_json::from_str(&text)?),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        Err(_) => {}
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let random = || [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    let stored = Stored { api_key: Uuid::new_v4().simple().to_string(), webhook_secret: STANDARD.encode(random()) };
    let new = path.with_extension(format!("{}.new", Uuid::new_v4().simple()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(serde_json::to_string(&stored)?.as_bytes())?;
    file.sync_all()?;
    // If two processes create it at once one wins, and both use what it wrote.
    let linked = std::fs::hard_link(&new, path);
    std::fs::remove_file(&new)?;
    match linked {
        Ok(()) => Ok(stored),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Starts the sandbox in this process.
///
/// # Errors
/// When it is turned off, or cannot start.
pub async fn run_sandbox(settings: &Settings, shop: Option<&str>) -> anyhow::Result<RunningSandbox> {
    let Some(sandbox) = &settings.sandbox else {
        bail!("the sandbox is turned off: set JANGBU_SANDBOX=on");
    };
    folder::make_private(&settings.data_dir)?;
    let secrets = SharedSecrets::load(settings, sandbox)?;
    let mut config = SandboxConfig::new(secrets.api_key, secrets.webhook_secret);
    config.listen = sandbox.listen;
    config.smtp_listen = sandbox.smtp_listen;
    config.data_file = Some(settings.data_file(BOOKS));
    config.carrier_step = sandbox.carrier_step;
    config.webhook_target = shop.map(parse_url).transpose()?;
    let started = Sandbox::start(config).await;
    started.context("the sandbox cannot start (choose another address with JANGBU_SANDBOX_LISTEN)")
}

/// The base address of a shop in the form that the sandbox expects.
///
/// # Errors
/// When it is not a base address.
pub fn parse_url(text: &str) -> anyhow::Result<Url> {
    text.parse().with_context(|| format!("{text:?} is not an address, expected http://HOST:PORT"))
}

/// The external systems as the shop sees them.
pub struct Outside {
    /// The sandbox, if this process runs it.
    pub sandbox: Option<RunningSandbox>,
    /// Its address, wherever it runs.
    pub sandbox_url: String,
    /// The payment gateways.
    pub gateways: Arc<Gateways>,
    /// The carriers.
    pub carriers: Arc<Carriers>,
    /// The limit on concurrent calls to all of them.
    pub calls_at_once: usize,
}

impl Outside {
    /// Starts the sandbox if it belongs to this process, and connects to it.
    ///
    /// # Errors
    /// When no gateway is configured, or the sandbox cannot start.
    pub async fn start(settings: &Settings, calls_at_once: usize) -> anyhow::Result<Self> {
        let Some(configured) = &settings.sandbox else {
            bail!("there is no payment gateway: this version knows the sandbox only, set JANGBU_SANDBOX=on");
        };
        let secrets = SharedSecrets::load(settings, configured)?;
        let (sandbox, sandbox_url) = match &configured.url {
            Some(url) => (None, url.clone()),
            None => {
                let running = run_sandbox(settings, None).await?;
                let url = running.base_url();
                (Some(running), url)
            }
        };
        let service = ServiceSettings {
            base_url: sandbox_url.clone(),
            api_key: secrets.api_key,
            webhook_secrets: vec![secrets.webhook_secret],
            policy: OutboundPolicy {
                timeout: settings.gateway_timeout,
                at_once: calls_at_once,
                ..OutboundPolicy::default()
            },
        };
        // The sandbox plays every gateway. Charges under way at a gateway that no longer gets new
        // ones are completed there.
        let mut gateways = Gateways::new(gateways::connect(&settings.policy.gateway, &service)?);
        for (name, connect) in gateways::GATEWAYS.iter().filter(|(name, _)| *name != settings.policy.gateway) {
            gateways = gateways.with(connect(&service).with_context(|| format!("cannot connect to {name}"))?);
        }
        let mut carriers = Carriers::new(carriers::connect(&settings.policy.carrier, &service)?);
        for (name, connect) in carriers::CARRIERS.iter().filter(|(name, _)| *name != settings.policy.carrier) {
            carriers = carriers.with(connect(&service).with_context(|| format!("cannot connect to {name}"))?);
        }
        if let Some(tracker) = &settings.tracker {
            let tracker = TrackerSettings {
                url: tracker.url.clone(),
                api_key: tracker.api_key.clone(),
                shop_url: tracker.callback_url.clone(),
                policy: service.policy.clone(),
            };
            let connected = carriers::delivery_tracker::connect(&tracker);
            carriers = carriers.with(connected.context("cannot connect to the tracker of parcels")?);
        }
        Ok(Self { sandbox, sandbox_url, gateways: Arc::new(gateways), carriers: Arc::new(carriers), calls_at_once })
    }
}

/// The sandbox as a part of the node that runs it.
pub(super) struct OwnSandbox(pub(super) RunningSandbox);

#[async_trait]
impl Part for OwnSandbox {
    fn name(&self) -> &'static str {
        "the sandbox"
    }

    /// Never: a shop keeps running while its gateway and carrier do not answer.
    fn is_finished(&mut self) -> bool {
        false
    }

    async fn stop(self: Box<Self>) {
        self.0.stop().await;
    }

    /// Its tasks are told to end and are not awaited.
    async fn abort(self: Box<Self>) {
        drop(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secrets_are_made_once_and_are_their_owners() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made").join(SECRETS);
        let first = load_or_create(&path).unwrap();
        let second = load_or_create(&path).unwrap();
        assert_eq!((first.api_key, first.webhook_secret), (second.api_key, second.webhook_secret));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left lying about");
    }
}
