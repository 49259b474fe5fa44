//! What deciding commands needs: the part that a server and a command without a server have in
//! common.

use std::path::PathBuf;
use std::sync::Arc;

use jangbu_api::imports::Importer;
use jangbu_commands::identity::{Identity, PasswordSettings};
use jangbu_commands::{Commands, DeciderOptions, Policy};
use jangbu_integrations::vault::KeyCachePolicy;
use jangbu_integrations::{SealingVault, SecretBox, SystemClock, UuidV7Source};
use jangbu_kernel::part::Parts;
use jangbu_kernel::ports::{KeyStore, World};
use jangbu_store::{Store, seal_to_head};

use super::keys;
use crate::config::Settings;
use crate::engine;
use crate::operator::Operator;

/// The store, opened to write, with the decider in front of it.
pub struct WriteSide {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Clock, ids and vault.
    pub world: World,
    /// The shop's own secrets.
    pub secrets: SecretBox,
    /// The decider.
    pub commands: Commands,
    /// Sign-up and login.
    pub identity: Identity,
    /// The shop's policy.
    policy: Arc<Policy>,
    /// Folder for files that are being taken in.
    spool: PathBuf,
    /// The running parts: the decider. A node moves it into its own list.
    pub(super) parts: Parts,
}

impl WriteSide {
    /// Opens an existing store and starts the decider.
    ///
    /// # Errors
    /// When there is no store, it is in use, of another version, or cannot be opened; when the
    /// master key is missing or another store's.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let store = engine::open_existing(settings).await?;
        Self::over(store, settings, false).await
    }

    /// The same, creating the store if there is none.
    ///
    /// # Errors
    /// As [`WriteSide::open`].
    pub async fn begin(settings: &Settings) -> anyhow::Result<Self> {
        let store = engine::open_for_writing(settings).await?;
        Self::over(store, settings, true).await
    }

    /// Starts the decider over an open store.
    ///
    /// # Errors
    /// As [`WriteSide::open`].
    pub async fn over(store: Arc<dyn Store>, settings: &Settings, may_migrate: bool) -> anyhow::Result<Self> {
        engine::make_ready(&*store, may_migrate).await?;
        let keys::ProvedKey { master, secrets } = keys::proved(&store, settings).await?;
        let key_store: Arc<dyn KeyStore> = Arc::clone(&store) as _;
        let vault = SealingVault::new(&master, key_store, KeyCachePolicy::default());
        let world = World { clock: Arc::new(SystemClock), ids: Arc::new(UuidV7Source), vault: Arc::new(vault) };
        let policy = Arc::new(settings.policy.clone());
        let options = DeciderOptions { queue_capacity: settings.command_queue, ..DeciderOptions::default() };
        let mut parts = Parts::default();
        let commands = parts.keep(Commands::spawn(Arc::clone(&store) as _, &world, Arc::clone(&policy), options));
        let passwords = PasswordSettings::default();
        let identity =
            Identity::new(commands.clone(), Arc::clone(&store) as _, world.clone(), Arc::clone(&policy), passwords);
        let spool = settings.data_dir.clone();
        Ok(Self { store, world, secrets, commands, identity, policy, spool, parts })
    }

    /// The operator's interface to it, without a projector.
    #[must_use]
    pub fn operator(&self) -> Operator {
        Operator {
            identity: self.identity.clone(),
            commands: self.commands.clone(),
            projector: None,
            ids: Arc::clone(&self.world.ids),
            vault: Arc::clone(&self.world.vault),
            importer: Importer {
                commands: self.commands.clone(),
                clock: Arc::clone(&self.world.clock),
                ids: Arc::clone(&self.world.ids),
                policy: Arc::clone(&self.policy),
            },
            spool: self.spool.clone(),
        }
    }

    /// Finishes waiting commands, seals the log and closes the store.
    pub async fn close(self) {
        self.parts.stop().await;
        if let Err(error) = seal_to_head(&*self.store, &*self.world.clock).await {
            tracing::warn!(%error, "the last events could not be sealed; the next start does it");
        }
        self.store.close().await;
    }
}
