//! HTTP as values: what the flow asks the caller to send, and what came back.

use std::fmt;

use http::{HeaderMap, Method};

use crate::text::{self, Shown};

/// A request for the caller to send. Redirects are never followed, no cookies are kept.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The absolute URL, byte for byte as the flow built it.
    pub url: String,
    /// All headers, authorization included.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

impl Request {
    /// A GET that asks for JSON.
    pub fn get_json(url: impl Into<String>) -> Self {
        Self::get(url, "application/json")
    }

    /// A GET with the given `Accept`.
    pub fn get(url: impl Into<String>, accept: &'static str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::ACCEPT, http::HeaderValue::from_static(accept));
        Self { method: Method::GET, url: url.into(), headers, body: Vec::new() }
    }
}

/// Prints neither headers nor body: both may hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, text::without_query(&self.url))
    }
}

/// A complete answer, its body capped by the caller.
#[derive(Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A header's value as text; `None` when absent or not visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// All values of a header that may be repeated.
    pub fn header_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers.get_all(name).iter().filter_map(|v| v.to_str().ok())
    }

    /// The media type without parameters, in lower case.
    pub fn media_type(&self) -> Option<String> {
        let value = self.header("content-type")?;
        Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }

    /// The body as a JSON object, where it is one.
    pub fn json_object(&self) -> Option<serde_json::Map<String, serde_json::Value>> {
        let body = self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body);
        match serde_json::from_slice(body) {
            Ok(serde_json::Value::Object(map)) => Some(map),
            _ => None,
        }
    }

    /// `Retry-After` in seconds, where it is given as a number (RFC 9110 section 10.2.3).
    pub fn retry_after(&self) -> Option<u64> {
        self.header("retry-after")?.trim().parse().ok()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.status, self.body.len())
    }
}

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Name resolution, connection or transport failed, or took too long.
    #[error("{0}")]
    Unreachable(Shown),
    /// The certificate was not accepted.
    #[error("{0}")]
    Untrusted(Shown),
    /// The address rules forbid the target; nothing was sent.
    #[error("{0}")]
    Forbidden(Shown),
    /// The answer was larger than the cap.
    #[error("the answer was too large")]
    TooLarge,
}
