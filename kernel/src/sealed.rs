//! Sealed text: personal data as it is stored, ciphertext under its owner's key.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A ciphertext in a stored event. Storage format: `v1.<owner uuid>.<base64url
/// of nonce, ciphertext and tag>`. Only a [`crate::ports::Vault`] makes or opens one;
/// when the owner's key is destroyed it can never be opened again, while every
/// hash over it still holds.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// Wraps a ciphertext in its text form.
    #[must_use]
    pub fn from_ciphertext(text: String) -> Self {
        Self(text)
    }
    /// The ciphertext in its text form.
    #[must_use]
    pub fn ciphertext(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}
