//! HTTP as bytes, for what no library would send or wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::desktop::until;

/// How long an answer, or the end of a connection, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a port on 127.0.0.1.
pub struct Raw(TcpStream);

impl Raw {
    /// Connects.
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("somebody listens");
        stream.set_nodelay(true).ok();
        Self(stream)
    }

    /// Sends these bytes. That the other side has had enough is no failure.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.ok();
    }

    /// Reads until this has come; gives everything up to there, or up to the end of the connection.
    pub async fn until(&mut self, wanted: &str) -> String {
        let reading = async {
            let mut text = Vec::new();
            loop {
                if String::from_utf8_lossy(&text).contains(wanted) {
                    break;
                }
                match self.0.read_buf(&mut text).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => break,
                }
            }
            String::from_utf8_lossy(&text).into_owned()
        };
        let read = tokio::time::timeout(PATIENCE, reading).await;
        read.unwrap_or_else(|_| panic!("no {wanted:?} and no end within {PATIENCE:?}"))
    }

    /// Sends a request and reads the head of the answer with what came along.
    pub async fn ask(&mut self, request: impl AsRef<[u8]>) -> String {
        self.send(request).await;
        self.until("\r\n\r\n").await
    }

    /// Whether it has ended, or does within so long; what still comes is read.
    pub async fn ends_within(&mut self, patience: Duration) -> bool {
        let mut rest = Vec::new();
        tokio::time::timeout(patience, self.0.read_to_end(&mut rest)).await.is_ok()
    }
}

/// The status of an answer.
pub fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no HTTP answer: {answer:?}"))
}

/// A server without sign-in that holds what it is asked: GET is a stream with one event, a call of
/// the tool `hold` is never answered, one of the tool `stream` with a stream that never ends.
pub struct Holding {
    port: u16,
    held: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Holding {
    /// Starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let port = listener.local_addr().expect("bound").port();
        let held = Arc::new(AtomicUsize::new(0));
        let holding = held.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, holding.clone()));
            }
        });
        Self { port, held, task }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// How many requests it holds whose connection is still there.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    /// Waits until it holds so many.
    pub async fn holds(&self, count: usize) {
        let held = async || (self.held() == count).then_some(());
        until(&format!("{count} requests at the server, now {}", self.held()), PATIENCE, held)
            .await;
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, held: Arc<AtomicUsize>) {
    const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                          Transfer-Encoding: chunked\r\n\r\n";
    const EVENT: &str = "9\r\n: hello\n\n\r\n";
    let mut request = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut request).await {
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if length.is_some_and(|length| length.parse() != Ok(body.len())) {
            continue;
        }
        let answer = if head.starts_with("get ") || body.contains("\"stream\"") {
            format!("{STREAM}{EVENT}")
        } else if body.contains("\"hold\"") {
            String::new()
        } else {
            answer(body)
        };
        let is_held = answer.is_empty() || answer.starts_with(STREAM);
        stream.write_all(answer.as_bytes()).await.ok();
        if is_held {
            held.fetch_add(1, Ordering::SeqCst);
            while let Ok(1..) = stream.read(&mut [0; 64]).await {}
            held.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        request.clear();
    }
}

/// What a server with sessions and without tools says.
fn answer(body: &str) -> String {
    let message: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    if message["id"].is_null() {
        return "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_owned();
    }
    let result = match message["method"].as_str() {
        Some("initialize") => json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "serverInfo": {"name": "holding", "version": "1"}}),
        _ => json!({"tools": [], "content": []}),
    };
    let said = json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: one\r\n\
         Content-Length: {}\r\n\r\n{said}",
        said.len()
    )
}
