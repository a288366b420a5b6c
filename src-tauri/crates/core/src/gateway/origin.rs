//! Where a request comes from: which address it was sent to, and whether a browser sent it.

use http::header::{HOST, ORIGIN};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Uri};

/// The hosts that are ours.
const OWN_HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// What a browser wants of an address when it shows what is there, as a page or in one.
const SHOWN: [&str; 6] = ["document", "iframe", "frame", "embed", "object", "fencedframe"];

/// The one of our hosts that this `host:port` names.
fn own_host(authority: &str, port: u16) -> Option<&'static str> {
    let (host, at) = authority.rsplit_once(':')?;
    // `parse` takes a sign and leading zeros, too.
    if at.starts_with(['+', '0']) || at.parse() != Ok(port) {
        return None;
    }
    OWN_HOSTS.into_iter().find(|own| own.eq_ignore_ascii_case(host))
}

/// Which of our hosts was asked, by the one `Host`: a page whose name was made to lead here (DNS
/// rebinding) asks under its own name.
pub fn asked_host(headers: &HeaderMap, port: u16) -> Option<&'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = own_host(hosts.next()?.to_str().ok()?, port)?;
    hosts.next().is_none().then_some(host)
}

/// Whether a target is a path here. The absolute form is how a proxy is asked (RFC 9112 section
/// 3.2.2): with anybody else's authority it is not for us.
pub fn is_own_target(target: &Uri, port: u16) -> bool {
    match target.authority() {
        Some(authority) => {
            target.scheme() == Some(&Scheme::HTTP) && own_host(authority.as_str(), port).is_some()
        }
        None => true,
    }
}

/// Whether each `Origin` that there is, is ours.
pub fn is_own_origin(headers: &HeaderMap, port: u16) -> bool {
    headers.get_all(ORIGIN).iter().all(|origin| {
        let own = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        own.is_some_and(|authority| own_host(authority, port).is_some())
    })
}

/// Who made a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// A program.
    Program,
    /// A browser that would show the answer.
    Navigation,
    /// A browser, for a page or a worker: a script, an image, a `fetch`.
    Page,
}

impl Maker {
    /// By what only browsers send, and scripts cannot: `Sec-Fetch-Dest` and `Sec-Fetch-Site`
    /// (Fetch Metadata Request Headers, sections 2.1 and 2.3), and `Service-Worker` (Service
    /// Workers, section 7.2). `fetch` of Node sends `Sec-Fetch-Mode` alone, a
    /// program on Chromium's network stack may send `Sec-Fetch-Dest: empty` and
    /// `Sec-Fetch-Site: none`.
    pub fn of(headers: &HeaderMap) -> Self {
        let destinations = || headers.get_all("sec-fetch-dest").iter();
        if destinations().any(|value| SHOWN.iter().any(|shown| value == shown)) {
            return Self::Navigation;
        }
        let sites = headers.get_all("sec-fetch-site").iter();
        let is_program = destinations().all(|value| value == "empty")
            && sites.into_iter().all(|value| value == "none")
            && !headers.contains_key("service-worker");
        if is_program { Self::Program } else { Self::Page }
    }
}

/// Whether a browser only looks ahead, which must spend nothing.
pub fn is_looking_ahead(headers: &HeaderMap) -> bool {
    let says_prefetch = |value: &HeaderValue| {
        value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("prefetch"))
    };
    ["sec-purpose", "purpose", "x-moz"]
        .into_iter()
        .any(|name| headers.get_all(name).iter().any(says_prefetch))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{Maker, asked_host, is_own_origin, is_own_target};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn only_one_host_of_our_own_with_our_port_is_ours() {
        let asked = |host| asked_host(&headers(&[("host", host)]), 8080);
        assert_eq!(asked("127.0.0.1:8080"), Some("127.0.0.1"));
        assert_eq!(asked("LocalHost:8080"), Some("localhost"));
        assert_eq!(asked("[::1]:8080"), Some("[::1]"));
        for foreign in [
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:80",
            "127.0.0.1:08080",
            "127.0.0.1:+8080",
            "127.0.0.1:8080:8080",
            "::1:8080",
            "127.0.0.1.a.example:8080",
            "a.example:8080",
            "u@127.0.0.1:8080",
            "",
        ] {
            assert_eq!(asked(foreign), None, "{foreign}");
        }
        let twice = headers(&[("host", "127.0.0.1:8080"), ("host", "127.0.0.1:8080")]);
        assert_eq!(asked_host(&twice, 8080), None);
        assert_eq!(asked_host(&HeaderMap::new(), 8080), None);
    }

    #[test]
    fn an_absolute_target_is_ours_with_our_own_authority_alone() {
        for (target, is_ours) in [
            ("/notion?a=http://a.example", true),
            ("http://127.0.0.1:8080/notion", true),
            ("HTTP://localhost:8080", true),
            ("http://a.example/notion", false),
            ("http://127.0.0.1/notion", false),
            ("http://u@127.0.0.1:8080/notion", false),
            ("https://127.0.0.1:8080/notion", false),
            ("127.0.0.1:8080", false),
            ("a.example:443", false),
        ] {
            let uri = target.parse().expect("a target");
            assert_eq!(is_own_target(&uri, 8080), is_ours, "{target}");
        }
    }

    #[test]
    fn every_origin_has_to_be_ours() {
        let is_ours = |pairs: &[_]| is_own_origin(&headers(pairs), 8080);
        assert!(is_ours(&[]) && is_ours(&[("origin", "http://localhost:8080")]));
        for foreign in
            ["null", "", "http://127.0.0.1", "https://127.0.0.1:8080", "http://a.example"]
        {
            assert!(!is_ours(&[("origin", foreign)]), "{foreign}");
        }
        assert!(!is_ours(&[("origin", "http://127.0.0.1:8080"), ("origin", "null")]));
    }

    /// The headers were taken from the programs and browsers themselves.
    #[test]
    fn a_browser_is_told_from_a_program_by_what_scripts_cannot_set() {
        let maker = |pairs: &[_]| Maker::of(&headers(pairs));
        for program in [
            &[] as &[_],
            // Node's fetch.
            &[("sec-fetch-mode", "cors")],
            // A program on Chromium's network stack.
            &[
                ("sec-fetch-site", "none"),
                ("sec-fetch-mode", "no-cors"),
                ("sec-fetch-dest", "empty"),
            ],
        ] {
            assert_eq!(maker(program), Maker::Program, "{program:?}");
        }
        for shown in ["document", "iframe", "frame", "embed", "object", "fencedframe"] {
            let typed = [("sec-fetch-dest", shown), ("sec-fetch-site", "none")];
            assert_eq!(maker(&typed), Maker::Navigation, "{shown}");
        }
        for page in [
            &[("sec-fetch-dest", "serviceworker")] as &[_],
            &[("sec-fetch-dest", "script"), ("sec-fetch-site", "none")],
            &[("sec-fetch-dest", "what-comes-next")],
            &[("sec-fetch-dest", "")],
            &[("sec-fetch-dest", "empty"), ("sec-fetch-dest", "image")],
            &[("sec-fetch-dest", "empty"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "none"), ("sec-fetch-site", "same-site")],
            &[("service-worker", "script")],
            &[("service-worker", "")],
        ] {
            assert_eq!(maker(page), Maker::Page, "{page:?}");
        }
    }
}
