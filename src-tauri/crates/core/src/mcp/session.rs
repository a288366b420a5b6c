//! One short visit to a server through the gateway.

use std::collections::HashSet;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::{
    ACCEPT, Allowance, LEGACY, MODERN, MOST_PAGES, Messages, Mirror, TooMuch, mirrored, parsed,
};
use crate::broker::command::{ClientKey, Command};
use crate::broker::{Handle, KeyTerms};
use crate::fetch;
use crate::gateway::answer::OWN_MARK;
use crate::gateway::relay;
use crate::problem::{Code, Problem};

/// A visit with a key of its own, which ends with it.
pub struct Session {
    handle: Handle,
    key: ClientKey,
    http: reqwest::Client,
    era: Era,
    mirror: Mirror,
    next_id: u64,
}

enum Era {
    Legacy { session: Option<HeaderValue>, version: String },
    Modern,
}

impl Session {
    /// Opens one, in the era that the server speaks.
    ///
    /// # Errors
    /// When the server cannot be used; the gateway's own words where it gave any.
    pub async fn open(handle: &Handle, name: &str) -> Result<Self, Problem> {
        let key = handle.make_key("keyfob", name, KeyTerms::default()).await?;
        let http =
            fetch::base(None)?.no_proxy().build().map_err(|error| fetch::no_client(&error))?;
        let era = Era::Legacy { session: None, version: LEGACY.to_owned() };
        let mut opening =
            Self { handle: handle.clone(), key, http, era, mirror: Mirror::default(), next_id: 0 };
        let params = json!({
            "protocolVersion": LEGACY,
            "capabilities": {},
            "clientInfo": { "name": "keyfob", "version": env!("CARGO_PKG_VERSION") },
        });
        let mut allowance = Allowance::default();
        let (status, headers, answer) =
            opening.exchange("initialize", params, Some(&mut allowance)).await?;
        match answer.as_ref().and_then(|answer| answer.get("result")) {
            Some(result) => {
                let version = result.get("protocolVersion").and_then(Value::as_str);
                opening.era = Era::Legacy {
                    session: headers.get("mcp-session-id").cloned(),
                    version: version.unwrap_or(LEGACY).to_owned(),
                };
                opening.notify("notifications/initialized").await?;
            }
            // A server that knows no `initialize` says so with a 4xx.
            None if status.is_client_error() => opening.era = Era::Modern,
            None => {
                let is_ours = headers.contains_key(OWN_MARK);
                return Err(opening.failure(status, is_ours, answer.as_ref()));
            }
        }
        Ok(opening)
    }

    /// All its tools.
    ///
    /// # Errors
    /// When it does not list them.
    pub async fn tools(&mut self) -> Result<Vec<Value>, Problem> {
        let (mut tools, mut allowance) = (Vec::new(), Allowance::default());
        let (mut cursor, mut cursors) = (None::<Value>, HashSet::new());
        for page in 0.. {
            if page == MOST_PAGES {
                return Err(TooMuch::Pages.problem(&self.key.server));
            }
            let params = match &cursor {
                Some(cursor) => json!({ "cursor": cursor }),
                None => json!({}),
            };
            let mut result = self.request("tools/list", params, Some(&mut allowance)).await?;
            if let Some(Value::Array(page)) = result.get_mut("tools").map(Value::take) {
                tools.extend(page);
            }
            cursor = result.get("nextCursor").filter(|next| !next.is_null()).cloned();
            let Some(next) = &cursor else { break };
            if !cursors.insert(next.to_string()) {
                tracing::warn!(server = %self.key.server, "its list of tools leads back to an earlier page; it ends there");
                break;
            }
        }
        for dropped in self.mirror.learn(&mut tools) {
            tracing::warn!(tool = %dropped, "left out: its header annotations are invalid");
        }
        let count = u32::try_from(tools.len()).unwrap_or(u32::MAX);
        self.handle.tell(Command::ToolsSeen { name: self.key.server.clone(), count });
        Ok(tools)
    }

