//! What stands where a metadata document should be: broken, hostile or merely unusual answers.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Map, Value};

use crate::call::Answer;

/// A document above the size that anybody should read.
const OVERSIZED: usize = 1024 * 1024;

/// How an answer differs from a plain document.
#[derive(Debug, Clone, PartialEq)]
pub enum Oddity {
    /// This status with a line of text.
    Status(u16),
    /// 200 with an HTML page, as of a portal.
    Page,
    /// A redirect to this address.
    Redirect(String),
    /// The document under this media type.
    MediaType(&'static str),
    /// The document after a byte order mark.
    ByteOrderMark,
    /// The document with this member in it twice; the wrong one comes first.
    Twice(&'static str, Value),
    /// The document, padded to more than 1 MiB.
    Oversized,
    /// A document that never ends: a space each second.
    Endless,
}

impl Oddity {
    /// The answer that `document` becomes.
    pub fn answer(&self, document: &Map<String, Value>) -> Answer {
        let text = serde_json::to_string(document).expect("plain data");
        let json = |text: String, why: &str| Answer::new(200, "application/json", text, why);
        match self {
            Self::Status(status) => {
                Answer::new(*status, "text/plain", "not here", "another status")
            }
            Self::Page => Answer::page(200, "Welcome", "Please log in.", "a page"),
            Self::Redirect(to) => Answer::redirect(to, "redirected"),
            Self::MediaType(media_type) => {
                Answer::new(200, media_type, text, "under another media type")
            }
            Self::ByteOrderMark => json(format!("\u{feff}{text}"), "after a byte order mark"),
            Self::Twice(member, wrong) => {
                let first = format!("{{{}:{wrong},", Value::from(*member));
                json(text.replacen('{', &first, 1), "a member stands twice")
            }
            Self::Oversized => {
                json(format!("{text}{}", " ".repeat(OVERSIZED)), "larger than 1 MiB")
            }
            Self::Endless => {
                let spaces = stream::unfold((), |()| async {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ()))
                });
                Answer::new(200, "application/json", Body::from_stream(spaces), "without an end")
            }
        }
    }
}
