//! Which headers pass, in which direction.

use super::answer::{OWN_MARK, confine};
use http::header::{self, HeaderMap, HeaderName};

/// Hop-by-hop headers (RFC 9110 section 7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
    "expect",
];

/// What a client sends that is not for the server: its own credentials, where it comes from, and
/// what belongs to the hop between it and us.
fn stays_here(name: &HeaderName) -> bool {
    let name = name.as_str();
    HOP_BY_HOP.contains(&name)
        || matches!(
            name,
            "host"
                | "authorization"
                | "cookie"
                | "origin"
                | "referer"
                | "forwarded"
                | "content-length"
                | "dpop"
        )
        || name.starts_with("sec-")
        || name.starts_with("x-forwarded-")
        || name.starts_with("proxy-")
}

/// What a server sends that is not for the client, in the order of the alphabet: what belongs to
/// the hop between it and us, its cookies and challenges, and whatever makes a browser do
/// something, keep something or tell somebody something. To a browser all servers are one origin,
/// ours.
const STAYS_THERE: [&str; 50] = [
    "accept-ch",
    "accept-ch-lifetime",
    "activate-storage-access",
    "alt-svc",
    "clear-site-data",
    "connection",
    "connection-allowlist",
    "critical-ch",
    "delegate-ch",
    "document-isolation-policy",
    "dpop-nonce",
    "expect",
    "expect-ct",
    "feature-policy",
    "keep-alive",
    OWN_MARK,
    "link",
    "nel",
    "no-vary-search",
    "observe-browsing-topics",
    "p3p",
    "referrer-policy",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "require-document-policy",
    "set-cookie",
    "set-cookie2",
    "set-login",
    "shared-storage-write",
    "sourcemap",
    "speculation-rules",
    "strict-transport-security",
    "supports-loading-mode",
    "te",
    "timing-allow-origin",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "use-as-dictionary",
    "www-authenticate",
    "x-content-security-policy",
    "x-dns-prefetch-control",
    "x-download-options",
    "x-frame-options",
    "x-permitted-cross-domain-policies",
    "x-sourcemap",
    "x-ua-compatible",
    "x-webkit-csp",
    "x-xss-protection",
];

/// How the names of more of them begin.
const STAYS_THERE_FROM: [&str; 13] = [
    "access-control-",
    "ad-auction-",
    "attribution-reporting-",
    "content-security-policy",
    "cross-origin-",
    "document-policy",
    "integrity-policy",
    "origin-",
    "permissions-policy",
    "proxy-",
    "public-key-pins",
    "sec-",
    "service-worker-",
];

/// Whether it is one of them.
fn stays_there(name: &HeaderName) -> bool {
    let name = name.as_str();
    STAYS_THERE.binary_search(&name).is_ok()
        || STAYS_THERE_FROM.iter().any(|start| name.starts_with(start))
}

/// The headers of a request on its way up. The user's own headers for the server come on top.
pub fn upward(headers: &HeaderMap, own: &HeaderMap) -> HeaderMap {
    let mut passed = filtered(headers, stays_here);
    for name in own.keys() {
        passed.remove(name);
    }
    for (name, value) in own {
        passed.append(name.clone(), value.clone());
    }
    passed
}

/// The headers of an answer on its way down, and ours that keep it from being a page.
pub fn downward(headers: &HeaderMap) -> HeaderMap {
    let mut passed = filtered(headers, stays_there);
    confine(&mut passed);
    passed
}

fn filtered(headers: &HeaderMap, stays: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let named = named_by_connection(headers);
    // A few of ours come on top.
    let mut passed = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        if !stays(name) && !named.contains(name) {
            passed.append(name.clone(), value.clone());
        }
    }
    passed
}

