//! Wrong passwords: how long the next attempt has to wait.
//!
//! They are counted per e-mail address and block of IP addresses from which the login is tried, so
//! that a stranger only delays themselves and not the owner; and per e-mail address over all
//! blocks, with a much higher bound, against attackers with many blocks. A block from which the
//! account has a live session counts as a known device, which the second count does not delay.
//! E-mail addresses without an account are counted like those with one.
//!
//! The counts are in the memory of the node: with several nodes each has its own, and a restart
//! forgets them. But an account that was unlocked by hand is unlocked on all nodes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use jangbu_aggregates::Policy;
use jangbu_kernel::{SessionId, Timestamp, UserId};
use tokio::sync::MutexGuard;
use uuid::Uuid;

use super::block::AddressBlock;

/// The most counts, and the most devices, that are kept in memory.
const IN_MIND: u64 = 100_000;
/// Counts that are not used for this long are forgotten.
const QUIET: Duration = Duration::from_secs(24 * 3_600);
/// Logins for one account from one block that may wait for each other.
const MOST_WAITING: usize = 64;

/// Wrong passwords in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    failures: u32,
    last_at: Option<Timestamp>,
}

impl Count {
    fn fail(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.last_at = Some(now);
    }

    /// How long the next attempt has to wait, if the wrong passwords have reached `bound`.
    fn delay(self, bound: u32, policy: &Policy, now: Timestamp) -> Option<TimeDelta> {
        let beyond = self.failures.checked_sub(bound.max(1))?;
        let doubled = 1_i32.checked_shl(beyond.min(30)).unwrap_or(i32::MAX);
        let delay = policy.first_login_delay.checked_mul(doubled).unwrap_or(policy.lock_duration);
        let until = self.last_at?.checked_add_signed(delay.min(policy.lock_duration))?;
        Some(until.signed_duration_since(now)).filter(|left| *left > TimeDelta::zero())
    }
}

/// The attempts for one account from one block. They are judged one after the other, because in
/// parallel all of them would be allowed before the first one counts.
#[derive(Default)]
pub(super) struct Place {
    count: tokio::sync::Mutex<Count>,
    waiting: AtomicUsize,
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Place {
    /// Waits for the turn; none if too many are waiting.
    pub(super) async fn turn(&self) -> Option<MutexGuard<'_, Count>> {
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if ahead >= MOST_WAITING {
            return None;
        }
        Some(self.count.lock().await)
    }
}

/// What is known in addition to the counts.
#[derive(Clone, Copy)]
pub(super) struct Circumstances {
    /// Whether the account has a live session in this block.
    pub(super) known_device: bool,
    /// Wrong passwords before this moment do not count.
    pub(super) unlocked_at: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// All counts of this node. Clones share them.
#[derive(Clone)]
pub(super) struct Attempts {
    policy: Arc<Policy>,
    places: moka::sync::Cache<(Uuid, AddressBlock), Arc<Place>>,
    accounts: moka::sync::Cache<Uuid, Arc<Mutex<Count>>>,
    devices: moka::sync::Cache<(UserId, AddressBlock), SessionId>,
}

impl Attempts {
    pub(super) fn new(policy: Arc<Policy>) -> Self {
        let places = moka::sync::Cache::builder().max_capacity(IN_MIND).time_to_idle(QUIET).build();
        let accounts = moka::sync::Cache::builder().max_capacity(IN_MIND).time_to_idle(QUIET).build();
        Self { policy, places, accounts, devices: moka::sync::Cache::new(IN_MIND) }
    }

    /// The attempts for an e-mail address from a block.
    pub(super) fn place(&self, claim: Uuid, from: AddressBlock) -> Arc<Place> {
        self.places.get_with((claim, from), Arc::default)
    }

    /// How long an attempt has to wait; none if it is allowed now.
    pub(super) fn wait(&self, here: &mut Count, claim: Uuid, circumstances: Circumstances) -> Option<TimeDelta> {
        let Circumstances { known_device, unlocked_at, now } = circumstances;
        let policy = &self.policy;
        forgive(here, unlocked_at);
        if known_device {
            return here.delay(policy.max_login_failures_known, policy, now);
        }
        let everywhere = self.everywhere(claim, |count| {
            forgive(count, unlocked_at);
            count.delay(policy.max_login_failures_everywhere, policy, now)
        });
        here.delay(policy.max_login_failures, policy, now).max(everywhere)
    }

