//! An open MCP server whose answers do not end for as long as somebody reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endless {
    /// A line of an event stream that answers a request.
    Line,
    /// One event of many lines.
    Event,
    /// A JSON answer.
    Json,
    /// A short text that makes a tree of many values.
    Values,
    /// The same in pages.
    ValuePages,
    /// The pages of the list of tools.
    Pages,
    /// Small pages of the list of tools.
    SmallPages,
    /// The list of tools leads back to its first page.
    Circle,
    /// Notifications before the answer.
    Notifications,
    /// The server's own stream ends at once and is to be taken up again at once.
    Retry,
}

/// A running one; it ends when dropped.
pub struct Flood {
    port: u16,
    streams: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Flood {
    /// Starts one.
    pub async fn start(endless: Endless) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port");
        let port = listener.local_addr().expect("bound").port();
        let streams = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&streams);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counted = Arc::clone(&counted);
                tokio::spawn(async move { serve(stream, endless, &counted).await.ok() });
            }
        });
        Self { port, streams, task }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// How often its own stream was asked for.
    pub fn streams(&self) -> usize {
        self.streams.load(Ordering::SeqCst)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request, then closes: what comes has no length.
async fn serve(
    mut stream: TcpStream,
    endless: Endless,
    streams: &AtomicUsize,
) -> std::io::Result<()> {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    let (mut method, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if read.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        if method.is_empty() {
            method = line.split(' ').next().unwrap_or_default().to_owned();
        }
        let (name, value) = line.trim().split_once(": ").unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    read.read_exact(&mut body).await?;
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut head = async |status: &str, kind: &str| {
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nmcp-session-id: s\r\nconnection: close\r\n\r\n"
        );
        write.write_all(head.as_bytes()).await
    };
    match (method.as_str(), asked["method"].as_str().unwrap_or_default()) {
        ("GET", _) if endless == Endless::Retry => {
            streams.fetch_add(1, Ordering::SeqCst);
            head("200 OK", "text/event-stream").await?;
            write.write_all(b"retry: 0\nid: 1\n\n").await
        }
        ("GET", _) => head("405 Method Not Allowed", "text/plain").await,
        (_, "initialize") => {
            head("200 OK", "application/json").await?;
            let result = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                "serverInfo": {"name": "flood", "version": "1"}});
            let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
            write.write_all(answer.to_string().as_bytes()).await
        }
        (_, "tools/list" | "tools/call") => {
            let kind = match endless {
                Endless::Line | Endless::Event | Endless::Notifications => "text/event-stream",
                _ => "application/json",
            };
            head("200 OK", kind).await?;
            answer(&mut write, endless, &asked).await
        }
        _ => head("202 Accepted", "text/plain").await,
    }
}

async fn answer(
    write: &mut (impl AsyncWriteExt + Unpin),
    endless: Endless,
    asked: &Value,
) -> std::io::Result<()> {
    let page = |count: usize, next: &str| {
        let described = "x".repeat(1000);
        let tools: Vec<Value> = (0..count)
            .map(|n| json!({"name": format!("{next}-{n}"), "description": described}))
            .collect();
        let result = json!({"tools": tools, "nextCursor": next});
        json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}).to_string()
    };
    let values = |count: usize| {
        let (id, tools) = (&asked["id"], "{\"\":0},".repeat(count));
        let result = format!(r#"{{"tools":[{tools}0],"nextCursor":"{count}"}}"#);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
    };
    let next = asked["params"]["cursor"].as_str().and_then(|at| at.parse().ok()).unwrap_or(0) + 1;
    let once = match endless {
        Endless::Pages => page(1000, &next.to_string()),
        Endless::SmallPages => page(1, &next.to_string()),
        Endless::Circle => page(1, "1"),
        Endless::Values => values(1_000_000),
        Endless::ValuePages => values(60_000),
        _ => String::new(),
    };
    if !once.is_empty() {
        return write.write_all(once.as_bytes()).await;
    }
    let (first, rest) = match endless {
        Endless::Line => ("data: ", "x".repeat(64 * 1024)),
        Endless::Event => ("", "data: and another line\n".repeat(3000)),
        Endless::Notifications => {
            let note = json!({"jsonrpc": "2.0", "method": "notifications/message"});
            ("", format!("data: {note}\n\n").repeat(1000))
        }
        _ => ("{\"jsonrpc\":\"2.0\",\"result\":\"", "x".repeat(64 * 1024)),
    };
    write.write_all(first.as_bytes()).await?;
    loop {
        write.write_all(rest.as_bytes()).await?;
    }
}
