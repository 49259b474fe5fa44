//! Rate limits: one per caller, by user if logged in and else by address; and one for the login
//! routes, by block of addresses.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use http::{HeaderMap, HeaderValue};
use jangbu_commands::identity::AddressBlock;
use jangbu_kernel::UserId;

use super::problem::{Code, Problem};
use super::rate_limit::RateLimit;

/// Idle callers are forgotten after this many checks.
const CHECKS_BETWEEN_SWEEPS: u32 = 8_192;
/// Callers that are counted one by one, about 100 bytes each. A client with many addresses would
/// fill the memory otherwise; beyond this number callers are counted in crowds.
const MOST_CALLERS: usize = 100_000;
/// Crowds over which all callers are spread then.
const CROWDS: u64 = 1_024;

/// The key under which requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CallerKey {
    User(UserId),
    /// As [`AddressBlock::of_caller`] gives it.
    Address(IpAddr),
    Block(AddressBlock),
    /// A part of all callers, when there are too many to count one by one.
    Crowd(u64),
}

impl CallerKey {
    fn crowd(self) -> Self {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        Self::Crowd(hasher.finish() % CROWDS)
    }
}

pub(crate) struct Limiter {
    /// Its name in the headers.
    name: &'static str,
    limit: RateLimit,
    limiter: RateLimiter<CallerKey, DefaultKeyedStateStore<CallerKey>, DefaultClock, StateInformationMiddleware>,
    clock: DefaultClock,
    checks: AtomicU32,
    /// Set when there are too many callers to count one by one.
    crowded: AtomicBool,
}

/// What a caller has left of its limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    remaining: u32,
    reset_seconds: u64,
}

impl Limiter {
    pub(crate) fn new(name: &'static str, limit: RateLimit) -> Self {
        let each = limit.per.checked_div(limit.requests.get()).unwrap_or(limit.per);
        // A period of zero only results from more requests than there are nanoseconds.
        let quota = Quota::with_period(each).unwrap_or_else(|| Quota::per_second(limit.requests));
        let clock = DefaultClock::default();
        let limiter = RateLimiter::dashmap_with_clock(quota.allow_burst(limit.requests), clock.clone())
            .with_middleware::<StateInformationMiddleware>();
        Self { name, limit, limiter, clock, checks: AtomicU32::new(0), crowded: AtomicBool::new(false) }
    }

    /// Counts a request.
    pub(crate) fn check(&self, caller: CallerKey) -> Result<Allowance, (Problem, Allowance)> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CHECKS_BETWEEN_SWEEPS == CHECKS_BETWEEN_SWEEPS - 1 {
            self.sweep();
        }
        let counted = if self.crowded.load(Ordering::Relaxed) { caller.crowd() } else { caller };
        match self.limiter.check_key(&counted) {
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

    /// Forgets idle callers. Until the next sweep at most [`CHECKS_BETWEEN_SWEEPS`] callers can be
    /// added.
    fn sweep(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        let room = MOST_CALLERS.saturating_sub(CHECKS_BETWEEN_SWEEPS as usize);
        self.crowded.store(self.limiter.len() > room, Ordering::Relaxed);
    }

    /// Writes `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
    pub(crate) fn write(&self, allowance: Allowance, headers: &mut HeaderMap) {
        let policy = format!("\"{}\";q={};w={}", self.name, self.limit.requests, self.limit.per.as_secs());
        let state = format!("\"{}\";r={};t={}", self.name, allowance.remaining, allowance.reset_seconds);
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
        let limiter = Limiter::new("caller", RateLimit::parse("2/hour").unwrap().unwrap());
        let (one, other) = (CallerKey::Address([127, 0, 0, 1].into()), CallerKey::Address([127, 0, 0, 2].into()));
        assert_eq!(limiter.check(one).unwrap().remaining, 1);
        assert_eq!(limiter.check(one).unwrap().remaining, 0);
        let (problem, allowance) = limiter.check(one).unwrap_err();
        assert_eq!((problem.code(), allowance.remaining), (Code::RateLimited, 0));
        assert!(allowance.reset_seconds > 1_700, "{allowance:?}");
        assert!(limiter.check(other).is_ok());
    }

    #[test]
    fn callers_without_number_are_counted_in_crowds() {
        let limiter = Limiter::new("caller", RateLimit::parse("1/hour").unwrap().unwrap());
        let checks = 2 * u32::try_from(MOST_CALLERS).unwrap();
        let mut refused = 0;
        for number in 0..checks {
            let caller = CallerKey::Address(std::net::Ipv4Addr::from_bits(number).into());
            refused += u32::from(limiter.check(caller).is_err());
        }
        assert!(limiter.limiter.len() <= MOST_CALLERS + CROWDS as usize, "{}", limiter.limiter.len());
        assert!(refused > checks / 3, "a crowd has the allowance of one: {refused}");
    }
}
