//! Streamable HTTP with sessions: 2025-03-26 to 2025-11-25.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use super::switches::{Era, Switches};
use super::{Desk, LEGACY_VERSIONS, MODERN_VERSION, error, result, tools};
use crate::authserver::Subject;
use crate::call::{Answer, Call};
use crate::random::secret;

const SESSION: &str = "mcp-session-id";

pub(super) fn answer(
    desk: &Desk,
    switches: &Switches,
    call: &Call,
    message: Option<Value>,
    who: Option<&Subject>,
) -> Answer {
    if switches.era == Era::Modern {
        let id = message.as_ref().map_or(Value::Null, |m| m["id"].clone());
        let mut body = error(&id, -32022, "Unsupported protocol version");
        body["error"]["data"] = json!({"supported": [MODERN_VERSION]});
        return match call.method.as_str() {
            "POST" => Answer::json(400, &body, "no sessions here"),
            _ => Answer::empty(405, "POST only").with("allow", "POST"),
        };
    }
    if let Some(version) = call.header("mcp-protocol-version")
        && !LEGACY_VERSIONS.contains(&version)
    {
        let body = error(&Value::Null, -32000, "Bad Request: Unsupported protocol version");
        return Answer::json(400, &body, "unknown protocol version");
    }
    match call.method.as_str() {
        "POST" => post(desk, switches, call, message, who),
        "GET" => in_session(desk, call).unwrap_or_else(|| get(switches, call)),
        "DELETE" => in_session(desk, call).unwrap_or_else(|| {
            let id = call.header(SESSION).unwrap_or_default();
            desk.sessions.lock().expect("sessions").remove(id);
            Answer::empty(204, "session ended")
        }),
        _ => Answer::empty(405, "no such method").with("allow", "GET, POST, DELETE"),
    }
}

/// The refusal of a request that has no live session.
fn in_session(desk: &Desk, call: &Call) -> Option<Answer> {
    let Some(id) = call.header(SESSION) else {
        let body = error(&Value::Null, -32000, "Bad Request: Mcp-Session-Id is missing");
        return Some(Answer::json(400, &body, "no session id"));
    };
    if desk.sessions.lock().expect("sessions").contains(id) {
        return None;
    }
    let body = error(&Value::Null, -32001, "Session not found");
    Some(Answer::json(404, &body, "unknown session"))
}

fn post(
    desk: &Desk,
    switches: &Switches,
    call: &Call,
    message: Option<Value>,
    who: Option<&Subject>,
) -> Answer {
    if !call.accepts("application/json") || !call.accepts("text/event-stream") {
        let body = error(&Value::Null, -32000, "Not Acceptable");
        return Answer::json(406, &body, "Accept lacks a media type");
    }
    if call.media_type() != "application/json" {
        return Answer::empty(415, "not JSON");
    }
    let Some(message) = message else {
        return Answer::json(400, &error(&Value::Null, -32700, "Parse error"), "no JSON");
    };
    let id = message["id"].clone();
    let method = message["method"].as_str().unwrap_or_default();
    if method == "initialize" {
        return initialize(desk, &message);
    }
    if let Some(refusal) = in_session(desk, call) {
        return refusal;
    }
    if id.is_null() {
        return Answer::empty(202, "notification");
    }
    match method {
        "ping" => Answer::json(200, &result(&id, &json!({})), "pong"),
        "tools/list" => {
            Answer::json(200, &result(&id, &json!({"tools": tools::list()})), "tools listed")
        }
        "tools/call" => tools::respond(&message, who, switches.pause, |value| value),
        _ => Answer::json(200, &error(&id, -32601, "Method not found"), "unknown method"),
    }
}

fn initialize(desk: &Desk, message: &Value) -> Answer {
    let asked = message.pointer("/params/protocolVersion").and_then(Value::as_str);
    let version = asked.filter(|v| LEGACY_VERSIONS.contains(v)).unwrap_or("2025-11-25");
    let session = secret("session-");
    desk.sessions.lock().expect("sessions").insert(session.clone());
    let body = json!({
        "protocolVersion": version,
        "capabilities": {"tools": {"listChanged": true}, "logging": {}},
        "serverInfo": {"name": desk.name, "version": "1.0.0"},
    });
    Answer::json(200, &result(&message["id"], &body), "initialized").with(SESSION, &session)
}

/// The stand-alone stream: one message at once, then a comment each second.
fn get(switches: &Switches, call: &Call) -> Answer {
    if !call.accepts("text/event-stream") {
        return Answer::empty(406, "Accept lacks text/event-stream");
    }
    let end = switches.stream_life.map(|life| Instant::now() + life);
    let events = stream::unfold(0_u64, move |n| async move {
        if n > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            return None;
        }
        let bytes = if n == 0 {
            let hello = json!({"jsonrpc": "2.0", "method": "notifications/message",
                "params": {"level": "info", "data": "stream open"}});
            tools::event(&hello)
        } else {
            Bytes::from_static(b": still here\n\n")
        };
        Some((Ok::<_, Infallible>(bytes), n + 1))
    });
    Answer::new(200, "text/event-stream", Body::from_stream(events), "stream opened")
        .with("cache-control", "no-cache")
}
