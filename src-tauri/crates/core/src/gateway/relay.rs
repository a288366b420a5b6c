//! The relay: copies one request to the server and its answer back, byte for byte.

use std::path::Path;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, BodyStream};
use hyper::body::{Body as _, Incoming};
use keyfob_auth::reach::Reach;
use keyfob_auth::server_url::is_loopback;
use reqwest::Client;
use url::Url;

use super::answer::{BodyError, Response};
use super::headers;
use crate::fetch;
use crate::problem::Problem;
use crate::reach::{self, Within};

/// Largest request body that is kept for sending it again, in bytes.
const REPLAYABLE: usize = 1024 * 1024;

/// The clients that requests go through; without any limit on how long an answer may take.
#[derive(Clone, Debug)]
pub struct Relay {
    remote: Client,
    local: Client,
}

/// A request body on its way up.
pub enum Upload {
    /// All of it; it can be sent again.
    Whole(Bytes),
    /// What has come so far and the rest; it can be sent once.
    Stream(Vec<Bytes>, Incoming),
}

impl Upload {
    /// Reads a body as far as it is kept.
    ///
    /// # Errors
    /// When the client breaks off.
    pub async fn read(mut body: Incoming) -> Result<Self, hyper::Error> {
        let mut parts: Vec<Bytes> = Vec::new();
        let mut length = 0;
        while !body.is_end_stream() {
            let Some(frame) = body.frame().await else { break };
            let Ok(data) = frame?.into_data() else { continue };
            length += data.len();
            parts.push(data);
            if length > REPLAYABLE {
                return Ok(Self::Stream(parts, body));
            }
        }
        Ok(Self::Whole(match parts.len() {
            1 => parts.remove(0),
            _ => parts.concat().into(),
        }))
    }

    /// What is there of it.
    pub fn known(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Stream(..) => &[],
        }
    }

    /// The same once more, where that is possible.
    pub fn again(&self) -> Option<Self> {
        match self {
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
            Self::Stream(..) => None,
        }
    }
}

impl Relay {
    /// Sets the clients up.
    ///
    /// # Errors
    /// When the certificates cannot be used.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, Problem> {
        // One connection per request: a reader who is slow on one stream stalls no other. A name
        // leads wherever it leads, but for addresses of this machine beside others.
        let names = || Within { limit: Reach::Loopback, lookup: reach::system };
        let client = |builder: reqwest::ClientBuilder| {
            builder
                .dns_resolver(names())
                .http1_only()
                .build()
                .map_err(|error| fetch::no_client(&error))
        };
        let remote = client(fetch::base(ca_file)?)?;
        let local = client(fetch::base(ca_file)?.no_proxy())?;
        Ok(Self { remote, local })
    }

    /// Sends a request and returns as soon as the answer's head is there.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Upload,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let client = if is_loopback(&url) { &self.local } else { &self.remote };
        let request = client.request(method, url).headers(headers);
        let request = match body {
            Upload::Whole(bytes) if bytes.is_empty() => request,
            Upload::Whole(bytes) => request.body(bytes),
            Upload::Stream(parts, rest) => {
                let parts = stream::iter(parts).map(Ok::<_, hyper::Error>);
                let rest = BodyStream::new(rest).filter_map(async |frame| match frame {
                    Ok(frame) => frame.into_data().ok().map(Ok),
                    Err(error) => Some(Err(error)),
                });
                request.body(reqwest::Body::wrap_stream(parts.chain(rest)))
            }
        };
        request.send().await
    }
}

/// The server's answer as ours: status and bytes as they come, headers as they may.
pub fn answer(upstream: reqwest::Response) -> Response {
    let (mut parts, body) = http::Response::<reqwest::Body>::from(upstream).into_parts();
    parts.headers = headers::downward(&parts.headers);
    parts.version = http::Version::HTTP_11;
    parts.extensions.clear();
    let body = body.map_err(|error| -> BodyError { Box::new(error.without_url()) });
    Response::from_parts(parts, body.boxed_unsync())
}
