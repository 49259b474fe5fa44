//! The names of one request: trace, request id, correlation.

use http::{HeaderMap, HeaderValue};
use jangbu_kernel::CorrelationId;
use jangbu_kernel::ports::IdSource;

pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// The names of a request, from its first byte to the logs.
#[derive(Clone, Debug)]
pub(crate) struct RequestNames {
    /// 32 hexadecimal digits.
    pub(crate) trace_id: String,
    /// W3C Trace Context: the trace with this server's span as the parent of what follows.
    pub(crate) traceparent: String,
    /// The client's own id if it sent one, else made here.
    pub(crate) request_id: HeaderValue,
    /// Recorded on every event that follows from the request.
    pub(crate) correlation_id: CorrelationId,
}

impl RequestNames {
    pub(crate) fn of(headers: &HeaderMap, ids: &dyn IdSource) -> Self {
        let id = ids.new_id();
        let given = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(parse);
        let (trace_id, flags) =
            given.map_or_else(|| (id.simple().to_string(), "01"), |(trace, flags)| (trace.to_owned(), flags));
        // The low half of a UUID v7 is random, and never zero because of its variant bits.
        let (_, span_id) = id.as_u64_pair();
        let traceparent = format!("00-{trace_id}-{span_id:016x}-{flags}");
        let request_id = headers
            .get(REQUEST_ID)
            .filter(|value| (1..=128).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic))
            .cloned()
            .unwrap_or_else(|| HeaderValue::from_str(&id.to_string()).unwrap_or(HeaderValue::from_static("0")));
        Self { trace_id, traceparent, request_id, correlation_id: CorrelationId::new(id) }
    }
}

/// The trace id and flags of a `traceparent` (W3C Trace Context, section 3.2).
fn parse(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.trim().split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let some = |part: &str| part.bytes().any(|byte| byte != b'0');
    let known = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    (known && hex(trace, 32) && some(trace) && hex(parent, 16) && some(parent) && hex(flags, 2))
        .then_some((trace, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_traceparent_is_taken() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(parse(good), Some(("4bf92f3577b34da6a3ce929d0e0e4736", "01")));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
