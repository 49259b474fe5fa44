//! The vault, the secrets of the shop and the master key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jangbu_integrations::vault::{KeyCachePolicy, MasterKeyError};
use jangbu_integrations::{MasterKey, SealingVault, SecretBox};
use jangbu_kernel::log::LogError;
use jangbu_kernel::ports::{KeyStore, Vault, VaultError};
use jangbu_kernel::{AggregateKind, OrderId, Sealed, SealedAt, StreamId, UserId};
use proptest::prelude::*;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The address of an order.
const FIELD: &str = "order.shipping_address";
const PLACE: SealedAt<'static> = order(1);

const fn order(number: u128) -> SealedAt<'static> {
    SealedAt { field: FIELD, stream: StreamId::order(OrderId::new(Uuid::from_u128(number))) }
}

/// The same field in the form of earlier versions, bound to owner and field.
async fn sealed_by_an_earlier_version(keys: &Arc<Keys>, owner: UserId, plain: &str) -> Sealed {
    let wrapped = keys.user_key(owner).await.unwrap().flatten().unwrap();
    let wrapping = derived("jangbu v1 wrap the keys of persons");
    let key = opened(&wrapping, &[b"person's key\0".as_slice(), owner.uuid().as_bytes()].concat(), &wrapped);
    let context = [b"text\0".as_slice(), owner.uuid().as_bytes(), FIELD.as_bytes()].concat();
    let mut text = plain.as_bytes().to_vec();
    let nonce = aead_key(&key).seal_in_place_append_tag(Aad::from(context), &mut text).unwrap();
    let text = URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &text].concat());
    Sealed::from_ciphertext(format!("v1.{owner}.{text}"))
}

struct Length;
impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

/// The key that is derived from these tests' master key for a purpose.
fn derived(purpose: &str) -> [u8; 32] {
    let mut key = [0; 32];
    let root = Salt::new(HKDF_SHA256, b"jangbu").extract(&[7; 32]);
    root.expand(&[purpose.as_bytes()], Length).unwrap().fill(&mut key).unwrap();
    key
}

fn aead_key(key: &[u8]) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, key).unwrap()
}

fn opened(key: &[u8], context: &[u8], sealed: &[u8]) -> Vec<u8> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().unwrap();
    let mut bytes = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    aead_key(key).open_in_place(nonce, Aad::from(context), &mut bytes).unwrap().to_vec()
}

/// A key store in memory; a destroyed key leaves an empty entry.
#[derive(Default)]
struct Keys {
    users: Mutex<HashMap<UserId, Option<Vec<u8>>>>,
    secrets: Mutex<HashMap<String, Vec<u8>>>,
}

#[async_trait]
impl KeyStore for Keys {
    async fn user_key(&self, owner: UserId) -> Result<Option<Option<Vec<u8>>>, LogError> {
        Ok(self.users.lock().unwrap().get(&owner).cloned())
    }
    async fn put_user_key(&self, owner: UserId, wrapped: Vec<u8>) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.users.lock().unwrap().entry(owner).or_insert(Some(wrapped)).clone())
    }
    async fn remove_user_key(&self, owner: UserId) -> Result<(), LogError> {
        self.users.lock().unwrap().remove(&owner);
        Ok(())
    }
    async fn destroy_user_key(&self, owner: UserId) -> Result<(), LogError> {
        self.users.lock().unwrap().insert(owner, None);
        Ok(())
    }
    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.secrets.lock().unwrap().get(name).cloned())
    }
    async fn put_secret(&self, name: &str, wrapped: Vec<u8>) -> Result<Vec<u8>, LogError> {
        Ok(self.secrets.lock().unwrap().entry(name.to_owned()).or_insert(wrapped).clone())
    }
}

fn master() -> MasterKey {
    MasterKey::from_bytes([7; 32])
}

fn uncached(master: &MasterKey, keys: &Arc<Keys>) -> SealingVault {
    let cache = KeyCachePolicy { capacity: 0, time_to_live: Duration::from_secs(1) };
    SealingVault::new(master, Arc::<Keys>::clone(keys), cache)
}

async fn owner_of(vault: &SealingVault) -> UserId {
    let owner = UserId::new(Uuid::now_v7());
    vault.create_key(owner).await.unwrap();
    owner
}

