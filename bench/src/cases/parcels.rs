//! What becomes of paid orders, read from the log beside the server.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jangbu_app::engine;
use jangbu_kernel::CorrelationId;
use jangbu_kernel::Timestamp;
use jangbu_kernel::log::ReadFilter;
use jangbu_store::Store;

use crate::place::Place;

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Events read at once.
const PAGE: usize = 10_000;
const REQUESTED: &str = "payment.requested";
const PAID: &str = "order.paid";
const READY: &str = "shipment.ready";

/// Counts payments and parcels, reading on from where it was.
pub(super) struct Parcels {
    store: Arc<dyn Store>,
    filter: ReadFilter,
    after: u64,
    requested: u64,
    ready: u64,
    paid: HashMap<CorrelationId, Timestamp>,
    waits_ms: Vec<u64>,
}

impl Parcels {
    /// Begins at the end of the log.
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

    /// Forgets what was counted and goes on from the end of the log; where that is.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) async fn begin_again(&mut self) -> anyhow::Result<u64> {
        self.after = self.store.head().await?;
        (self.requested, self.ready) = (0, 0);
        self.paid.clear();
        self.waits_ms.clear();
        Ok(self.after)
    }

    /// Reads up to where the log ends now; where that is.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) async fn read(&mut self) -> anyhow::Result<u64> {
        let head = self.store.head().await?;
        while self.after < head {
            let (page, read_to) = self.store.read_all(self.after, PAGE, &self.filter).await?;
            if read_to <= self.after {
                break;
            }
            self.after = read_to;
            // What came after the look is counted, too: the page has it.
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

    /// Waits until so many parcels are ready; how many are.
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

    /// Payments that were asked for.
    pub(super) const fn requested(&self) -> u64 {
        self.requested
    }

    /// Payments that were asked for and whose parcel is not ready.
    pub(super) const fn under_way(&self) -> u64 {
        self.requested.saturating_sub(self.ready)
    }

    /// Milliseconds from paid to ready, below which so many of a hundred orders were.
    pub(super) fn wait_ms(&mut self, percent: usize) -> u64 {
        self.waits_ms.sort_unstable();
        let at = (self.waits_ms.len() * percent / 100).min(self.waits_ms.len().saturating_sub(1));
        self.waits_ms.get(at).copied().unwrap_or_default()
    }

    pub(super) async fn close(self) {
        self.store.close().await;
    }
}
