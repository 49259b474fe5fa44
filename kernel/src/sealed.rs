//! Sealed text: personal data as it is stored, ciphertext under its owner's key.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stream::StreamId;

/// The place where a sealed text belongs. It is bound into the ciphertext together with the owner:
/// in any other field or stream the text does not open.
///
/// The stream is the one whose event the text was sealed for. When an event of another stream
/// copies the ciphertext, its place remains the first stream: the address of a shipment was sealed
/// for its order, and is opened as the order's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedAt<'a> {
    /// `<stream kind>.<field>`, as in `order.shipping_address`. Storage format.
    pub field: &'a str,
    /// The stream that the text was sealed for.
    pub stream: StreamId,
}

/// A ciphertext in a stored event. Storage format: `<form>.<owner uuid>.<base64url
/// of nonce, ciphertext and tag>`. Only a [`crate::ports::Vault`] makes or opens one;
/// when the owner's key is destroyed it can never be opened again, while every
/// hash over it still holds.
///
/// The form says what the ciphertext is bound to: `v2`, which is what is written, to its
/// owner, field and stream; `v1`, which earlier versions wrote, to its owner and field. The
/// form is bound too, so a text of one form does not open as the other. A `v1` text therefore
/// still opens in the same field of another stream of its owner: what notices that one was
/// moved is the hash of the event that it stands in, and the sealed roots over those.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// Wraps a ciphertext in its text form.
    #[must_use]
    pub const fn from_ciphertext(text: String) -> Self {
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

/// What an event says for people to read: a reason, a note.
///
/// Words that a person typed may tell of somebody, so they are stored sealed, under the
/// person whom the stream is about. A reason that the house gives by itself is a code and
/// tells of nobody; it stays readable, as do the words that schema version 1 of these events
/// wrote in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Remark {
    /// A code of the house, such as `refunded_whole`.
    Plain(String),
    /// A person's words.
    Sealed {
        /// The words, sealed.
        sealed: Sealed,
    },
}

impl Remark {
    /// A code of the program. Not for text that a person typed.
    #[must_use]
    pub fn code(code: impl Into<String>) -> Self {
        Self::Plain(code.into())
    }
    /// The text, if it is not sealed.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Sealed { .. } => None,
        }
    }
}

impl From<&'static str> for Remark {
    fn from(code: &'static str) -> Self {
        Self::code(code)
    }
}

impl From<Sealed> for Remark {
    fn from(sealed: Sealed) -> Self {
        Self::Sealed { sealed }
    }
}
