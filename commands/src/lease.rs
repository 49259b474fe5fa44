//! Work that one node at a time does, while it holds a lease.

use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::ports::Leases;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Attempts to renew a lease before it ends.
const RENEWALS: u32 = 10;

/// The store of the leases, and the node that asks for them.
#[derive(Clone)]
pub struct LeaseHolder {
    /// The store of the leases.
    pub leases: Arc<dyn Leases>,
    /// The identity of this node: the same after a restart, so that it need not wait for a lease
    /// that it held before.
    pub node: Uuid,
    /// How long a lease lasts if it is not renewed. It is renewed after every tenth of this time.
    pub length: Duration,
}

/// One lease, as seen by a node that wants it.
pub(crate) struct Lease {
    name: &'static str,
    holder: LeaseHolder,
    stop: CancellationToken,
}

/// Why a lease is no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The program is stopping.
    Stopped,
    /// Another node has it, or may have it.
    Lost,
}

impl Lease {
    pub fn new(name: &'static str, holder: LeaseHolder, stop: CancellationToken) -> Self {
        Self { name, holder, stop }
    }

    /// Waits until the lease is free and taken. Returns the time until which it is certainly held;
    /// none if the program is stopping.
    pub async fn wait(&self) -> Option<Instant> {
        loop {
            match self.hold().await? {
                Ok(Some(until)) if until > Instant::now() => return Some(until),
                Ok(_) => {}
                Err(error) => tracing::warn!(lease = self.name, error, "a lease cannot be asked for now"),
            }
            self.pause().await?;
        }
    }

    /// Renews the lease for as long as that succeeds.
    pub async fn keep(&self, mut until: Instant) -> Ended {
        loop {
            if self.pause().await.is_none() {
                return Ended::Stopped;
            }
            match self.hold().await {
                None => return Ended::Stopped,
                Some(Ok(Some(renewed))) => until = renewed,
                Some(Ok(None)) => return Ended::Lost,
                Some(Err(error)) => tracing::warn!(lease = self.name, error, "a lease cannot be renewed for now"),
            }
            if until <= Instant::now() {
                return Ended::Lost;
            }
        }
    }

    /// Lets another node start at once. Best effort: the lease ends by itself.
    pub async fn give_back(&self) {
        let LeaseHolder { leases, node, length } = &self.holder;
        match timeout(*length, leases.give_back(self.name, *node)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(lease = self.name, %error, "a lease could not be given back"),
            Err(_) => tracing::warn!(lease = self.name, "a lease could not be given back in time"),
        }
    }

    /// Takes or renews the lease. Returns its end, counted from before the store was asked, or none
    /// if another node has it. The outer option is none if the program is stopping.
    async fn hold(&self) -> Option<Result<Option<Instant>, String>> {
        let LeaseHolder { leases, node, length } = &self.holder;
        let asked = Instant::now();
        let held = tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            held = timeout(*length, leases.hold(self.name, *node, *length)) => held,
        };
        Some(match held {
            Ok(Ok(held)) => Ok(held.then(|| asked + *length)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the store did not answer in time".to_owned()),
        })
    }

    /// Waits for the next renewal; none if the program is stopping.
    async fn pause(&self) -> Option<()> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            () = sleep(self.holder.length / RENEWALS) => Some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use async_trait::async_trait;
    use jangbu_kernel::log::LogError;

    use super::*;

    const LENGTH: Duration = Duration::from_secs(5);

    /// Grants the lease at once, but answers only after a while.
    struct SlowToAnswer(Duration);

    #[async_trait]
    impl Leases for SlowToAnswer {
        async fn hold(&self, _: &str, _: Uuid, _: Duration) -> Result<bool, LogError> {
            sleep(self.0).await;
            Ok(true)
        }
        async fn give_back(&self, _: &str, _: Uuid) -> Result<(), LogError> {
            Ok(())
        }
    }

    fn lease(answers_after: Duration, stop: &CancellationToken) -> Lease {
        let holder = LeaseHolder { leases: Arc::new(SlowToAnswer(answers_after)), node: Uuid::nil(), length: LENGTH };
        Lease::new("work", holder, stop.clone())
    }

    /// The store counts from when it was asked. A holder that counted from the answer would go on
    /// for too long.
    #[tokio::test(start_paused = true)]
    async fn a_lease_counts_from_the_question() {
        let asked = Instant::now();
        let until = lease(Duration::from_secs(3), &CancellationToken::new()).wait().await.unwrap();
        assert_eq!(until, asked + LENGTH);
        assert_eq!(until - Instant::now(), Duration::from_secs(2), "three seconds of it are gone");
    }

    /// An answer that takes as long as the lease grants nothing, and such a renewal loses the
    /// lease.
    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_over_when_it_is_given_is_not_held() {
        let stop = CancellationToken::new();
        let late = lease(LENGTH, &stop);
        assert_eq!(late.keep(Instant::now() + LENGTH).await, Ended::Lost);
        stop.cancel();
        assert_eq!(late.wait().await, None);
    }
}
