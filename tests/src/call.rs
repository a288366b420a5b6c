//! One HTTP request and its answer, as the fixture servers see them.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Response, StatusCode, header};
use bytes::Bytes;
use serde_json::Value;

use crate::journal::BearerSeen;

/// Decoded name and value pairs, in the order in which they came, duplicates kept.
pub type Pairs = Vec<(String, String)>;

/// A request, read whole.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path as it stood on the wire.
    pub path: String,
    /// The query, decoded.
    pub query: Pairs,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, unread.
    pub body: Bytes,
}

impl Call {
    /// The first value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// The media type of the body without parameters, lower case.
    pub fn media_type(&self) -> String {
        let raw = self.header("content-type").unwrap_or_default();
        raw.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The body as form fields; empty when it is something else.
    pub fn form(&self) -> Pairs {
        if self.media_type() == "application/x-www-form-urlencoded" {
            decode_pairs(&self.body)
        } else {
            Vec::new()
        }
    }

    /// The body as JSON; none when it is something else.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The token of a `Bearer` credential (RFC 6750 section 2.1).
    pub fn bearer(&self) -> Option<&str> {
        let raw = self.header("authorization")?;
        let (scheme, token) = raw.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }

    /// Does `Accept` name this media type?
    pub fn accepts(&self, media_type: &str) -> bool {
        self.headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .any(|v| v.split(';').next().unwrap_or_default().trim() == media_type)
    }
}

/// Reads `application/x-www-form-urlencoded` text.
pub fn decode_pairs(raw: &[u8]) -> Pairs {
    url::form_urlencoded::parse(raw).into_owned().collect()
}

/// Writes `application/x-www-form-urlencoded` text.
pub fn encode_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Appends parameters to a URL and keeps the query that it has (RFC 6749 section 3.1).
pub fn with_query<'a>(url: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let more = encode_pairs(pairs);
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{more}")
}

/// The parameter that stands twice, if one does. RFC 6749 section 3.1: they must not.
pub fn repeated<'a>(pairs: &'a Pairs, but: &[&str]) -> Option<&'a str> {
    pairs
        .iter()
        .enumerate()
        .find(|(i, (name, _))| {
            !but.contains(&name.as_str()) && pairs[..*i].iter().any(|(n, _)| n == name)
        })
        .map(|(_, (name, _))| name.as_str())
}

/// The first value of a parameter. An empty value counts as left out (RFC 6749 section 3.1).
pub fn param<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    pairs.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
}

/// What a fixture server answers, with the reason for the journal.
#[derive(Debug)]
pub struct Answer {
    /// What goes over the wire.
    pub response: Box<Response<Body>>,
    /// Why, in a few words.
    pub decision: String,
    /// What was seen of an access token; only the MCP server says so.
    pub bearer: Option<BearerSeen>,
}

impl Answer {
    /// An answer with a plain body.
    pub fn new(status: u16, media_type: &str, body: impl Into<Body>, decision: &str) -> Self {
        let response = Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, media_type)
            .body(body.into())
            .expect("a fixed status and header");
        Self { response: Box::new(response), decision: decision.to_owned(), bearer: None }
    }

    /// A JSON answer that may not be stored.
    pub fn json(status: u16, body: &Value, decision: &str) -> Self {
        Self::new(status, "application/json", body.to_string(), decision)
            .with("cache-control", "no-store")
    }

    /// An HTML page; what a person sees.
    pub fn page(status: u16, title: &str, text: &str, decision: &str) -> Self {
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><title>{0}</title></head>\
             <body><h1>{0}</h1><p>{1}</p></body></html>\n",
            escape(title),
            escape(text)
        );
        Self::new(status, "text/html; charset=utf-8", html, decision)
            .with("cache-control", "no-store")
    }

    /// A redirect of a browser.
    pub fn redirect(to: &str, decision: &str) -> Self {
        Self::empty(302, decision).with("location", to).with("cache-control", "no-store")
    }

    /// A status without a body.
    pub fn empty(status: u16, decision: &str) -> Self {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(status).expect("a fixed status");
        Self { response: Box::new(response), decision: decision.to_owned(), bearer: None }
    }

    /// Adds a header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.response.headers_mut().append(name, value.parse().expect("a header value"));
        self
    }

    /// Notes what was seen of an access token.
    pub fn seen(mut self, bearer: BearerSeen) -> Self {
        self.bearer = Some(bearer);
        self
    }
}

/// Makes text safe inside HTML text and quoted attributes.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
