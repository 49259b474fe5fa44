//! The load: connections that each have one request under way at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use super::report::Tally;
use crate::client::{Connection, Reply};

/// A request that is ready to be sent.
pub struct Shot {
    /// Path.
    pub path: &'static str,
    /// `Authorization` header.
    pub authorization: String,
    /// `Idempotency-Key` header.
    pub key: String,
    /// Headers beyond those.
    pub extra: &'static [(&'static str, &'static str)],
    /// JSON body.
    pub body: Vec<u8>,
}

/// Makes the next request of a connection; none when it is done.
pub trait Ammunition: Send + 'static {
    /// The next request.
    fn next(&mut self) -> Option<Shot>;
}

/// Fires from many connections until the ammunition or the time is used up, and
/// counts what was answered after the warm-up.
pub async fn fire<A: Ammunition>(
    address: &str,
    guns: Vec<A>,
    warmup: Duration,
    measured: Duration,
) -> anyhow::Result<Tally> {
    let counting = Arc::new(AtomicBool::new(warmup.is_zero()));
    let stopped = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::with_capacity(guns.len());
    for gun in guns {
        let connection = Connection::open(address).await?;
        let (counting, stopped) = (counting.clone(), stopped.clone());
        tasks.push(tokio::spawn(shoot(connection, gun, counting, stopped)));
    }
    let clock = tokio::spawn({
        let (counting, stopped) = (counting.clone(), stopped.clone());
        async move {
            tokio::time::sleep(warmup).await;
            counting.store(true, Ordering::Relaxed);
            let begun = Instant::now();
            tokio::time::sleep(measured).await;
            stopped.store(true, Ordering::Relaxed);
            begun
        }
    });
    let begun = Instant::now();
    let mut tally = Tally::new()?;
    for task in tasks {
        tally.add(task.await??)?;
    }
    let early = !stopped.load(Ordering::Relaxed);
    tally.elapsed = if early { begun.elapsed() } else { measured };
    if early {
        clock.abort();
    } else {
        clock.await?;
    }
    Ok(tally)
}

async fn shoot<A: Ammunition>(
    mut connection: Connection,
    mut gun: A,
    counting: Arc<AtomicBool>,
    stopped: Arc<AtomicBool>,
) -> anyhow::Result<Tally> {
    let mut tally = Tally::new()?;
    while !stopped.load(Ordering::Relaxed) {
        let Some(shot) = gun.next() else { break };
        let mut headers = vec![("authorization", shot.authorization.as_str()), ("idempotency-key", shot.key.as_str())];
        headers.extend_from_slice(shot.extra);
        let begun = Instant::now();
        let reply = connection.send(Method::POST, shot.path, &headers, shot.body).await?;
        // A request that began before the end counts also when it ends after it: leaving the
        // slowest out would flatter the figures.
        if counting.load(Ordering::Relaxed) {
            tally.count(&reply, begun.elapsed())?;
        } else {
            tally.warmed_up += u64::from(reply.status == StatusCode::CREATED);
        }
    }
    Ok(tally)
}

impl Tally {
    fn count(&mut self, reply: &Reply, took: Duration) -> anyhow::Result<()> {
        *self.statuses.entry(reply.status.as_u16()).or_default() += 1;
        if !reply.status.is_success() {
            let code = reply.json().get("code").and_then(|code| code.as_str()).unwrap_or("none").to_owned();
            *self.codes.entry(code).or_default() += 1;
        }
        if reply.status == StatusCode::CREATED {
            self.latency.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))?;
        }
        Ok(())
    }

    fn add(&mut self, other: Self) -> anyhow::Result<()> {
        self.warmed_up += other.warmed_up;
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (code, count) in other.codes {
            *self.codes.entry(code).or_default() += count;
        }
        self.latency.add(&other.latency)?;
        Ok(())
    }
}
