//! Blocks of IP addresses, over which logins are counted together.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network of an address: /24 of IPv4, /64 of IPv6. A client with one address of a block can
/// have the others at no cost, so they count as one client.
///
/// An address is personal data: a block is kept in memory only, never stored or logged.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressBlock(IpAddr);

impl AddressBlock {
    /// The block of an address. An IPv4 address written as IPv6 is the IPv4 address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & 0xffff_ff00))),
            IpAddr::V6(address) => Self(IpAddr::V6(network(address))),
        }
    }

    /// This machine's own block, for requests of an operator at the command line.
    #[must_use]
    pub const fn own() -> Self {
        Self::of(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// The address for which a connection, or a request without a login, is counted: a single IPv4
    /// address, or the /64 of an IPv6 address.
    #[must_use]
    pub const fn of_caller(address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(network(address)),
        }
    }
}

const fn network(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & !(u64::MAX as u128))
}

impl fmt::Debug for AddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressBlock(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> AddressBlock {
        AddressBlock::of(text.parse().unwrap())
    }

    #[test]
    fn neighbours_are_one_block_and_ipv4_is_ipv4_however_it_is_written() {
        for (one, other) in [
            ("192.0.2.1", "192.0.2.254"),
            ("192.0.2.1", "::ffff:192.0.2.77"),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ] {
            assert!(of(one) == of(other), "{one} {other}");
        }
        for (one, other) in [
            ("192.0.2.1", "192.0.3.1"),
            ("::ffff:192.0.2.1", "::ffff:192.0.3.1"),
            ("2001:db8:1:2::1", "2001:db8:1:3::1"),
        ] {
            assert!(of(one) != of(other), "{one} {other}");
        }
    }

    #[test]
    fn a_caller_without_a_login_is_an_ipv4_address_or_an_ipv6_network() {
        let caller = |text: &str| AddressBlock::of_caller(text.parse().unwrap());
        assert_ne!(caller("192.0.2.1"), caller("192.0.2.2"));
        assert_eq!(caller("192.0.2.1"), caller("::ffff:192.0.2.1"));
        assert_eq!(caller("2001:db8::1"), caller("2001:db8::2"));
        assert_ne!(caller("2001:db8::1"), caller("2001:db8:0:1::1"));
    }
}
