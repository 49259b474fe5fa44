//! Connections per address, bounded so that one address cannot hold all of them.
//!
//! When an address has used up its share, a new connection from it replaces its oldest connection
//! that has not sent a request yet, so that silent connections keep no client out. When all of its
//! connections are in use, the new one is closed. A connection from a trusted proxy carries the
//! requests of many clients and needs no share.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jangbu_commands::identity::AddressBlock;
use tokio_util::sync::CancellationToken;

use crate::http::origin::{Network, is_trusted};

/// One address holds at most this part of all connections. The part is large because an office, or
/// a proxy that is not configured as trusted, is one address, too.
const SHARE: (usize, usize) = (3, 4);

/// The connections by address; holds only addresses that have some.
pub(crate) struct Connections {
    share: usize,
    trusted: Vec<Network>,
    by_address: Mutex<HashMap<IpAddr, Held>>,
}

#[derive(Default)]
struct Held {
    count: usize,
    /// Connections without a request yet, the oldest first.
    silent: BTreeMap<u64, CancellationToken>,
    next: u64,
}

/// What a connection holds for as long as it lasts.
pub(crate) struct Seat {
    connections: Arc<Connections>,
    /// None for a trusted proxy's connection.
    place: Option<(IpAddr, u64)>,
    used: AtomicBool,
    /// Cancelled when the connection is to make room.
    pub(crate) make_room: CancellationToken,
}

impl Connections {
    pub(crate) fn new(all: usize, trusted: Vec<Network>) -> Arc<Self> {
        let (part, of) = SHARE;
        let share = (all.saturating_mul(part) / of).max(1);
        Arc::new(Self { share, trusted, by_address: Mutex::default() })
    }

    /// A seat for a connection from this address; none when all of its share is in use.
    pub(crate) fn seat(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let make_room = CancellationToken::new();
        let seat = |place| Seat {
            connections: Arc::clone(self),
            place,
            used: AtomicBool::new(false),
            make_room: make_room.clone(),
        };
        if is_trusted(&self.trusted, peer) {
            return Some(seat(None));
        }
        let address = AddressBlock::of_caller(peer);
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let held = by_address.entry(address).or_default();
        if held.count >= self.share {
            let (_, oldest) = held.silent.pop_first()?;
            oldest.cancel();
        }
        let number = held.next;
        held.next += 1;
        held.count += 1;
        held.silent.insert(number, make_room.clone());
        Some(seat(Some((address, number))))
    }
}

impl Seat {
    /// Marks the connection as in use: it has sent a request.
    pub(crate) fn in_use(&self) {
        let Some((address, number)) = self.place else { return };
        if self.used.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut by_address = self.connections.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = by_address.get_mut(&address) {
            held.silent.remove(&number);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((address, number)) = self.place else { return };
        let mut by_address = self.connections.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = by_address.get_mut(&address) else { return };
        held.silent.remove(&number);
        held.count = held.count.saturating_sub(1);
        if held.count == 0 {
            by_address.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn silence_makes_room_and_what_is_in_use_does_not() {
        let connections = Connections::new(4, Vec::new());
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let silent: Vec<_> = (0..3).map(|_| connections.seat(one).unwrap()).collect();
        let next = connections.seat(one).unwrap();
        assert!(silent[0].make_room.is_cancelled() && !silent[1].make_room.is_cancelled(), "the oldest goes");
        for seat in silent.iter().chain([&next]) {
            seat.in_use();
        }
        assert!(connections.seat(one).is_none(), "all are in use");
        assert!(connections.seat(other).is_some());
        drop((silent, next));
        assert!(connections.by_address.lock().unwrap().is_empty(), "who holds none is forgotten");
    }

    #[test]
    fn a_network_of_ipv6_is_one_caller_and_a_proxy_is_many() {
        let connections = Connections::new(2, vec![Network::parse("10.0.0.0/8").unwrap()]);
        let held = connections.seat(address("2001:db8::1")).unwrap();
        held.in_use();
        assert!(connections.seat(address("2001:db8::ffff:1")).is_none());
        assert!(connections.seat(address("2001:db8:0:1::1")).is_some());
        let many: Vec<_> = (0..10).map(|_| connections.seat(address("::ffff:10.1.2.3")).unwrap()).collect();
        many.iter().for_each(Seat::in_use);
        assert!(connections.seat(address("10.1.2.3")).is_some());
    }
}
