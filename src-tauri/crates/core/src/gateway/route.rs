//! Which path means what. Paths are taken apart and joined as text, so that nothing is decoded
//! that the server should see as it was sent.

use std::borrow::Cow;

use keyfob_auth::ServerUrl;
use percent_encoding::percent_decode_str;

/// How often a segment is decoded: how often programs in a row may each decode it once more.
const DECODINGS: usize = 4;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// The redirect URI.
    Callback,
    /// The page after it.
    Page(&'a str),
    /// A one-time link.
    Go(&'a str),
    /// A server.
    Server {
        /// Its name.
        name: &'a str,
        /// A client key out of the path.
        key: Option<&'a str>,
        /// What follows the name, with its slash, or nothing.
        tail: &'a str,
    },
    /// Nothing of ours.
    Nothing,
}

impl<'a> Route<'a> {
    /// Takes a path apart.
    pub fn of(path: &'a str) -> Self {
        let Some(path) = path.strip_prefix('/') else { return Self::Nothing };
        let (first, rest) = cut(path);
        match first {
            "callback" if rest.is_empty() => Self::Callback,
            "callback" => Self::Page(&rest[1..]),
            "go" if !rest.is_empty() => Self::Go(&rest[1..]),
            "k" if !rest.is_empty() => {
                let (key, rest) = cut(&rest[1..]);
                let (name, tail) = cut(rest.strip_prefix('/').unwrap_or_default());
                Self::server(name, Some(key), tail)
            }
            "go" | "k" | "authorize" | "token" | "register" => Self::Nothing,
            name => Self::server(name, None, rest),
        }
    }

    fn server(name: &'a str, key: Option<&'a str>, tail: &'a str) -> Self {
        if crate::server_name::check_name(name).is_err() || !is_plain(tail) {
            return Self::Nothing;
        }
        Self::Server { name, key, tail }
    }
}

fn cut(path: &str) -> (&str, &str) {
    match path.find('/') {
        Some(at) => path.split_at(at),
        None => (path, ""),
    }
}

/// Whether a tail leads nowhere but below, in everybody's reading: no empty segments but a last
/// one, and no segment that somebody could take for another.
fn is_plain(tail: &str) -> bool {
    let Some(path) = tail.strip_prefix('/') else { return tail.is_empty() };
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() || !is_plain_segment(segment) {
            return false;
        }
    }
    true
}

/// Whether a segment means the same to every server, also to one that decodes it more often than
/// it should, or takes what follows a semicolon for something else (RFC 3986 section 3.3).
fn is_plain_segment(segment: &str) -> bool {
    if !is_well_encoded(segment) || !names_something(segment) {
        return false;
    }
    let mut text = Cow::Borrowed(segment);
    for decoding in 1.. {
        // What is no UTF-8 (an overlong form, say) is read in as many ways as there are programs.
        let Ok(decoded) = percent_decode_str(&text).decode_utf8() else { return false };
        if decoded == text {
            break;
        }
        // A dot need not be encoded even once.
        let has_hidden_dot = decoding > 1 && dots(&decoded) > dots(&text);
        if decoding > DECODINGS || has_hidden_dot || !names_something(&decoded) {
            return false;
        }
        text = Cow::Owned(decoded.into_owned());
    }
    true
}

/// Whether each `%` has its two digits (RFC 3986 section 2.1).
fn is_well_encoded(segment: &str) -> bool {
    let digits = segment.split('%').skip(1);
    digits
        .into_iter()
        .all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit()))
}

/// Whether a segment is a name and neither a way to somewhere else nor well-known (RFC 8615).
fn names_something(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or_default().trim();
    !segment.contains(|c: char| matches!(c, '/' | '\\') || c.is_control())
        && !matches!(name, "." | "..")
        && !name.eq_ignore_ascii_case(".well-known")
}

fn dots(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'.').count()
}

/// The server's URL for a request: its own path with the tail behind it, its own query first.
pub fn upstream(server: &ServerUrl, tail: &str, query: Option<&str>) -> String {
    let path = if tail.is_empty() { server.path() } else { server.path().trim_end_matches('/') };
    let own = server.query();
    let mut url = format!("{}{path}{tail}{own}", server.origin());
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        url.push(if own.is_empty() { '?' } else { '&' });
        url.push_str(query);
    }
    url
}

#[cfg(test)]
mod tests {
    use keyfob_auth::ServerUrl;
    use proptest::prelude::*;
    use url::Url;

    use super::{Route, upstream};

    #[test]
    fn paths_mean_what_they_should() {
        assert_eq!(Route::of("/callback"), Route::Callback);
        assert_eq!(Route::of("/callback/abc"), Route::Page("abc"));
        assert_eq!(Route::of("/go/abc"), Route::Go("abc"));
        assert_eq!(Route::of("/notion"), Route::Server { name: "notion", key: None, tail: "" });
        assert_eq!(
            Route::of("/k/kf_x/notion/a/b"),
            Route::Server { name: "notion", key: Some("kf_x"), tail: "/a/b" }
        );
        for nothing in [
            "",
            "/",
            "/k",
            "/k/kf_x",
            "/k/kf_x/",
            "/go",
            "/authorize",
            "/token",
            "/register",
            "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-authorization-server/notion",
            "/notion/.well-known/openid-configuration",
            "/notion/..",
            "/notion/%2e%2E/x",
            "/notion/a//b",
            "/notion/a%2fb",
            "/notion/a%5Cb",
            "/notion/..;/admin",
            "/notion/..;a=b/admin",
            "/notion/%2e%2e%3b/admin",
            "/notion/.%20/x",
            "/notion/%252e%252e/admin",
            "/notion/%25252e/admin",
            "/notion/a%252eb",
            "/notion/a%252fb",
            "/notion/a%255cb",
            "/notion/%25252525252525aa",
            "/notion/%c0%ae%c0%ae/admin",
            "/notion/%e0%80%ae/admin",
            "/notion/a%ff",
            "/notion/a%00",
            "/notion/a%2500.txt",
            "/notion/a%0d%0ab",
            "/notion/a%7f",
            "/notion/a%",
            "/notion/a%4",
            "/notion/a%zz",
            "/notion/%u002e%u002e/admin",
            "/notion/%2ewell-known/openid-configuration",
            "/notion/.well%2Dknown/openid-configuration",
            "/notion/.%77ELL-known;x/openid-configuration",
            "/notion/%252ewell-known/openid-configuration",
            "/%2ewell-known/oauth-protected-resource",
            "/NOTION",
            "//notion",
        ] {
            assert_eq!(Route::of(nothing), Route::Nothing, "{nothing}");
        }
    }

