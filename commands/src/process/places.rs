//! The places for outside calls: a total number, and a share of them for one buyer, so that one
//! buyer's slow cards do not make all others wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jangbu_kernel::UserId;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// One buyer holds at most this part of all places.
const SHARE: usize = 8;

/// The places, and the calls that wait for their buyer's share.
pub(super) struct Places {
    all: Arc<Semaphore>,
    share: usize,
    /// Only buyers who hold a place or wait for one.
    buyers: Mutex<HashMap<UserId, Arc<Semaphore>>>,
    /// Held by each call that waits for its buyer's share.
    waiting: Arc<()>,
    began_to_wait: Notify,
}

/// A place. It is free again when it is dropped.
pub(super) struct Place {
    // They are dropped in this order: first the place, then the entry of its buyer.
    _all: OwnedSemaphorePermit,
    _own: Option<(OwnedSemaphorePermit, Known)>,
}

/// Keeps the entry of a buyer while one of their calls holds a place or waits for one.
struct Known {
    places: Arc<Places>,
    buyer: UserId,
    share: Option<Arc<Semaphore>>,
}

impl Places {
    /// A number of places, at least one.
    pub fn new(places: usize) -> Self {
        let places = places.max(1);
        Self {
            all: Arc::new(Semaphore::new(places)),
            share: (places / SHARE).max(1),
            buyers: Mutex::default(),
            waiting: Arc::default(),
            began_to_wait: Notify::new(),
        }
    }

    /// A place for a call of a buyer, as soon as one is free; none if there never will be one. A
    /// call without a buyer needs no share.
    pub async fn take(self: &Arc<Self>, buyer: Option<UserId>) -> Option<Place> {
        let own = match buyer {
            Some(buyer) => Some(self.share_of(buyer).await?),
            None => None,
        };
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Place { _all: all, _own: own })
    }

    async fn share_of(self: &Arc<Self>, buyer: UserId) -> Option<(OwnedSemaphorePermit, Known)> {
        let known = self.know(buyer);
        // A handle that outlived `known` would keep the entry of the buyer for ever.
        let share = Arc::clone(known.share.as_ref()?);
        let permit = match share.try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = Arc::clone(&self.waiting);
                self.began_to_wait.notify_one();
                Arc::clone(known.share.as_ref()?).acquire_owned().await.ok()?
            }
        };
        Some((permit, known))
    }

    fn know(self: &Arc<Self>, buyer: UserId) -> Known {
        let mut buyers = self.buyers.lock().unwrap_or_else(PoisonError::into_inner);
        let share = buyers.entry(buyer).or_insert_with(|| Arc::new(Semaphore::new(self.share)));
        Known { places: Arc::clone(self), buyer, share: Some(Arc::clone(share)) }
    }

    /// The number of calls that wait for their buyer's share.
    pub fn waiting(&self) -> usize {
        Arc::strong_count(&self.waiting).saturating_sub(1)
    }

    /// Resolves when another call has begun to wait for its buyer's share.
    pub async fn began_to_wait(&self) {
        self.began_to_wait.notified().await;
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.share = None;
        let mut buyers = self.places.buyers.lock().unwrap_or_else(PoisonError::into_inner);
        // Only the map's own handle is left: handles are only made under this lock.
        if buyers.get(&self.buyer).is_some_and(|share| Arc::strong_count(share) == 1) {
            buyers.remove(&self.buyer);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    fn buyer(number: u128) -> Option<UserId> {
        Some(UserId::new(Uuid::from_u128(number)))
    }

    #[tokio::test]
    async fn one_buyer_has_a_share_and_is_forgotten_afterwards() {
        let places = Arc::new(Places::new(2 * SHARE));
        let held = [places.take(buyer(1)).await, places.take(buyer(1)).await];
        let mut third = Box::pin(places.take(buyer(1)));
        assert!(third.as_mut().now_or_never().is_none(), "beyond the share");
        assert_eq!(places.waiting(), 1);
        places.began_to_wait().await;
        for number in 2..=(2 * SHARE as u128 - 1) {
            assert!(places.take(buyer(number)).now_or_never().flatten().is_some(), "{number} finds a place");
        }
        drop(held);
        assert!(third.await.is_some());
        // A call that is dropped while it waits leaves nothing behind either.
        let held = [places.take(buyer(1)).await, places.take(buyer(1)).await];
        assert!(places.take(buyer(1)).now_or_never().is_none());
        drop(held);
        assert_eq!((places.waiting(), places.buyers.lock().unwrap().len()), (0, 0));
        assert_eq!(places.all.available_permits(), 2 * SHARE);
    }

    #[tokio::test]
    async fn there_are_no_more_places_than_places() {
        let places = Arc::new(Places::new(1));
        let held = places.take(None).await;
        assert!(places.take(buyer(1)).now_or_never().is_none());
        drop(held);
        assert!(places.take(buyer(1)).now_or_never().flatten().is_some());
    }
}
