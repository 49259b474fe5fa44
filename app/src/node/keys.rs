//! The keys that seal and sign.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use aws_lc_rs::signature::Ed25519KeyPair;
use jangbu_api::SigningKey;
use jangbu_integrations::vault::KeyCachePolicy;
use jangbu_integrations::{MasterKey, SealingVault, SecretBox};
use jangbu_kernel::UserId;
use jangbu_kernel::ports::{KeyStore, VaultError};
use jangbu_store::Store;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::config::{Engine, Settings};

/// The master key's file beside an embedded store.
pub const MASTER_KEY_FILE: &str = "master.key";
/// The name of the token signing key among the shop's secrets.
const SIGNING_KEY: &str = "access-token-signing-key-1";

/// The name of the secret that every start tries to open with the master key.
const KEY_CHECK: &str = "master-key-check";
const CHECKED: &[u8] = b"jangbu: this opens";

/// A master key that is known to be the store's.
pub struct ProvedKey {
    /// The key.
    pub master: MasterKey,
    /// The shop's secrets under it.
    pub secrets: SecretBox,
}

/// The source of the master key.
enum Source {
    Configured(MasterKey),
    File(MasterKey),
    /// The embedded store's file, which does not exist.
    Missing(PathBuf),
}

/// Something in the store that only the right key opens.
enum Sealed {
    Nothing,
    Secret(&'static str),
    /// A person's key, from before the check existed or from a node without the API.
    PersonsKey(UserId, Vec<u8>),
}

/// The master key, tested against the store before anything else is done. For a store without
/// sealed content it is generated (embedded only); for one with sealed content never, because the
/// new key would open nothing and would be taken for the right one from then on.
///
/// # Errors
/// When it is missing, malformed, cannot be kept, or is another store's. Nothing has been written
/// then.
pub async fn proved(store: &Arc<dyn Store>, settings: &Settings) -> anyhow::Result<ProvedKey> {
    let sealed = what_is_sealed(&**store).await?;
    let master = match (source(settings)?, &sealed) {
        (Source::Configured(key) | Source::File(key), _) => key,
        (Source::Missing(path), Sealed::Nothing) => MasterKey::load_or_create(&path)?,
        (Source::Missing(path), Sealed::Secret(_) | Sealed::PersonsKey(..)) => bail!(
            "the master key is missing: {} is not there, and this store holds what only that key opens. No new one \
             is made in its place. Put the file back, or set JANGBU_MASTER_KEY to the key",
            path.display()
        ),
    };
    let secrets = SecretBox::new(&master, Arc::clone(store) as _);
    let opens = opens_sealed(store, &master, sealed).await?;
    // If two nodes start on a new store at once with different keys, one wins.
    let opens = opens && {
        let check = secrets.get_or_create(KEY_CHECK, || Zeroizing::new(CHECKED.to_vec())).await;
        opened(check.map(Some))?.is_some_and(|check| check.as_slice() == CHECKED)
    };
    if !opens {
        bail!(
            "the master key is another store's: it does not open what this store holds, and nothing was changed. \
             Set JANGBU_MASTER_KEY (or the file {MASTER_KEY_FILE} in the data folder of an embedded store) to the key \
             that the store began with"
        );
    }
    Ok(ProvedKey { master, secrets })
}

/// Whether a master key belongs to a store, as far as can be told: a store without sealed content
/// accepts any.
///
/// # Errors
/// When the store cannot be read.
pub async fn is_of(store: &Arc<dyn Store>, master: &MasterKey) -> anyhow::Result<bool> {
    opens_sealed(store, master, what_is_sealed(&**store).await?).await
}

/// Whether the store contains something that only its master key opens.
///
/// # Errors
/// When the store cannot be read.
pub async fn holds_sealed(store: &dyn Store) -> anyhow::Result<bool> {
    Ok(!matches!(what_is_sealed(store).await?, Sealed::Nothing))
}

async fn opens_sealed(store: &Arc<dyn Store>, master: &MasterKey, sealed: Sealed) -> anyhow::Result<bool> {
    let key_store: Arc<dyn KeyStore> = Arc::clone(store) as _;
    Ok(match sealed {
        Sealed::Nothing => true,
        Sealed::Secret(name) => opened(SecretBox::new(master, key_store).get(name).await)?.is_some(),
        Sealed::PersonsKey(owner, wrapped) => {
            SealingVault::new(master, key_store, KeyCachePolicy::default()).unwraps(owner, &wrapped)
        }
    })
}

/// A secret, or none if the key does not open it.
fn opened<T>(read: Result<Option<T>, VaultError>) -> anyhow::Result<Option<T>> {
    match read {
        Ok(found) => Ok(found),
        Err(VaultError::DoesNotOpen) => Ok(None),
        Err(error) => Err(anyhow::Error::new(error).context("the store's secrets cannot be read")),
    }
}

async fn what_is_sealed(store: &dyn Store) -> anyhow::Result<Sealed> {
    for name in [KEY_CHECK, SIGNING_KEY] {
        if store.secret(name).await?.is_some() {
            return Ok(Sealed::Secret(name));
        }
    }
    let key = store.any_user_key().await?;
    Ok(key.map_or(Sealed::Nothing, |(owner, wrapped)| Sealed::PersonsKey(owner, wrapped)))
}

fn source(settings: &Settings) -> anyhow::Result<Source> {
    match (&settings.master_key, &settings.engine) {
        (Some(key), _) => Ok(Source::Configured(MasterKey::parse(key.expose_secret()).context("JANGBU_MASTER_KEY")?)),
        (None, Engine::Embedded) => {
            let path = settings.data_file(MASTER_KEY_FILE);
            Ok(MasterKey::load_if_there(&path)?.map_or(Source::Missing(path), Source::File))
        }
        (None, Engine::Postgres(_)) => Err(anyhow!(
            "JANGBU_MASTER_KEY is not set: every node on this database needs the same key. Make one with \
             `openssl rand -base64 32`, keep it safe (without it sealed personal data is lost), and set it, \
             or put it into a file and set JANGBU_MASTER_KEY_FILE"
        )),
    }
}

/// The key that signs access tokens: generated once, kept sealed in the store, the same on every
/// node.
///
/// # Errors
/// When the store fails, or the key was sealed under another master key.
pub async fn signing_key(secrets: &SecretBox) -> anyhow::Result<SigningKey> {
    let pair = Ed25519KeyPair::generate().map_err(|_| anyhow!("no random bytes for a signing key"))?;
    let fresh = pair.to_pkcs8().map_err(|_| anyhow!("the signing key cannot be written"))?;
    let fresh = Zeroizing::new(fresh.as_ref().to_vec());
    let key = secrets.get_or_create(SIGNING_KEY, || fresh).await;
    let key = key.context("the key that signs access tokens does not open")?;
    SigningKey::from_pkcs8(SIGNING_KEY, &key).map_err(|error| anyhow!("the stored signing key is {error}"))
}

/// The name of the note in the key store that a first admin was made.
const FIRST_ADMIN: &str = "first-admin";

/// Whether this store has not been checked for a first admin yet.
///
/// # Errors
/// When the store cannot be read.
pub async fn first_admin_is_due(store: &dyn Store) -> anyhow::Result<bool> {
    Ok(store.secret(FIRST_ADMIN).await?.is_none())
}

/// Notes that there is an admin.
///
/// # Errors
/// When the store cannot be written.
pub async fn note_first_admin(store: &dyn Store) -> anyhow::Result<()> {
    store.put_secret(FIRST_ADMIN, b"made".to_vec()).await?;
    Ok(())
}
