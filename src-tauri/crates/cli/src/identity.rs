//! `keyfob identity`: our own client document.

use keyfob_auth::client_document::{self, ClientDocumentUrl, LARGEST};
use keyfob_auth::wire::{NoAnswer, Request};
use keyfob_core::broker;
use keyfob_core::config::Config;
use keyfob_core::fetch::Fetch;
use keyfob_core::problem::{Code, Problem};
use keyfob_core::reach::Reach;
use serde_json::{Value, json};

use crate::{link, say};

pub(crate) fn print(url: &str) -> Result<u8, Problem> {
    let url = ClientDocumentUrl::parse(url)
        .map_err(|cause| Problem::new(Code::Usage).with("cause", format_args!("--url: {cause}")))?;
    say::json(&client_document::document(&url));
    Ok(0)
}

/// What a check of the published document found.
pub(crate) enum Found {
    Good(String),
    None,
    Bad { url: String, cause: String },
}

pub(crate) async fn check(as_json: bool) -> Result<u8, Problem> {
    match look().await? {
        Found::Good(url) => {
            if as_json {
                say::json(&json!({ "url": url, "ok": true }));
            } else {
                say::line(format_args!("{url} is as it should be."));
            }
            Ok(0)
        }
        Found::None => Err(Problem::new(Code::NoClientDocument)
            .with("file", link::paths()?.config_file().display())),
        Found::Bad { url, cause } => {
            Err(Problem::new(Code::ClientDocument).with("url", url).with("cause", cause))
        }
    }
}

/// Fetches the document and compares it with what this build would publish.
pub(crate) async fn look() -> Result<Found, Problem> {
    let config = Config::load(&link::paths()?.config_file())?;
    let Some(url) = broker::client_document(&config)? else { return Ok(Found::None) };
    let fetch = Fetch::new(config.settings.ca_file.as_deref())?;
    let asked = Request::get_json(url.as_str());
    let bad = |cause: String| Found::Bad { url: url.as_str().to_owned(), cause };
    let answer = match fetch.send(asked, Reach::Loopback).await {
        Ok(answer) => answer,
        Err(NoAnswer::Untrusted(cause)) => {
            return Err(Problem::new(Code::TlsUntrusted)
                .with("target", url.as_str())
                .with("cause", cause));
        }
        Err(NoAnswer::Unreachable(cause)) => {
            return Err(Problem::new(Code::Unreachable)
                .with("target", url.as_str())
                .with("cause", cause));
        }
        Err(cause) => return Ok(bad(cause.to_string())),
    };
    let kind = answer.media_type().unwrap_or_default();
    let difference = match (answer.status, kind.as_str(), answer.json_object()) {
        (300..400, ..) => Some("it redirects, which sign-in services do not follow".to_owned()),
        (200, "application/json", Some(published)) => {
            difference(&client_document::document(&url), &Value::Object(published))
        }
        (200, "application/json", None) => Some("it is no JSON object".to_owned()),
        (200, kind, _) => Some(format!("it is sent as {kind:?} and not as application/json")),
        (status, ..) => Some(format!("it answers HTTP {status}")),
    };
    let too_large = (answer.body.len() >= LARGEST).then(|| {
        format!("it is {} bytes long, over the 5 kB that sign-in services take", answer.body.len())
    });
    Ok(match difference.or(too_large) {
        Some(cause) => bad(cause),
        None => Found::Good(url.as_str().to_owned()),
    })
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
