//! How many files the system lets this process open, and how they are divided.
//!
//! Clients' connections are open files, and so are the store and every call to the gateway. Clients
//! may use what is left after the shop has what it needs to fulfil the orders that it has taken.

use jangbu_api::ServerOptions;
use jangbu_commands::process::ProcessOptions;

/// Files for the store, the read models, listeners and the runtime, with some to spare: at most
/// about fifty on either engine.
const HOUSE: usize = 72;
/// Clients' connections that are being closed, and those on which the sandbox sends its webhooks.
const PASSING: usize = 16;
/// A call to a sandbox in this process uses a file at both ends.
const FILES_OF_A_CALL: usize = 2;
/// Outgoing calls may use this part of what is left, counting both ends.
const OUTSIDE_PART: usize = 8;
/// With fewer the shop could not be used; it starts with this many even if the limit is lower.
const FEWEST_CONNECTIONS: usize = 8;
const FEWEST_CALLS: usize = 2;

/// The number of files for each use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files {
    /// Connections of clients.
    pub connections: usize,
    /// Calls to gateway and carrier.
    pub outside_calls: usize,
}

impl Files {
    /// The division of this process's limit.
    #[must_use]
    pub fn of_this_process() -> Self {
        #[cfg(unix)]
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        #[cfg(not(unix))]
        let limit = None;
        let files = Self::shared_out(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX));
        if files != Self::wanted() {
            let Self { connections, outside_calls } = files;
            tracing::warn!(
                connections,
                outside_calls,
                "the limit of open files leaves room for {connections} connections and {outside_calls} calls to the \
                 outside at once"
            );
        }
        files
    }

    fn wanted() -> Self {
        Self {
            connections: ServerOptions::default().max_connections,
            outside_calls: ProcessOptions::default().outside_calls,
        }
    }

    fn shared_out(limit: usize) -> Self {
        let wanted = Self::wanted();
        let left = limit.saturating_sub(HOUSE + PASSING);
        let outside_calls = (left / OUTSIDE_PART).clamp(FEWEST_CALLS, wanted.outside_calls);
        let connections = left.saturating_sub(outside_calls.saturating_mul(FILES_OF_A_CALL));
        Self { connections: connections.clamp(FEWEST_CONNECTIONS, wanted.connections), outside_calls }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_what_the_shop_does_not_need() {
        for limit in [256, 1_024, 4_096, 65_536, usize::MAX] {
            let Files { connections, outside_calls } = Files::shared_out(limit);
            assert!(connections + FILES_OF_A_CALL * outside_calls + HOUSE + PASSING <= limit, "{limit}");
            assert!(connections >= limit.min(10_000) / 3, "{limit}: {connections}");
        }
        assert_eq!(Files::shared_out(usize::MAX), Files::wanted());
        assert_eq!(Files::shared_out(0), Files { connections: FEWEST_CONNECTIONS, outside_calls: FEWEST_CALLS });
    }
}
