//! The bridge: the stdio form of the gateway. One JSON-RPC message a line in either direction;
//! what a client would have had to do for HTTP is done here.

mod channel;
mod message;
mod pace;
mod queue;
mod session;

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::json;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::channel::{Receiver, Sender};
use self::message::{Kind, Message};
use self::session::Session;
use crate::control::protocol::LONGEST_LINE;
use crate::gateway::Gateway;
use crate::gateway::answer::{Response, trouble};
use crate::gateway::forward::{Inbound, forward};
use crate::gateway::relay::Upload;
use crate::gateway::seat::{Ask, Caller, Lease, Seat};
use crate::mcp::{ACCEPT, Messages, TooMuch};
use crate::problem::{Code, Problem};

/// How long a client's first message waits for a sign-in: an error there would mark the server as
/// one of the older era for good.
const FIRST_WAIT: Duration = Duration::from_secs(55);

/// How often a client's first message looks whether its server is still on the list.
const LOOK: Duration = Duration::from_secs(1);

/// How long a notification may take until its answer begins; those behind it wait for that.
const HEAD_WAIT: Duration = Duration::from_secs(10);

/// How long each step of the end may take: what is under way, what is not written yet, the
/// session. Clients end a process that does not go by itself.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Most lines that wait for those before them.
const MOST_WAITING: usize = 256;

/// Carries messages between a client and a server until the client is done.
///
/// # Errors
/// When the client's side breaks.
pub async fn run(
    gateway: &Gateway,
    seat: Arc<Seat>,
    from: impl AsyncBufRead + Unpin,
    to: impl AsyncWrite + Unpin + Send + 'static,
) -> std::io::Result<()> {
    let (lines, out) = channel::channel(64);
    let writer = tokio::spawn(write(out, to));
    let bridge = Arc::new(Bridge {
        gateway: gateway.clone(),
        // Not the seat itself: the server may be removed or changed while the client is here.
        name: seat.name.clone(),
        caller: Caller { client: "stdio".to_owned(), holds: false },
        lines: Mutex::new(Some(lines)),
        session: Mutex::default(),
        reviving: tokio::sync::Mutex::default(),
    });
    drop(seat);
    let carried = carry(&bridge, from).await;
    bridge.end(writer).await;
    carried
}

/// Reads until the client is done, then lets what is under way finish. Whatever is not done by
/// then ends with this function.
async fn carry(bridge: &Arc<Bridge>, from: impl AsyncBufRead + Unpin) -> std::io::Result<()> {
    let (arrived, waiting) = channel::channel(MOST_WAITING);
    let mut working = pin!(queue::work(bridge, waiting));
    let read = tokio::select! {
        read = read(from, arrived) => read,
        () = &mut working => return Ok(()),
    };
    let _ = tokio::time::timeout(LAST_WAIT, working).await;
    read
}

/// Reads and does nothing else, so that the client's end is seen whatever goes on.
async fn read(mut from: impl AsyncBufRead + Unpin, arrived: Sender<Bytes>) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        if read_line(&mut from, &mut buffer).await? == 0 {
            return Ok(());
        }
        let line = Bytes::copy_from_slice(buffer.trim_ascii());
        if !line.is_empty() && !arrived.send(line).await {
            return Ok(());
        }
    }
}

