//! Leases of an engine that only one process uses: no other process can hold one, so they need not
//! outlive it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

/// The holder of each lease, and when it ends.
#[derive(Debug, Default)]
pub(crate) struct LocalLeases(Mutex<HashMap<String, (Uuid, Instant)>>);

impl LocalLeases {
    /// See [`jangbu_kernel::ports::Leases::hold`].
    pub fn hold(&self, lease: &str, holder: Uuid, length: Duration) -> bool {
        let now = Instant::now();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.get(lease).is_some_and(|(other, until)| *other != holder && *until > now) {
            return false;
        }
        held.insert(lease.to_owned(), (holder, now + length));
        true
    }

    /// See [`jangbu_kernel::ports::Leases::give_back`].
    pub fn give_back(&self, lease: &str, holder: Uuid) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.get(lease).is_some_and(|(owner, _)| *owner == holder) {
            held.remove(lease);
        }
    }
}
