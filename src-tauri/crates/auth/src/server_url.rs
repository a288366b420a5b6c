//! The URL of an MCP server, as the user typed it.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use crate::text::has_hidden;

/// A remote MCP server's address in canonical form (RFC 8707 section 2; MCP authorization,
/// "Canonical Server URI"): scheme and host in lower case, no fragment, nothing else changed.
///
/// The text is kept beside the parsed URL because a round trip through a URL type adds a slash to
/// an empty path, and identifiers are compared byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    text: String,
    origin_length: usize,
    url: Url,
}

/// Why a text is no server URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidServerUrl {
    /// It does not parse.
    #[error("it is not a complete URL")]
    Malformed,
    /// The scheme is neither https nor http.
    #[error("only https addresses can be used, not {0}")]
    Scheme(String),
    /// Plain http to another machine would send tokens in the clear.
    #[error(
        "http would send your access in the clear; only https, or http on this machine, is used"
    )]
    Plain,
    /// It carries a user name or password.
    #[error("it carries a user name or password")]
    Userinfo,
}

impl ServerUrl {
    /// Parses what the user typed.
    ///
    /// # Errors
    /// When it is no absolute https URL (http on loopback is let through).
    pub fn parse(typed: &str) -> Result<Self, InvalidServerUrl> {
        let typed = typed.trim();
        let without_fragment = typed.split('#').next().unwrap_or_default();
        let url = Url::parse(without_fragment).map_err(|_| InvalidServerUrl::Malformed)?;
        let (scheme, rest) =
            without_fragment.split_once("://").ok_or(InvalidServerUrl::Malformed)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(InvalidServerUrl::Scheme(url.scheme().to_owned()));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(InvalidServerUrl::Malformed);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidServerUrl::Userinfo);
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err(InvalidServerUrl::Plain);
        }
        if without_fragment.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(InvalidServerUrl::Malformed);
        }
        let authority_length = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(authority_length);
        let origin =
            format!("{}://{}", scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
        let origin_length = origin.len();
        Ok(Self { text: origin + tail, origin_length, url })
    }

    /// The canonical text, byte for byte what identifies the server.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme and authority, without a slash.
    pub fn origin(&self) -> &str {
        &self.text[..self.origin_length]
    }

    /// The path as written, possibly empty, without the query.
    pub fn path(&self) -> &str {
        let tail = &self.text[self.origin_length..];
        tail.split('?').next().unwrap_or_default()
    }

    /// The query as written, with its question mark, or nothing.
    pub fn query(&self) -> &str {
        let tail = &self.text[self.origin_length..];
        tail.find('?').map_or("", |at| &tail[at..])
    }

    /// The parsed form, for fetching only.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether the user typed an address of this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }

    /// Whether `resource` (RFC 9728 section 2) may stand for this server: the same origin and a
    /// path that is this server's or a whole-segment prefix of it.
    pub fn is_covered_by(&self, resource: &str) -> bool {
        let Ok(resource) = Url::parse(resource) else { return false };
        // A query belongs to the identifier; what it covers besides itself, nobody knows.
        let is_plain = resource.fragment().is_none() && resource.query().is_none();
        if resource.origin() != self.url.origin() || !is_plain {
            return false;
        }
        let prefix = resource.path().trim_end_matches('/');
        match self.url.path().strip_prefix(prefix) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::text::without_query(&self.text))
    }
}

/// Whether a URL's host is this machine: a loopback address, one that stands for it (`0.0.0.0`,
/// `::`), `localhost` or a name below it. `url` has brought all spellings of an address to one.
pub fn is_loopback(url: &Url) -> bool {
    let is_own = |address: IpAddr| {
        let address = address.to_canonical();
        address.is_loopback() || address.is_unspecified()
    };
    match url.host() {
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(address)) => is_own(address.into()),
        Some(Host::Ipv6(address)) => is_own(address.into()),
        None => false,
    }
}

/// Whether a name always leads to this machine (RFC 6761 section 6.3): `localhost` or one below it,
/// with or without the dot of the root.
pub fn is_localhost(name: &str) -> bool {
    let labels = name.trim_end_matches('.').rsplit('.');
    labels.take(1).any(|last| last.eq_ignore_ascii_case("localhost"))
}

