//! Which addresses a crawler must not reach, and the DNS resolver that drops them.
//!
//! A link on a public page may name a host whose address lies inside our own network (by mistake, or to make the
//! crawler read what only we can read). So addresses are checked after the name is resolved, at the moment of
//! connecting: a check of the name beforehand could be passed by one answer and used with another.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Networks of the IANA IPv4 special-purpose registry (RFC 6890) and multicast: first address, prefix length, name.
const SPECIAL_V4: &[([u8; 4], u32, &str)] = &[
    ([0, 0, 0, 0], 8, "this network"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "carrier-grade NAT"),
    ([127, 0, 0, 0], 8, "loopback"),
    ([169, 254, 0, 0], 16, "link-local"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "protocol assignments"),
    ([192, 0, 2, 0], 24, "documentation"),
    ([192, 88, 99, 0], 24, "former 6to4 relay"),
    ([192, 168, 0, 0], 16, "private"),
    ([198, 18, 0, 0], 15, "benchmarking"),
    ([198, 51, 100, 0], 24, "documentation"),
    ([203, 0, 113, 0], 24, "documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved"),
];

/// The same for IPv6. Forms that carry an IPv4 address are taken apart first, see [`embedded_v4`].
const SPECIAL_V6: &[([u16; 8], u32, &str)] = &[
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified"),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback"),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "local NAT64"),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discard"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "Teredo"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "documentation"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation"),
    ([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, "segment routing"),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "unique local"),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local"),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "former site-local"),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast"),
];

/// The name of the special network that `address` lies in, or `None` when it is an ordinary public address.
pub fn special_network(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) => special_v6(v6),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    SPECIAL_V4
        .iter()
        .find(|(network, length, _)| (bits ^ Ipv4Addr::from(*network).to_bits()) >> (32 - length) == 0)
        .map(|&(_, _, name)| name)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    let by_table = SPECIAL_V6
        .iter()
        .find(|(network, length, _)| (bits ^ Ipv6Addr::from(*network).to_bits()) >> (128 - length) == 0)
        .map(|&(_, _, name)| name);
    by_table.or_else(|| embedded_v4(address).and_then(special_v4))
}

/// The IPv4 address that an IPv6 address leads to: mapped (`::ffff:a.b.c.d`), compatible (`::a.b.c.d`), NAT64
/// (`64:ff9b::a.b.c.d`) and 6to4 (`2002:ab:cd::`).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

/// A host whose every address lies in a special network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is at {address}, a {network} address")]
pub struct PrivateAddress {
    /// The host as the URL names it.
    pub host: String,
    /// The first of its addresses.
    pub address: IpAddr,
    /// The network it lies in.
    pub network: &'static str,
}

/// Which hosts may be reached at which addresses.
#[derive(Debug, Clone, Default)]
pub struct AddressRules {
    /// Host name → the one address it is reached at, whatever DNS says; may be private.
    pub fixed: BTreeMap<String, SocketAddr>,
    /// Hosts (names or address literals) whose private addresses are allowed.
    pub allowed: BTreeSet<String>,
}

impl AddressRules {
    /// The check for a URL that names an address instead of a host: such a URL never comes past the resolver.
    ///
    /// # Errors
    /// When the address is special and not allowed.
    pub fn check_literal(&self, host: &url::Host<&str>) -> Result<(), PrivateAddress> {
        let address = match *host {
            url::Host::Domain(_) => return Ok(()),
            url::Host::Ipv4(v4) => IpAddr::V4(v4),
            url::Host::Ipv6(v6) => IpAddr::V6(v6),
        };
        let text = address.to_string();
        match special_network(address) {
            Some(network) if !self.allowed.contains(&text) => Err(PrivateAddress { host: text, address, network }),
            _ => Ok(()),
        }
    }

