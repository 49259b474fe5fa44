//! The machine's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use jangbu_kernel::Timestamp;
use jangbu_kernel::ports::Clock;

/// The time by the machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_timestamp_millis(millis).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_whole_milliseconds() {
        let now = SystemClock.now();
        assert_eq!(now, jangbu_kernel::time::to_millis(now));
        let machine = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        assert!(machine.abs_diff(u128::from(now.timestamp_millis().unsigned_abs())) < 60_000);
    }
}