    /// Counts a wrong password.
    pub(super) fn failed(&self, here: &mut Count, claim: Uuid, now: Timestamp) {
        here.fail(now);
        self.everywhere(claim, |count| count.fail(now));
    }

    /// Notes a right password or refresh token.
    pub(super) fn succeeded(&self, user_id: UserId, session_id: SessionId, from: AddressBlock) {
        self.devices.insert((user_id, from), session_id);
    }

    /// The newest session of a user from a block.
    pub(super) fn device(&self, user_id: UserId, from: AddressBlock) -> Option<SessionId> {
        self.devices.get(&(user_id, from))
    }

    fn everywhere<T>(&self, claim: Uuid, look: impl FnOnce(&mut Count) -> T) -> T {
        let count = self.accounts.get_with(claim, Arc::default);
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        look(&mut count)
    }
}

fn forgive(count: &mut Count, unlocked_at: Option<Timestamp>) {
    if count.last_at.zip(unlocked_at).is_some_and(|(last, unlocked)| last <= unlocked) {
        *count = Count::default();
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }
    fn block(number: u8) -> AddressBlock {
        AddressBlock::of([192, 0, number, 1].into())
    }
    fn stranger(seconds: i64) -> Circumstances {
        Circumstances { known_device: false, unlocked_at: None, now: at(seconds) }
    }

    struct Door(Attempts);

    impl Door {
        fn new() -> Self {
            Self(Attempts::new(Arc::new(Policy::default())))
        }
        async fn fail(&self, from: u8, seconds: i64) {
            let place = self.0.place(Uuid::nil(), block(from));
            self.0.failed(&mut place.turn().await.unwrap(), Uuid::nil(), at(seconds));
        }
        async fn wait(&self, from: u8, circumstances: Circumstances) -> i64 {
            let place = self.0.place(Uuid::nil(), block(from));
            let wait = self.0.wait(&mut place.turn().await.unwrap(), Uuid::nil(), circumstances);
            wait.map_or(0, |left| left.num_seconds())
        }
    }

    #[tokio::test]
    async fn the_fifth_wrong_password_delays_and_every_further_one_twice_as_long() {
        let door = Door::new();
        let mut waits = Vec::new();
        for _ in 0..18 {
            door.fail(1, 0).await;
            waits.push(door.wait(1, stranger(0)).await);
        }
        let wanted = [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900];
        assert_eq!(waits, wanted);
        assert_eq!(door.wait(1, stranger(899)).await, 1);
        assert_eq!(door.wait(1, stranger(900)).await, 0);
        // Other blocks have no delay.
        assert_eq!(door.wait(2, stranger(0)).await, 0);
    }

    #[tokio::test]
    async fn who_tries_from_everywhere_meets_a_bound_that_a_known_device_does_not() {
        let door = Door::new();
        for from in 0..60 {
            door.fail(from, 0).await;
        }
        assert_eq!(door.wait(200, stranger(0)).await, 900);
        let known = Circumstances { known_device: true, ..stranger(0) };
        assert_eq!(door.wait(200, known).await, 0);
        // In a block with a session of the owner, a guesser has more attempts, but not any number.
        for _ in 0..19 {
            door.fail(201, 0).await;
        }
        assert_eq!(door.wait(201, known).await, 0);
        door.fail(201, 0).await;
        assert_eq!(door.wait(201, known).await, 1);
    }

    #[tokio::test]
    async fn unlocking_forgives_what_was_before_it() {
        let door = Door::new();
        for from in 0..60 {
            for _ in 0..6 {
                door.fail(from, 0).await;
            }
        }
        let unlocked = |seconds| Circumstances { unlocked_at: Some(at(0)), ..stranger(seconds) };
        assert!(door.wait(1, stranger(0)).await > 0);
        assert_eq!(door.wait(1, unlocked(1)).await, 0);
        for _ in 0..5 {
            door.fail(1, 1).await;
        }
        assert_eq!(door.wait(1, unlocked(1)).await, 1);
    }

    #[tokio::test]
    async fn too_many_at_once_are_sent_away() {
        let place = Place::default();
        let held = place.turn().await.unwrap();
        let mut waiting: Vec<_> = (0..MOST_WAITING).map(|_| Box::pin(place.turn())).collect();
        for turn in &mut waiting {
            assert!(futures::poll!(turn.as_mut()).is_pending());
        }
        assert!(place.turn().await.is_none());
        drop((waiting, held));
        assert!(place.turn().await.is_some());
    }
}
