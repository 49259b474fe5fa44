//! Refresh tokens: opaque to their holder, hashed before they are stored.
//!
//! Each is derived from the previous one and a key of the shop, so that a repeated exchange has the
//! same successor without storing it. Each also contains a proof of the number of exchanges before
//! it, so that an exchanged token is recognized without storing its hash.

use aws_lc_rs::{constant_time, digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jangbu_kernel::SessionId;
use jangbu_kernel::ports::Vault;
use uuid::Uuid;

use super::IdentityError;

/// Bytes of secret in a token: 256 bit.
const SECRET_LENGTH: usize = 32;
/// Bytes of the session's id before it.
const ID_LENGTH: usize = 16;
/// Bytes of the number of exchanges between the two.
const GENERATION_LENGTH: usize = 4;
/// Bytes of the proof after them.
const PROOF_LENGTH: usize = 16;
/// Contexts of the keyed hashes: for the proof, and for the two halves of a successor.
const PROOF: &str = "session.token.proof";
const SUCCESSOR: [&str; 2] = ["session.token.successor.1", "session.token.successor.2"];

/// `base64url(session id || generation || secret || proof)`. The id only locates the session; the
/// secret proves the right to it. Earlier releases issued `session id || secret`.
pub(super) struct RefreshToken {
    text: String,
    session_id: SessionId,
    proven: Option<Proven>,
}

/// The parts that earlier releases did not have.
struct Proven {
    generation: u32,
    /// Everything before the proof.
    content: Vec<u8>,
    proof: [u8; PROOF_LENGTH],
}

impl RefreshToken {
    /// The first token of a session.
    pub(super) fn mint(session_id: SessionId, vault: &dyn Vault) -> Result<Self, IdentityError> {
        let mut secret = [0_u8; SECRET_LENGTH];
        rand::fill(&mut secret).map_err(|_| IdentityError::Unavailable("no randomness to be had".to_owned()))?;
        Ok(Self::assemble(session_id, 0, &secret, vault))
    }

    /// The only token that this one is exchanged for. Making it requires both this token and the
    /// shop's key.
    pub(super) fn successor(&self, vault: &dyn Vault) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for half in SUCCESSOR {
            context.update(vault.keyed_hash(half, &self.text).as_bytes());
        }
        context.update(self.text.as_bytes());
        let generation = self.proven.as_ref().map_or(1, |proven| proven.generation.saturating_add(1));
        Self::assemble(self.session_id, generation, context.finish().as_ref(), vault)
    }

    fn assemble(session_id: SessionId, generation: u32, secret: &[u8], vault: &dyn Vault) -> Self {
        let content = [session_id.uuid().as_bytes().as_slice(), &generation.to_be_bytes(), secret].concat();
        let proof = proof_of(&content, vault);
        let text = URL_SAFE_NO_PAD.encode([content.as_slice(), &proof].concat());
        Self { text, session_id, proven: Some(Proven { generation, content, proof }) }
    }

    /// Parses a token that a client presents.
    pub(super) fn parse(text: &str) -> Option<Self> {
        const OLD: usize = ID_LENGTH + SECRET_LENGTH;
        const WHOLE: usize = OLD + GENERATION_LENGTH + PROOF_LENGTH;
        if text.len() > WHOLE.div_ceil(3) * 4 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, rest) = bytes.split_first_chunk::<ID_LENGTH>()?;
        let proven = match bytes.len() {
            OLD => None,
            WHOLE => {
                let (generation, _) = rest.split_first_chunk::<GENERATION_LENGTH>()?;
                let (content, proof) = bytes.split_last_chunk::<PROOF_LENGTH>()?;
                let (generation, content) = (u32::from_be_bytes(*generation), content.to_vec());
                Some(Proven { generation, content, proof: *proof })
            }
            _ => return None,
        };
        Some(Self { text: text.to_owned(), session_id: SessionId::new(Uuid::from_bytes(*id)), proven })
    }

    /// The session that it claims to belong to.
    pub(super) fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// The number of exchanges before it, if it has this shop's proof.
    pub(super) fn generation(&self, vault: &dyn Vault) -> Option<u64> {
        let proven = self.proven.as_ref()?;
        let proof = proof_of(&proven.content, vault);
        constant_time::verify_slices_are_equal(&proof, &proven.proof).ok().map(|()| proven.generation.into())
    }

    /// The stored form: SHA-256 of the token, hexadecimal. No salt is needed, because the secret is
    /// random and long.
    pub(super) fn hash(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, self.text.as_bytes()))
    }

    /// The token for its holder.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

