//! Waiting until a fulfilment is at rest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jangbu_aggregates::processes::Fulfilment;
use jangbu_kernel::OrderId;
use jangbu_kernel::log::LogError;
use tokio::sync::Notify;

use super::Shared;
use crate::reader::load_state;

/// How long to wait before looking again at an order that another node processes.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The callers that wait, by order.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<HashMap<OrderId, Arc<Notify>>>);

impl Waiters {
    fn register(&self, order_id: OrderId) -> Arc<Notify> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(waiting.entry(order_id).or_default())
    }

    /// Removes an order that nobody waits for any more.
    fn unregister(&self, order_id: OrderId) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One handle is in the map, one with the caller.
        if waiting.get(&order_id).is_some_and(|notify| Arc::strong_count(notify) <= 2) {
            waiting.remove(&order_id);
        }
    }

    /// Wakes the callers that wait for an order.
    pub fn wake(&self, order_id: OrderId) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = waiting.get(&order_id) {
            notify.notify_waiters();
        }
    }
}

/// Leaves the list of waiters, however the wait ends.
struct Waiting<'a> {
    waiters: &'a Waiters,
    order_id: OrderId,
    notify: Arc<Notify>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waiters.unregister(self.order_id);
    }
}

/// Returns once the fulfilment of the order is at rest. By then it has taken in everything that was
/// committed.
pub(super) async fn wait(shared: &Shared, order_id: OrderId) {
    let notify = shared.known.waiters.register(order_id);
    let waiting = Waiting { waiters: &shared.known.waiters, order_id, notify };
    loop {
        // Listen before looking, so that nothing is missed in between.
        let news = waiting.notify.notified();
        if shared.known.parked.contains(order_id) {
            // Nothing happens to it before a person has looked at it.
            return;
        }
        match load_state::<Fulfilment>(shared.deps.commands.log().as_ref(), order_id).await {
            Ok((fulfilment, _)) if fulfilment.at_rest() => return,
            Ok(_) => {}
            Err(LogError::Damaged(_)) => return,
            Err(error) => tracing::warn!(%error, %order_id, "a fulfilment cannot be read for now"),
        }
        let _timed_out = tokio::time::timeout(LOOK_AGAIN, news).await;
    }
}
