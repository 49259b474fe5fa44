//! One rate limit per caller: by user when somebody is logged in, else by address.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use http::{HeaderMap, HeaderValue};
use jangbu_kernel::UserId;

use super::problem::{Code, Problem};
use crate::state::RateLimit;

/// After so many checks callers who have been quiet are forgotten.
const CHECKS_BETWEEN_SWEEPS: u32 = 65_536;

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CallerKey {
    User(UserId),
    Peer(IpAddr),
}

pub(crate) struct Limiter {
    limit: RateLimit,
    limiter: RateLimiter<CallerKey, DefaultKeyedStateStore<CallerKey>, DefaultClock, StateInformationMiddleware>,
    clock: DefaultClock,
    checks: AtomicU32,
}

/// What is left to a caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    remaining: u32,
    reset_seconds: u64,
}

impl Limiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let each = limit.per.checked_div(limit.requests.get()).unwrap_or(limit.per);
        // A period of zero only comes of more requests than there are nanoseconds.
        let quota = Quota::with_period(each).unwrap_or_else(|| Quota::per_second(limit.requests));
        let clock = DefaultClock::default();
        let limiter = RateLimiter::dashmap_with_clock(quota.allow_burst(limit.requests), clock.clone())
            .with_middleware::<StateInformationMiddleware>();
        Self { limit, limiter, clock, checks: AtomicU32::new(0) }
    }

    /// Counts a request.
    pub(crate) fn check(&self, caller: CallerKey) -> Result<Allowance, (Problem, Allowance)> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CHECKS_BETWEEN_SWEEPS == CHECKS_BETWEEN_SWEEPS - 1 {
            self.limiter.retain_recent();
        }
        match self.limiter.check_key(&caller) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let used = u128::from(self.limit.requests.get().saturating_sub(remaining));
                let millis = self.limit.per.as_millis().saturating_mul(used) / u128::from(self.limit.requests.get());
                Ok(Allowance { remaining, reset_seconds: seconds_up(millis) })
            }
            Err(not_until) => {
                let wait = seconds_up(not_until.wait_time_from(self.clock.now()).as_millis()).max(1);
                let problem = Problem::new(Code::RateLimited, format!("try again in {wait} s")).retry_after(wait);
                Err((problem, Allowance { remaining: 0, reset_seconds: wait }))
            }
        }
    }

    /// Writes `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
    pub(crate) fn write(&self, allowance: Allowance, headers: &mut HeaderMap) {
        let policy = format!("\"caller\";q={};w={}", self.limit.requests, self.limit.per.as_secs());
        let state = format!("\"caller\";r={};t={}", allowance.remaining, allowance.reset_seconds);
        for (name, text) in [("ratelimit-policy", policy), ("ratelimit", state)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
    }
}

fn seconds_up(millis: u128) -> u64 {
    u64::try_from(millis.div_ceil(1_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_his_own_allowance() {
        let limiter = Limiter::new(RateLimit::parse("2/hour").unwrap().unwrap());
        let (one, other) = (CallerKey::Peer([127, 0, 0, 1].into()), CallerKey::Peer([127, 0, 0, 2].into()));
        assert_eq!(limiter.check(one).unwrap().remaining, 1);
        assert_eq!(limiter.check(one).unwrap().remaining, 0);
        let (problem, allowance) = limiter.check(one).unwrap_err();
        assert_eq!((problem.code(), allowance.remaining), (Code::RateLimited, 0));
        assert!(allowance.reset_seconds > 1_700, "{allowance:?}");
        assert!(limiter.check(other).is_ok());
    }
}
