//! The bridge: the stdio form of the gateway. One JSON-RPC message a line in either direction;
//! what a client would have had to do for HTTP is done here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::control::protocol::LONGEST_LINE;
use crate::gateway::Gateway;
use crate::gateway::answer::{Envelope, Response};
use crate::gateway::forward::{Inbound, forward};
use crate::gateway::relay::Upload;
use crate::gateway::seat::{Caller, Lease, Seat};
use crate::mcp::{ACCEPT, Messages, Mirror, mirrored};

/// How long a client's first message waits for a sign-in: an error there would mark the server as
/// one of the older era for good.
const FIRST_WAIT: Duration = Duration::from_secs(55);

/// Pause before a broken stream is taken up again, where the server named none.
const RESUME_PAUSE: Duration = Duration::from_secs(1);

/// Carries messages between a client and a server until the client is done.
///
/// # Errors
/// When the client's side breaks.
pub async fn run(
    gateway: &Gateway,
    seat: Arc<Seat>,
    mut from: impl AsyncBufRead + Unpin,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
) -> std::io::Result<()> {
    let (lines, mut out) = mpsc::channel::<String>(64);
    let writer = tokio::spawn(async move {
        while let Some(line) = out.recv().await {
            if to.write_all(line.as_bytes()).await.is_err() {
                return;
            }
            let _ = to.flush().await;
        }
    });
    let caller = Caller { client: "stdio".to_owned(), holds: false };
    let bridge = Arc::new(Bridge {
        gateway: gateway.clone(),
        seat,
        caller,
        lines,
        session: Mutex::default(),
        running: Mutex::default(),
    });
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        if read_line(&mut from, &mut buffer).await? == 0 {
            break;
        }
        let line = Bytes::copy_from_slice(buffer.trim_ascii());
        if !line.is_empty() {
            bridge.take(line).await;
        }
    }
    bridge.end().await;
    drop(bridge);
    writer.abort();
    Ok(())
}

