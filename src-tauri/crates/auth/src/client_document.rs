//! Our own client id metadata document (CIMD draft section 4), and the redirect URIs in it.

use serde_json::{Value, json};
use url::Url;

/// The name that authorization servers show.
pub const CLIENT_NAME: &str = "Keyfob";

/// The loopback ports that our document lists, in the order in which they are tried. They lie
/// below every system's ephemeral range.
pub const PORTS: [u16; 3] = [15393, 25393, 31393];

/// The path of the redirect URI.
pub const CALLBACK_PATH: &str = "/callback";

/// Largest document that authorization servers accept, in bytes (CIMD draft, "Size").
pub const LARGEST: usize = 5 * 1024;

/// The redirect URI of a listener on `port`.
pub fn redirect_uri(port: u16) -> String {
    format!("http://127.0.0.1:{port}{CALLBACK_PATH}")
}

/// The same listener by its name, for servers that take no IP address (RFC 8252 section 7.3
/// recommends the address, and many still compare with `localhost`).
pub fn redirect_uri_by_name(port: u16) -> String {
    format!("http://localhost:{port}{CALLBACK_PATH}")
}

/// All redirect URIs of the document: on `127.0.0.1` and on `localhost`, each without a port (for
/// servers that follow RFC 8252 section 7.3) and with each of [`PORTS`] (for exact comparison).
pub fn redirect_uris() -> Vec<String> {
    ["127.0.0.1", "localhost"]
        .into_iter()
        .flat_map(|host| {
            std::iter::once(format!("http://{host}{CALLBACK_PATH}"))
                .chain(PORTS.map(|port| format!("http://{host}:{port}{CALLBACK_PATH}")))
        })
        .collect()
}

/// The document for the URL it is published under, which is our client id.
pub fn document(client_id: &ClientDocumentUrl) -> Value {
    json!({
        "client_id": client_id.as_str(),
        "client_name": CLIENT_NAME,
        "client_uri": client_id.home(),
        "application_type": "native",
        "redirect_uris": redirect_uris(),
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "token_endpoint_auth_methods_supported": ["none"],
    })
}

/// The URL of a client document: https, with a path, without user name, fragment, query or dot
/// segments (CIMD draft section 3). It is compared as a plain string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientDocumentUrl(String);

/// Why a URL cannot be a client id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDocumentUrl {
    /// It does not parse, or a parser would change it.
    #[error("it is not a complete URL in its normal form")]
    Malformed,
    /// It is not https.
    #[error("it must be https")]
    Scheme,
    /// It has no path of its own.
    #[error("it needs a path, such as /client.json")]
    Path,
    /// It carries a user name, a query or a fragment.
    #[error("it must not carry a user name, a query or a fragment")]
    Extra,
}

impl ClientDocumentUrl {
    /// Parses a URL that is to be a client id.
    ///
    /// # Errors
    /// When the CIMD draft, section 3, forbids it.
    pub fn parse(text: &str) -> Result<Self, InvalidDocumentUrl> {
        let url = Url::parse(text).map_err(|_| InvalidDocumentUrl::Malformed)?;
        if url.scheme() != "https" {
            return Err(InvalidDocumentUrl::Scheme);
        }
        if url.username() != "" || url.password().is_some() || text.contains(['?', '#', '@']) {
            return Err(InvalidDocumentUrl::Extra);
        }
        if url.path() == "/" {
            return Err(InvalidDocumentUrl::Path);
        }
        // An explicit default port makes another client id; every other difference is a mistake.
        if url.as_str() != text && !text.contains(":443/") {
            return Err(InvalidDocumentUrl::Malformed);
        }
        Ok(Self(text.to_owned()))
    }

    /// The client id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn home(&self) -> String {
        let end = self.0[8..].find('/').map_or(self.0.len(), |at| at + 9);
        self.0[..end].to_owned()
    }
}

/// How well a redirect URI is covered by the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// It stands in it, character for character.
    Exact,
    /// Only its form without a port does: servers that compare exactly will refuse it.
    AnyPort,
    /// It does not.
    Absent,
}

/// How `redirect_uri` is covered by our document.
pub fn listing(redirect_uri: &str) -> Listing {
    let listed = redirect_uris();
    if listed.iter().any(|uri| uri == redirect_uri) {
        return Listing::Exact;
    }
    let Ok(mut url) = Url::parse(redirect_uri) else { return Listing::Absent };
    if url.set_port(None).is_err() {
        return Listing::Absent;
    }
    if listed.iter().any(|uri| uri == url.as_str()) { Listing::AnyPort } else { Listing::Absent }
}

#[cfg(test)]
mod tests {
    use super::{
        ClientDocumentUrl, InvalidDocumentUrl, LARGEST, Listing, PORTS, document, listing,
        redirect_uri, redirect_uri_by_name,
    };

    fn url() -> ClientDocumentUrl {
        ClientDocumentUrl::parse("https://keyfob.example/oauth/client.json").expect("a client id")
    }

    #[test]
    fn the_document_is_what_the_draft_demands() {
        let document = document(&url());
        assert_eq!(document["client_id"], url().as_str());
        assert_eq!(document["client_uri"], "https://keyfob.example/");
        assert_eq!(document["application_type"], "native");
        assert_eq!(document["token_endpoint_auth_method"], "none");
        assert!(document.get("client_secret").is_none());
        assert!(document.to_string().len() < LARGEST);
    }

    #[test]
    fn every_port_we_bind_is_in_the_document() {
        let document = document(&url());
        let listed = document["redirect_uris"].as_array().expect("a list");
        for port in PORTS {
            let uri = redirect_uri(port);
            assert!(listed.iter().any(|entry| *entry == *uri), "{uri} is not in the document");
            assert_eq!(listing(&uri), Listing::Exact);
            assert_eq!(listing(&redirect_uri_by_name(port)), Listing::Exact);
        }
    }

    #[test]
    fn another_port_is_covered_only_by_the_entry_without_one() {
        assert_eq!(listing(&redirect_uri(40000)), Listing::AnyPort);
        assert_eq!(listing("http://127.0.0.1:40000/other"), Listing::Absent);
        assert_eq!(listing("http://192.0.2.1/callback"), Listing::Absent);
    }

    #[test]
    fn what_cannot_be_a_client_id() {
        let cases = [
            ("http://h/c.json", InvalidDocumentUrl::Scheme),
            ("https://h", InvalidDocumentUrl::Path),
            ("https://h/", InvalidDocumentUrl::Path),
            ("https://h/c.json#x", InvalidDocumentUrl::Extra),
            ("https://u@h/c.json", InvalidDocumentUrl::Extra),
            ("https://h/c.json?v=1", InvalidDocumentUrl::Extra),
            ("https://h/a/../c.json", InvalidDocumentUrl::Malformed),
            ("https://H/c.json", InvalidDocumentUrl::Malformed),
            ("c.json", InvalidDocumentUrl::Malformed),
        ];
        for (text, why) in cases {
            assert_eq!(ClientDocumentUrl::parse(text), Err(why), "{text}");
        }
    }
}
