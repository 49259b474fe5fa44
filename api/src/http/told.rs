//! Log lines about rejected requests: enough to find one by the trace id in its answer, and never
//! more lines a second than a disk can take.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;

use super::problem::{Code, Problem};

/// The budget of lines is shared by all servers of this process, because they have one log.
static FAILED: Lines = Lines::new(20);
static REFUSED: Lines = Lines::new(20);
/// Full queues and exceeded rate limits come by the thousand and say the same each time.
static PUT_OFF: Lines = Lines::new(1);

/// A rejected request.
pub(crate) struct Rejected<'a> {
    pub(crate) problem: &'a Problem,
    pub(crate) method: &'a str,
    /// The route's template; the actual path may hold personal data.
    pub(crate) route: &'a str,
    pub(crate) trace_id: &'a str,
    pub(crate) request_id: &'a str,
}

/// Logs it, unless the budget of this second is used up.
///
/// What an operator has to look at is an error or a warning, what the shop refused is an info, so
/// that support finds a customer's trace id in a log at its usual level.
pub(crate) fn rejected(rejected: &Rejected<'_>) {
    let Rejected { problem, method, route, trace_id, request_id } = *rejected;
    let (code, status) = (problem.code().name(), problem.code().status().as_u16());
    let cause = problem.cause().unwrap_or_default();
    let class = Class::of(problem);
    let Some(left_out) = class.lines().take(Instant::now()) else { return };
    match class {
        Class::Broke => {
            let message = "a request failed";
            tracing::error!(trace_id, request_id, method, route, status, code, cause, left_out, "{message}: {code}");
        }
        Class::Unavailable => {
            let message = "a request could not be carried out";
            tracing::warn!(trace_id, request_id, method, route, status, code, cause, left_out, "{message}: {code}");
        }
        Class::PutOff => {
            let message = "requests are put off";
            tracing::warn!(trace_id, request_id, method, route, status, code, left_out, "{message}: {code}");
        }
        Class::Refused => {
            let message = "a request was refused";
            tracing::info!(trace_id, request_id, method, route, status, code, left_out, "{message}: {code}");
        }
    }
}

/// How much it matters to the operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// A defect of the program.
    Broke,
    /// A dependency does not answer.
    Unavailable,
    /// The shop works as intended: too much was asked for at once.
    PutOff,
    /// The request cannot be fulfilled.
    Refused,
}

impl Class {
    fn of(problem: &Problem) -> Self {
        let (code, status) = (problem.code(), problem.code().status());
        let unavailable = status == StatusCode::SERVICE_UNAVAILABLE;
        if code == Code::RateLimited || (unavailable && problem.cause().is_none()) {
            Self::PutOff
        } else if unavailable {
            Self::Unavailable
        } else if status.is_server_error() {
            Self::Broke
        } else {
            Self::Refused
        }
    }

    fn lines(self) -> &'static Lines {
        match self {
            Self::Broke | Self::Unavailable => &FAILED,
            Self::PutOff => &PUT_OFF,
            Self::Refused => &REFUSED,
        }
    }
}

/// A budget of lines a second; suppressed lines are counted and reported with the next one.
struct Lines {
    most: u32,
    window: Mutex<Window>,
}

struct Window {
    began: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl Lines {
    const EACH: Duration = Duration::from_secs(1);

    const fn new(most: u32) -> Self {
        Self { most, window: Mutex::new(Window { began: None, written: 0, left_out: 0 }) }
    }

    /// Whether one more line may be written, and how many were suppressed since the last one.
    fn take(&self, now: Instant) -> Option<u64> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.began.is_none_or(|began| now.duration_since(began) >= Self::EACH) {
            window.began = Some(now);
            window.written = 0;
        }
        if window.written >= self.most {
            window.left_out = window.left_out.saturating_add(1);
            return None;
        }
        window.written += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_counted_not_written() {
        let lines = Lines::new(2);
        let begin = Instant::now();
        let written = (0..50_000).filter(|_| lines.take(begin).is_some()).count();
        assert_eq!(written, 2);
        assert_eq!(lines.take(begin + Lines::EACH), Some(49_998), "the next line tells how many it stands for");
        assert_eq!(lines.take(begin + Lines::EACH), Some(0));
        assert_eq!(lines.take(begin + Lines::EACH), None);
    }

    #[test]
    fn what_was_planned_is_no_failure() {
        let busy = Problem::new(Code::UpstreamUnavailable, "too much is waiting, try again").retry_after(1);
        assert_eq!(Class::of(&busy), Class::PutOff);
        assert_eq!(Class::of(&Problem::new(Code::RateLimited, "try again in 1 s")), Class::PutOff);
        assert_eq!(Class::of(&Problem::unavailable("the database is gone")), Class::Unavailable);
        assert_eq!(Class::of(&Problem::internal("a handler panicked")), Class::Broke);
        assert_eq!(Class::of(&Problem::not_found("order")), Class::Refused);
    }
}