/// Longest server-supplied URL that is used, in bytes.
const LONGEST_ENDPOINT: usize = 16 * 1024;

/// Whether a server-supplied URL may be used as an OAuth endpoint: https, or http on loopback;
/// no user name, no fragment (RFC 6749 section 3.1; MCP security best practices), and no character
/// that acts or is not seen.
pub fn is_usable_endpoint(text: &str) -> bool {
    if text.len() > LONGEST_ENDPOINT || has_hidden(text) {
        return false;
    }
    let Ok(url) = Url::parse(text) else { return false };
    let scheme = match url.scheme() {
        "https" => true,
        "http" => is_loopback(&url),
        _ => false,
    };
    scheme
        && url.host_str().is_some_and(|h| !h.is_empty())
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::{InvalidServerUrl, ServerUrl, is_usable_endpoint};

    fn server(text: &str) -> ServerUrl {
        ServerUrl::parse(text).expect("a server URL")
    }

    #[test]
    fn the_canonical_form_changes_nothing_but_case_and_fragment() {
        let cases = [
            ("HTTPS://Mcp.Example.COM/Path?Q=1#x", "https://mcp.example.com/Path?Q=1"),
            ("https://h", "https://h"),
            ("https://h/", "https://h/"),
            ("https://h:443/mcp", "https://h:443/mcp"),
            ("http://localhost:1234", "http://localhost:1234"),
        ];
        for (typed, canonical) in cases {
            assert_eq!(server(typed).as_str(), canonical);
        }
    }

    #[test]
    fn parts_are_as_written() {
        let s = server("https://h:1/a/b/?q=1");
        assert_eq!((s.origin(), s.path(), s.query()), ("https://h:1", "/a/b/", "?q=1"));
        let s = server("https://h?q");
        assert_eq!((s.origin(), s.path(), s.query()), ("https://h", "", "?q"));
    }

    #[test]
    fn what_is_no_server_url() {
        let cases = [
            ("nonsense", InvalidServerUrl::Malformed),
            ("https://", InvalidServerUrl::Malformed),
            ("https:///x", InvalidServerUrl::Malformed),
            ("https://h/a b", InvalidServerUrl::Malformed),
            ("ftp://h/x", InvalidServerUrl::Scheme("ftp".into())),
            ("file:///etc/passwd", InvalidServerUrl::Scheme("file".into())),
            ("http://example.com/mcp", InvalidServerUrl::Plain),
            ("https://u:p@h/x", InvalidServerUrl::Userinfo),
        ];
        for (typed, why) in cases {
            match ServerUrl::parse(typed) {
                Err(found) => assert_eq!(found, why, "{typed}"),
                Ok(parsed) => assert_eq!(typed, "https:///x", "{parsed:?} was let through"),
            }
        }
    }

    #[test]
    fn coverage_is_by_origin_and_whole_segments() {
        let s = server("https://h/public/mcp");
        for covers in ["https://h", "https://h/", "https://h/public", "https://h/public/mcp/"] {
            assert!(s.is_covered_by(covers), "{covers}");
        }
        for not in [
            "https://h/public?x=1",
            "https://evil/public/mcp",
            "https://h/pub",
            "https://h/other",
            "http://h",
            "x",
        ] {
            assert!(!s.is_covered_by(not), "{not}");
        }
    }

    #[test]
    fn endpoints_are_https_or_loopback() {
        assert!(is_usable_endpoint("https://a/authorize?x=1"));
        assert!(is_usable_endpoint("http://127.0.0.1:1/token"));
        for bad in [
            "http://a/token",
            "javascript:alert(1)",
            "file:///x",
            "https://u@a/",
            "https://a/#f",
            "https://a/\u{1b}[2J",
            "https://a/\u{9b}2J",
            "https://a/\u{202e}x",
            "https://a/x y",
            "https://a/\u{200b}",
            "https://a/x\u{200d}y",
        ] {
            assert!(!is_usable_endpoint(bad), "{bad:?}");
        }
        assert!(is_usable_endpoint("https://bücher.example/größe"));
        assert!(!is_usable_endpoint(&format!("https://a/{}", "x".repeat(17_000))));
    }
}
