//! The relay: copies one request to the server and its answer back, byte for byte.

use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, BodyStream};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use keyfob_auth::reach::Reach;
use keyfob_auth::server_url::is_loopback;
use reqwest::Client;
use url::Url;

use super::answer::{BodyError, Response};
use super::headers;
use super::seat::End;
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

/// How long the head of an answer in chunks waits for the first of them, so that what is broken from
/// the start is trouble that can be said. A stream of events waits for nothing: its head is news.
const FIRST_PIECE: Duration = Duration::from_secs(1);

/// An answer whose head and first piece are good.
pub struct Begun {
    parts: Parts,
    first: Option<Frame<Bytes>>,
    rest: reqwest::Body,
}

/// What is wrong with the head of an answer.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Two programs would see its end in different places (RFC 9112 section 6.3).
    #[error("its answer has no clear length")]
    Unframed,
    /// It takes the connection for something else than HTTP, which nobody asked for.
    #[error("it changes to another protocol")]
    Upgrade,
}

/// Looks at the head of an answer, whatever is to become of it.
///
/// # Errors
/// When nothing of it can be trusted.
pub fn check(upstream: &reqwest::Response) -> Result<(), Unfit> {
    if upstream.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Unfit::Upgrade);
    }
    match is_framed(upstream.status(), upstream.headers()) {
        true => Ok(()),
        false => Err(Unfit::Unframed),
    }
}

/// Takes an answer up to where it can be passed on.
///
/// # Errors
/// When it breaks before.
pub async fn begin(upstream: reqwest::Response) -> Result<Begun, reqwest::Error> {
    let (parts, mut rest) = http::Response::<reqwest::Body>::from(upstream).into_parts();
    let may_wait =
        parts.headers.contains_key(TRANSFER_ENCODING) && !is_event_stream(&parts.headers);
    let first = if rest.is_end_stream() {
        None
    } else if may_wait {
        tokio::time::timeout(FIRST_PIECE, rest.frame()).await.ok().flatten()
    } else {
        rest.frame().now_or_never().flatten()
    };
    Ok(Begun { parts, first: first.transpose()?, rest })
}

/// An answer as it comes, for a client of our own.
pub fn answer(upstream: reqwest::Response) -> Response {
    let (parts, rest) = http::Response::<reqwest::Body>::from(upstream).into_parts();
    Begun { parts, first: None, rest }.until(Box::pin(std::future::pending()))
}

/// Whether the length of an answer can be read in one way only. We take off the one coding that
/// frames; what any other has done to the body, the client would not learn.
fn is_framed(status: StatusCode, headers: &HeaderMap) -> bool {
    // These have no body, whatever they say.
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return true;
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let (length, coding) = (lengths.next(), codings.next());
    if lengths.next().is_some() || codings.next().is_some() {
        return false;
    }
    match (length, coding) {
        (None, None) => true,
        (Some(length), None) => length.as_bytes().iter().all(u8::is_ascii_digit),
        (None, Some(coding)) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

impl Begun {
    /// The server's answer as ours, until `end` is done: status and bytes as they come, headers as
    /// they may.
    pub fn until(self, end: End) -> Response {
        let Self { mut parts, first, rest } = self;
        parts.headers = headers::downward(&parts.headers);
        parts.version = http::Version::HTTP_11;
        parts.extensions.clear();
        let body = Passing { first, rest, end: Some(end) };
        Response::from_parts(parts, body.boxed_unsync())
    }
}

/// A body on its way down.
struct Passing {
    first: Option<Frame<Bytes>>,
    rest: reqwest::Body,
    /// What cuts it off; none once it has.
    end: Option<End>,
}

impl Body for Passing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(end) = &mut this.end else { return Poll::Ready(None) };
        if end.as_mut().poll(context).is_ready() {
            this.end = None;
            // Not a plain end: nobody shall take a part for the whole.
            return Poll::Ready(Some(Err("what it was sent with has ended".into())));
        }
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let frame = ready!(Pin::new(&mut this.rest).poll_frame(context));
        let without_url = |error: reqwest::Error| -> BodyError { Box::new(error.without_url()) };
        Poll::Ready(frame.map(|frame| frame.map_err(without_url)))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.size_hint();
        let first = self.first.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len);
        let first = u64::try_from(first).unwrap_or(u64::MAX);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(first));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(first));
        }
        hint
    }
}
