//! Which addresses a stranger may name: none of one's own network.
//!
//! A name is looked up for each connection, and what was looked up is what is connected to: a name that means something else a
//! moment later gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// An address of the public internet, and nothing that only means something nearer.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => public_v4(v4),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(|| public_v6(v6), public_v4),
    }
}

fn public_v4(a: Ipv4Addr) -> bool {
    let [first, second, third, _] = a.octets();
    let near = match first {
        // This network, private, loopback.
        0 | 10 | 127 => true,
        // Between a provider and its customers.
        100 => (64..128).contains(&second),
        // Link-local: among them the metadata service of most clouds.
        169 => second == 254,
        172 => (16..32).contains(&second),
        // Private; IETF's own; 6to4 relays; documentation.
        192 => second == 168 || second == 0 && matches!(third, 0 | 2) || second == 88 && third == 99,
        // Benchmarks; documentation.
        198 => matches!(second, 18 | 19) || second == 51 && third == 100,
        203 => second == 0 && third == 113,
        // Multicast, reserved, broadcast.
        224.. => true,
        _ => false,
    };
    !near
}

/// Global unicast only (2000::/3), without what stands for something else: documentation, tunnels, and IPv4 in other clothes.
fn public_v6(a: Ipv6Addr) -> bool {
    let [first, second, ..] = a.segments();
    let global = first & 0xe000 == 0x2000;
    let special = match first {
        // Teredo, ORCHID and the other special purposes below 2001:200::; documentation.
        0x2001 => second < 0x0200 || second == 0x0db8,
        // 6to4.
        0x2002 => true,
        // Documentation.
        0x3fff => second < 0x1000,
        _ => false,
    };
    global && !special
}

/// A host that is an address, as an URL shows it.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Names that mean public addresses only.
#[derive(Debug)]
pub(crate) struct Abroad;

impl Resolve for Abroad {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            // One that is near is enough: whoever answers so is not to be trusted with the others.
            if found.is_empty() || !found.iter().all(|a| is_public(a.ip())) {
                return Err(Box::from("the name means no public address"));
            }
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_not_public_however_it_is_written() {
        for near in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "100::1",
            "2001::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff:fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(near.parse().unwrap()), "{near}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "128.0.0.1",
            "169.253.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "198.51.101.1",
            "203.0.112.1",
            "223.255.255.1",
            "::ffff:1.1.1.1",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "3fff:1000::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        assert_eq!(literal("[::1]"), Some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        assert_eq!((literal("10.0.0.1").is_some(), literal("example.org")), (true, None));
    }
}
