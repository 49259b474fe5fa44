//! Named secrets of the shop itself, such as the key that signs tokens: generated once, kept in the
//! key store under the master key, the same for every node.

use std::sync::Arc;

use jangbu_kernel::ports::{KeyStore, VaultError};
use zeroize::Zeroizing;

use super::MasterKey;
use super::cipher::Cipher;

/// Gets or creates named secrets.
pub struct SecretBox {
    keys: Arc<dyn KeyStore>,
    cipher: Cipher,
}

impl SecretBox {
    /// The box under a master key, over the key store.
    #[must_use]
    pub fn new(master: &MasterKey, keys: Arc<dyn KeyStore>) -> Self {
        Self { keys, cipher: Cipher::new(&master.derive("jangbu v1 secrets of the shop")) }
    }

    /// The secret with this name, if there is one.
    ///
    /// # Errors
    /// When the store fails or the secret was sealed under another master key.
    pub async fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        match self.keys.secret(name).await.map_err(VaultError::Store)? {
            Some(wrapped) => self.open(name, &wrapped).map(Some),
            None => Ok(None),
        }
    }

    /// The secret with this name; `make` generates it the first time. If two nodes generate it at
    /// once, one wins and both get its secret.
    ///
    /// # Errors
    /// When the store fails or the secret was sealed under another master key.
    pub async fn get_or_create<F>(&self, name: &str, make: F) -> Result<Zeroizing<Vec<u8>>, VaultError>
    where
        F: FnOnce() -> Zeroizing<Vec<u8>> + Send,
    {
        if let Some(known) = self.get(name).await? {
            return Ok(known);
        }
        let wrapped = self.cipher.seal(&context(name), &make()).map_err(|_| VaultError::DoesNotOpen)?;
        let counts = self.keys.put_secret(name, wrapped).await.map_err(VaultError::Store)?;
        self.open(name, &counts)
    }

    /// The secret with this name; random bytes the first time.
    ///
    /// # Errors
    /// As [`SecretBox::get_or_create`], or when the machine has no random bytes.
    pub async fn get_or_random(&self, name: &str, length: usize) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let mut fresh = Zeroizing::new(vec![0_u8; length]);
        aws_lc_rs::rand::fill(&mut fresh).map_err(|_| VaultError::DoesNotOpen)?;
        self.get_or_create(name, || fresh).await
    }

    fn open(&self, name: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.cipher.open(&context(name), wrapped).map_err(|_| VaultError::DoesNotOpen)
    }
}

/// The context of a secret: its name.
fn context(name: &str) -> Vec<u8> {
    [b"secret\0".as_slice(), name.as_bytes()].concat()
}
