//! An open-loop schedule: when each request is due, whether or not earlier ones were answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// How often the pacer checks whether a request is due. The timers of the async runtime have a
/// resolution of a millisecond, which is more than a durable commit takes here.
const TICK: Duration = Duration::from_micros(100);

/// Hands out due times.
pub(super) struct Pace {
    due: Arc<Semaphore>,
    begun: Instant,
    rate: u64,
    handed_out: AtomicU64,
}

impl Pace {
    /// Starts now; a thread of its own keeps the time until `limit` is over.
    pub(super) fn start(rate: u64, limit: Duration) -> std::io::Result<Self> {
        let due = Arc::new(Semaphore::new(0));
        let begun = Instant::now();
        std::thread::Builder::new().name("pace".to_owned()).spawn({
            let due = Arc::clone(&due);
            move || keep(&due, begun, rate, limit)
        })?;
        Ok(Self { due, begun, rate, handed_out: AtomicU64::new(0) })
    }

    /// Waits until a request is due and gives the moment at which it was; none at the end.
    pub(super) async fn next(&self) -> Option<Instant> {
        self.due.acquire().await.ok()?.forget();
        let number = self.handed_out.fetch_add(1, Ordering::Relaxed);
        let after_ns = u128::from(number) * 1_000_000_000 / u128::from(self.rate.max(1));
        Some(self.begun + Duration::from_nanos(u64::try_from(after_ns).ok()?))
    }

    /// Ends the schedule: no further request is due.
    pub(super) fn close(&self) {
        self.due.close();
    }
}

fn keep(due: &Semaphore, begun: Instant, rate: u64, limit: Duration) {
    let mut released = 0_u64;
    while !due.is_closed() && begun.elapsed() <= limit {
        let now_due = begun.elapsed().as_nanos() * u128::from(rate) / 1_000_000_000 + 1;
        let now_due = u64::try_from(now_due).unwrap_or(u64::MAX);
        if let Ok(more @ 1..) = usize::try_from(now_due.saturating_sub(released)) {
            due.add_permits(more.min(Semaphore::MAX_PERMITS / 2));
            released = now_due;
        }
        std::thread::sleep(TICK);
    }
}
