//! A server with scripted answers, for tests of what the broker sends and makes of it.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request that came.
#[derive(Clone, Debug)]
pub(super) struct Came {
    /// `METHOD /path`, without the query.
    pub(super) line: String,
    pub(super) body: String,
}

/// It ends with the test.
pub(super) struct Scripted {
    pub(super) origin: String,
    came: Arc<Mutex<Vec<Came>>>,
}

impl Scripted {
    /// Answers each request with what `script` says: a status and JSON.
    pub(super) async fn start(
        script: impl Fn(&Came, &str) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let came: Arc<Mutex<Vec<Came>>> = Arc::default();
        let (script, noted, own) = (Arc::new(script), came.clone(), origin.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (script, noted, own) = (script.clone(), noted.clone(), own.clone());
                tokio::spawn(async move {
                    let Some(request) = read(&mut stream).await else { return };
                    let (status, body) = script(&request, &own);
                    noted.lock().expect("unpoisoned").push(request);
                    let body = body.to_string();
                    let head = format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n\
                         content-length: {}\r\nconnection: close\r\n\r\n",
                        body.len()
                    );
                    let _ = stream.write_all((head + &body).as_bytes()).await;
                });
            }
        });
        Self { origin, came }
    }

    /// What came under this line so far.
    pub(super) fn came(&self, line: &str) -> Vec<Came> {
        let came = self.came.lock().expect("unpoisoned");
        came.iter().filter(|request| request.line == line).cloned().collect()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Came> {
    let mut text = String::new();
    let mut bytes = [0; 4096];
    loop {
        let read = stream.read(&mut bytes).await.ok().filter(|read| *read > 0)?;
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            let line = head.split(['?', ' ']).take(2).collect::<Vec<_>>().join(" ");
            return Some(Came { line, body: body.to_owned() });
        }
    }
}

/// The descriptions of a server at `/mcp` that signs in where it is; `None` where something else
/// was asked for.
pub(super) fn described(request: &Came, origin: &str) -> Option<Value> {
    match request.line.as_str() {
        "GET /.well-known/oauth-protected-resource/mcp" => Some(json!({
            "resource": format!("{origin}/mcp"),
            "authorization_servers": [origin],
        })),
        "GET /.well-known/oauth-authorization-server" => Some(json!({
            "issuer": origin,
            "authorization_endpoint": format!("{origin}/authorize"),
            "token_endpoint": format!("{origin}/token"),
            "registration_endpoint": format!("{origin}/register"),
            "code_challenge_methods_supported": ["S256"],
        })),
        _ => None,
    }
}
