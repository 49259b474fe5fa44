//! `Prefer: wait=N` (RFC 7240), `Jangbu-Wait-For`, `Jangbu-Min-Position`.

use std::time::Duration;

use http::HeaderMap;
use jangbu_kernel::Position;

use super::problem::Problem;

/// The longest wait that a client can ask for.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The wait when a client asks for a stage or position without a time.
const DEFAULT_WAIT: Duration = Duration::from_secs(2);

pub(crate) const WAIT_FOR: &str = "jangbu-wait-for";
pub(crate) const MIN_POSITION: &str = "jangbu-min-position";
pub(crate) const POSITION: &str = "jangbu-position";

/// The stage that has to be reached before the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In the log, which every answer has reached.
    #[default]
    Committed,
    /// Every read model has applied it.
    Projected,
    /// The process manager has nothing more to do for it.
    Settled,
}

/// What the client is ready to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) stage: Stage,
    /// `Prefer: wait=N`, limited to [`LONGEST_WAIT`].
    pub(crate) asked: Option<Duration>,
    /// `Jangbu-Min-Position`.
    pub(crate) min_position: Option<Position>,
}

impl Wait {
    /// Reads the headers.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let stage = match headers.get(WAIT_FOR).map(http::HeaderValue::as_bytes) {
            None | Some(b"committed") => Stage::Committed,
            Some(b"projected") => Stage::Projected,
            Some(b"settled") => Stage::Settled,
            Some(_) => {
                let detail = "expected committed, projected or settled";
                return Err(Problem::invalid_at("/headers/Jangbu-Wait-For", "unknown_value", detail));
            }
        };
        let min_position = match headers.get(MIN_POSITION) {
            None => None,
            Some(value) => {
                let position = value.to_str().ok().and_then(|text| text.trim().parse().ok());
                Some(position.ok_or_else(|| {
                    let detail = "expected a position such as 1042";
                    Problem::invalid_at("/headers/Jangbu-Min-Position", "malformed_header", detail)
                })?)
            }
        };
        Ok(Self { stage, asked: prefer_wait(headers), min_position })
    }

    /// How long to wait at most.
    pub(crate) fn limit(&self) -> Duration {
        self.asked.unwrap_or(DEFAULT_WAIT)
    }
}

/// A preference that cannot be read is ignored (RFC 7240, section 2).
fn prefer_wait(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|preference| preference.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse().ok())
        .map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_wait_is_read_and_cut() {
        let wait =
            Wait::read(&headers(&[("prefer", "respond-async, wait=5"), ("jangbu-wait-for", "settled")])).unwrap();
        assert_eq!((wait.stage, wait.limit()), (Stage::Settled, Duration::from_secs(5)));
        let wait = Wait::read(&headers(&[("prefer", "wait=100000")])).unwrap();
        assert_eq!(wait.limit(), LONGEST_WAIT);
        assert_eq!(Wait::read(&headers(&[("prefer", "wait=soon")])).unwrap().asked, None);
    }

    #[test]
    fn an_unknown_stage_or_position_is_refused() {
        assert!(Wait::read(&headers(&[("jangbu-wait-for", "forever")])).is_err());
        assert!(Wait::read(&headers(&[("jangbu-min-position", "-1")])).is_err());
    }
}
