//! The address rule: a server-supplied URL may not reach a more private address than the URL that
//! the user typed. It is checked where a name is resolved, so a name cannot change its mind
//! between check and use, and for literal addresses, which are never resolved.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;

use keyfob_auth::server_url::is_loopback;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// How the addresses of a name are found. Tests have names of their own.
pub type Lookup = fn(String) -> Found;

/// The addresses of a name, in their own time.
pub type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// As the system finds them.
pub fn system(name: String) -> Found {
    Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
}

/// How private an address is; later is more private.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

    /// Of the URL that the user typed: the most private address that its host has.
    pub async fn of_url(url: &Url) -> Self {
        Self::of_url_by(url, system).await
    }

    pub(crate) async fn of_url_by(url: &Url, lookup: Lookup) -> Self {
        match url.host() {
            Some(Host::Ipv4(v4)) => Self::of(v4.into()),
            Some(Host::Ipv6(v6)) => Self::of(v6.into()),
            Some(Host::Domain(name)) => {
                let Ok(found) = lookup(name.to_owned()).await else {
                    return Self::Public;
                };
                found
                    .into_iter()
                    .map(|address| Self::of(address.ip()))
                    .max()
                    .unwrap_or(Self::Public)
            }
            None => Self::Public,
        }
    }

    /// Whether the browser may be sent there on a server's word: to this machine or into a private
    /// network only where the user typed such an address.
    pub fn allows_visit(self, url: &str) -> bool {
        let Ok(url) = Url::parse(url) else { return false };
        self.allows_literal(&url) && (self == Self::Loopback || !is_loopback(&url))
    }

    /// Whether a URL's literal address may be reached; names are judged when they are resolved.
    pub fn allows_literal(self, url: &Url) -> bool {
        match url.host() {
            Some(Host::Ipv4(v4)) => Self::of(v4.into()) <= self,
            Some(Host::Ipv6(v6)) => Self::of(v6.into()) <= self,
            Some(Host::Domain(_)) | None => true,
        }
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

/// A resolver that keeps back addresses beyond the reach.
#[derive(Debug)]
pub struct Within {
    /// The reach.
    pub limit: Reach,
    /// How addresses are found.
    pub lookup: Lookup,
}

/// That every address of a name lies beyond the reach.
#[derive(Debug, thiserror::Error)]
#[error("its name leads to an address of a private network or of this machine")]
pub struct Beyond;

impl Resolve for Within {
    fn resolve(&self, name: Name) -> Resolving {
        let (limit, finding) = (self.limit, (self.lookup)(name.as_str().to_owned()));
        Box::pin(async move {
            let found = finding.await?;
            Ok(Box::new(within(found, limit)?.into_iter()) as Addrs)
        })
    }
}

/// Those of a name's addresses that may be reached.
fn within(found: Vec<SocketAddr>, limit: Reach) -> Result<Vec<SocketAddr>, Beyond> {
    let total = found.len();
    let kept: Vec<SocketAddr> =
        found.into_iter().filter(|address| Reach::of(address.ip()) <= limit).collect();
    if kept.is_empty() && total > 0 { Err(Beyond) } else { Ok(kept) }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use std::net::SocketAddr;

    use super::{Reach, within};

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

    /// 6.2-43: a name that leads to a public and to a private address.
    #[test]
    fn of_a_names_addresses_only_those_within_reach_are_used() {
        let at = |text: &str| SocketAddr::new(text.parse().expect("an address"), 0);
        let mixed = vec![at("10.0.0.1"), at("8.8.8.8"), at("::1"), at("169.254.169.254")];
        assert_eq!(within(mixed.clone(), Reach::Public).expect("some"), [at("8.8.8.8")]);
        assert_eq!(within(mixed.clone(), Reach::Private).expect("some").len(), 3);
        assert_eq!(within(mixed.clone(), Reach::Loopback).expect("all"), mixed);
        assert!(within(vec![at("10.0.0.1")], Reach::Public).is_err());
        assert!(within(vec![], Reach::Public).expect("none").is_empty(), "an unknown name");
    }

    /// spec 3.10-6: the browser is not sent to this machine on a server's word.
    #[test]
    fn the_browser_visits_nothing_more_private_than_what_the_user_typed() {
        for own in ["http://127.0.0.1:1/x", "http://localhost:1/x", "https://[::1]/", "not a URL"] {
            assert!(!Reach::Public.allows_visit(own), "{own}");
            assert!(!Reach::Private.allows_visit(own), "{own}");
        }
        assert!(!Reach::Public.allows_visit("https://192.168.0.1/"));
        assert!(Reach::Private.allows_visit("https://192.168.0.1/"));
        assert!(Reach::Loopback.allows_visit("http://localhost:1/x"));
        assert!(Reach::Public.allows_visit("https://as.example/authorize"));
    }

    #[test]
    fn a_literal_address_is_judged_in_every_spelling() {
        let allows = |text: &str| Reach::Public.allows_literal(&Url::parse(text).expect("a URL"));
        for beyond in
            ["https://127.0.0.1/", "https://2130706433/", "https://0x7f.1/", "https://[::1]/"]
        {
            assert!(!allows(beyond), "{beyond}");
        }
        assert!(allows("https://8.8.8.8/"));
        assert!(Reach::Private.allows_literal(&Url::parse("https://10.0.0.1/").expect("a URL")));
    }
}
