//! One message of the client, and what of the server's messages is for it.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::mcp::{Mirror, mirrored, parsed};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It has an id and wants an answer.
    Request,
    /// It wants none, but its place among the others.
    Notification,
    /// It answers a request of the server.
    Reply,
    /// Several in one line, as revision 2025-03-26 allows.
    Batch,
}

/// A message, taken apart as far as the bridge needs it.
#[derive(Debug)]
pub(super) struct Message {
    /// The line as it came.
    pub(super) line: Bytes,
    pub(super) kind: Kind,
    pub(super) method: String,
    /// The id of a request.
    pub(super) id: Option<Value>,
    /// All of it.
    pub(super) content: Value,
}

impl Message {
    /// Reads a line; `None` when it is not JSON.
    pub(super) fn read(line: Bytes) -> Option<Self> {
        let content: Value = serde_json::from_slice(&line).ok()?;
        let id = content.get("id").filter(|id| !id.is_null()).cloned();
        let method = content.get("method").and_then(Value::as_str);
        let kind = match method {
            _ if content.is_array() => Kind::Batch,
            Some(_) if id.is_some() => Kind::Request,
            Some(_) => Kind::Notification,
            None => Kind::Reply,
        };
        let method = method.unwrap_or_default().to_owned();
        let id = id.filter(|_| kind == Kind::Request);
        Some(Self { line, kind, method, id, content })
    }

    /// Whether it is of the stateless era, which says so in each message.
    pub(super) fn is_modern(&self) -> bool {
        !mirrored(&self.content, &Mirror::default()).is_empty()
    }

    /// Whether it is the first that clients say, by which they tell the era of a server.
    pub(super) fn is_first(&self) -> bool {
        matches!(self.method.as_str(), "initialize" | "server/discover")
    }

    /// Whether it stays open for as long as the client is there.
    pub(super) fn is_endless(&self) -> bool {
        self.method == "subscriptions/listen"
    }

    /// Whether the client waits for an answer, be it a refusal.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.kind, Kind::Request | Kind::Batch)
    }

    /// What is to be told to the client of something that came back. Servers refuse without
    /// naming the request, and what stands between may answer with a page; a client could make
    /// nothing of either.
    pub(super) fn addressed(&self, text: String) -> Option<String> {
        let head = Head::read(&text)?;
        let is_unnamed = head.error.is_some() && head.id.is_none();
        let Some(id) = self.id.as_ref().filter(|_| is_unnamed) else { return Some(text) };
        let mut refusal = parsed(&text).ok()??;
        refusal.as_object_mut()?.insert("id".to_owned(), id.clone());
        Some(refusal.to_string())
    }

    /// Whether this is the answer to it.
    pub(super) fn is_answer(&self, text: &str) -> bool {
        let Some(head) = Head::read(text) else { return false };
        let is_answer = head.method.is_none() && (head.result.is_some() || head.error.is_some());
        let id = || head.id.and_then(|id| parsed(id.get()).ok()?);
        is_answer && self.id.is_some() && id() == self.id
    }
}

/// The members that tell the kind of a message.
#[derive(Default, Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    method: Option<IgnoredAny>,
    #[serde(default)]
    result: Option<IgnoredAny>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

impl<'a> Head<'a> {
    /// Reads them; `None` when the text is no message. Several in one are taken as they are.
    fn read(text: &'a str) -> Option<Self> {
        if text.trim_start().starts_with('[') {
            return serde_json::from_str::<IgnoredAny>(text).is_ok().then(Self::default);
        }
        if !text.trim_start().starts_with('{') {
            return None;
        }
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::{Kind, Message};

    fn message(line: &'static str) -> Message {
        Message::read(Bytes::from_static(line.as_bytes())).expect("JSON")
    }

    #[test]
    fn kinds_are_told_apart() {
        for (line, kind) in [
            (r#"{"id":1,"method":"ping"}"#, Kind::Request),
            (r#"{"method":"notifications/initialized"}"#, Kind::Notification),
            (r#"{"id":1,"result":{}}"#, Kind::Reply),
            (r#"[{"id":1,"method":"ping"}]"#, Kind::Batch),
        ] {
            assert_eq!(message(line).kind, kind, "{line}");
        }
        assert!(Message::read(Bytes::from_static(b"{")).is_none());
    }

    #[test]
    fn a_refusal_without_an_id_gets_that_of_its_request() {
        let request = message(r#"{"id":"a","method":"ping"}"#);
        let refusal = r#"{"id":null,"error":{"code":-32000,"message":"no"}}"#;
        let told = request.addressed(refusal.to_owned()).expect("a message");
        assert!(request.is_answer(&told) && !request.is_answer(refusal));
        let told: Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!(told, json!({"id": "a", "error": {"code": -32000, "message": "no"}}));
        assert!(request.addressed("<html>Bad gateway</html>".to_owned()).is_none());
    }

    #[test]
    fn only_its_own_answer_answers_a_request() {
        let request = message(r#"{"id":1,"method":"ping"}"#);
        assert!(request.is_answer(r#"{"id":1,"result":{}}"#));
        assert!(!request.is_answer(r#"{"id":2,"result":{}}"#));
        assert!(!request.is_answer(r#"{"id":1,"method":"sampling/createMessage"}"#));
        assert!(!request.is_answer(r#"{"method":"notifications/progress"}"#));
    }
}
