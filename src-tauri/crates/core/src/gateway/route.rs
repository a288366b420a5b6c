//! Which path means what. Paths are taken apart and joined as text, so that nothing is decoded
//! that the server should see as it was sent.

use keyfob_auth::ServerUrl;

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

/// Whether a tail leads nowhere but below: no dot segments in any spelling, no empty segments but
/// a last one, no encoded slashes, and nothing well-known.
fn is_plain(tail: &str) -> bool {
    if tail.is_empty() {
        return true;
    }
    let segments: Vec<&str> = tail[1..].split('/').collect();
    let last = segments.len() - 1;
    segments.iter().enumerate().all(|(at, segment)| {
        let lower = segment.to_ascii_lowercase();
        let dots = lower.replace("%2e", ".");
        let is_empty_inside = segment.is_empty() && at != last;
        !is_empty_inside
            && dots != "."
            && dots != ".."
            && dots != ".well-known"
            && !lower.contains("%2f")
            && !lower.contains("%5c")
            && !segment.contains('\\')
    })
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
            "/NOTION",
            "//notion",
        ] {
            assert_eq!(Route::of(nothing), Route::Nothing, "{nothing}");
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

    proptest! {
        #[test]
        fn no_tail_leads_above_the_servers_path(tail in "(/[a-zA-Z0-9.%\\\\/_-]{0,12}){0,5}") {
            let path = format!("/notion{tail}");
            if let Route::Server { tail, .. } = Route::of(&path) {
                let server = ServerUrl::parse("https://h/deep/mcp").expect("a URL");
                let url = Url::parse(&upstream(&server, tail, None)).expect("a URL");
                prop_assert!(url.path() == "/deep/mcp" || url.path().starts_with("/deep/mcp/"), "{}", url);
            }
        }
    }
}
