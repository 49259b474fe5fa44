use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jangbu_kernel::Timestamp;
use serde_json::json;

use super::*;

struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_timestamp(self.0.load(Ordering::Relaxed), 0).unwrap()
    }
}

struct TestIds(AtomicU64);

impl IdSource for TestIds {
    fn new_id(&self) -> Uuid {
        Uuid::from_u128(self.0.fetch_add(1, Ordering::Relaxed).into())
    }
}

const NOW: i64 = 1_795_222_800;

fn pkcs8() -> Vec<u8> {
    Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap().as_ref().to_vec()
}

struct House {
    tokens: Tokens,
    clock: Arc<TestClock>,
    pkcs8: Vec<u8>,
}

fn house() -> House {
    let pkcs8 = pkcs8();
    let clock = Arc::new(TestClock(AtomicI64::new(NOW)));
    let key = SigningKey::from_pkcs8("key-1", &pkcs8).unwrap();
    let tokens = Tokens::new(key, Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(TestIds(AtomicU64::new(1))));
    House { tokens, clock, pkcs8 }
}

fn user() -> UserId {
    UserId::new(Uuid::from_u128(7))
}

impl House {
    fn issue(&self) -> String {
        self.tokens.issue(user(), SessionId::new(Uuid::from_u128(8)), &[Role::Customer]).unwrap()
    }

    /// A token with any claims and header, signed with the shop's own key.
    fn forge(&self, header: &Header, claims: &serde_json::Value) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_ed_der(&self.pkcs8)).unwrap()
    }
}

fn claims() -> serde_json::Value {
    json!({
        "iss": "jangbu", "sub": Uuid::from_u128(7), "sid": Uuid::from_u128(8), "roles": ["customer"],
        "iat": NOW, "exp": NOW + 300, "jti": Uuid::from_u128(9),
    })
}

fn header() -> Header {
    Header { kid: Some("key-1".to_owned()), ..Header::new(Algorithm::EdDSA) }
}

#[test]
fn a_token_stands_for_its_user_until_it_expires() {
    let house = house();
    let token = house.issue();
    assert_eq!(house.tokens.verify(&token).unwrap().user_id, user());
    assert_eq!(house.tokens.verify(&token).unwrap().user_id, user(), "from memory");
    house.clock.0.store(NOW + LIFE_SECONDS + LEEWAY_SECONDS - 1, Ordering::Relaxed);
    assert!(house.tokens.verify(&token).is_ok(), "within the leeway");
    house.clock.0.store(NOW + LIFE_SECONDS + LEEWAY_SECONDS, Ordering::Relaxed);
    assert_eq!(house.tokens.verify(&token), Err(TokenError::Expired), "from memory too");
}

#[test]
fn a_token_from_the_future_does_not_count() {
    let house = house();
    let token = house.issue();
    house.clock.0.store(NOW - LEEWAY_SECONDS - 1, Ordering::Relaxed);
    assert_eq!(house.tokens.verify(&token), Err(TokenError::Invalid));
}

#[test]
fn a_token_that_was_altered_does_not_count() {
    let house = house();
    let token = house.issue();
    let parts: Vec<&str> = token.split('.').collect();
    let other = json!({"iss": "jangbu", "sub": Uuid::from_u128(1), "sid": Uuid::from_u128(8), "roles": ["admin"],
        "iat": NOW, "exp": NOW + 300, "jti": Uuid::from_u128(9)});
    let payload = URL_SAFE_NO_PAD.encode(other.to_string());
    let altered = [
        format!("{}.{payload}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}x"),
        token[..token.len() - 2].to_owned(),
        String::new(),
        "x".repeat(LONGEST_TOKEN + 1),
    ];
    for token in altered {
        assert_eq!(house.tokens.verify(&token), Err(TokenError::Invalid), "{token}");
    }
}

#[test]
fn another_algorithm_does_not_count() {
    let house = house();
    let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    for algorithm in ["none", "None", "HS256", "RS256"] {
        let token =
            format!("{}.{}.", encode(json!({"alg": algorithm, "typ": "JWT", "kid": "key-1"})), encode(claims()));
        assert_eq!(house.tokens.verify(&token), Err(TokenError::Invalid), "{algorithm}");
    }
    // The public key as an HMAC secret: the classic confusion.
    let hmac = Header { alg: Algorithm::HS256, ..header() };
    let token = jsonwebtoken::encode(&hmac, &claims(), &EncodingKey::from_secret(&house.tokens.key.public)).unwrap();
    assert_eq!(house.tokens.verify(&token), Err(TokenError::Invalid));
}

#[test]
fn another_key_or_key_id_does_not_count() {
    let house = house();
    let foreign = jsonwebtoken::encode(&header(), &claims(), &EncodingKey::from_ed_der(&pkcs8())).unwrap();
    assert_eq!(house.tokens.verify(&foreign), Err(TokenError::Invalid));
    assert!(house.tokens.verify(&house.forge(&header(), &claims())).is_ok(), "the forge itself works");
    for kid in [None, Some("key-2".to_owned())] {
        let header = Header { kid, ..header() };
        assert_eq!(house.tokens.verify(&house.forge(&header, &claims())), Err(TokenError::Invalid));
    }
}

#[test]
fn every_claim_is_required_and_has_to_make_sense() {
    let house = house();
    for claim in ["iss", "sub", "sid", "roles", "iat", "exp", "jti"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(claim);
        assert_eq!(house.tokens.verify(&house.forge(&header(), &claims)), Err(TokenError::Invalid), "{claim}");
    }
    let wrong = [
        ("iss", json!("somebody")),
        ("sub", json!("me")),
        ("roles", json!(["king"])),
        ("exp", json!(NOW + LIFE_SECONDS + 1)),
        ("exp", json!(NOW - 1)),
        ("exp", json!(i64::MAX)),
        ("iat", json!(i64::MIN)),
    ];
    for (claim, value) in wrong {
        let mut claims = claims();
        claims[claim] = value;
        assert_eq!(house.tokens.verify(&house.forge(&header(), &claims)), Err(TokenError::Invalid), "{claim}");
    }
}

#[test]
fn the_key_set_has_the_public_key_only() {
    let house = house();
    let set = serde_json::to_value(house.tokens.key_set()).unwrap();
    let key = &set["keys"][0];
    assert_eq!(
        (key["kty"].as_str(), key["crv"].as_str(), key["kid"].as_str()),
        (Some("OKP"), Some("Ed25519"), Some("key-1"))
    );
    assert!(key.get("d").is_none());
    let decoding = DecodingKey::from_ed_components(key["x"].as_str().unwrap()).unwrap();
    let mut validation = house.tokens.validation.clone();
    validation.validate_exp = false;
    assert!(jsonwebtoken::decode::<serde_json::Value>(house.issue(), &decoding, &validation).is_ok());
}

#[test]
fn what_is_no_key_is_refused() {
    assert!(SigningKey::from_pkcs8("x", b"not a key").is_err());
}