/// Headers that `Connection` declares to be hop-by-hop.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{STAYS_THERE, downward, upward};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn credentials_and_origins_never_go_up() {
        let sent = headers(&[
            ("authorization", "Bearer kf_x"),
            ("cookie", "a=b"),
            ("origin", "http://x"),
            ("referer", "http://x"),
            ("sec-fetch-mode", "cors"),
            ("forwarded", "for=1"),
            ("x-forwarded-for", "1"),
            ("proxy-authorization", "x"),
            ("host", "127.0.0.1"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("dpop", "x"),
            ("mcp-session-id", "s"),
            ("mcp-param-region", "=?base64?eA==?="),
            ("accept", "*/*"),
        ]);
        let passed = upward(&sent, &HeaderMap::new());
        let mut names: Vec<_> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "mcp-param-region", "mcp-session-id"]);
    }

    #[test]
    fn the_users_own_headers_replace_the_clients() {
        let own = headers(&[("x-api-key", "mine"), ("authorization", "Bearer own")]);
        let passed = upward(&headers(&[("x-api-key", "theirs")]), &own);
        assert_eq!(passed.get_all("x-api-key").iter().count(), 1);
        assert_eq!(passed["x-api-key"], "mine");
        assert_eq!(passed["authorization"], "Bearer own");
    }

    #[test]
    fn challenges_and_cookies_never_come_down() {
        let came = headers(&[
            ("set-cookie", "a=b"),
            ("www-authenticate", "Bearer"),
            ("dpop-nonce", "n"),
            ("mcp-session-id", "s"),
            ("access-control-allow-origin", "*"),
            ("content-encoding", "br"),
            ("x-accel-buffering", "no"),
        ]);
        assert_eq!(passed_of(&came), ["content-encoding", "mcp-session-id", "x-accel-buffering"]);
    }

    /// What comes down of these, apart from what we say ourselves.
    fn passed_of(came: &HeaderMap) -> Vec<String> {
        let passed = downward(came);
        assert_eq!(passed["content-security-policy"], "sandbox; default-src 'none'");
        assert_eq!(passed["x-content-type-options"], "nosniff");
        assert_eq!(passed["cross-origin-resource-policy"], "same-origin");
        assert_eq!(passed.len(), passed.keys_len(), "each but once");
        let ours =
            ["content-security-policy", "x-content-type-options", "cross-origin-resource-policy"];
        let mut names: Vec<_> = passed.keys().map(ToString::to_string).collect();
        names.retain(|name| !ours.contains(&name.as_str()));
        names.sort_unstable();
        names
    }

    #[test]
    fn nothing_that_acts_on_a_browser_comes_down() {
        let mut came = HeaderMap::new();
        for name in [
            "accept-ch",
            "access-control-allow-origin",
            "activate-storage-access",
            "ad-auction-signals",
            "alt-svc",
            "attribution-reporting-register-source",
            "clear-site-data",
            "content-security-policy",
            "content-security-policy-report-only",
            "critical-ch",
            "cross-origin-embedder-policy",
            "cross-origin-opener-policy-report-only",
            "cross-origin-resource-policy",
            "document-isolation-policy",
            "document-policy",
            "expect-ct",
            "integrity-policy-report-only",
            "link",
            "nel",
            "no-vary-search",
            "observe-browsing-topics",
            "origin-agent-cluster",
            "origin-trial",
            "permissions-policy",
            "public-key-pins-report-only",
            "referrer-policy",
            "refresh",
            "report-to",
            "reporting-endpoints",
            "sec-session-registration",
            "service-worker-allowed",
            "set-login",
            "sourcemap",
            "speculation-rules",
            "strict-transport-security",
            "supports-loading-mode",
            "timing-allow-origin",
            "use-as-dictionary",
            "x-content-type-options",
            "x-dns-prefetch-control",
            "x-frame-options",
        ] {
            came.append(name, HeaderValue::from_static("the server's"));
            came.append(name, HeaderValue::from_static("and once more"));
        }
        assert_eq!(passed_of(&came), [""; 0]);
        for name in [
            "cache-control",
            "content-disposition",
            "content-length",
            "content-type",
            "etag",
            "location",
            "mcp-session-id",
            "original",
            "retry-after",
            "x-ratelimit-remaining",
        ] {
            came.append(name, HeaderValue::from_static("x"));
        }
        assert_eq!(passed_of(&came).len(), 10);
    }

    #[test]
    fn the_list_is_in_the_order_that_it_is_searched_in() {
        assert!(STAYS_THERE.is_sorted());
    }
}
