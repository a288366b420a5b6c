//! A small MCP client that says exactly what it is told to say, for tests of the gateway.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::mcp::MODERN_VERSION;

/// Speaks to one address.
#[derive(Clone)]
pub struct RpcClient {
    http: reqwest::Client,
    url: String,
    headers: Vec<(String, String)>,
    session: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// All headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub text: String,
    /// The JSON messages in it, each with the time of its arrival since the request was sent.
    pub messages: Vec<(Duration, Value)>,
}

impl Reply {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The last message; the response to a request.
    pub fn message(&self) -> &Value {
        match self.messages.last() {
            Some((_, message)) => message,
            None => panic!("no JSON in the answer {} {:?}", self.status, self.text),
        }
    }

    /// The text of the first content block of a tool result.
    pub fn tool_text(&self) -> &str {
        let text = self.message().pointer("/result/content/0/text").and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("no tool result in {} {}", self.status, self.text))
    }
}

impl RpcClient {
    /// A client without credentials.
    pub fn new(url: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(60))
            .build()
            .expect("an HTTP client");
        Self { http, url: url.to_owned(), headers: Vec::new(), session: None }
    }

    /// Adds a header to every request.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a bearer credential to every request.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// The session that `initialize` opened.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Any request.
    pub async fn send(
        &self,
        method: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Reply, reqwest::Error> {
        let started = Instant::now();
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, &self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers: Vec<(String, String)> = response
            .headers()
            .iter()
            .map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
            .collect();
        let streamed =
            headers.iter().any(|(n, v)| n == "content-type" && v.starts_with("text/event-stream"));
        let mut reply = Reply { status, headers, text: String::new(), messages: Vec::new() };
        let mut chunks = response.bytes_stream();
        let mut seen = 0;
        while let Some(chunk) = chunks.next().await {
            reply.text.push_str(&String::from_utf8_lossy(&chunk?));
            if streamed {
                seen = take_events(&mut reply, seen, started.elapsed());
            }
        }
        if !streamed && let Ok(message) = serde_json::from_str(&reply.text) {
            reply.messages.push((started.elapsed(), message));
        }
        Ok(reply)
    }

    async fn post(&self, headers: &[(&str, &str)], message: &Value) -> Reply {
        let mut all = vec![
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        all.extend_from_slice(headers);
        let sent = self.send("POST", &all, Some(message.to_string().into_bytes())).await;
        sent.unwrap_or_else(|e| panic!("no answer from {}: {e}", self.url))
    }

    /// Opens a session; keeps its id when there is one.
    pub async fn initialize(&mut self, version: &str) -> Reply {
        let message = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": version, "capabilities": {},
            "clientInfo": {"name": "keyfob-tests", "version": "1"}}});
        let reply = self.post(&[], &message).await;
        self.session = reply.header("mcp-session-id").map(str::to_owned);
        if reply.status == 200 {
            let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
            self.legacy(version, &note).await;
        }
        reply
    }

    /// A message in the session.
    pub async fn legacy(&self, version: &str, message: &Value) -> Reply {
        let mut headers = vec![("mcp-protocol-version", version)];
        if let Some(session) = &self.session {
            headers.push(("mcp-session-id", session));
        }
        self.post(&headers, message).await
    }

    /// A tool call in the session.
    pub async fn legacy_call(&self, tool: &str, arguments: Value) -> Reply {
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}});
        self.legacy("2025-11-25", &message).await
    }

    /// A request of the stateless revision, with the headers that it wants.
    pub async fn modern(&self, method: &str, mut params: Value) -> Reply {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN_VERSION,
            "io.modelcontextprotocol/clientInfo": {"name": "keyfob-tests", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {}});
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        let mut headers = vec![("mcp-protocol-version", MODERN_VERSION), ("mcp-method", method)];
        if let Some(name) = params["name"].as_str() {
            headers.push(("mcp-name", name));
        }
        self.post(&headers, &message).await
    }

    /// A tool call of the stateless revision.
    pub async fn modern_call(&self, tool: &str, arguments: Value) -> Reply {
        self.modern("tools/call", json!({"name": tool, "arguments": arguments})).await
    }
}

/// Takes the complete events out of the text behind `seen`; gives the new position.
fn take_events(reply: &mut Reply, mut seen: usize, at: Duration) -> usize {
    while let Some(length) = reply.text[seen..].find("\n\n") {
        let event = &reply.text[seen..seen + length];
        let data: Vec<&str> =
            event.lines().filter_map(|l| l.strip_prefix("data:")).map(str::trim_start).collect();
        if let Ok(message) = serde_json::from_str(&data.join("\n")) {
            reply.messages.push((at, message));
        }
        seen += length + 2;
    }
    seen
}
