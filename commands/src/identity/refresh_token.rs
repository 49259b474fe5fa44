//! Refresh tokens: opaque to their holder, hashed before they are stored.

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jangbu_kernel::SessionId;
use uuid::Uuid;

use super::IdentityError;

/// Bytes of secret in a token: 256 bit.
const SECRET_LENGTH: usize = 32;
/// Bytes of the session's id in front of it.
const ID_LENGTH: usize = 16;

/// `base64url(session id || secret)`. The id only finds the session; the secret
/// is what counts.
pub(super) struct RefreshToken {
    text: String,
    session_id: SessionId,
}

impl RefreshToken {
    /// A new token of a session.
    pub(super) fn mint(session_id: SessionId) -> Result<Self, IdentityError> {
        let mut secret = [0_u8; SECRET_LENGTH];
        rand::fill(&mut secret).map_err(|_| IdentityError::Unavailable("no randomness to be had".to_owned()))?;
        let bytes = [session_id.uuid().as_bytes().as_slice(), &secret].concat();
        Ok(Self { text: URL_SAFE_NO_PAD.encode(bytes), session_id })
    }

    /// Reads a token that somebody shows.
    pub(super) fn parse(text: &str) -> Option<Self> {
        const ENCODED_LENGTH: usize = (ID_LENGTH + SECRET_LENGTH) * 4 / 3;
        if text.len() != ENCODED_LENGTH {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, _) = bytes.split_at_checked(ID_LENGTH)?;
        let session_id = SessionId::new(Uuid::from_slice(id).ok()?);
        Some(Self { text: text.to_owned(), session_id })
    }

    /// Whose token it says it is.
    pub(super) fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// SHA-256 of the token, hexadecimal: what is stored. No salt is needed, since
    /// the secret is random and long.
    pub(super) fn hash(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, self.text.as_bytes()))
    }

    /// The token for its holder.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_finds_its_session_and_no_two_are_alike() {
        let session = SessionId::new(Uuid::from_u128(7));
        let first = RefreshToken::mint(session).unwrap();
        let second = RefreshToken::mint(session).unwrap();
        assert_ne!(first.hash(), second.hash());
        let hash = first.hash();
        let again = RefreshToken::parse(&first.into_text()).unwrap();
        assert_eq!((again.session_id(), again.hash()), (session, hash));
    }

    #[test]
    fn what_is_not_a_token_is_none() {
        for text in ["", "x", &"!".repeat(64), &"A".repeat(63), &"A".repeat(65)] {
            assert!(RefreshToken::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_token_is_read_as_it_is_or_not_at_all(bytes in any::<[u8; 48]>(), text in "(?s).{0,70}|[-_A-Za-z0-9+/=]{63,65}") {
            let shown = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(RefreshToken::parse(&shown).map(RefreshToken::into_text), Some(shown));
            if let Some(token) = RefreshToken::parse(&text) {
                prop_assert_eq!(token.into_text(), text);
            }
        }
    }
}
