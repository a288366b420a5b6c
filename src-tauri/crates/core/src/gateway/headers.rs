//! Which headers pass, in which direction.

use super::answer::OWN_MARK;
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

/// What a server sends that is not for the client: its cookies, its challenges, its rules for
/// browsers, and what belongs to the hop between it and us.
fn stays_there(name: &HeaderName) -> bool {
    let name = name.as_str();
    HOP_BY_HOP.contains(&name)
        || name == OWN_MARK
        || matches!(
            name,
            "set-cookie"
                | "www-authenticate"
                | "dpop-nonce"
                | "strict-transport-security"
                | "alt-svc"
        )
        || name.starts_with("access-control-")
        || name.starts_with("proxy-")
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

/// The headers of an answer on its way down.
pub fn downward(headers: &HeaderMap) -> HeaderMap {
    filtered(headers, stays_there)
}

fn filtered(headers: &HeaderMap, stays: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let named = named_by_connection(headers);
    let mut passed = HeaderMap::with_capacity(headers.len() + 1);
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

    use super::{downward, upward};

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
        let passed = downward(&came);
        let mut names: Vec<_> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-encoding", "mcp-session-id", "x-accel-buffering"]);
    }
}
