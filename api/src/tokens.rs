//! Access tokens: Ed25519-signed JWTs of five minutes.
//!
//! A token only says which user it is for and which login it came from. What that user may do, and
//! whether that login still exists, is looked up at every request, so revoking a role or ending a
//! login takes effect at once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jangbu_kernel::ports::{Clock, IdSource};
use jangbu_kernel::{Role, SessionId, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// How long a token is valid, in seconds.
pub(crate) const LIFE_SECONDS: i64 = 300;
/// By how much clocks may differ, in seconds.
const LEEWAY_SECONDS: i64 = 5;
/// The issuer.
const ISSUER: &str = "jangbu";
/// The longest token that is looked at; the shop issues no longer one.
const LONGEST_TOKEN: usize = 2_048;
/// Cached verified tokens: verifying a signature costs fifty times as much as finding its hash.
const TOKENS_IN_MIND: u64 = 100_000;

/// The key that signs, and its name in the published key set.
#[derive(Clone)]
pub struct SigningKey {
    kid: String,
    encoding: EncodingKey,
    public: Vec<u8>,
}

/// The bytes are not a private Ed25519 key in PKCS#8 form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidKey;

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a private Ed25519 key in PKCS#8 form")
    }
}
impl std::error::Error for InvalidKey {}

impl SigningKey {
    /// A key from its PKCS#8 bytes (version 1 or 2) and its key id.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn from_pkcs8(kid: impl Into<String>, pkcs8: &[u8]) -> Result<Self, InvalidKey> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| InvalidKey)?;
        Ok(Self {
            kid: kid.into(),
            encoding: EncodingKey::from_ed_der(pkcs8),
            public: pair.public_key().as_ref().to_vec(),
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// What a token says. Every claim is required.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: Uuid,
    sid: Uuid,
    roles: Vec<Role>,
    iat: i64,
    exp: i64,
    jti: Uuid,
}

/// The user and login of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) user_id: UserId,
    /// The login that it came from.
    pub(crate) session_id: SessionId,
    expires_at: i64,
    issued_at: i64,
}

/// Why a token is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// It was valid and has expired.
    Expired,
    /// It was never valid, or cannot be read.
    Invalid,
}

/// One key as the key set shows it (RFC 7517, RFC 8037).
#[derive(Serialize, ToSchema)]
pub(crate) struct JsonWebKey {
    /// The kind of key: an octet key pair.
    #[schema(examples("OKP"))]
    kty: &'static str,
    /// Its curve.
    #[schema(examples("Ed25519"))]
    crv: &'static str,
    /// What tokens are signed with.
    #[schema(examples("EdDSA"))]
    alg: &'static str,
    /// What it is for: signatures.
    #[serde(rename = "use")]
    #[schema(examples("sig"))]
    purpose: &'static str,
    /// Its id, which stands in the header of every token that it signed.
    kid: String,
    /// The public key, base64url.
    x: String,
}

/// The keys that tokens are signed with.
#[derive(Serialize, ToSchema)]
pub(crate) struct JsonWebKeySet {
    /// The keys; a token names its own by `kid`.
    keys: Vec<JsonWebKey>,
}

/// Makes and checks tokens.
pub(crate) struct Tokens {
    key: SigningKey,
    decoding: DecodingKey,
    validation: Validation,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    verified: moka::sync::Cache<[u8; 32], Bearer>,
}

impl Tokens {
    pub(crate) fn new(key: SigningKey, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["iss", "sub", "exp"]);
        // Times are checked below against the shop's own clock.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let life = Duration::from_secs(LIFE_SECONDS.unsigned_abs() + LEEWAY_SECONDS.unsigned_abs());
        Self {
            decoding: DecodingKey::from_ed_der(&key.public),
            key,
            validation,
            clock,
            ids,
            verified: moka::sync::Cache::builder().max_capacity(TOKENS_IN_MIND).time_to_live(life).build(),
        }
    }

    /// Signs a token for a login.
    pub(crate) fn issue(
        &self,
        user_id: UserId,
        session_id: SessionId,
        roles: &[Role],
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let now = self.clock.now().timestamp();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: user_id.uuid(),
            sid: session_id.uuid(),
            roles: roles.to_vec(),
            iat: now,
            exp: now + LIFE_SECONDS,
            jti: self.ids.new_id(),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.key.kid.clone());
        jsonwebtoken::encode(&header, &claims, &self.key.encoding)
    }

    /// Checks a token.
    pub(crate) fn verify(&self, token: &str) -> Result<Bearer, TokenError> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenError::Invalid);
        }
        let hash = fingerprint(token);
        let bearer = match self.verified.get(&hash) {
            Some(bearer) => bearer,
            None => {
                let bearer = self.check_signature(token)?;
                self.verified.insert(hash, bearer);
                bearer
            }
        };
        let now = self.clock.now().timestamp();
        if bearer.issued_at > now + LEEWAY_SECONDS {
            return Err(TokenError::Invalid);
        }
        if bearer.expires_at + LEEWAY_SECONDS <= now {
            return Err(TokenError::Expired);
        }
        Ok(bearer)
    }

    fn check_signature(&self, token: &str) -> Result<Bearer, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        let ours = header.alg == Algorithm::EdDSA && header.kid.as_deref() == Some(self.key.kid.as_str());
        if !ours {
            return Err(TokenError::Invalid);
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        // A longer life than the shop ever gives means that the shop did not issue it.
        let life = claims.exp.checked_sub(claims.iat).ok_or(TokenError::Invalid)?;
        if !(0..=LIFE_SECONDS).contains(&life) {
            return Err(TokenError::Invalid);
        }
        let (user_id, session_id) = (UserId::new(claims.sub), SessionId::new(claims.sid));
        Ok(Bearer { user_id, session_id, expires_at: claims.exp, issued_at: claims.iat })
    }

    /// The public keys.
    pub(crate) fn key_set(&self) -> JsonWebKeySet {
        JsonWebKeySet {
            keys: vec![JsonWebKey {
                kty: "OKP",
                crv: "Ed25519",
                alg: "EdDSA",
                purpose: "sig",
                kid: self.key.kid.clone(),
                x: URL_SAFE_NO_PAD.encode(&self.key.public),
            }],
        }
    }
}

fn fingerprint(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