async fn read_line(
    from: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> std::io::Result<usize> {
    use tokio::io::AsyncReadExt;

    let most = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
    let read = from.take(most).read_until(b'\n', line).await?;
    if read == LONGEST_LINE {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a message is too long"));
    }
    Ok(read)
}

struct Bridge {
    gateway: Gateway,
    seat: Arc<Seat>,
    caller: Caller,
    lines: mpsc::Sender<String>,
    session: Mutex<Session>,
    running: Mutex<HashMap<String, JoinHandle<()>>>,
}

#[derive(Default)]
struct Session {
    id: Option<HeaderValue>,
    version: Option<HeaderValue>,
    mirror: Mirror,
    stream: Option<JoinHandle<()>>,
}

impl Bridge {
    /// Takes one message of the client. Requests run side by side, since an answer may need
    /// another message first; notifications keep their place.
    async fn take(self: &Arc<Self>, line: Bytes) {
        let Ok(message) = serde_json::from_slice::<Value>(&line) else {
            let error = json!({ "jsonrpc": "2.0", "id": null,
                "error": { "code": -32700, "message": "The line is not JSON" } });
            return self.say(error.to_string()).await;
        };
        let method = message.get("method").and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = message.get("id").map(Value::to_string);
        let headers = mirrored(&message, &self.session().mirror);
        let is_modern = !headers.is_empty();
        if method == "notifications/cancelled" && is_modern {
            // In the stateless era the end of the request is the message.
            let cancelled = message.pointer("/params/requestId").map(Value::to_string);
            let running = cancelled.and_then(|id| lock(&self.running).remove(&id));
            if let Some(task) = running {
                task.abort();
            }
            return;
        }
        let bridge = self.clone();
        let key = id.clone();
        let work = async move {
            bridge.exchange(line, &method, headers).await;
            if let Some(key) = key {
                lock(&bridge.running).remove(&key);
            }
        };
        match id {
            Some(id) => {
                let mut running = lock(&self.running);
                running.retain(|_, task| !task.is_finished());
                running.insert(id, tokio::spawn(work));
            }
            None => work.await,
        }
    }

    async fn exchange(self: &Arc<Self>, line: Bytes, method: &str, headers: HeaderMap) {
        let is_first = matches!(method, "initialize" | "server/discover");
        if is_first {
            self.wait_for_sign_in().await;
        }
        let response = self.send(Method::POST, headers, line.clone()).await;
        let status = response.status();
        if method == "initialize" && status.is_success() {
            self.session().id = response.headers().get("mcp-session-id").cloned();
        }
        let mut messages = Messages::of(response);
        let envelope = Envelope::read(&line);
        let mut has_answered = false;
        while let Some(text) = messages.next().await {
            let text = self.seen(method, text);
            has_answered |= is_answer(&text);
            self.say(text).await;
        }
        if let Some(id) = envelope.id.filter(|_| !has_answered) {
            let said = format!("{} did not answer (HTTP {})", self.seat.name, status.as_u16());
            let error = json!({ "jsonrpc": "2.0", "id": id,
                "error": { "code": -32603, "message": said } });
            self.say(error.to_string()).await;
        }
        if method == "notifications/initialized" && status.is_success() {
            self.open_stream();
        }
    }

    /// Learns from what passes: the revision of the session, the tools.
    fn seen(&self, method: &str, text: String) -> String {
        if !matches!(method, "initialize" | "tools/list") {
            return text;
        }
        let Ok(mut message) = serde_json::from_str::<Value>(&text) else { return text };
        let Some(result) = message.get_mut("result") else { return text };
        if method == "initialize" {
            let version = result.get("protocolVersion").and_then(Value::as_str);
            self.session().version = version.and_then(|v| HeaderValue::from_str(v).ok());
            return text;
        }
        let Some(Value::Array(tools)) = result.get_mut("tools") else { return text };
        let dropped = self.session().mirror.learn(tools);
        if dropped.is_empty() { text } else { message.to_string() }
    }

    /// Holds a client's first message while the server waits for its person.
    async fn wait_for_sign_in(&self) {
        let mut lease = self.seat.watch();
        let usable = lease.wait_for(|lease| !matches!(lease, Lease::Trouble(_)));
        let _ = tokio::time::timeout(FIRST_WAIT, usable).await;
    }

    /// The server's own messages of the session-based era come on a stream of their own.
    fn open_stream(self: &Arc<Self>) {
        let mut session = self.session();
        if session.id.is_none() || session.stream.is_some() {
            return;
        }
        let bridge = self.clone();
        session.stream = Some(tokio::spawn(async move {
            let mut last_id: Option<String> = None;
            loop {
                let mut headers = HeaderMap::new();
                if let Some(id) = last_id.as_deref().and_then(|id| HeaderValue::from_str(id).ok()) {
                    headers.insert(HeaderName::from_static("last-event-id"), id);
                }
                let response = bridge.send(Method::GET, headers, Bytes::new()).await;
                // 405 is the normal answer of a server that has nothing to say by itself.
                if !response.status().is_success() {
                    return;
                }
                let mut messages = Messages::of(response);
                while let Some(text) = messages.next().await {
                    bridge.say(text).await;
                }
                let Messages::Stream { last_id: last, retry, .. } = messages else { return };
                last_id = last.or(last_id);
                tokio::time::sleep(retry.unwrap_or(RESUME_PAUSE)).await;
            }
        }));
    }

    async fn send(&self, method: Method, mut headers: HeaderMap, body: Bytes) -> Response {
        headers.insert(header::ACCEPT, HeaderValue::from_static(ACCEPT));
        if method == Method::POST {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        {
            let session = self.session();
            if let Some(id) = &session.id {
                headers.insert(HeaderName::from_static("mcp-session-id"), id.clone());
                if let Some(version) = &session.version {
                    headers
                        .insert(HeaderName::from_static("mcp-protocol-version"), version.clone());
                }
            }
        }
        let body = Upload::Whole(body);
        let inbound = Inbound { method, headers, tail: String::new(), query: None, body };
        forward(&self.gateway.relay, &self.gateway.broker, &self.seat, &self.caller, inbound).await
    }

    /// One message, one line: a line break inside JSON can only stand between tokens.
    async fn say(&self, mut message: String) {
        if message.contains(['\n', '\r']) {
            message = message.replace(['\n', '\r'], " ");
        }
        message.push('\n');
        let _ = self.lines.send(message).await;
    }

    /// Ends the session as the client would have done.
    async fn end(self: &Arc<Self>) {
        let (stream, has_session) = {
            let mut session = self.session();
            (session.stream.take(), session.id.is_some())
        };
        if let Some(stream) = stream {
            stream.abort();
        }
        for (_, task) in lock(&self.running).drain() {
            task.abort();
        }
        if has_session {
            let ending = self.send(Method::DELETE, HeaderMap::new(), Bytes::new());
            let _ = tokio::time::timeout(Duration::from_secs(2), ending).await;
        }
    }

    fn session(&self) -> std::sync::MutexGuard<'_, Session> {
        lock(&self.session)
    }
}

fn is_answer(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|message| {
        message.get("method").is_none()
            && (message.get("result").is_some() || message.get("error").is_some())
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