fn proof_of(content: &[u8], vault: &dyn Vault) -> [u8; PROOF_LENGTH] {
    vault.keyed_hash(PROOF, &URL_SAFE_NO_PAD.encode(content)).into_bytes()
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use jangbu_kernel::ports::VaultError;
    use jangbu_kernel::{Sealed, SealedAt, UserId};
    use proptest::prelude::*;

    use super::*;

    /// A vault that only hashes.
    struct Keyed(&'static str);

    #[async_trait]
    impl Vault for Keyed {
        async fn create_key(&self, _: UserId) -> Result<(), VaultError> {
            Err(VaultError::NoKey)
        }
        async fn seal(&self, _: UserId, _: SealedAt<'_>, _: &str) -> Result<Sealed, VaultError> {
            Err(VaultError::NoKey)
        }
        async fn open(&self, _: SealedAt<'_>, _: &Sealed) -> Result<String, VaultError> {
            Err(VaultError::NoKey)
        }
        fn keyed_hash(&self, context: &str, text: &str) -> Uuid {
            Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{}/{context}/{text}", self.0).as_bytes())
        }
    }

    const OURS: Keyed = Keyed("ours");

    #[test]
    fn a_token_finds_its_session_and_no_two_are_alike() {
        let session = SessionId::new(Uuid::from_u128(7));
        let first = RefreshToken::mint(session, &OURS).unwrap();
        let second = RefreshToken::mint(session, &OURS).unwrap();
        assert_ne!(first.hash(), second.hash());
        let hash = first.hash();
        let again = RefreshToken::parse(&first.into_text()).unwrap();
        assert_eq!((again.session_id(), again.hash()), (session, hash));
        assert_eq!(again.generation(&OURS), Some(0));
    }

    #[test]
    fn a_token_has_one_successor_which_only_the_shop_can_make() {
        let token = RefreshToken::mint(SessionId::new(Uuid::from_u128(7)), &OURS).unwrap();
        let next = token.successor(&OURS);
        assert_eq!(next.hash(), token.successor(&OURS).hash());
        assert_ne!(next.hash(), token.successor(&Keyed("another")).hash());
        assert_ne!(next.hash(), token.hash());
        assert_eq!((next.session_id(), next.generation(&OURS)), (token.session_id(), Some(1)));
        assert_eq!(next.successor(&OURS).generation(&OURS), Some(2));
        assert_eq!(next.generation(&Keyed("another")), None);
    }

    #[test]
    fn a_token_of_an_earlier_release_has_a_successor_and_proves_nothing() {
        let old = RefreshToken::parse(&URL_SAFE_NO_PAD.encode([7; 48])).unwrap();
        assert_eq!(old.generation(&OURS), None);
        assert_eq!(old.successor(&OURS).generation(&OURS), Some(1));
        assert_eq!(old.successor(&OURS).hash(), old.successor(&OURS).hash());
    }

    #[test]
    fn what_is_not_a_token_is_none() {
        for text in ["", "x", &"!".repeat(64), &"A".repeat(63), &"A".repeat(65), &"A".repeat(90), &"A".repeat(92)] {
            assert!(RefreshToken::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_token_is_read_as_it_is_or_not_at_all(bytes in any::<[u8; 48]>(), text in "(?s).{0,95}|[-_A-Za-z0-9+/=]{63,93}") {
            let shown = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(RefreshToken::parse(&shown).map(RefreshToken::into_text), Some(shown));
            if let Some(token) = RefreshToken::parse(&text) {
                prop_assert_eq!(token.into_text(), text);
            }
        }

        #[test]
        fn a_changed_token_proves_nothing(place in 0_usize..68, bit in 0_u8..8) {
            let token = RefreshToken::mint(SessionId::new(Uuid::from_u128(7)), &OURS).unwrap();
            let mut bytes = URL_SAFE_NO_PAD.decode(token.into_text()).unwrap();
            bytes[place] ^= 1 << bit;
            let changed = RefreshToken::parse(&URL_SAFE_NO_PAD.encode(bytes)).unwrap();
            prop_assert_eq!(changed.generation(&OURS), None);
        }
    }
}
