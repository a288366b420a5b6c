//! The headers that repeat parts of a message (MCP 2026-07-28, "Standard Headers" and
//! "Custom Headers"). A server compares them with the body, which stays the source of truth.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use std::collections::HashMap;

use super::MODERN;

/// The name in `_meta` under which a message of the stateless era carries its revision.
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// Most tools whose annotations are kept.
const MOST_TOOLS: usize = 1000;

/// Most annotations of one tool, and most bytes of the path to one of them and of its header's name.
const MOST_ANNOTATIONS: usize = 64;
const LONGEST_PATH: usize = 256;

/// Which arguments of which tool are repeated in which header, as learnt from `tools/list`.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    tools: HashMap<String, Vec<(HeaderName, Vec<String>)>>,
}

impl Mirror {
    /// Learns from a list of tools and drops those whose annotations are invalid, which a client
    /// must not show. Says which were dropped.
    pub fn learn(&mut self, tools: &mut Vec<Value>) -> Vec<String> {
        let mut dropped = Vec::new();
        tools.retain(|tool| {
            let name = tool.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let mut found = Vec::new();
            let schema = tool.get("inputSchema").unwrap_or(&Value::Null);
            let is_valid = collect(schema, &mut Vec::new(), true, &mut found) && are_unique(&found);
            if is_valid && found.is_empty() {
                self.tools.remove(&name);
            } else if is_valid {
                if self.tools.len() >= MOST_TOOLS {
                    self.tools.clear();
                }
                self.tools.insert(name, found);
            } else {
                dropped.push(name);
            }
            is_valid
        });
        dropped
    }

    fn of_call(&self, params: &Map<String, Value>) -> Vec<(HeaderName, HeaderValue)> {
        let name = params.get("name").and_then(Value::as_str).unwrap_or_default();
        let annotated = self.tools.get(name).map(Vec::as_slice).unwrap_or_default();
        let arguments = params.get("arguments").unwrap_or(&Value::Null);
        annotated
            .iter()
            .filter_map(|(header, path)| {
                let value = path.iter().try_fold(arguments, |at, step| at.get(step))?;
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Bool(flag) => flag.to_string(),
                    Value::Number(number) => number.to_string(),
                    Value::Null | Value::Array(_) | Value::Object(_) => return None,
                };
                Some((header.clone(), encoded(&text)?))
            })
            .collect()
    }
}

/// The headers that a message must be sent with; only the revision's own for the session-based
/// era, where the transport adds what belongs to the session.
pub fn mirrored(message: &Value, mirror: &Mirror) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let empty = Map::new();
    let params = message.get("params").and_then(Value::as_object).unwrap_or(&empty);
    let version =
        params.get("_meta").and_then(|meta| meta.get(VERSION_KEY)).and_then(Value::as_str);
    let Some(version) = version.filter(|version| *version >= MODERN) else { return headers };
    let mut set = |name: &'static str, value: &str| {
        if let Some(value) = encoded(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("mcp-protocol-version", version);
    let method = message.get("method").and_then(Value::as_str).unwrap_or_default();
    set("mcp-method", method);
    let named = match method {
        "tools/call" | "prompts/get" => params.get("name"),
        "resources/read" => params.get("uri"),
        _ => None,
    };
    if let Some(name) = named.and_then(Value::as_str) {
        set("mcp-name", name);
    }
    if method == "tools/call" {
        headers.extend(mirror.of_call(params));
    }
    headers
}

/// Finds the annotations that are reachable by `properties` alone; says whether all are valid.
fn collect(
    schema: &Value,
    path: &mut Vec<String>,
    is_reachable: bool,
    found: &mut Vec<(HeaderName, Vec<String>)>,
) -> bool {
    let Some(members) = schema.as_object() else { return true };
    if let Some(annotation) = members.get("x-mcp-header") {
        let kind = members.get("type").and_then(Value::as_str).unwrap_or_default();
        let is_plain = matches!(kind, "string" | "integer" | "boolean");
        let length = path.iter().map(String::len).sum::<usize>();
        let is_plain = is_plain && found.len() < MOST_ANNOTATIONS && length <= LONGEST_PATH;
        let name = annotation.as_str().filter(|name| (1..=LONGEST_PATH).contains(&name.len()));
        let name =
            name.and_then(|name| format!("mcp-param-{}", name.to_ascii_lowercase()).parse().ok());
        match name {
            Some(name) if is_plain && is_reachable && !path.is_empty() => {
                found.push((name, path.clone()));
            }
            _ => return false,
        }
    }
    members.iter().all(|(key, value)| match key.as_str() {
        "properties" => value.as_object().into_iter().flatten().all(|(name, schema)| {
            path.push(name.clone());
            let is_valid = collect(schema, path, is_reachable, found);
            path.pop();
            is_valid
        }),
        "items"
        | "oneOf"
        | "anyOf"
        | "allOf"
        | "not"
        | "if"
        | "then"
        | "else"
        | "$defs"
        | "definitions"
        | "additionalProperties"
        | "prefixItems" => match value {
            Value::Array(list) => list.iter().all(|schema| collect(schema, path, false, found)),
            Value::Object(map) if key == "$defs" || key == "definitions" => {
                map.values().all(|schema| collect(schema, path, false, found))
            }
            value => collect(value, path, false, found),
        },
        _ => true,
    })
}

