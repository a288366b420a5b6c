//! Keyfob's own client document (CIMD), as it is published.

use keyfob_auth::client_document::{self, ClientDocumentUrl, LARGEST};
use keyfob_auth::reach::Reach;
use keyfob_auth::wire::{NoAnswer, Request};
use serde_json::Value;

use crate::fetch::Fetch;
use crate::problem::{Code, Problem};

/// Fetches the document and compares it with what this build would publish.
///
/// # Errors
/// That it cannot be fetched, or how it is not as sign-in services want it.
pub async fn check(url: &ClientDocumentUrl, fetch: &Fetch) -> Result<(), Problem> {
    let bad = |cause: String| {
        Problem::new(Code::ClientDocument).with("url", url.as_str()).with("cause", cause)
    };
    let lost = |code, cause| Problem::new(code).with("target", url.as_str()).with("cause", cause);
    let asked = Request::get_json(url.as_str());
    let answer = match fetch.send(asked, Reach::Loopback).await {
        Ok(answer) => answer,
        Err(NoAnswer::Untrusted(cause)) => return Err(lost(Code::TlsUntrusted, cause)),
        Err(NoAnswer::Unreachable(cause)) => return Err(lost(Code::Unreachable, cause)),
        Err(cause) => return Err(bad(cause.to_string())),
    };
    let kind = answer.media_type().unwrap_or_default();
    let difference = match (answer.status, kind.as_str(), answer.json_object()) {
        (300..400, ..) => Some("it redirects, which sign-in services do not follow".to_owned()),
        (200, "application/json", Some(published)) => {
            difference(&client_document::document(url), &Value::Object(published))
        }
        (200, "application/json", None) => Some("it is no JSON object".to_owned()),
        (200, kind, _) => Some(format!("it is sent as {kind:?} and not as application/json")),
        (status, ..) => Some(format!("it answers HTTP {status}")),
    };
    let too_large = (answer.body.len() >= LARGEST).then(|| {
        format!("it is {} bytes long, over the 5 kB that sign-in services take", answer.body.len())
    });
    difference.or(too_large).map_or(Ok(()), |cause| Err(bad(cause)))
}

/// The first member that matters and differs. Names and pictures are the publisher's choice.
fn difference(expected: &Value, published: &Value) -> Option<String> {
    let members = [
        "client_id",
        "redirect_uris",
        "application_type",
        "grant_types",
        "response_types",
        "token_endpoint_auth_method",
        "token_endpoint_auth_methods_supported",
    ];
    if published.get("client_secret").is_some() {
        return Some("it holds a client_secret, which must not be in it".to_owned());
    }
    let wrong = members.into_iter().find(|name| !is_covered(&expected[name], &published[name]))?;
    Some(format!("its {wrong} differs"))
}

/// Equal, or a list that has all that is expected.
fn is_covered(expected: &Value, published: &Value) -> bool {
    match (expected, published) {
        (Value::Array(expected), Value::Array(published)) => {
            expected.iter().all(|item| published.contains(item))
        }
        (expected, published) => expected == published,
    }
}