#[tokio::test]
async fn what_is_sealed_opens_in_its_place_only() {
    let keys = Arc::new(Keys::default());
    let vault = uncached(&master(), &keys);
    let owner = owner_of(&vault).await;
    let sealed = vault.seal(owner, PLACE, "세종대로 110").await.unwrap();
    assert!(sealed.ciphertext().starts_with(&format!("v2.{owner}.")));
    assert_eq!(vault.open(PLACE, &sealed).await.unwrap(), "세종대로 110");
    let other_field = SealedAt { field: "order.note", ..PLACE };
    let other_kind = SealedAt { field: FIELD, stream: StreamId::new(AggregateKind::Shipment, PLACE.stream.id) };
    for elsewhere in [other_field, other_kind, order(2)] {
        assert!(matches!(vault.open(elsewhere, &sealed).await, Err(VaultError::DoesNotOpen)), "{elsewhere:?}");
    }
    // Another process with the same master key decrypts it, too; one with another master key does
    // not.
    assert_eq!(uncached(&master(), &keys).open(PLACE, &sealed).await.unwrap(), "세종대로 110");
    let stranger = uncached(&MasterKey::from_bytes([8; 32]), &keys);
    assert!(matches!(stranger.open(PLACE, &sealed).await, Err(VaultError::DoesNotOpen)));
}

/// The addresses of two orders of one person, each moved to the other's place.
#[tokio::test]
async fn texts_of_one_person_do_not_open_in_each_others_streams() {
    let keys = Arc::new(Keys::default());
    let vault = uncached(&master(), &keys);
    let owner = owner_of(&vault).await;
    let home = vault.seal(owner, order(1), "home").await.unwrap();
    let work = vault.seal(owner, order(2), "work").await.unwrap();
    assert_eq!(vault.open(order(1), &home).await.unwrap(), "home");
    assert_eq!(vault.open(order(2), &work).await.unwrap(), "work");
    assert!(matches!(vault.open(order(1), &work).await, Err(VaultError::DoesNotOpen)));
    assert!(matches!(vault.open(order(2), &home).await, Err(VaultError::DoesNotOpen)));
}

/// A text from before streams were bound is decrypted with its own context; a text of one form is
/// not accepted as the other.
#[tokio::test]
async fn a_text_of_an_earlier_version_opens_as_it_did() {
    let keys = Arc::new(Keys::default());
    let vault = uncached(&master(), &keys);
    let owner = owner_of(&vault).await;
    let old = sealed_by_an_earlier_version(&keys, owner, "세종대로 110").await;
    assert_eq!(vault.open(order(1), &old).await.unwrap(), "세종대로 110");
    let other_field = SealedAt { field: "order.note", ..PLACE };
    assert!(matches!(vault.open(other_field, &old).await, Err(VaultError::DoesNotOpen)));

    let new = vault.seal(owner, order(1), "new").await.unwrap();
    let relabelled = |text: &Sealed, from: &str, to: &str| {
        Sealed::from_ciphertext(format!("{to}{}", text.ciphertext().strip_prefix(from).unwrap()))
    };
    for text in [relabelled(&new, "v2", "v1"), relabelled(&old, "v1", "v2"), relabelled(&new, "v2", "v3")] {
        for at in [order(1), order(2)] {
            assert!(matches!(vault.open(at, &text).await, Err(VaultError::DoesNotOpen)), "{at:?}");
        }
    }
}

#[tokio::test]
async fn a_text_moved_to_another_owner_does_not_open() {
    let keys = Arc::new(Keys::default());
    let vault = uncached(&master(), &keys);
    let (one, other) = (owner_of(&vault).await, owner_of(&vault).await);
    let sealed = vault.seal(one, PLACE, "mine").await.unwrap();
    let moved = Sealed::from_ciphertext(sealed.ciphertext().replace(&one.to_string(), &other.to_string()));
    assert!(matches!(vault.open(PLACE, &moved).await, Err(VaultError::DoesNotOpen)));
    // A wrapped key cannot be used for another person either.
    let stolen = keys.users.lock().unwrap()[&one].clone();
    keys.users.lock().unwrap().insert(other, stolen);
    assert!(matches!(vault.seal(other, PLACE, "x").await, Err(VaultError::DoesNotOpen)));
}

#[tokio::test]
async fn an_altered_text_does_not_open() {
    let keys = Arc::new(Keys::default());
    let vault = uncached(&master(), &keys);
    let owner = owner_of(&vault).await;
    let sealed = vault.seal(owner, PLACE, "a").await.unwrap();
    let text = sealed.ciphertext();
    let body = text.rfind('.').unwrap() + 1;
    for at in body..text.len() {
        let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
        let altered = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        let opened = vault.open(PLACE, &Sealed::from_ciphertext(altered)).await;
        assert!(matches!(opened, Err(VaultError::DoesNotOpen)), "byte {at}");
    }
    for broken in ["", "v1", "v2", "v2..", &format!("v2.{owner}"), &format!("v2.{owner}.AAAA"), &format!("{text}.x")] {
        let opened = vault.open(PLACE, &Sealed::from_ciphertext((*broken).to_owned())).await;
        assert!(matches!(opened, Err(VaultError::DoesNotOpen)), "{broken}");
    }
}