fn are_unique(found: &[(HeaderName, Vec<String>)]) -> bool {
    let names: std::collections::HashSet<_> = found.iter().map(|(name, _)| name).collect();
    names.len() == found.len()
}

/// A value as it stands, or in the Base64 form where it could not survive as it stands.
fn encoded(text: &str) -> Option<HeaderValue> {
    let is_plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        && text.trim() == text
        && !text.starts_with("=?base64?");
    if is_plain {
        return HeaderValue::from_str(text).ok();
    }
    HeaderValue::from_str(&format!("=?base64?{}?=", STANDARD.encode(text))).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{LONGEST_PATH, MOST_ANNOTATIONS, MOST_TOOLS, Mirror, mirrored};

    fn tool(properties: &Value) -> Value {
        json!({"name": "t", "inputSchema": {"type": "object", "properties": properties}})
    }

    fn call(arguments: &Value) -> Value {
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "t", "arguments": arguments,
            "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}})
    }

    #[test]
    fn a_call_repeats_what_its_tool_asks_for() {
        let mut mirror = Mirror::default();
        let nested = json!({"type": "object", "properties": {
            "zone": {"type": "string", "x-mcp-header": "Zone"}}});
        let mut tools = vec![tool(&json!({
            "region": {"type": "string", "x-mcp-header": "Region"},
            "count": {"type": "integer", "x-mcp-header": "Count"},
            "place": nested,
        }))];
        assert!(mirror.learn(&mut tools).is_empty());
        let arguments = json!({"region": "zürich", "count": 3, "place": {"zone": "a"}});
        let headers = mirrored(&call(&arguments), &mirror);
        assert_eq!(headers["mcp-method"], "tools/call");
        assert_eq!(headers["mcp-name"], "t");
        assert_eq!(headers["mcp-param-region"], "=?base64?esO8cmljaA==?=");
        assert_eq!(headers["mcp-param-count"], "3");
        assert_eq!(headers["mcp-param-zone"], "a");
        let headers = mirrored(&call(&json!({"region": null})), &mirror);
        assert!(!headers.contains_key("mcp-param-region"));
    }

    #[test]
    fn tools_with_invalid_annotations_are_dropped() {
        for bad in [
            json!({"a": {"type": "number", "x-mcp-header": "A"}}),
            json!({"a": {"type": "string", "x-mcp-header": ""}}),
            json!({"a": {"type": "string", "x-mcp-header": "with space"}}),
            json!({"a": {"type": "string", "x-mcp-header": "X"}, "b": {"type": "string", "x-mcp-header": "x"}}),
            json!({"a": {"type": "array", "items": {"type": "string", "x-mcp-header": "A"}}}),
            json!({"x".repeat(LONGEST_PATH + 1): {"type": "string", "x-mcp-header": "A"}}),
            json!({"a": {"type": "string", "x-mcp-header": "A".repeat(LONGEST_PATH + 1)}}),
            (0..=MOST_ANNOTATIONS)
                .map(|n| (n.to_string(), json!({"type": "string", "x-mcp-header": n.to_string()})))
                .collect(),
        ] {
            let mut tools = vec![tool(&bad)];
            assert_eq!(Mirror::default().learn(&mut tools), ["t"], "{bad}");
            assert!(tools.is_empty());
        }
    }

    /// A name may be that of another tool each time.
    #[test]
    fn annotations_do_not_pile_up() {
        let mut mirror = Mirror::default();
        let mut annotated = tool(&json!({"a": {"type": "string", "x-mcp-header": "A"}}));
        for n in 0..=MOST_TOOLS {
            annotated["name"] = json!(n.to_string());
            assert!(mirror.learn(&mut vec![annotated.clone()]).is_empty());
            assert!(mirror.tools.len() <= MOST_TOOLS && mirror.tools.contains_key(&n.to_string()));
        }
        annotated["inputSchema"] = json!({});
        mirror.learn(&mut vec![annotated]);
        assert!(mirror.tools.is_empty(), "the newest list says that it needs none");
    }

    #[test]
    fn a_message_of_the_session_based_era_gets_nothing() {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
        assert!(mirrored(&message, &Mirror::default()).is_empty());
    }
}
