//! Payments and parcels of a load, counted from the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jangbu_app::engine;
use jangbu_kernel::Timestamp;
use jangbu_kernel::log::ReadFilter;
use jangbu_kernel::{CorrelationId, Position};
use jangbu_store::Store;

use crate::place::Place;

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Events read at once.
const PAGE: usize = 10_000;
const REQUESTED: &str = "payment.requested";
const PAID: &str = "order.paid";
const READY: &str = "shipment.ready";

/// Counts payments and parcels, and continues from the position it has read to.
pub(super) struct Parcels {
    store: Arc<dyn Store>,
    filter: ReadFilter,
    after: Position,
    requested: u64,
    ready: u64,
    paid: HashMap<CorrelationId, Timestamp>,
    waits_ms: Vec<u64>,
}

impl Parcels {
    /// Starts at the end of the log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) async fn of(place: &Place) -> anyhow::Result<Self> {
        let store = engine::open_for_reading(&place.settings()?).await?;
        let event_types = [REQUESTED, PAID, READY].map(ToOwned::to_owned).to_vec();
        let filter = ReadFilter { event_types, correlation_id: None };
        let after = store.head().await?;
        Ok(Self { store, filter, after, requested: 0, ready: 0, paid: HashMap::new(), waits_ms: Vec::new() })
    }

    /// Resets the counts and continues from the end of the log; returns that position.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) async fn begin_again(&mut self) -> anyhow::Result<Position> {
        self.after = self.store.head().await?;
        (self.requested, self.ready) = (0, 0);
        self.paid.clear();
        self.waits_ms.clear();
        Ok(self.after)
    }

    /// Reads up to the current end of the log; returns that position.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) async fn read(&mut self) -> anyhow::Result<Position> {
        let head = self.store.head().await?;
        while self.after < head {
            let (page, read_to) = self.store.read_all(self.after, PAGE, &self.filter).await?;
            if read_to <= self.after {
                break;
            }
            self.after = read_to;
            // The page may hold events that were appended after the end was asked for: they count,
            // too.
            for event in page {
                let (request, at) = (event.meta.correlation_id, event.meta.recorded_at);
                match event.event_type.as_str() {
                    REQUESTED => self.requested += 1,
                    PAID => drop(self.paid.insert(request, at)),
                    _ => {
                        self.ready += 1;
                        let waited = self.paid.remove(&request).map(|paid| (at - paid).num_milliseconds());
                        self.waits_ms.extend(waited.and_then(|waited| u64::try_from(waited).ok()));
                    }
                }
            }
        }
        Ok(head)
    }

    /// Waits until this many parcels are ready or the limit is over; returns how many are.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) async fn wait(&mut self, wanted: u64, limit: Duration) -> anyhow::Result<u64> {
        let begun = Instant::now();
        loop {
            self.read().await?;
            if self.ready >= wanted || begun.elapsed() >= limit {
                return Ok(self.ready);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Payments that were requested.
    pub(super) const fn requested(&self) -> u64 {
        self.requested
    }

    /// Payments that were requested and whose parcel is not ready.
    pub(super) const fn under_way(&self) -> u64 {
        self.requested.saturating_sub(self.ready)
    }

    /// Milliseconds from paid to ready at this percentile.
    pub(super) fn wait_ms(&mut self, percent: usize) -> u64 {
        self.waits_ms.sort_unstable();
        let at = (self.waits_ms.len() * percent / 100).min(self.waits_ms.len().saturating_sub(1));
        self.waits_ms.get(at).copied().unwrap_or_default()
    }

    pub(super) async fn close(self) {
        self.store.close().await;
    }
}