#[tokio::test]
async fn equal_texts_have_different_ciphertexts() {
    let vault = uncached(&master(), &Arc::new(Keys::default()));
    let owner = owner_of(&vault).await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1_000 {
        assert!(seen.insert(vault.seal(owner, PLACE, "same").await.unwrap()));
    }
}

#[tokio::test]
async fn a_person_has_one_key_and_once_destroyed_none() {
    let keys = Arc::new(Keys::default());
    let vault = uncached(&master(), &keys);
    let owner = UserId::new(Uuid::now_v7());
    assert!(matches!(vault.seal(owner, PLACE, "x").await, Err(VaultError::NoKey)));
    vault.create_key(owner).await.unwrap();
    let sealed = vault.seal(owner, PLACE, "x").await.unwrap();
    vault.create_key(owner).await.unwrap();
    assert_eq!(vault.open(PLACE, &sealed).await.unwrap(), "x");

    keys.destroy_user_key(owner).await.unwrap();
    assert!(matches!(vault.open(PLACE, &sealed).await, Err(VaultError::KeyDestroyed)));
    assert!(matches!(vault.seal(owner, PLACE, "x").await, Err(VaultError::KeyDestroyed)));
    assert!(matches!(vault.create_key(owner).await, Err(VaultError::KeyDestroyed)));
}

#[tokio::test]
async fn a_destroyed_key_is_noticed_although_it_was_opened() {
    let keys = Arc::new(Keys::default());
    let cache = KeyCachePolicy { time_to_live: Duration::from_millis(50), ..KeyCachePolicy::default() };
    let vault = SealingVault::new(&master(), Arc::<Keys>::clone(&keys), cache);
    let owner = owner_of(&vault).await;
    let sealed = vault.seal(owner, PLACE, "x").await.unwrap();
    keys.destroy_user_key(owner).await.unwrap();
    let noticed = async || matches!(vault.open(PLACE, &sealed).await, Err(VaultError::KeyDestroyed)).then_some(());
    super::eventually(noticed).await;

    let lasting = KeyCachePolicy { time_to_live: Duration::from_secs(600), ..KeyCachePolicy::default() };
    let vault = SealingVault::new(&master(), Arc::<Keys>::clone(&keys), lasting);
    let owner = owner_of(&vault).await;
    let sealed = vault.seal(owner, PLACE, "x").await.unwrap();
    keys.destroy_user_key(owner).await.unwrap();
    assert_eq!(vault.open(PLACE, &sealed).await.unwrap(), "x");
    vault.forget(owner);
    assert!(matches!(vault.open(PLACE, &sealed).await, Err(VaultError::KeyDestroyed)));
}

#[test]
fn keyed_hashes_depend_on_key_context_and_text() {
    let keys = Arc::new(Keys::default());
    let vault = uncached(&master(), &keys);
    let hash = vault.keyed_hash("email", "a@example.com");
    assert_eq!((hash.get_version_num(), hash.get_variant()), (8, uuid::Variant::RFC4122));
    assert_eq!(hash, uncached(&master(), &keys).keyed_hash("email", "a@example.com"));
    let others = [
        vault.keyed_hash("email", "b@example.com"),
        vault.keyed_hash("phone", "a@example.com"),
        vault.keyed_hash("emaila", "@example.com"),
        uncached(&MasterKey::from_bytes([8; 32]), &keys).keyed_hash("email", "a@example.com"),
    ];
    assert!(others.iter().all(|other| *other != hash));
}

