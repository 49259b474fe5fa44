//! The client's address: that of the peer, or the one that a trusted proxy names.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A network, as in `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

/// A network that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidNetwork;

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a network such as 10.0.0.0/8 or fd00::/8, or an address such as 192.0.2.1")
    }
}
impl std::error::Error for InvalidNetwork {}

impl Network {
    /// Reads `10.0.0.0/8` or a single address.
    ///
    /// # Errors
    /// [`InvalidNetwork`], also when bits after the prefix are set: either they or the prefix are
    /// wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let longest = longest(address);
        let prefix = match prefix {
            // No sign and no leading zeros: 010.0.0.0/08 is a typing error.
            Some(text) if text.len() > 1 && text.starts_with('0') => return Err(InvalidNetwork),
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().map_err(|_| InvalidNetwork)?,
            Some(_) => return Err(InvalidNetwork),
            None => longest,
        };
        let network = Self { address, prefix };
        (prefix <= longest && network.head(address) == bits(address)).then_some(network).ok_or(InvalidNetwork)
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && self.head(address) == bits(self.address)
    }

    /// The bits of an address up to the prefix.
    fn head(&self, address: IpAddr) -> u128 {
        let rest = longest(address).saturating_sub(self.prefix);
        bits(address).checked_shr(rest).and_then(|head| head.checked_shl(rest)).unwrap_or(0)
    }
}

const fn longest(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits() as u128,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Whether a proxy with this address is trusted.
pub(crate) fn is_trusted(trusted: &[Network], address: IpAddr) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(address))
}

/// Replaces the proxy's address by the client's that a trusted proxy names, so that everything
/// after this sees the client. A request that did not come through a trusted proxy is left
/// unchanged.
pub(crate) fn name_the_caller(request: &mut Request, trusted: &[Network]) {
    if trusted.is_empty() {
        return;
    }
    let connection = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let Some(peer) = connection.map(|ConnectInfo(address)| address.ip()).filter(|peer| is_trusted(trusted, *peer))
    else {
        return;
    };
    let caller = named(request.headers(), trusted).unwrap_or(peer);
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(caller, 0)));
}

/// The client that the proxies name. A proxy that writes one of the two headers passes the other
/// one on as the client wrote it, so if they differ neither is trusted.
fn named(headers: &HeaderMap, trusted: &[Network]) -> Option<IpAddr> {
    let forwarded = headers.contains_key(FORWARDED).then(|| nearest(headers, &FORWARDED, trusted, forwarded_for));
    let x_forwarded =
        headers.contains_key(X_FORWARDED_FOR).then(|| nearest(headers, &X_FORWARDED_FOR, trusted, node_address));
    match (forwarded, x_forwarded) {
        (Some(one), Some(other)) => one.filter(|address| Some(*address) == other),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => None,
    }
}

/// The nearest hop that is not a trusted proxy, read from the right, because what stands left of it
/// is only that hop's claim. None if a hop before it cannot be read; the farthest if all are
/// trusted.
fn nearest(
    headers: &HeaderMap,
    name: &HeaderName,
    trusted: &[Network],
    read: fn(&str) -> Option<IpAddr>,
) -> Option<IpAddr> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    let mut farthest = None;
    for line in lines.into_iter().rev() {
        for hop in line.to_str().ok()?.rsplit(',') {
            let address = read(hop.trim())?;
            if !is_trusted(trusted, address) {
                return Some(address);
            }
            farthest = Some(address);
        }
    }
    farthest
}

/// The `for` of an element of `Forwarded` (RFC 7239, section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let node = node.trim();
    node_address(node.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(node))
}

