//! The ways by which people are told of something. A new one is a file here, and a line in
//! `app/src/node/notices.rs` that makes it when it is configured.

pub mod mail;
pub mod message;

use std::time::Duration;

use crate::outbound::{BreakerPolicy, OutboundPolicy};

/// How a server that takes messages is called: one attempt, since what fails is tried again by the
/// notice's own time, and fast failures for a while when it is down.
const POLICY: OutboundPolicy = OutboundPolicy {
    timeout: Duration::from_secs(10),
    attempts: 1,
    first_pause: Duration::from_millis(50),
    at_once: 64,
    queue_timeout: Duration::from_secs(5),
    breaker: BreakerPolicy { window: 8, minimum: 8, failure_rate: 0.8, open_for: Duration::from_secs(15), probes: 1 },
};
