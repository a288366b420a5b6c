//! The tools, the same in both eras.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use super::{error, result};
use crate::authserver::Subject;
use crate::call::Answer;

/// The list, in a fixed order.
pub(super) fn list() -> Value {
    let tool = |name: &str, text: &str, properties: Value, required: &[&str]| {
        json!({"name": name, "description": text, "inputSchema": {
            "type": "object", "properties": properties, "required": required}})
    };
    json!([
        tool("echo", "Says it back", json!({"text": {"type": "string"}}), &["text"]),
        tool(
            "add",
            "Adds two numbers",
            json!({"a": {"type": "number"}, "b": {"type": "number"}}),
            &["a", "b"]
        ),
        tool("whoami", "Who is signed in, by which client", json!({}), &[]),
        tool("slow_count", "Counts, one event each", json!({"to": {"type": "integer"}}), &[]),
        tool(
            "secret_write",
            "Needs the scope secrets:write",
            json!({"text": {"type": "string"}}),
            &["text"]
        ),
        tool("fail", "Fails, politely", json!({}), &[]),
    ])
}

/// What a tool call gives: at once, or one event after the other.
enum Outcome {
    /// A result.
    Done(Value),
    /// A JSON-RPC error.
    Wrong(i64, String),
    /// A result after this many progress events.
    Counting(u64),
}

fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}], "isError": false})
}

fn whoami(who: Option<&Subject>) -> Value {
    let Some(who) = who else { return text("nobody in particular") };
    let mut answer = text(&format!("{}, {} client", who.user, who.origin));
    answer["structuredContent"] = json!({"user": who.user, "client_id": who.client_id,
        "scope": who.scope.join(" ")});
    answer
}

fn call(params: &Value, who: Option<&Subject>) -> Outcome {
    let arguments = &params["arguments"];
    let name = params["name"].as_str().unwrap_or_default();
    match name {
        "echo" => match arguments["text"].as_str() {
            Some(said) => Outcome::Done(text(said)),
            None => Outcome::Wrong(-32602, "echo wants a text".to_owned()),
        },
        "add" => match (arguments["a"].as_f64(), arguments["b"].as_f64()) {
            (Some(a), Some(b)) => Outcome::Done(text(&(a + b).to_string())),
            _ => Outcome::Wrong(-32602, "add wants two numbers".to_owned()),
        },
        "whoami" => Outcome::Done(whoami(who)),
        "secret_write" => Outcome::Done(text("written")),
        "slow_count" => Outcome::Counting(arguments["to"].as_u64().unwrap_or(5).min(1000)),
        "fail" => Outcome::Done(json!({
            "content": [{"type": "text", "text": "as you wished"}], "isError": true})),
        _ => Outcome::Wrong(-32602, format!("there is no tool {name}")),
    }
}

/// The answer to a `tools/call`; `finish` puts the marks of the era on the result.
pub(super) fn respond(
    message: &Value,
    who: Option<&Subject>,
    pause: Duration,
    finish: fn(Value) -> Value,
) -> Answer {
    let id = &message["id"];
    match call(&message["params"], who) {
        Outcome::Done(value) => Answer::json(200, &result(id, &finish(value)), "tool called"),
        Outcome::Wrong(code, why) => Answer::json(200, &error(id, code, &why), "bad tool call"),
        Outcome::Counting(to) => {
            let token = message.pointer("/params/_meta/progressToken").cloned();
            let last = result(id, &finish(text(&format!("counted to {to}"))));
            counting(to, token.unwrap_or_else(|| id.clone()), last, pause)
        }
    }
}

fn counting(to: u64, token: Value, last: Value, pause: Duration) -> Answer {
    let events = stream::unfold(0_u64, move |n| {
        let (token, last) = (token.clone(), last.clone());
        async move {
            if n > to {
                return None;
            }
            if n > 0 {
                tokio::time::sleep(pause).await;
            }
            let message = if n == to {
                last
            } else {
                json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {
                    "progressToken": token, "progress": n + 1, "total": to}})
            };
            Some((Ok::<_, Infallible>(event(&message)), n + 1))
        }
    });
    Answer::new(200, "text/event-stream", Body::from_stream(events), "tool called, streaming")
        .with("cache-control", "no-cache")
}

/// One server-sent event.
pub(super) fn event(message: &Value) -> Bytes {
    Bytes::from(format!("event: message\ndata: {message}\n\n"))
}
