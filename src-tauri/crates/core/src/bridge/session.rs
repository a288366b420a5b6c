//! What the client of the session-based era would have kept: the session's id and revision, its
//! stream, and how it was opened, for when the server forgets it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::message::Message;
use super::pace::{Pace, Stretch};
use super::{Bridge, HEAD_WAIT};
use crate::gateway::answer::Response;
use crate::mcp::{LARGEST, Messages, Mirror, mirrored, parsed};

/// Longest revision that is taken over from a server, in bytes: it goes into a header.
const LONGEST_VERSION: usize = 64;

const ID: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// What tells a server that its client is ready; part of opening a session.
const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// The session, and what has been learnt of the tools.
#[derive(Default)]
pub(super) struct Session {
    id: Option<HeaderValue>,
    version: Option<HeaderValue>,
    mirror: Mirror,
    /// The client's `initialize`.
    opening: Option<Bytes>,
    pub(super) stream: Option<JoinHandle<()>>,
    /// Kept from one session to the next: a server may lose one after the other.
    pace: Pace,
}

impl Session {
    /// Notes the session that `initialize` opened.
    pub(super) fn open(&mut self, opening: &Message, response: &Response) {
        self.id = response.headers().get(ID).cloned();
        self.version = None;
        self.opening = Some(opening.line.clone());
    }

    /// The headers of the session, and its id.
    pub(super) fn headers(&self) -> (HeaderMap, Option<HeaderValue>) {
        let mut headers = HeaderMap::new();
        if let Some(id) = &self.id {
            headers.insert(ID, id.clone());
            if let Some(version) = &self.version {
                headers.insert(VERSION, version.clone());
            }
        }
        (headers, self.id.clone())
    }

    /// The headers of a message, and the id of the session that it is part of.
    pub(super) fn headers_for(&self, message: &Message) -> (HeaderMap, Option<HeaderValue>) {
        let headers = mirrored(&message.content, &self.mirror);
        if !headers.is_empty() || message.method == "initialize" {
            return (headers, None);
        }
        self.headers()
    }

    /// Learns from what passes: the revision of the session, the tools. A tool that clients must
    /// not see is taken out.
    pub(super) fn seen(&mut self, method: &str, text: String) -> String {
        if !matches!(method, "initialize" | "tools/list") {
            return text;
        }
        let mut message = match parsed(&text) {
            Ok(Some(message)) => message,
            Ok(None) => return text,
            Err(too_much) => {
                tracing::warn!("the answer to {method} passes unread: {too_much}");
                return text;
            }
        };
        let Some(result) = message.get_mut("result") else { return text };
        if method == "initialize" {
            let version = result.get("protocolVersion").and_then(Value::as_str);
            let version = version.filter(|version| version.len() <= LONGEST_VERSION);
            self.version = version.and_then(|version| HeaderValue::from_str(version).ok());
            return text;
        }
        let Some(Value::Array(tools)) = result.get_mut("tools") else { return text };
        let dropped = self.mirror.learn(tools);
        if dropped.is_empty() { text } else { message.to_string() }
    }
}

impl Bridge {
    /// Opens a session in place of a lost one, as the client opened it. The client knows nothing
    /// of it, so nothing that is said here is passed on.
    pub(super) async fn revive(self: &Arc<Self>, lost: &HeaderValue) -> bool {
        let _turn = self.reviving.lock().await;
        let opening = {
            let session = self.session();
            if session.id.as_ref() != Some(lost) {
                return true;
            }
            session.opening.clone()
        };
        let Some(opening) = opening.and_then(Message::read) else { return false };
        let response = self.send(Method::POST, HeaderMap::new(), opening.line.clone()).await;
        if !response.status().is_success() || !self.reopen(&opening, response).await {
            return false;
        }
        let (headers, _) = self.session().headers();
        let ready = self.send(Method::POST, headers, Bytes::from_static(INITIALIZED));
        let _ = tokio::time::timeout(HEAD_WAIT, ready).await;
        if self.session().stream.is_some() {
            self.open_stream();
        }
        true
    }

    /// Reads the answer to a repeated `initialize`; says whether it opened a session.
    async fn reopen(&self, opening: &Message, response: Response) -> bool {
        let mut opened = Session::default();
        opened.open(opening, &response);
        let mut messages = Messages::of(response);
        // Others wait for this: what says much and not that ends it as well.
        let mut left = LARGEST;
        while let Ok(Some(text)) = messages.next().await {
            let Some(less) = left.checked_sub(text.len()) else { break };
            left = less;
            if opening.is_answer(&text) {
                opened.seen(&opening.method, text);
                let is_open = opened.version.is_some();
                if is_open {
                    let mut session = self.session();
                    session.id = opened.id;
                    session.version = opened.version;
                }
                return is_open;
            }
        }
        false
    }

    /// The server's own messages of the session-based era come on a stream of their own.
    pub(super) fn open_stream(self: &Arc<Self>) {
        let mut session = self.session();
        if let Some(former) = session.stream.take() {
            former.abort();
        }
        if let Some(id) = session.id.clone() {
            session.stream = Some(tokio::spawn(self.clone().listen(id)));
        }
    }

    /// Passes on what comes on the stream of a session, for as long as there is one.
    async fn listen(self: Arc<Self>, session: HeaderValue) {
        let mut last_id: Option<String> = None;
        let mut was_open = false;
        while self.seat().is_some() {
            let (mut headers, _) = self.session().headers();
            if let Some(id) = last_id.as_deref().and_then(|id| HeaderValue::from_str(id).ok()) {
                headers.insert(LAST_EVENT, id);
            }
            let response = self.send(Method::GET, headers, Bytes::new()).await;
            let status = response.status();
            if status.is_success() {
                was_open = true;
                let Some(passed) = self.pass(response).await else { return };
                last_id = passed.last_id.or(last_id);
                let pause = self.session().pace.after(passed.stretch, passed.retry);
                tokio::time::sleep(pause).await;
            } else if was_open && status.is_server_error() {
                // It was there before and is away for a while, to start anew perhaps.
                let pause = self.session().pace.after(Stretch::Empty, None);
                tokio::time::sleep(pause).await;
            } else {
                // 405 is the normal answer of a server that has nothing to say by itself.
                if was_open && status == StatusCode::NOT_FOUND {
                    // This opens a stream of its own, in place of the present one.
                    self.revive(&session).await;
                }
                return;
            }
        }
    }

    /// Passes on one stream; gives where and when to resume it, unless it cannot be.
    async fn pass(&self, response: Response) -> Option<Passed> {
        let mut lease = self.seat()?.watch();
        let mut messages = Messages::of(response);
        let (began, mut has_said) = (Instant::now(), false);
        let stretch = loop {
            tokio::select! {
                text = messages.next() => match text {
                    Ok(Some(text)) => {
                        has_said = true;
                        self.say(text).await;
                    }
                    Ok(None) => break Stretch::of(has_said, began.elapsed()),
                    Err(too_much) => {
                        self.note(too_much);
                        break Stretch::Broken;
                    }
                },
                // A stream must not outlive its server's place on the list.
                changed = lease.changed() => if changed.is_err() || self.seat().is_none() {
                    return None;
                },
            }
        };
        match messages {
            Messages::Stream { last_id, retry, .. } => Some(Passed { last_id, retry, stretch }),
            Messages::Single(_) => None,
        }
    }
}

/// What is known of a stream that has ended.
struct Passed {
    last_id: Option<String>,
    retry: Option<Duration>,
    stretch: Stretch,
}