    /// Calls a tool; the JSON-RPC result.
    ///
    /// # Errors
    /// When there is no result; a result that says `isError` is one.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> Result<Value, Problem> {
        if matches!(self.era, Era::Modern) {
            // Some arguments may have to be repeated in headers, which only the list tells.
            self.tools().await?;
        }
        // A tool may report its progress for as long as it takes.
        let params = json!({ "name": tool, "arguments": arguments });
        self.request("tools/call", params, None).await
    }

    async fn request(
        &mut self,
        method: &str,
        params: Value,
        allowance: Option<&mut Allowance>,
    ) -> Result<Value, Problem> {
        let (status, headers, answer) = self.exchange(method, params, allowance).await?;
        match answer {
            Some(Value::Object(mut answer)) if answer.contains_key("result") => {
                Ok(answer.remove("result").unwrap_or_default())
            }
            answer => Err(self.failure(status, headers.contains_key(OWN_MARK), answer.as_ref())),
        }
    }

    async fn notify(&mut self, method: &str) -> Result<(), Problem> {
        let message = json!({ "jsonrpc": "2.0", "method": method });
        self.send(Method::POST, Some(&message)).await.map(drop)
    }

    /// Sends a request and waits for the message that answers it, within the allowance where there
    /// is one for all that comes until then.
    async fn exchange(
        &mut self,
        method: &str,
        mut params: Value,
        mut allowance: Option<&mut Allowance>,
    ) -> Result<(StatusCode, HeaderMap, Option<Value>), Problem> {
        self.next_id += 1;
        let id = json!(self.next_id);
        if matches!(self.era, Era::Modern) {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientInfo":
                    { "name": "keyfob", "version": env!("CARGO_PKG_VERSION") },
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let response = self.send(Method::POST, Some(&message)).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut messages = Messages::of(relay::answer(response));
        let too_much = |what: TooMuch| what.problem(&self.key.server);
        while let Some(text) = messages.next().await.map_err(too_much)? {
            let answer = match &mut allowance {
                Some(allowance) => allowance.parsed(&text),
                None => parsed(&text),
            };
            let Some(answer) = answer.map_err(too_much)? else { continue };
            let is_answer = answer.get("id") == Some(&id) || answer.get("id") == Some(&Value::Null);
            if is_answer && answer.get("method").is_none() {
                return Ok((status, headers, Some(answer)));
            }
        }
        Ok((status, headers, None))
    }

    async fn send(
        &self,
        method: Method,
        message: Option<&Value>,
    ) -> Result<reqwest::Response, Problem> {
        let address = self.handle.gateway().address(&self.key.server);
        let mut request = self
            .http
            .request(method, address)
            .bearer_auth(self.key.key.expose())
            .header(header::ACCEPT, ACCEPT)
            .header(header::CONTENT_TYPE, "application/json");
        if let Era::Legacy { session: Some(session), version } = &self.era {
            request = request
                .header("mcp-session-id", session.clone())
                .header("mcp-protocol-version", version);
        }
        if let Some(message) = message {
            request = request.headers(mirrored(message, &self.mirror)).body(message.to_string());
        }
        request.send().await.map_err(|error| {
            Problem::new(Code::Unreachable)
                .with("target", &self.key.server)
                .with("cause", fetch::no_answer(&error))
        })
    }

    /// What a missing result comes to: the gateway's problem, or the server's own error.
    fn failure(&self, status: StatusCode, is_ours: bool, answer: Option<&Value>) -> Problem {
        let error = answer.and_then(|answer| answer.get("error"));
        let code = error
            .filter(|_| is_ours)
            .and_then(|error| error.pointer("/data/code"))
            .and_then(|code| serde_json::from_value::<Code>(code.clone()).ok());
        let said = error.and_then(|error| error.get("message")).and_then(Value::as_str);
        match (code, said) {
            (Some(code), _) => {
                let params = error.and_then(|error| error.pointer("/data/params"));
                let params = params.and_then(Value::as_object).into_iter().flatten();
                params.fold(Problem::new(code), |problem, (name, value)| {
                    problem.with(name, value.as_str().unwrap_or_default())
                })
            }
            (None, Some(said)) => {
                Problem::new(Code::ToolFailed).with("server", &self.key.server).with("cause", said)
            }
            (None, None) => Problem::new(Code::ToolFailed)
                .with("server", &self.key.server)
                .with("cause", format_args!("HTTP {}", status.as_u16())),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Era::Legacy { session: Some(session), .. } = &self.era {
            let request = self
                .http
                .delete(self.handle.gateway().address(&self.key.server))
                .bearer_auth(self.key.key.expose())
                .header("mcp-session-id", session.clone());
            let (handle, digest) = (self.handle.clone(), self.key.digest.clone());
            tokio::spawn(async move {
                let _ = request.send().await;
                revoke(&handle, digest);
            });
        } else {
            revoke(&self.handle, self.key.digest.clone());
        }
    }
}

fn revoke(handle: &Handle, digest: String) {
    let (answer, _) = tokio::sync::oneshot::channel();
    handle.tell(Command::RevokeKeys { client: None, digest: Some(digest), answer });
}
