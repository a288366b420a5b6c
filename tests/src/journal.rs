//! The journal: every request that reached a fixture server, and what became of it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::call::{Call, Pairs, param};

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// RFC 8414 or OIDC metadata of the authorization server.
    Metadata,
    /// RFC 9728 metadata of the protected resource.
    ResourceMetadata,
    /// The authorization endpoint.
    Authorization,
    /// A page between the authorization endpoint and the redirect.
    Consent,
    /// A pushed authorization request (RFC 9126).
    Par,
    /// The token endpoint.
    Token,
    /// The registration endpoint (RFC 7591).
    Registration,
    /// Management of one registration (RFC 7592).
    RegistrationManagement,
    /// The revocation endpoint (RFC 7009).
    Revocation,
    /// Our own request for a client document.
    DocumentFetch,
    /// A client document that was asked for.
    Document,
    /// A request to the MCP endpoint.
    Mcp,
    /// Anything else.
    Other,
}

/// What the MCP server saw of an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BearerSeen {
    /// No credential.
    Absent,
    /// A live token, issued for this resource.
    Issued,
    /// Issued here, but its time is over.
    Expired,
    /// Issued here, revoked since.
    Revoked,
    /// Issued here for another resource.
    Foreign,
    /// Never issued here.
    Unknown,
}

/// One request.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Its number, from 0.
    pub seq: usize,
    /// Milliseconds since the server started.
    pub at_ms: u64,
    /// What it was for.
    pub kind: Kind,
    /// The method.
    pub method: String,
    /// The path; for a document fetch the whole URL.
    pub path: String,
    /// The query, decoded.
    pub query: Pairs,
    /// The form body, decoded.
    pub form: Pairs,
    /// The JSON body.
    pub json: Option<Value>,
    /// The body as it came.
    #[serde(skip)]
    pub raw: Bytes,
    /// All headers, names in lower case.
    pub headers: Pairs,
    /// The status of the answer; none while it is being worked on.
    pub status: Option<u16>,
    /// Why it was answered so.
    pub decision: String,
    /// What was seen of an access token.
    pub bearer: Option<BearerSeen>,
}

impl Entry {
    /// A parameter of query, form or JSON body, whichever has it.
    pub fn param(&self, name: &str) -> Option<&str> {
        param(&self.query, name)
            .or_else(|| param(&self.form, name))
            .or_else(|| self.json.as_ref()?.get(name)?.as_str())
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The JSON-RPC method of an MCP request.
    pub fn rpc_method(&self) -> Option<&str> {
        self.json.as_ref()?.get("method")?.as_str()
    }

    /// Was it answered with 2xx or 3xx?
    pub fn accepted(&self) -> bool {
        self.status.is_some_and(|s| (200..400).contains(&s))
    }
}

/// A shared list of entries.
#[derive(Debug, Clone)]
pub struct Journal {
    start: Instant,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { start: Instant::now(), entries: Arc::default() }
    }
}

