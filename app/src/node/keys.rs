//! The keys that everything sealed and signed hangs on.

use anyhow::{Context as _, anyhow};
use aws_lc_rs::signature::Ed25519KeyPair;
use jangbu_api::SigningKey;
use jangbu_integrations::{MasterKey, SecretBox};
use jangbu_store::Store;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::config::{Engine, Settings};

/// The master key's file beside an embedded store.
const MASTER_KEY_FILE: &str = "master.key";
/// The name of the token signing key among the shop's secrets.
const SIGNING_KEY: &str = "access-token-signing-key-1";

/// The master key: as configured, else the embedded store's own.
///
/// # Errors
/// When it is malformed, cannot be kept, or has to be configured and is not.
pub fn master_key(settings: &Settings) -> anyhow::Result<MasterKey> {
    match (&settings.master_key, &settings.engine) {
        (Some(key), _) => MasterKey::parse(key.expose_secret()).context("JANGBU_MASTER_KEY"),
        (None, Engine::Embedded) => {
            std::fs::create_dir_all(&settings.data_dir)
                .with_context(|| format!("cannot make the data folder {}", settings.data_dir.display()))?;
            Ok(MasterKey::load_or_create(&settings.data_file(MASTER_KEY_FILE))?)
        }
        (None, Engine::Postgres(_)) => Err(anyhow!(
            "JANGBU_MASTER_KEY is not set: every node on this database needs the same key. Make one with \
             `openssl rand -base64 32`, keep it safe (without it sealed personal data is lost), and set it, \
             or put it into a file and set JANGBU_MASTER_KEY_FILE"
        )),
    }
}

/// The key that signs access tokens: made once, kept sealed in the store, the same
/// on every node.
///
/// # Errors
/// When the store fails, or the key was sealed under another master key.
pub async fn signing_key(secrets: &SecretBox) -> anyhow::Result<SigningKey> {
    let pair = Ed25519KeyPair::generate().map_err(|_| anyhow!("no random bytes for a signing key"))?;
    let fresh = pair.to_pkcs8().map_err(|_| anyhow!("the signing key cannot be written"))?;
    let fresh = Zeroizing::new(fresh.as_ref().to_vec());
    let key = secrets.get_or_create(SIGNING_KEY, || fresh).await;
    let key =
        key.context("the store's secrets do not open: is JANGBU_MASTER_KEY the key that this store began with?")?;
    SigningKey::from_pkcs8(SIGNING_KEY, &key).map_err(|error| anyhow!("the stored signing key is {error}"))
}

/// The name of the note in the key store that a first admin was made.
const FIRST_ADMIN: &str = "first-admin";

/// Whether this store still waits for its first admin to be considered.
///
/// # Errors
/// When the store cannot be read.
pub async fn first_admin_is_due(store: &dyn Store) -> anyhow::Result<bool> {
    Ok(store.secret(FIRST_ADMIN).await?.is_none())
}

/// Notes that there is an admin now.
///
/// # Errors
/// When the store cannot be written.
pub async fn note_first_admin(store: &dyn Store) -> anyhow::Result<()> {
    store.put_secret(FIRST_ADMIN, b"made".to_vec()).await?;
    Ok(())
}
