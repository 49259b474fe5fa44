//! Personal data sealed under a key for each person, and the shop's own secrets.
//!
//! There is one master key, kept outside the store. HKDF-SHA-256 derives from it a key for each
//! purpose: wrapping the persons' keys, keyed hashes, the shop's secrets. A person's key is random
//! and stored wrapped; destroying it makes every text sealed under it unreadable forever.
//!
//! All sealing is AES-256-GCM with random 96-bit nonces. Each key stays far below
//! the 2^32 seals at which random nonces begin to matter: a person's key seals a
//! few texts an order, the wrapping key one key a person.

mod cipher;
mod master_key;
mod secret_box;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jangbu_kernel::ports::{KeyStore, Vault, VaultError};
use jangbu_kernel::{Sealed, SealedAt, StreamId, UserId};
use moka::sync::Cache;
use uuid::Uuid;

use cipher::{Cipher, CipherError};
pub use master_key::{MasterKey, MasterKeyError};
pub use secret_box::SecretBox;

/// How decrypted keys are cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyCachePolicy {
    /// The most persons' keys that are cached.
    pub capacity: u64,
    /// How long one is cached. After this time at most, every process that has cached a destroyed
    /// key notices, so it bounds how long a text stays readable after its key is destroyed.
    pub time_to_live: Duration,
}

impl Default for KeyCachePolicy {
    fn default() -> Self {
        Self { capacity: 100_000, time_to_live: Duration::from_millis(800) }
    }
}

/// The vault: AES-256-GCM over a key store.
pub struct SealingVault {
    keys: Arc<dyn KeyStore>,
    wrapping: Cipher,
    hashing: hmac::Key,
    opened: Cache<UserId, Arc<Cipher>>,
}

/// The form in which sealed texts are written, their first part: bound to owner, field and stream.
const FORM: &str = "v2";
/// The form of earlier versions: bound to owner and field. It is only read.
const FORM_WITHOUT_STREAM: &str = "v1";

impl SealingVault {
    /// A vault under a master key, over the store of wrapped keys.
    #[must_use]
    pub fn new(master: &MasterKey, keys: Arc<dyn KeyStore>, cache: KeyCachePolicy) -> Self {
        Self {
            keys,
            wrapping: Cipher::new(&master.derive("jangbu v1 wrap the keys of persons")),
            hashing: hmac::Key::new(hmac::HMAC_SHA256, &*master.derive("jangbu v1 keyed hashes")),
            opened: Cache::builder().max_capacity(cache.capacity).time_to_live(cache.time_to_live).build(),
        }
    }

    /// Whether a person's key was wrapped under this master key.
    #[must_use]
    pub fn unwraps(&self, owner: UserId, wrapped: &[u8]) -> bool {
        self.unwrap(owner, wrapped).is_ok()
    }

    /// Destroys a person's key: what is sealed under it can never be decrypted again. Other
    /// processes that have cached it notice within [`KeyCachePolicy::time_to_live`].
    ///
    /// # Errors
    /// When the key store fails; the caller should retry then.
    pub async fn destroy_key(&self, owner: UserId) -> Result<(), VaultError> {
        let destroyed = self.keys.destroy_user_key(owner).await.map_err(VaultError::Store);
        self.forget(owner);
        destroyed
    }

    /// Removes a key from the cache at once, in the process that has destroyed it.
    pub fn forget(&self, owner: UserId) {
        self.opened.invalidate(&owner);
    }

    async fn key(&self, owner: UserId) -> Result<Arc<Cipher>, VaultError> {
        if let Some(key) = self.opened.get(&owner) {
            return Ok(key);
        }
        let wrapped = self.keys.user_key(owner).await.map_err(VaultError::Store)?;
        let key = self.unwrap(owner, &wrapped.ok_or(VaultError::NoKey)?.ok_or(VaultError::KeyDestroyed)?)?;
        self.opened.insert(owner, Arc::clone(&key));
        Ok(key)
    }

