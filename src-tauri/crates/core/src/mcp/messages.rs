//! The JSON-RPC messages in an answer, one by one as they come.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Limited};
use sse_stream::SseStream;

use crate::gateway::answer::Response;

/// Largest single message, in bytes.
const LARGEST: usize = 64 * 1024 * 1024;

type Events = Pin<Box<SseStream<UnsyncBoxBody<Bytes, io::Error>>>>;

/// The messages of one answer.
pub enum Messages {
    /// One message, not read yet.
    Single(Option<UnsyncBoxBody<Bytes, io::Error>>),
    /// A stream of them.
    Stream {
        /// The events.
        events: Events,
        /// The id of the last one (for resuming).
        last_id: Option<String>,
        /// How long the server wants to be left alone before a resume.
        retry: Option<Duration>,
    },
}

impl Messages {
    /// Takes an answer's body apart by its media type.
    pub fn of(response: Response) -> Self {
        let is_stream = response
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let body = response.into_body().map_err(io::Error::other).boxed_unsync();
        if is_stream {
            let events = Box::pin(SseStream::new(body));
            Self::Stream { events, last_id: None, retry: None }
        } else {
            Self::Single(Some(body))
        }
    }

    /// The next message; `None` at the end, or when the rest cannot be read.
    pub async fn next(&mut self) -> Option<String> {
        match self {
            Self::Single(body) => {
                let whole = Limited::new(body.take()?, LARGEST).collect().await.ok()?;
                let text = String::from_utf8(whole.to_bytes().to_vec()).ok()?;
                (!text.trim().is_empty()).then_some(text)
            }
            Self::Stream { events, last_id, retry } => loop {
                let event = events.next().await?.ok()?;
                if let Some(id) = event.id {
                    *last_id = Some(id);
                }
                if let Some(pause) = event.retry {
                    *retry = Some(Duration::from_millis(pause));
                }
                if let Some(data) = event.data.filter(|data| !data.trim().is_empty()) {
                    return Some(data);
                }
            },
        }
    }
}