    #[test]
    fn names_that_are_only_encoded_pass() {
        for tail in [
            "/",
            "/a/b/",
            "/a%20b",
            "/caf%C3%A9/%e2%82%ac",
            "/100%25",
            "/a%2525",
            "/a.b/...",
            "/a%2eb",
            "/.hidden",
            "/..a",
            "/a;v=1/b;v=..",
            "/%7Bid%7D",
            "/https%3A%2B%2Bexample.com%3Fq%3D1%26r",
            "/a%253Db",
        ] {
            let path = format!("/notion{tail}");
            let route = Route::Server { name: "notion", key: None, tail };
            assert_eq!(Route::of(&path), route, "{tail}");
        }
    }

    #[test]
    fn the_servers_path_and_query_come_first() {
        let join = |server: &str, tail: &str, query: Option<&str>| {
            upstream(&ServerUrl::parse(server).expect("a URL"), tail, query)
        };
        assert_eq!(join("https://h/mcp", "", None), "https://h/mcp");
        assert_eq!(join("https://h/mcp/", "", None), "https://h/mcp/");
        assert_eq!(join("https://h/mcp/?a=1", "/x", Some("b=2,3")), "https://h/mcp/x?a=1&b=2,3");
        assert_eq!(join("https://h", "/x/", Some("")), "https://h/x/");
    }

    /// Every reading of a path that a careless server might have: decoded so many times, overlong
    /// forms taken for what they hide, cut off at a zero byte, with no regard for what follows a
    /// semicolon or for blanks. Gives its segments once dots are followed.
    fn carelessly(path: &str, decodings: usize) -> Vec<String> {
        let mut bytes = path.as_bytes().to_vec();
        for _ in 0..decodings {
            bytes = percent_encoding::percent_decode(&bytes).collect();
            for (overlong, hidden) in [
                (&b"\xc0\xae"[..], b"."),
                (b"\xe0\x80\xae", b"."),
                (b"\xc0\xaf", b"/"),
                (b"\xc1\x9c", b"/"),
            ] {
                while let Some(at) = bytes.windows(overlong.len()).position(|w| w == overlong) {
                    bytes.splice(at..at + overlong.len(), hidden.iter().copied());
                }
            }
        }
        let text = String::from_utf8_lossy(&bytes).replace('\\', "/");
        let mut segments = Vec::new();
        for segment in text.split('\0').next().unwrap_or_default().split('/').skip(1) {
            match segment.split(';').next().unwrap_or_default().trim() {
                "." => {}
                ".." => drop(segments.pop()),
                name => segments.push(name.to_ascii_lowercase()),
            }
        }
        segments
    }

    /// Pieces of which hostile paths are made, and some that are not.
    const PIECES: [&str; 28] = [
        "/",
        "/",
        ".",
        "..",
        "%2e",
        "%2E",
        "%252e",
        "%25252e",
        "%2f",
        "%252f",
        "%5c",
        "\\",
        ";",
        "%3b",
        "%253b",
        ";a=b",
        "%00",
        "%2500",
        "%c0%ae",
        "%c0%af",
        "%25c0%25ae",
        "%20",
        "%25",
        "well-known",
        "well%2dknown",
        "admin",
        "a",
        "%C3%A9",
    ];

    proptest! {
        #[test]
        fn no_tail_leads_above_the_servers_path(
            pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..9),
        ) {
            let path = format!("/notion/{}", pieces.concat());
            if let Route::Server { tail, .. } = Route::of(&path) {
                let server = ServerUrl::parse("https://h/deep/mcp").expect("a URL");
                let url = Url::parse(&upstream(&server, tail, None)).expect("a URL");
                for decodings in 0..6 {
                    let read = carelessly(url.path(), decodings);
                    prop_assert!(read.starts_with(&["deep".into(), "mcp".into()]), "{}", url);
                    prop_assert!(!read.contains(&".well-known".into()), "{}", url);
                    prop_assert!(read.len() <= tail.split('/').count() + 1, "{}: {:?}", url, read);
                }
            }
        }

        #[test]
        fn what_is_encoded_as_it_should_be_passes(
            text in "[^\\p{Cc}/\\\\]{0,12}".prop_filter("a name", |text| {
                !matches!(text.split(';').next().map(str::trim), Some("." | ".." | ".well-known"))
                    && !text.contains('%')
            }),
        ) {
            let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC);
            let path = format!("/notion/{encoded}");
            let is_server = matches!(Route::of(&path), Route::Server { .. });
            prop_assert!(is_server, "{}", path);
        }
    }
}