async fn read_line(
    from: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> std::io::Result<usize> {
    let most = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
    let read = from.take(most).read_until(b'\n', line).await?;
    if read == LONGEST_LINE {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a message is too long"));
    }
    Ok(read)
}

async fn write(mut out: Receiver<String>, mut to: impl AsyncWrite + Unpin) {
    while let Some(line) = out.recv().await {
        if to.write_all(line.as_bytes()).await.is_err() {
            return;
        }
        let _ = to.flush().await;
    }
}

/// A client and its server.
struct Bridge {
    gateway: Gateway,
    name: String,
    caller: Caller,
    /// Where lines for the client go; taken away at the end.
    lines: Mutex<Option<Sender<String>>>,
    session: Mutex<Session>,
    /// Held while a lost session is opened again: of several that noticed only one does it.
    reviving: tokio::sync::Mutex<()>,
}

impl Bridge {
    /// Sends one message and passes on what comes back. `gate` holds those behind it until the
    /// answer has passed, for a notification until it begins.
    async fn exchange(self: Arc<Self>, message: Message, mut gate: Option<oneshot::Sender<()>>) {
        if message.is_first() {
            self.wait_for_sign_in().await;
        }
        let sending = self.send_in_session(&message);
        let response = if message.kind == Kind::Notification {
            let Ok(response) = tokio::time::timeout(HEAD_WAIT, sending).await else { return };
            response
        } else {
            sending.await
        };
        let status = response.status();
        if message.method == "initialize" && status.is_success() {
            self.session().open(&message, &response);
        }
        if message.method == "notifications/initialized" && status.is_success() {
            self.open_stream();
        }
        if message.kind == Kind::Notification {
            gate.take();
        }
        let is_for_client = status.is_success() || message.is_answered();
        let mut has_answered = false;
        let mut messages = Messages::of(response);
        loop {
            let text = match messages.next().await {
                Ok(Some(text)) => text,
                Ok(None) => break,
                Err(too_much) if has_answered => {
                    self.note(too_much);
                    return;
                }
                Err(too_much) => return self.refuse(&message, too_much).await,
            };
            let Some(text) = message.addressed(text).filter(|_| is_for_client) else { continue };
            let text = self.session().seen(&message.method, text);
            has_answered |= message.is_answer(&text);
            self.say(text).await;
            if has_answered {
                gate.take();
            }
        }
        if let Some(id) = message.id.as_ref().filter(|_| !has_answered) {
            let said = format!("{} did not answer (HTTP {})", self.name, status.as_u16());
            let error = json!({ "jsonrpc": "2.0", "id": id,
                "error": { "code": -32603, "message": said } });
            self.say(error.to_string()).await;
        }
    }

    /// Says to the client that the answer to its message is too long for a line.
    async fn refuse(&self, message: &Message, too_much: TooMuch) {
        self.note(too_much);
        let refusal = trouble(&too_much.problem(&self.name), &message.line);
        if message.is_answered()
            && let Ok(Some(text)) = Messages::of(refusal).next().await
        {
            self.say(text).await;
        }
    }

    fn note(&self, too_much: TooMuch) {
        tracing::warn!(server = %self.name, "an answer is cut off: {too_much}");
    }

    /// Sends a message in the session; once more in a new one when the server has lost it.
    async fn send_in_session(self: &Arc<Self>, message: &Message) -> Response {
        let (headers, session) = self.session().headers_for(message);
        let response = self.send(Method::POST, headers, message.line.clone()).await;
        let is_lost = response.status() == http::StatusCode::NOT_FOUND;
        // An answer to the server's own request means nothing to a session that did not ask.
        let may_repeat = message.kind != Kind::Reply;
        let Some(lost) = session.filter(|_| is_lost && may_repeat) else { return response };
        if !self.revive(&lost).await {
            return response;
        }
        let (headers, _) = self.session().headers_for(message);
        self.send(Method::POST, headers, message.line.clone()).await
    }

    async fn send(&self, method: Method, mut headers: HeaderMap, body: Bytes) -> Response {
        let Some(seat) = self.seat() else {
            return trouble(&Problem::new(Code::UnknownServer).with("name", &self.name), &body);
        };
        headers.insert(header::ACCEPT, HeaderValue::from_static(ACCEPT));
        if method == Method::POST {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = Upload::Whole(body);
        let inbound = Inbound { method, headers, tail: String::new(), query: None, body };
        forward(&self.gateway.relay, &self.gateway.broker, &seat, &self.caller, inbound).await
    }

    /// The server as it is now; `None` once it has been removed.
    fn seat(&self) -> Option<Arc<Seat>> {
        self.gateway.seats.get(&self.name)
    }

    /// Holds a client's first message while the server waits for its person.
    async fn wait_for_sign_in(&self) {
        let _ = tokio::time::timeout(FIRST_WAIT, self.usable()).await;
    }

    /// Waits until the server can be used, or is gone. The broker is asked once, since a vault
    /// that could not be read is only read again for someone who asks.
    async fn usable(&self) {
        let Some(seat) = self.seat() else { return };
        let mut lease = seat.watch();
        let (reply, _answer) = oneshot::channel();
        if matches!(*lease.borrow(), Lease::Trouble(_)) {
            let ask = Ask::Lease { server: seat.id.clone(), holds: false, reply };
            let _ = self.gateway.broker.send(ask);
        }
        // What is removed is let go of, so that this ends.
        drop(seat);
        while self.seat().is_some() {
            let usable = lease.wait_for(|lease| !matches!(lease, Lease::Trouble(_)));
            if tokio::time::timeout(LOOK, usable).await.is_ok() {
                return;
            }
        }
    }

    /// One message, one line: a line break inside JSON can only stand between tokens.
    async fn say(&self, mut message: String) {
        if message.contains(['\n', '\r']) {
            message = message.replace(['\n', '\r'], " ");
        }
        message.push('\n');
        let lines = lock(&self.lines).clone();
        if let Some(lines) = lines {
            lines.send(message).await;
        }
    }

    /// Writes what has been said, then ends the session as the client would have done.
    async fn end(&self, mut writer: JoinHandle<()>) {
        if let Some(stream) = self.session().stream.take() {
            stream.abort();
        }
        lock(&self.lines).take();
        if tokio::time::timeout(LAST_WAIT, &mut writer).await.is_err() {
            writer.abort();
        }
        let (headers, session) = self.session().headers();
        if session.is_some() {
            let ending = self.send(Method::DELETE, headers, Bytes::new());
            let _ = tokio::time::timeout(LAST_WAIT, ending).await;
        }
    }

    fn session(&self) -> std::sync::MutexGuard<'_, Session> {
        lock(&self.session)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
