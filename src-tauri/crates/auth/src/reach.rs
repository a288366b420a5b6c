//! The address rule: what a server supplies may not lead to a more private address than what the
//! user typed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::server_url::is_localhost;

/// How private an address is; later is more private.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Anywhere.
    Public,
    /// Private networks, link-local addresses and other special ranges.
    Private,
    /// This machine.
    Loopback,
}

impl Reach {
    /// Of an address.
    pub fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        if address.is_loopback() || address.is_unspecified() {
            return Self::Loopback;
        }
        let is_special = match address {
            IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || is_set_aside(v4),
            IpAddr::V6(v6) => {
                if let Some(v4) = embedded(v6) {
                    return Self::of(v4.into());
                }
                let is_site_local = v6.segments()[0] & 0xffc0 == 0xfec0;
                let is_local = v6.is_unique_local() || v6.is_unicast_link_local();
                is_local || is_site_local || v6.is_multicast()
            }
        };
        if is_special { Self::Private } else { Self::Public }
    }

    /// Of the host of a URL as it is written: an address, or a name that stands for this machine.
    /// `None` for every other name: where that leads, only a connection shows.
    pub fn as_written(url: &Url) -> Option<Self> {
        match url.host()? {
            Host::Ipv4(v4) => Some(Self::of(v4.into())),
            Host::Ipv6(v6) => Some(Self::of(v6.into())),
            Host::Domain(name) => is_localhost(name).then_some(Self::Loopback),
        }
    }

    /// Whether the browser may be sent there on a server's word: to this machine or into a private
    /// network only where the user typed such an address.
    pub fn allows_visit(self, url: &str) -> bool {
        let Ok(url) = Url::parse(url) else { return false };
        self.allows_literal(&url)
    }

    /// Whether a URL may be reached as its host is written; other names are judged where they are
    /// resolved.
    pub fn allows_literal(self, url: &Url) -> bool {
        Self::as_written(url).is_none_or(|written| written <= self)
    }
}

/// Ranges that lead to no server of the Internet (RFC 6890): this network, those that a provider
/// shares with its customers (RFC 6598), protocol assignments, benchmarks, multicast, reserved ones.
fn is_set_aside(address: Ipv4Addr) -> bool {
    matches!(
        address.octets(),
        [0, ..] | [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18..=19, ..] | [224..=255, ..]
    )
}

/// The IPv4 address that an IPv6 address leads to by way of a translator: NAT64 (RFC 6052), 6to4
/// (RFC 3056), and the form that came before both (RFC 4291 section 2.5.5.1).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        | [0, 0, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::Reach;
    use crate::server_url::{ServerUrl, is_loopback, is_usable_endpoint};

    /// This machine, in the spellings that lead to it.
    const OWN: [&str; 17] = [
        "127.0.0.1",
        "127.1",
        "127.0.0.1.",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "localhost",
        "LOCALHOST.",
        "x.localhost",
        "x.y.localhost.",
    ];

    #[test]
    fn this_machine_is_known_in_every_spelling() {
        for host in OWN {
            let url = Url::parse(&format!("http://{host}:1/mcp")).expect("a URL");
            assert_eq!(Reach::as_written(&url), Some(Reach::Loopback), "{host}");
            assert!(is_loopback(&url), "{host}");
            assert!(is_usable_endpoint(url.as_str()), "{host}");
            assert!(ServerUrl::parse(&format!("http://{host}:1/mcp")).is_ok(), "{host}");
        }
        for host in
            ["localhost.example", "notlocalhost", "127.0.0.1.example", "10.0.0.1", "8.8.8.8"]
        {
            let url = Url::parse(&format!("http://{host}:1/mcp")).expect("a URL");
            assert!(!is_loopback(&url) && !is_usable_endpoint(url.as_str()), "{host}");
            assert_ne!(Reach::as_written(&url), Some(Reach::Loopback), "{host}");
        }
        // What a translator may lead here is not sent in the clear to that translator.
        let translated = Url::parse("http://[64:ff9b::7f00:1]:1/").expect("a URL");
        assert_eq!(Reach::as_written(&translated), Some(Reach::Loopback));
        assert!(!is_loopback(&translated));
    }

    #[test]
    fn addresses_are_told_apart() {
        let of = |text: &str| Reach::of(text.parse().expect("an address"));
        for public in [
            "8.8.8.8",
            "2606:4700::1111",
            "172.32.0.1",
            "100.128.0.1",
            "198.20.0.1",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert_eq!(of(public), Reach::Public, "{public}");
        }
        for private in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "fe80::1",
            "fd00::1",
            "0.1.2.3",
            "::ffff:192.168.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "198.19.0.1",
            "192.0.0.8",
            "fec0::1",
            "ff02::1",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::1",
            "::10.0.0.1",
        ] {
            assert_eq!(of(private), Reach::Private, "{private}");
        }
        for own in [
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "0.0.0.0",
            "::",
            "::ffff:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "2002:7f00:1::",
            "::127.0.0.1",
        ] {
            assert_eq!(of(own), Reach::Loopback, "{own}");
        }
    }

    /// spec 3.10-6: the browser is not sent to this machine on a server's word.
    #[test]
    fn the_browser_visits_nothing_more_private_than_what_the_user_typed() {
        for host in OWN {
            let own = format!("http://{host}:1/x");
            assert!(!Reach::Public.allows_visit(&own), "{own}");
            assert!(!Reach::Private.allows_visit(&own), "{own}");
            assert!(Reach::Loopback.allows_visit(&own), "{own}");
        }
        assert!(!Reach::Loopback.allows_visit("not a URL"));
        assert!(!Reach::Public.allows_visit("https://192.168.0.1/"));
        assert!(Reach::Private.allows_visit("https://192.168.0.1/"));
        assert!(Reach::Loopback.allows_visit("http://localhost:1/x"));
        assert!(Reach::Public.allows_visit("https://as.example/authorize"));
    }

    #[test]
    fn a_literal_address_is_judged_in_every_spelling() {
        let allows = |text: &str| Reach::Public.allows_literal(&Url::parse(text).expect("a URL"));
        for host in OWN {
            assert!(!allows(&format!("https://{host}/")), "{host}");
        }
        assert!(allows("https://8.8.8.8/"));
        assert!(Reach::Private.allows_literal(&Url::parse("https://10.0.0.1/").expect("a URL")));
    }
}