impl Journal {
    /// Notes a request that came in; [`Journal::settle`] completes it.
    pub fn arrive(&self, kind: Kind, call: &Call) -> usize {
        let headers = call
            .headers
            .iter()
            .map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
            .collect();
        let mut entries = self.entries.lock().expect("journal");
        let seq = entries.len();
        entries.push(Entry {
            seq,
            at_ms: u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX),
            kind,
            method: call.method.to_string(),
            path: call.path.clone(),
            query: call.query.clone(),
            form: call.form(),
            json: call.json(),
            raw: call.body.clone(),
            headers,
            status: None,
            decision: String::new(),
            bearer: None,
        });
        seq
    }

    /// Notes the answer to a request.
    pub fn settle(&self, seq: usize, status: u16, decision: &str, bearer: Option<BearerSeen>) {
        let mut entries = self.entries.lock().expect("journal");
        if let Some(entry) = entries.get_mut(seq) {
            entry.status = Some(status);
            decision.clone_into(&mut entry.decision);
            entry.bearer = bearer;
        }
    }

    /// Notes a request that the server itself made.
    pub fn outgoing(&self, kind: Kind, url: &str, status: Option<u16>, decision: &str) {
        let mut entries = self.entries.lock().expect("journal");
        let seq = entries.len();
        entries.push(Entry {
            seq,
            at_ms: u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX),
            kind,
            method: "GET".to_owned(),
            path: url.to_owned(),
            query: Vec::new(),
            form: Vec::new(),
            json: None,
            raw: Bytes::new(),
            headers: Vec::new(),
            status,
            decision: decision.to_owned(),
            bearer: None,
        });
    }

    /// Everything so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.entries.lock().expect("journal").clone()
    }

    /// Everything of one kind.
    pub fn of(&self, kind: Kind) -> Vec<Entry> {
        self.entries().into_iter().filter(|e| e.kind == kind).collect()
    }

    /// Requests to the registration endpoint.
    pub fn registrations(&self) -> Vec<Entry> {
        self.of(Kind::Registration)
    }

    /// Requests to the authorization endpoint, preflights included.
    pub fn authorizations(&self) -> Vec<Entry> {
        self.of(Kind::Authorization)
    }

    /// Requests to the token endpoint.
    pub fn token_requests(&self) -> Vec<Entry> {
        self.of(Kind::Token)
    }

    /// Token requests that bring a code.
    pub fn exchanges(&self) -> Vec<Entry> {
        self.granting("authorization_code")
    }

    /// Token requests that bring a refresh token.
    pub fn refreshes(&self) -> Vec<Entry> {
        self.granting("refresh_token")
    }

    /// Token requests of clients in their own name.
    pub fn client_credentials(&self) -> Vec<Entry> {
        self.granting("client_credentials")
    }

    fn granting(&self, grant_type: &str) -> Vec<Entry> {
        let mut found = self.token_requests();
        found.retain(|e| e.param("grant_type") == Some(grant_type));
        found
    }

    /// Client documents that the authorization server fetched.
    pub fn document_fetches(&self) -> Vec<Entry> {
        self.of(Kind::DocumentFetch)
    }

    /// Requests to the MCP endpoint with this JSON-RPC method.
    pub fn rpc(&self, method: &str) -> Vec<Entry> {
        let mut found = self.of(Kind::Mcp);
        found.retain(|e| e.rpc_method() == Some(method));
        found
    }

    /// Calls of one tool.
    pub fn tool_calls(&self, tool: &str) -> Vec<Entry> {
        let mut found = self.rpc("tools/call");
        found.retain(|e| {
            e.json.as_ref().and_then(|j| j.pointer("/params/name")).and_then(Value::as_str)
                == Some(tool)
        });
        found
    }

    /// Does this text stand anywhere in what was received?
    pub fn mentions(&self, text: &str) -> bool {
        self.entries().iter().any(|e| {
            let hit = |pairs: &Pairs| pairs.iter().any(|(_, v)| v.contains(text));
            e.path.contains(text)
                || hit(&e.query)
                || hit(&e.form)
                || hit(&e.headers)
                || e.json.as_ref().is_some_and(|j| any_string(j, &|s| s.contains(text)))
        })
    }

    /// The whole journal as JSON.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self.entries()).expect("entries are plain data")
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.entries.lock().expect("journal").clear();
    }

    /// Waits until `done` holds for the entries; false when `limit` runs out.
    pub async fn wait(&self, limit: Duration, done: impl Fn(&[Entry]) -> bool) -> bool {
        let end = Instant::now() + limit;
        loop {
            if done(&self.entries()) {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn any_string(value: &Value, hit: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(s) => hit(s),
        Value::Array(list) => list.iter().any(|v| any_string(v, hit)),
        Value::Object(map) => map.values().any(|v| any_string(v, hit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
