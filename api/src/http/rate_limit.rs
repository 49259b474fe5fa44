//! The text form of a rate limit: `1000/min`.

use std::time::Duration;

/// This many requests in this time, per caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The number of requests; all of them may come at once.
    pub requests: std::num::NonZeroU32,
    /// The time.
    pub per: Duration,
}

/// A rate limit that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidRateLimit;

impl std::fmt::Display for InvalidRateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("expected a rate limit such as 1000/min, 20/s or 50000/hour, or off")
    }
}
impl std::error::Error for InvalidRateLimit {}

impl RateLimit {
    /// Reads `1000/min`, `20/s`, `50000/hour`; `off` is none.
    ///
    /// # Errors
    /// [`InvalidRateLimit`].
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidRateLimit> {
        if text.trim().eq_ignore_ascii_case("off") {
            return Ok(None);
        }
        let (requests, unit) = text.split_once('/').ok_or(InvalidRateLimit)?;
        let per = match unit.trim() {
            "s" | "sec" | "second" => Duration::from_secs(1),
            "m" | "min" | "minute" => Duration::from_secs(60),
            "h" | "hour" => Duration::from_secs(3600),
            _ => return Err(InvalidRateLimit),
        };
        let requests = requests.trim().parse().map_err(|_| InvalidRateLimit)?;
        Ok(Some(Self { requests, per }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_limit_is_read() {
        let limit = RateLimit::parse("1000/min").unwrap().unwrap();
        assert_eq!((limit.requests.get(), limit.per), (1000, Duration::from_secs(60)));
        assert_eq!(RateLimit::parse("off"), Ok(None));
        for text in ["", "0/min", "10", "10/day", "-1/s"] {
            assert_eq!(RateLimit::parse(text), Err(InvalidRateLimit), "{text}");
        }
    }
}
