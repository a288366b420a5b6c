//! Stateless streamable HTTP: 2026-07-28.

use serde_json::{Value, json};

use super::switches::{Era, Switches};
use super::{Desk, MODERN_VERSION, error, result, tools};
use crate::authserver::Subject;
use crate::call::{Answer, Call};

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const HEADER_MISMATCH: i64 = -32020;
const UNSUPPORTED_VERSION: i64 = -32022;

fn claimed(message: Option<&Value>) -> Option<&str> {
    message?.get("params")?.get("_meta")?.get(VERSION_KEY)?.as_str()
}

/// The body decides: what carries a version in its `_meta` is modern.
pub(super) fn is_modern(call: &Call, message: Option<&Value>, era: Era) -> bool {
    if call.method != "POST" {
        return false;
    }
    let header = call.header("mcp-protocol-version");
    let claims = claimed(message).is_some() || header == Some(MODERN_VERSION);
    match era {
        Era::Legacy => false,
        Era::Modern | Era::Both => claims,
    }
}

pub(super) fn answer(
    desk: &Desk,
    switches: &Switches,
    call: &Call,
    message: Option<Value>,
    who: Option<&Subject>,
) -> Answer {
    let Some(message) = message.filter(Value::is_object) else {
        return Answer::json(400, &error(&Value::Null, -32600, "Invalid Request"), "not a request");
    };
    let id = message["id"].clone();
    if !call.accepts("application/json") || !call.accepts("text/event-stream") {
        let body = error(&id, -32000, "Not Acceptable");
        return Answer::json(406, &body, "Accept lacks a media type");
    }
    if let Err(refusal) = headers_agree(call, &message) {
        return refusal;
    }
    let method = message["method"].as_str().unwrap_or_default();
    if id.is_null() {
        return Answer::empty(202, "notification");
    }
    match method {
        "server/discover" => {
            let value = json!({
                "supportedVersions": [MODERN_VERSION],
                "capabilities": {"tools": {}},
                "_meta": {"io.modelcontextprotocol/serverInfo":
                    {"name": desk.name, "version": "1.0.0"}},
            });
            Answer::json(200, &result(&id, &cacheable(value)), "discovered")
        }
        "tools/list" => {
            let value = cacheable(json!({"tools": tools::list()}));
            Answer::json(200, &result(&id, &value), "tools listed")
        }
        "tools/call" => tools::respond(&message, who, switches.pause, complete),
        _ => Answer::json(404, &error(&id, -32601, "Method not found"), "unknown method"),
    }
}

fn complete(mut value: Value) -> Value {
    value["resultType"] = json!("complete");
    value
}

fn cacheable(value: Value) -> Value {
    let mut value = complete(value);
    value["ttlMs"] = json!(0);
    value["cacheScope"] = json!("private");
    value
}

/// Headers mirror the body, and the body is right.
fn headers_agree(call: &Call, message: &Value) -> Result<(), Answer> {
    let id = &message["id"];
    let mismatch = |text: &str| {
        let body = error(id, HEADER_MISMATCH, &format!("Bad Request: {text}"));
        Err(Answer::json(400, &body, text))
    };
    let Some(version) = claimed(Some(message)) else {
        let body = error(id, -32602, &format!("_meta lacks {VERSION_KEY}"));
        return Err(Answer::json(400, &body, "no version in _meta"));
    };
    match call.header("mcp-protocol-version") {
        None => return mismatch("MCP-Protocol-Version is missing"),
        Some(header) if header != version => {
            return mismatch("MCP-Protocol-Version differs from the body");
        }
        Some(_) => {}
    }
    if version != MODERN_VERSION {
        let mut body = error(id, UNSUPPORTED_VERSION, "Unsupported protocol version");
        body["error"]["data"] = json!({"supported": [MODERN_VERSION], "requested": version});
        return Err(Answer::json(400, &body, "unsupported version"));
    }
    if id.is_null() {
        return Ok(());
    }
    let method = message["method"].as_str().unwrap_or_default();
    if call.header("mcp-method") != Some(method) {
        return mismatch("Mcp-Method differs from the body");
    }
    let meta = &message["params"]["_meta"];
    let key = "io.modelcontextprotocol/clientCapabilities";
    if !meta[key].is_object() {
        let body = error(id, -32602, &format!("_meta lacks {key}"));
        return Err(Answer::json(400, &body, "incomplete _meta"));
    }
    let field = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return Ok(()),
    };
    if call.header("mcp-name") != message["params"][field].as_str() {
        return mismatch("Mcp-Name differs from the body");
    }
    Ok(())
}
