//! The JSON-RPC messages in an answer, one by one as they come, each up to a size.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame};
use serde_json::Value;
use sse_stream::SseStream;

use crate::gateway::answer::Response;
use crate::problem::{Code, Problem};

/// Largest single message, in bytes: what a client may send in one line, it may be sent.
pub const LARGEST: usize = 16 * 1024 * 1024;

/// Most that is read of a list, and of any answer that is awaited without a person who asked for
/// it, in bytes.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// Most pages of a list that are read.
pub const MOST_PAGES: usize = 100;

/// Most values in a message, or a list, that is parsed. As a tree a value takes up to some hundred
/// times what it takes as text.
const MOST_VALUES: usize = 200_000;

/// Longest event id that is kept for resuming, in bytes; it goes into a header.
const LONGEST_ID: usize = 4096;

/// What a server has sent too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// A message is longer than [`LARGEST`].
    #[error("one message has more than {} MiB", LARGEST >> 20)]
    Bytes,
    /// What has to be parsed has more than [`MOST_VALUES`].
    #[error("one answer has more than {MOST_VALUES} values")]
    Values,
    /// A list, or another answer that is bounded as a whole, is longer than [`LARGEST_ANSWER`].
    #[error("one answer has more than {} MiB", LARGEST_ANSWER >> 20)]
    Answer,
    /// A list has more than [`MOST_PAGES`].
    #[error("one list has more than {MOST_PAGES} pages")]
    Pages,
}

impl TooMuch {
    /// What is told of it.
    pub fn problem(self, server: &str) -> Problem {
        Problem::new(Code::TooMuch).with("server", server).with("cause", self)
    }
}

/// How much may come of an answer that is bounded as a whole: a list with all its pages.
#[derive(Debug)]
pub struct Allowance {
    bytes: usize,
    values: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { bytes: LARGEST_ANSWER, values: MOST_VALUES }
    }
}

impl Allowance {
    /// Parses one more message of it; `None` when it is not JSON.
    ///
    /// # Errors
    /// When that is more than is left.
    pub fn parsed(&mut self, text: &str) -> Result<Option<Value>, TooMuch> {
        self.bytes = self.bytes.checked_sub(text.len()).ok_or(TooMuch::Answer)?;
        self.values = self.values.checked_sub(values(text)).ok_or(TooMuch::Values)?;
        Ok(serde_json::from_str(text).ok())
    }
}

/// Parses a message; `None` when it is not JSON.
///
/// # Errors
/// When its tree would take too much memory.
pub fn parsed(text: &str) -> Result<Option<Value>, TooMuch> {
    if values(text) > MOST_VALUES {
        return Err(TooMuch::Values);
    }
    Ok(serde_json::from_str(text).ok())
}

/// How many values a text has at most, found without making a tree of it.
fn values(text: &str) -> usize {
    let (mut values, mut in_string, mut is_escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' | b',' if !in_string => values += 1,
            _ => {}
        }
    }
    values
}

type Source = UnsyncBoxBody<Bytes, io::Error>;

/// The messages of one answer.
pub enum Messages {
    /// One message, not read yet.
    Single(Option<Source>),
    /// A stream of them.
    Stream {
        /// The events.
        events: Pin<Box<SseStream<Metered>>>,
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
            let events = Box::pin(SseStream::new(Metered { body, meter: Meter::default() }));
            Self::Stream { events, last_id: None, retry: None }
        } else {
            Self::Single(Some(body))
        }
    }

    /// The next message; `None` at the end, or when the rest cannot be read.
    ///
    /// # Errors
    /// When it is longer than [`LARGEST`]; nothing comes after that.
    pub async fn next(&mut self) -> Result<Option<String>, TooMuch> {
        match self {
            Self::Single(body) => {
                let Some(mut body) = body.take() else { return Ok(None) };
                let mut whole = Vec::new();
                while let Some(frame) = body.frame().await {
                    let Ok(frame) = frame else { return Ok(None) };
                    let Ok(data) = frame.into_data() else { continue };
                    if whole.len() + data.len() > LARGEST {
                        return Err(TooMuch::Bytes);
                    }
                    whole.extend_from_slice(&data);
                }
                let text = String::from_utf8(whole).ok();
                Ok(text.filter(|text| !text.trim().is_empty()))
            }
            Self::Stream { events, last_id, retry } => loop {
                let event = match events.next().await {
                    Some(Ok(event)) => event,
                    Some(Err(sse_stream::Error::Body(error))) if error.is::<TooMuch>() => {
                        return Err(TooMuch::Bytes);
                    }
                    Some(Err(_)) | None => return Ok(None),
                };
                if let Some(id) = event.id.filter(|id| id.len() <= LONGEST_ID) {
                    *last_id = Some(id);
                }
                if let Some(pause) = event.retry {
                    *retry = Some(Duration::from_millis(pause));
                }
                if let Some(data) = event.data.filter(|data| !data.trim().is_empty()) {
                    return Ok(Some(data));
                }
            },
        }
    }
}