    /// Drops the special addresses of a host; none left is an error.
    fn filter(&self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, PrivateAddress> {
        if self.allowed.contains(host) {
            return Ok(found);
        }
        let mut first_dropped = None;
        let kept: Vec<SocketAddr> = found
            .into_iter()
            .filter(|socket| match special_network(socket.ip()) {
                None => true,
                Some(network) => {
                    first_dropped.get_or_insert((socket.ip(), network));
                    false
                }
            })
            .collect();
        match first_dropped {
            Some((address, network)) if kept.is_empty() => {
                Err(PrivateAddress { host: host.to_owned(), address, network })
            }
            _ => Ok(kept),
        }
    }
}

/// The system's resolver under [`AddressRules`].
#[derive(Debug, Clone)]
pub struct GuardedResolver(pub Arc<AddressRules>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = Arc::clone(&self.0);
        // With a dot at its end a name is the same host, and the rules name it without.
        let host = name.as_str().trim_end_matches('.').to_ascii_lowercase();
        Box::pin(async move {
            let addresses = match rules.fixed.get(&host) {
                Some(&address) => vec![address],
                None => {
                    // Port 0 stands for "the URL's port": the connector fills it in.
                    let found = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
                    rules.filter(&host, found)?
                }
            };
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_networks_by_table() {
        let table = [
            ("0.0.0.0", Some("this network")),
            ("9.255.255.255", None),
            ("10.0.0.1", Some("private")),
            ("11.0.0.0", None),
            ("100.63.255.255", None),
            ("100.64.0.1", Some("carrier-grade NAT")),
            ("100.127.255.255", Some("carrier-grade NAT")),
            ("100.128.0.0", None),
            ("127.0.0.1", Some("loopback")),
            ("127.255.255.254", Some("loopback")),
            ("169.254.169.254", Some("link-local")),
            ("172.15.255.255", None),
            ("172.16.0.1", Some("private")),
            ("172.31.255.255", Some("private")),
            ("172.32.0.0", None),
            ("192.0.0.8", Some("protocol assignments")),
            ("192.0.1.1", None),
            ("192.168.1.1", Some("private")),
            ("192.169.0.0", None),
            ("198.19.255.255", Some("benchmarking")),
            ("203.0.113.9", Some("documentation")),
            ("217.174.224.1", None),
            ("224.0.0.1", Some("multicast")),
            ("255.255.255.255", Some("reserved")),
            ("::", Some("unspecified")),
            ("::1", Some("loopback")),
            ("::ffff:127.0.0.1", Some("loopback")),
            ("::ffff:10.1.2.3", Some("private")),
            ("::ffff:8.8.8.8", None),
            ("::127.0.0.1", Some("loopback")),
            ("64:ff9b::192.168.0.1", Some("private")),
            ("64:ff9b::8.8.8.8", None),
            ("64:ff9b:1::1", Some("local NAT64")),
            ("2002:7f00:1::", Some("loopback")),
            ("2002:808:808::", None),
            ("2001::1", Some("Teredo")),
            ("2001:db8::1", Some("documentation")),
            ("2001:4860:4860::8888", None),
            ("2a00:1450::1", None),
            ("fc00::1", Some("unique local")),
            ("fdff::1", Some("unique local")),
            ("fe80::1", Some("link-local")),
            ("febf::1", Some("link-local")),
            ("ff02::1", Some("multicast")),
        ];
        for (address, expected) in table {
            assert_eq!(special_network(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn public_addresses_of_a_mixed_answer_remain() {
        let rules = AddressRules::default();
        let sockets = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let kept = rules.filter("mixed.example", sockets(&["10.0.0.1:0", "8.8.8.8:0"])).unwrap();
        assert_eq!(kept, sockets(&["8.8.8.8:0"]));
        let error = rules.filter("inside.example", sockets(&["10.0.0.1:0", "[::1]:0"])).unwrap_err();
        assert_eq!(error.to_string(), "inside.example is at 10.0.0.1, a private address");
        let mapped = rules.filter("mapped.example", sockets(&["[::ffff:192.168.0.1]:0", "[64:ff9b::a00:1]:0"]));
        assert_eq!(mapped.unwrap_err().network, "private");
        let allowing = AddressRules { allowed: BTreeSet::from(["inside.example".to_owned()]), ..Default::default() };
        assert_eq!(allowing.filter("inside.example", sockets(&["10.0.0.1:0"])).unwrap().len(), 1);
    }

    #[test]
    fn address_literals_in_every_spelling_are_seen() {
        let rules = AddressRules::default();
        for text in ["http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://[::1]/", "http://0177.0.0.1/"]
        {
            let url = url::Url::parse(text).unwrap();
            assert!(rules.check_literal(&url.host().unwrap()).is_err(), "{text}");
        }
        let url = url::Url::parse("http://[::1]:8080/").unwrap();
        let allowing = AddressRules { allowed: BTreeSet::from(["::1".to_owned()]), ..Default::default() };
        assert!(allowing.check_literal(&url.host().unwrap()).is_ok());
        let public = url::Url::parse("http://8.8.8.8/").unwrap();
        assert!(rules.check_literal(&public.host().unwrap()).is_ok());
    }
}
