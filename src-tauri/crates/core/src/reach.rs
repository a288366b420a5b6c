//! The address rule where names are resolved: a name that may be asked cannot lead further than
//! the rule allows between check and use.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;

use keyfob_auth::reach::Reach;
use keyfob_auth::server_url::is_localhost;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// How the addresses of a name are found. Tests have names of their own.
pub type Lookup = fn(String) -> Found;

/// The addresses of a name, in their own time.
pub type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// As the system finds them. A name below `localhost` is not asked of anybody, since some systems
/// would ask the network (RFC 6761 section 6.3).
pub fn system(name: String) -> Found {
    Box::pin(async move {
        if is_localhost(&name) {
            return Ok(vec![(Ipv6Addr::LOCALHOST, 0).into(), (Ipv4Addr::LOCALHOST, 0).into()]);
        }
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    })
}

/// A resolver that keeps back addresses beyond the reach.
#[derive(Debug)]
pub struct Within {
    /// The reach.
    pub limit: Reach,
    /// How addresses are found.
    pub lookup: Lookup,
}

/// That every address lies beyond the reach.
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

/// Those of a name's addresses that may be reached. One of this machine beside others is none: no
/// honest name has both, and which of them answered would be up to whoever owns the name.
fn within(found: Vec<SocketAddr>, limit: Reach) -> Result<Vec<SocketAddr>, Beyond> {
    let total = found.len();
    let limit = match least(&found) {
        Some(least) if least < Reach::Loopback => limit.min(Reach::Private),
        Some(_) | None => limit,
    };
    let kept: Vec<SocketAddr> =
        found.into_iter().filter(|address| Reach::of(address.ip()) <= limit).collect();
    if kept.is_empty() && total > 0 { Err(Beyond) } else { Ok(kept) }
}

/// The least private reach of these addresses.
pub fn least(found: &[SocketAddr]) -> Option<Reach> {
    found.iter().map(|address| Reach::of(address.ip())).min()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use keyfob_auth::reach::Reach;

    use super::{least, system, within};

    fn at(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().expect("an address"), 0)
    }

    /// 6.2-43: a name that leads to a public and to a private address.
    #[test]
    fn of_a_names_addresses_only_those_within_reach_are_used() {
        let mixed = vec![at("10.0.0.1"), at("8.8.8.8"), at("::1"), at("169.254.169.254")];
        assert_eq!(within(mixed.clone(), Reach::Public).expect("some"), [at("8.8.8.8")]);
        assert_eq!(within(mixed.clone(), Reach::Private).expect("some").len(), 3);
        assert!(within(vec![at("10.0.0.1")], Reach::Public).is_err());
        assert!(within(vec![], Reach::Public).expect("none").is_empty(), "an unknown name");
    }

    /// attack-B2: not even where the user typed the name.
    #[test]
    fn an_address_of_this_machine_beside_others_is_not_used() {
        for other in ["8.8.8.8", "10.0.0.1"] {
            for own in ["127.0.0.1", "::1", "0.0.0.0", "::ffff:127.0.0.1"] {
                let kept = within(vec![at(own), at(other)], Reach::Loopback).expect("some");
                assert_eq!(kept, [at(other)], "{own}");
            }
        }
        let own = vec![at("127.0.0.1"), at("::1")];
        assert_eq!(within(own.clone(), Reach::Loopback).expect("a name of this machine"), own);
        assert!(within(own, Reach::Private).is_err());
    }

    /// attack-B2: what an old grant counts.
    #[test]
    fn of_several_addresses_the_least_private_counts() {
        let all = ["127.0.0.1", "10.0.0.1", "8.8.8.8"].map(at);
        assert_eq!(least(&all), Some(Reach::Public));
        assert_eq!(least(&all[..2]), Some(Reach::Private));
        assert_eq!(least(&all[..1]), Some(Reach::Loopback));
        assert_eq!(least(&[]), None);
    }

    /// RFC 6761 section 6.3: the network is not asked where this machine is.
    #[tokio::test]
    async fn names_below_localhost_lead_to_this_machine() {
        for name in ["localhost", "x.localhost", "localhost.", "x.localhost."] {
            let found = system(name.to_owned()).await.expect("addresses");
            assert_eq!(least(&found), Some(Reach::Loopback), "{name}");
        }
    }
}