/// An address, with or without a port; neither a name nor `unknown`.
fn node_address(node: &str) -> Option<IpAddr> {
    let bracketed = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = bracketed.unwrap_or(node).parse::<IpAddr>().ok();
    address.or_else(|| node.parse::<SocketAddr>().ok().map(|node| node.ip())).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| Network::parse(text).unwrap()).collect()
    }

    fn client(peer: &str, lines: &[(HeaderName, &str)]) -> String {
        let mut request = Request::new(axum::body::Body::empty());
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        for (name, value) in lines {
            request.headers_mut().append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        name_the_caller(&mut request, &networks(&["10.0.0.0/8", "fd00::/8"]));
        let ConnectInfo(caller) = request.extensions().get::<ConnectInfo<SocketAddr>>().unwrap();
        caller.ip().to_canonical().to_string()
    }

    #[test]
    fn networks_are_read_and_slips_refused() {
        let inside = |network: &str, address: &str| is_trusted(&networks(&[network]), address.parse().unwrap());
        assert!(inside("10.0.0.0/8", "10.255.0.1") && !inside("10.0.0.0/8", "11.0.0.1"));
        assert!(inside("192.0.2.1", "192.0.2.1") && !inside("192.0.2.1", "192.0.2.2"));
        assert!(inside("0.0.0.0/0", "203.0.113.9") && !inside("0.0.0.0/0", "2001:db8::1"));
        assert!(inside("::/0", "2001:db8::1") && inside("fd00::/8", "fdff::1"));
        assert!(inside("10.0.0.0/8", "::ffff:10.0.0.1"), "an IPv4 peer on an IPv6 socket");
        for slip in
            ["", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "proxy", "10.0.0.0/8/8"]
        {
            assert_eq!(Network::parse(slip), Err(InvalidNetwork), "{slip}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_names_the_caller() {
        let line = [(X_FORWARDED_FOR, "203.0.113.9")];
        assert_eq!(client("192.0.2.1", &line), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &line), "203.0.113.9");
        assert_eq!(client("::ffff:10.0.0.1", &line), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn the_nearest_hop_that_is_not_trusted_is_the_caller() {
        for (lines, expected) in [
            (vec![(X_FORWARDED_FOR, "198.51.100.1, 203.0.113.9, 10.0.0.2")], "203.0.113.9"),
            (vec![(X_FORWARDED_FOR, "198.51.100.1"), (X_FORWARDED_FOR, "203.0.113.9")], "203.0.113.9"),
            (vec![(X_FORWARDED_FOR, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
            (vec![(X_FORWARDED_FOR, "203.0.113.9:4711")], "203.0.113.9"),
            (vec![(FORWARDED, "for=198.51.100.1, For=\"[2001:db8::9]:4711\";proto=https;by=10.0.0.1")], "2001:db8::9"),
            (vec![(FORWARDED, "proto=http; for=203.0.113.9")], "203.0.113.9"),
            // An unreadable entry hides the client behind it: the peer's address counts.
            (vec![(X_FORWARDED_FOR, "203.0.113.9, unknown")], "10.0.0.1"),
            (vec![(X_FORWARDED_FOR, "203.0.113.9,")], "10.0.0.1"),
            (vec![(FORWARDED, "for=_hidden")], "10.0.0.1"),
            (vec![(FORWARDED, "proto=https")], "10.0.0.1"),
            // A proxy that writes one header passes the other one on.
            (vec![(FORWARDED, "for=198.51.100.1"), (X_FORWARDED_FOR, "203.0.113.9")], "10.0.0.1"),
            (vec![(FORWARDED, "for=203.0.113.9"), (X_FORWARDED_FOR, "203.0.113.9")], "203.0.113.9"),
        ] {
            assert_eq!(client("10.0.0.1", &lines), expected, "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_names_somebody_or_nobody(text in "[ -~]{0,80}", prefix in "[0-9a-f.:]{0,40}/?[0-9]{0,4}") {
            client("10.0.0.1", &[(X_FORWARDED_FOR, &text), (FORWARDED, &text)]);
            client("10.0.0.1", &[(FORWARDED, &text)]);
            if let Ok(network) = Network::parse(&prefix) {
                prop_assert!(network.contains(network.address));
            }
        }
    }
}
