//! AES-256-GCM with a random nonce: nonce, ciphertext and tag in sequence.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use thiserror::Error;
use zeroize::Zeroizing;

/// Length of a key in bytes.
pub const KEY_LEN: usize = 32;

/// The library or the random source failed, or the bytes cannot be decrypted.
#[derive(Clone, Copy, Debug, Error)]
#[error("the cipher refused")]
pub struct CipherError;

/// A key that is ready for use.
pub struct Cipher(RandomizedNonceKey);

impl Cipher {
    /// A cipher under a key.
    #[expect(clippy::expect_used, reason = "the library refuses only keys of another length")]
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        Self(RandomizedNonceKey::new(&AES_256_GCM, key).expect("a key of AES-256 has 32 bytes"))
    }

    /// A cipher under a key of unchecked length.
    pub fn from_slice(key: &[u8]) -> Result<Self, CipherError> {
        let key: &[u8; KEY_LEN] = key.try_into().map_err(|_| CipherError)?;
        Ok(Self::new(key))
    }

    /// Encrypts bytes, bound to a context.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, CipherError> {
        let mut sealed = Zeroizing::new(plain.to_vec());
        let nonce = self.0.seal_in_place_append_tag(Aad::from(context), &mut *sealed).map_err(|_| CipherError)?;
        Ok([nonce.as_ref().as_slice(), sealed.as_slice()].concat())
    }

    /// Decrypts the result of [`Cipher::seal`] in the same context.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CipherError> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(CipherError)?;
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let length = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), &mut bytes)
            .map_err(|_| CipherError)?
            .len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// A fresh key.
pub fn random_key() -> Result<Zeroizing<[u8; KEY_LEN]>, CipherError> {
    let mut key = Zeroizing::new([0_u8; KEY_LEN]);
    aws_lc_rs::rand::fill(&mut *key).map_err(|_| CipherError)?;
    Ok(key)
}