#[tokio::test]
async fn a_secret_is_made_once_and_bound_to_its_name() {
    let keys = Arc::new(Keys::default());
    let secrets = SecretBox::new(&master(), Arc::<Keys>::clone(&keys));
    assert!(secrets.get("token signing").await.unwrap().is_none());
    let made = secrets.get_or_create("token signing", || Zeroizing::new(b"one".to_vec())).await.unwrap();
    let again = secrets.get_or_create("token signing", || Zeroizing::new(b"two".to_vec())).await.unwrap();
    assert_eq!((made.as_slice(), again.as_slice()), (&b"one"[..], &b"one"[..]));
    assert!(!keys.secrets.lock().unwrap()["token signing"].windows(3).any(|part| part == b"one"));

    let random = secrets.get_or_random("webhooks", 32).await.unwrap();
    assert_eq!(random.len(), 32);
    assert_eq!(random, secrets.get_or_random("webhooks", 32).await.unwrap());

    let wrapped = keys.secrets.lock().unwrap()["webhooks"].clone();
    keys.secrets.lock().unwrap().insert("renamed".to_owned(), wrapped);
    assert!(matches!(secrets.get("renamed").await, Err(VaultError::DoesNotOpen)));
    let stranger = SecretBox::new(&MasterKey::from_bytes([8; 32]), Arc::<Keys>::clone(&keys));
    assert!(matches!(stranger.get("webhooks").await, Err(VaultError::DoesNotOpen)));
}

/// Master keys cannot be compared; their hashes can.
fn fingerprint(key: &MasterKey) -> Uuid {
    uncached(key, &Arc::new(Keys::default())).keyed_hash("fingerprint", "")
}

#[test]
fn a_master_key_reads_in_hex_and_base64() {
    let bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from((at * 7 + 200) & 0xff).unwrap());
    let key = fingerprint(&MasterKey::from_bytes(bytes));
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let base64 = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(bytes)
    };
    let url_safe = base64.replace('+', "-").replace('/', "_");
    for text in [
        hex.clone(),
        hex.to_uppercase(),
        format!(" {hex}\n"),
        base64.clone(),
        base64.trim_end_matches('=').to_owned(),
        url_safe.trim_end_matches('=').to_owned(),
        url_safe,
    ] {
        assert_eq!(fingerprint(&MasterKey::parse(&text).unwrap()), key, "{text}");
    }
    for text in ["", "secret", &hex[1..], &base64[4..], &format!("{hex}00")] {
        assert!(matches!(MasterKey::parse(text), Err(MasterKeyError::NotAKey)), "{text}");
    }
}

#[test]
fn a_master_key_is_made_once_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let made: Vec<Uuid> = std::thread::scope(|scope| {
        let make = || fingerprint(&MasterKey::load_or_create(&path).unwrap());
        let makers: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    assert!(made.iter().all(|key| *key == made[0]));
    assert_ne!(fingerprint(&MasterKey::generate().unwrap()), made[0]);
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["master.key"]);

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        mode(0o640);
        assert!(matches!(MasterKey::load_or_create(&path), Err(MasterKeyError::OpenToOthers(_))));
        mode(0o600);
    }
    // A damaged file is never replaced, because everything sealed under its key would be lost.
    std::fs::write(&path, "half a k").unwrap();
    assert!(matches!(MasterKey::load_or_create(&path), Err(MasterKeyError::NotAKey)));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "half a k");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_survives_and_no_other_place_opens_it(text in ".{0,200}", place in "[a-z.]{1,30}", other in "[a-z.]{1,30}") {
        prop_assume!(place != other);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let vault = uncached(&master(), &Arc::new(Keys::default()));
            let owner = owner_of(&vault).await;
            let (place, other) = [&place, &other].map(|field| SealedAt { field, ..PLACE }).into();
            let sealed = vault.seal(owner, place, &text).await.unwrap();
            assert_eq!(vault.open(place, &sealed).await.unwrap(), text);
            assert!(matches!(vault.open(other, &sealed).await, Err(VaultError::DoesNotOpen)));
        });
    }

    #[test]
    fn opening_never_panics(text in ".{0,100}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let vault = uncached(&master(), &Arc::new(Keys::default()));
        prop_assert!(runtime.block_on(vault.open(PLACE, &Sealed::from_ciphertext(text))).is_err());
    }

    #[test]
    fn what_is_nearly_a_sealed_text_does_not_open(version in "v[0-9]{1,3}", owner in "[-0-9a-f]{30,40}", text in "[-_A-Za-z0-9=.]{0,80}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let vault = uncached(&master(), &Arc::new(Keys::default()));
        let sealed = Sealed::from_ciphertext(format!("{version}.{owner}.{text}"));
        prop_assert!(runtime.block_on(vault.open(PLACE, &sealed)).is_err());
    }

    #[test]
    fn a_master_key_is_32_bytes_or_refused(bytes in any::<[u8; 32]>(), text in "(?s).{0,70}|[0-9a-fA-F]{62,66}|[-_+/A-Za-z0-9]{40,46}={0,2}") {
        let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert!(MasterKey::parse(&hexadecimal).is_ok());
        let _ = MasterKey::parse(&text);
    }
}
