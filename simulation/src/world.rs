//! A node's clock, ids and vault.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;
use jangbu_kernel::ports::{Clock, IdSource, Vault, VaultError};
use jangbu_kernel::time::to_millis;
use jangbu_kernel::{Sealed, SealedAt, Timestamp, UserId};
use uuid::Uuid;

use crate::names::Fault;
use crate::sim::Sim;

/// A node's clock: the true time, and its error.
pub(crate) struct NodeClock {
    pub sim: Arc<Sim>,
    pub wrong_ms: AtomicI64,
}

impl NodeClock {
    pub fn new(sim: &Arc<Sim>) -> Self {
        Self { sim: Arc::clone(sim), wrong_ms: AtomicI64::new(0) }
    }

    /// Steps the clock forward or back.
    pub fn step(&self, by_ms: i64) {
        let now = self.wrong_ms.fetch_add(by_ms, Ordering::Relaxed).saturating_add(by_ms);
        self.sim
            .tell("clock", now.unsigned_abs(), || format!("the clock is put by {by_ms} ms, it is wrong by {now} ms"));
    }

    /// Corrects it.
    pub fn set_right(&self) {
        self.wrong_ms.store(0, Ordering::Relaxed);
    }
}

impl Clock for NodeClock {
    fn now(&self) -> Timestamp {
        to_millis(self.sim.now() + TimeDelta::milliseconds(self.wrong_ms.load(Ordering::Relaxed)))
    }
}

/// UUIDs v7 of the true time and a counter: they are in order, even across nodes, and every run
/// with the same seed generates the same ones.
pub(crate) struct Ids {
    sim: Arc<Sim>,
    minted: AtomicU64,
}

impl Ids {
    pub fn new(sim: &Arc<Sim>) -> Self {
        Self { sim: Arc::clone(sim), minted: AtomicU64::new(0) }
    }
}

impl IdSource for Ids {
    fn new_id(&self) -> Uuid {
        let millis = u64::try_from(self.sim.now().timestamp_millis()).unwrap_or(0);
        let count = self.minted.fetch_add(1, Ordering::Relaxed);
        let mut random = [0_u8; 10];
        for (place, byte) in random.iter_mut().zip(count.to_be_bytes()) {
            *place = byte;
        }
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

/// Seals by writing the owner in front: the simulation tests who decrypts what, and unreadable
/// keys, and not the cipher.
pub(crate) struct PlainVault(pub Arc<Sim>);

#[async_trait]
impl Vault for PlainVault {
    async fn create_key(&self, _: UserId) -> Result<(), VaultError> {
        Ok(())
    }

    async fn seal(&self, owner: UserId, at: SealedAt<'_>, plain: &str) -> Result<Sealed, VaultError> {
        Ok(sealed(owner, at, plain))
    }

    async fn open(&self, at: SealedAt<'_>, sealed: &Sealed) -> Result<String, VaultError> {
        if self.0.strikes(Fault::VaultFails) {
            let error = jangbu_kernel::log::LogError::Unavailable("simulated".to_owned(), None);
            return Err(VaultError::Store(error));
        }
        let mut parts = sealed.ciphertext().splitn(4, '.');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("v2"), Some(_), Some(place), Some(plain)) if place == place_of(at) => Ok(plain.to_owned()),
            _ => Err(VaultError::DoesNotOpen),
        }
    }

    fn keyed_hash(&self, context: &str, text: &str) -> Uuid {
        let mut hash = 0xCBF2_9CE4_8422_2325_u64;
        for byte in context.bytes().chain(text.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        uuid::Builder::from_custom_bytes(u128::from(hash).to_be_bytes()).into_uuid()
    }
}

/// A text in the vault's sealed form.
pub(crate) fn sealed(owner: UserId, at: SealedAt<'_>, plain: &str) -> Sealed {
    Sealed::from_ciphertext(format!("v2.{owner}.{}.{plain}", place_of(at)))
}

fn place_of(at: SealedAt<'_>) -> String {
    format!("{}/{}", at.field.replace('.', "/"), at.stream)
}