/// An event stream that ends with [`TooMuch`] where one event grows beyond [`LARGEST`]: its reader
/// keeps an event until it is complete.
pub struct Metered {
    body: Source,
    meter: Meter,
}

impl Body for Metered {
    type Data = Bytes;
    type Error = TooMuch;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TooMuch>>> {
        Poll::Ready(match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => {
                let fits = frame.data_ref().is_none_or(|data| self.meter.takes(data));
                Some(if fits { Ok(frame) } else { Err(TooMuch::Bytes) })
            }
            // A connection that is cut ends the stream.
            Some(Err(_)) | None => None,
        })
    }
}

/// Counts what of an event stream must be kept until its event is complete. Comments are not kept:
/// a stream may carry nothing else for days.
#[derive(Default)]
struct Meter {
    /// Bytes of the event's complete lines.
    event: usize,
    /// Bytes of the line so far.
    line: usize,
    is_comment: bool,
    /// Whether a line feed now would belong to the line end before it.
    is_after_cr: bool,
}

impl Meter {
    /// Takes note of the next bytes; says whether the event may still grow.
    fn takes(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            let is_after_cr = std::mem::replace(&mut self.is_after_cr, byte == b'\r');
            match byte {
                b'\n' if is_after_cr => {}
                b'\n' | b'\r' => self.end_line(),
                b':' if self.line == 0 => (self.is_comment, self.line) = (true, 1),
                _ => self.line += 1,
            }
            if !self.is_comment && self.event + self.line > LARGEST {
                return false;
            }
        }
        true
    }

    fn end_line(&mut self) {
        if self.line == 0 {
            self.event = 0;
        } else if !self.is_comment {
            self.event += self.line;
        }
        (self.line, self.is_comment) = (0, false);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody};
    use hyper::body::Frame;

    use super::{Allowance, LARGEST, MOST_VALUES, Messages, TooMuch, parsed};

    /// An answer that comes in these pieces.
    fn answer(
        kind: &str,
        pieces: impl IntoIterator<Item = Bytes, IntoIter: Send + 'static>,
    ) -> Messages {
        let frames = pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
        let body = StreamBody::new(stream::iter(frames)).map_err(|never| match never {});
        let response = http::Response::builder().header("content-type", kind);
        Messages::of(response.body(body.boxed_unsync()).expect("a response"))
    }

    const EVENTS: &str = "text/event-stream";

    /// attack-B5: what never ends is given up when it is too long, and no more of it is read.
    #[tokio::test]
    async fn a_message_is_read_up_to_sixteen_mebibytes_and_no_further() {
        let piece = Bytes::from(vec![b'x'; 64 * 1024]);
        let endless = || std::iter::repeat(piece.clone());
        for line in [&b"data: "[..], b"id: ", b"event: ", b"unknown", b"\r\ndata:", b"\xef\xbb\xbf"]
        {
            let pieces = std::iter::once(Bytes::from_static(line)).chain(endless());
            assert_eq!(answer(EVENTS, pieces).next().await, Err(TooMuch::Bytes), "{line:?}");
        }
        let lines = std::iter::repeat(Bytes::from_static(b"data: and another line\n"));
        assert_eq!(answer(EVENTS, lines).next().await, Err(TooMuch::Bytes));
        assert_eq!(answer("application/json", endless()).next().await, Err(TooMuch::Bytes));
    }

    #[tokio::test]
    async fn what_fits_is_read_however_much_came_before() {
        let long = "x".repeat(LARGEST - "data:".len());
        for end in ["\n", "\r", "\r\n"] {
            let event = format!("data:{long}{end}{end}");
            let comment = format!(": {long}{end}{end}");
            let pieces = [event.clone(), comment, event].map(Bytes::from);
            let mut messages = answer(EVENTS, pieces);
            for _ in 0..2 {
                assert_eq!(messages.next().await.expect("fits").map(|m| m.len()), Some(long.len()));
            }
            assert_eq!(messages.next().await, Ok(None));
        }
        let whole = Bytes::from(vec![b'x'; LARGEST]);
        let read = answer("application/json", [whole]).next().await.expect("fits");
        assert_eq!(read.map(|text| text.len()), Some(LARGEST));
    }

    #[test]
    fn a_text_of_too_many_values_is_not_made_a_tree() {
        let of = |count: usize| format!("[{}1]", "1,".repeat(count));
        assert!(parsed(&of(MOST_VALUES - 1)).expect("not too many").is_some());
        assert_eq!(parsed(&of(MOST_VALUES)), Err(TooMuch::Values));
        let text = format!("[\"{}\\\\\"]", ",[{\\\"".repeat(MOST_VALUES));
        assert!(parsed(&text).expect("no values").is_some(), "a text is one value");
        assert_eq!(parsed("{"), Ok(None));
        let mut allowance = Allowance::default();
        assert!(allowance.parsed(&of(MOST_VALUES / 2)).is_ok());
        let of_both = allowance.parsed(&of(MOST_VALUES / 2));
        assert_eq!(of_both, Err(TooMuch::Values), "the pages of a list count together");
    }
}