    fn unwrap(&self, owner: UserId, wrapped: &[u8]) -> Result<Arc<Cipher>, VaultError> {
        let key = self.wrapping.open(&wrapping_context(owner), wrapped).map_err(does_not_open)?;
        let key = Cipher::from_slice(&key).map_err(does_not_open)?;
        Ok(Arc::new(key))
    }
}

const fn does_not_open(_: CipherError) -> VaultError {
    VaultError::DoesNotOpen
}

/// The context of a wrapped key: its owner.
fn wrapping_context(owner: UserId) -> Vec<u8> {
    [b"person's key\0".as_slice(), owner.uuid().as_bytes()].concat()
}

/// The context of a sealed text: its form, owner, stream and field. Storage format.
fn text_context(owner: UserId, at: SealedAt<'_>) -> Vec<u8> {
    let StreamId { kind, id } = at.stream;
    // Only the kind and the field have no fixed length, and no kind contains a zero byte.
    let kind = kind.name().as_bytes();
    [b"text v2\0".as_slice(), owner.uuid().as_bytes(), id.as_bytes(), kind, b"\0", at.field.as_bytes()].concat()
}

/// The context of a text in the form without the stream: its owner and field.
fn context_without_stream(owner: UserId, field: &str) -> Vec<u8> {
    [b"text\0".as_slice(), owner.uuid().as_bytes(), field.as_bytes()].concat()
}

#[async_trait]
impl Vault for SealingVault {
    async fn create_key(&self, owner: UserId) -> Result<(), VaultError> {
        let wrapped = match self.keys.user_key(owner).await.map_err(VaultError::Store)? {
            Some(known) => known,
            None => {
                let key = cipher::random_key().map_err(does_not_open)?;
                let wrapped = self.wrapping.seal(&wrapping_context(owner), &*key).map_err(does_not_open)?;
                self.keys.put_user_key(owner, wrapped).await.map_err(VaultError::Store)?
            }
        };
        let key = self.unwrap(owner, &wrapped.ok_or(VaultError::KeyDestroyed)?)?;
        self.opened.insert(owner, key);
        Ok(())
    }

    async fn discard_key(&self, owner: UserId) -> Result<(), VaultError> {
        self.forget(owner);
        self.keys.remove_user_key(owner).await.map_err(VaultError::Store)
    }

    async fn seal(&self, owner: UserId, at: SealedAt<'_>, plain: &str) -> Result<Sealed, VaultError> {
        let key = self.key(owner).await?;
        let sealed = key.seal(&text_context(owner, at), plain.as_bytes()).map_err(does_not_open)?;
        let text = URL_SAFE_NO_PAD.encode(sealed);
        Ok(Sealed::from_ciphertext(format!("{FORM}.{owner}.{text}")))
    }

    async fn open(&self, at: SealedAt<'_>, sealed: &Sealed) -> Result<String, VaultError> {
        let mut parts = sealed.ciphertext().split('.');
        let (Some(form), Some(owner), Some(text), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(VaultError::DoesNotOpen);
        };
        let owner = UserId::new(Uuid::try_parse(owner).map_err(|_| VaultError::DoesNotOpen)?);
        let context = match form {
            FORM => text_context(owner, at),
            FORM_WITHOUT_STREAM => context_without_stream(owner, at.field),
            _ => return Err(VaultError::DoesNotOpen),
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| VaultError::DoesNotOpen)?;
        let key = self.key(owner).await?;
        let plain = key.open(&context, &bytes).map_err(does_not_open)?;
        String::from_utf8(plain.to_vec()).map_err(|_| VaultError::DoesNotOpen)
    }

    fn keyed_hash(&self, context: &str, text: &str) -> Uuid {
        let mut hash = hmac::Context::with_key(&self.hashing);
        // The length distinguishes ("ab", "c") from ("a", "bc").
        hash.update(&u64::try_from(context.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(context.as_bytes());
        hash.update(text.as_bytes());
        let tag = hash.sign();
        let mut first = [0_u8; 16];
        for (to, from) in first.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        uuid::Builder::from_custom_bytes(first).into_uuid()
    }
}
