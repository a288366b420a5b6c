//! Which site an address belongs to, and what a person is told where a server signs in at another
//! one's.

use keyfob_auth::server_url::is_loopback;
use keyfob_auth::text::Shown;
use url::{Host, Url};

use crate::locale;

/// The part of a URL's host that one party is answerable for: the registrable domain of a name
/// (by the Public Suffix List), all of this machine, any other address itself.
pub fn site(url: &Url) -> Option<String> {
    if is_loopback(url) {
        return Some("localhost".to_owned());
    }
    match url.host()? {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            // A name of one's own network, or a suffix itself, has none.
            Some(psl::domain_str(name).unwrap_or(name).to_owned())
        }
        address @ (Host::Ipv4(_) | Host::Ipv6(_)) => Some(address.to_string()),
    }
}

/// Whether two addresses belong to one site. What is no URL belongs to none.
pub fn is_same(one: &str, other: &str) -> bool {
    let site = |text: &str| Url::parse(text).ok().and_then(|url| site(&url));
    site(one).is_some_and(|one| site(other) == Some(one))
}

/// Whether two issuers are one sign-in service, as far as a person can tell: they have the same
/// origin.
pub fn is_same_service(one: &str, other: &str) -> bool {
    one == other || (!origin(one).is_empty() && origin(one) == origin(other))
}

/// Scheme, host and port of an issuer, by which it is named where its path does not matter.
pub fn origin(issuer: &str) -> String {
    let url = Url::parse(issuer).ok().filter(|url| url.origin().is_tuple());
    url.map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

/// The host of an address as it is shown. International names are in their ASCII form, in which
/// no letter looks like another.
pub fn host(text: &str) -> String {
    let url = Url::parse(text).ok();
    let host = url.as_ref().and_then(Url::host_str).map(Shown::quotation);
    host.unwrap_or_default().into()
}

/// What a person is told before they allow anything: who will use it, where that is somebody else
/// than the sign-in service's own site.
pub fn notice(server: &str, issuer: &str) -> Option<String> {
    let params = [("service", host(issuer)), ("server", host(server))];
    let params = params.each_ref().map(|(name, value)| (*name, value.as_str()));
    (!is_same(server, issuer)).then(|| locale::filled("access", "used-by", &params))
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::{host, is_same, is_same_service, notice, site};

    #[test]
    fn a_site_is_the_registrable_domain_this_machine_or_an_address() {
        for (url, found) in [
            ("https://mcp.notion.com/mcp", "notion.com"),
            ("https://notion.com", "notion.com"),
            ("https://a.b.co.uk/", "b.co.uk"),
            ("https://me.github.io/", "me.github.io"),
            ("https://MCP.Example.", "mcp.example"),
            ("https://intranet:8443/", "intranet"),
            ("https://co.uk/", "co.uk"),
            ("https://10.0.0.1/", "10.0.0.1"),
            ("https://[2001:db8::1]:1/", "[2001:db8::1]"),
            ("http://127.0.0.1:1/", "localhost"),
            ("http://x.localhost:2/", "localhost"),
            ("http://[::1]:3/", "localhost"),
        ] {
            assert_eq!(site(&Url::parse(url).expect("a URL")).as_deref(), Some(found), "{url}");
        }
    }

    #[test]
    fn sites_and_services_are_told_apart() {
        assert!(is_same("https://mcp.linear.app/mcp", "https://auth.linear.app"));
        assert!(is_same("http://127.0.0.1:1/mcp", "http://localhost:2"));
        for other in ["https://linear.app.evil.example", "https://linear-app.com", "nonsense", ""] {
            assert!(!is_same("https://mcp.linear.app/mcp", other), "{other}");
            assert!(!is_same(other, "https://mcp.linear.app/mcp"), "{other}");
        }
        assert!(!is_same("https://one.github.io", "https://two.github.io"), "two people");
        assert!(!is_same("nonsense", "nonsense"));
        assert!(is_same_service("https://as.example/one", "https://AS.example:443/two"));
        assert!(!is_same_service("https://as.example", "https://as.example:8443"));
        assert!(!is_same_service("https://as.example", "https://login.as.example"));
    }

    #[test]
    fn who_will_use_it_is_said_where_it_is_somebody_else() {
        assert_eq!(notice("https://mcp.linear.app/mcp", "https://linear.app"), None);
        assert_eq!(
            notice("https://mcp.evil.example/mcp", "https://github.com/login").as_deref(),
            Some("What you allow at github.com will be used by mcp.evil.example.")
        );
        assert_eq!(host("https://g\u{456}thub.com/"), "xn--gthub-n2e.com");
        assert_eq!(host("nonsense"), "");
    }
}
