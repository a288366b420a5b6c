//! The resource side of OAuth: challenges (RFC 6750 section 3) and metadata (RFC 9728).

use serde_json::{Map, Value, json};

use super::Desk;
use super::switches::{Challenge, Prm, Switches};
use crate::call::{Answer, Call};
use crate::journal::BearerSeen;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
const ODD_PLACE: &str = "/about/this-resource.json";

/// Somebody else's issuer, where nobody answers.
const FOREIGN: &str = "http://127.0.0.1:9/tenant";

pub(super) fn is_metadata(path: &str) -> bool {
    path.starts_with(WELL_KNOWN) || path == ODD_PLACE
}

fn place(desk: &Desk, prm: Prm) -> Option<String> {
    match prm {
        Prm::PathForm => Some(format!("{WELL_KNOWN}{}", desk.path)),
        Prm::RootForm => Some(WELL_KNOWN.to_owned()),
        Prm::HeaderOnly => Some(ODD_PLACE.to_owned()),
        Prm::Absent => None,
    }
}

/// The metadata document, or 404 at the other places where it might be.
pub(super) fn metadata(desk: &Desk, call: &Call) -> Option<Answer> {
    if !is_metadata(&call.path) {
        return None;
    }
    let switches = desk.switches();
    let here = place(desk, switches.prm).is_some_and(|place| place == call.path);
    let Some(authority) = desk.authority.as_ref().filter(|_| here) else {
        let elsewhere = switches.elsewhere.map(|oddity| oddity.answer(&Map::new()));
        return Some(elsewhere.unwrap_or_else(|| Answer::empty(404, "no metadata here")));
    };
    let issuers = switches.authorization_servers.clone();
    let mut document = json!({
        "resource": desk.resource(),
        "authorization_servers": issuers.unwrap_or_else(|| vec![authority.issuer().to_owned()]),
        "bearer_methods_supported": ["header"],
        "resource_name": desk.name,
    });
    if !switches.prm_scopes.is_empty() {
        document["scopes_supported"] = json!(switches.prm_scopes);
    }
    for (name, value) in switches.prm_fields {
        document[name] = value;
    }
    if let (Some(oddity), Value::Object(document)) = (&switches.prm_oddity, &document) {
        return Some(oddity.answer(document));
    }
    Some(Answer::new(200, "application/json", document.to_string(), "resource metadata"))
}

/// 401 with the challenge that the switches want.
pub(super) fn unauthorized(desk: &Desk, switches: &Switches, seen: BearerSeen) -> Answer {
    let mut parameters = Vec::new();
    if seen != BearerSeen::Absent {
        parameters.push("error=\"invalid_token\"".to_owned());
    }
    if let Some(scope) = &switches.challenge_scope {
        parameters.push(format!("scope=\"{scope}\""));
    }
    let body = json!({"error": "invalid_token"});
    let answer = Answer::json(401, &body, "sign-in wanted");
    let true_place = || place(desk, switches.prm).map(|place| format!("{}{place}", desk.origin));
    let address = switches.claimed_metadata.clone().or_else(true_place);
    let metadata = address.as_ref().map(|address| format!("resource_metadata=\"{address}\""));
    let header = match switches.challenge {
        Challenge::Absent => return answer,
        Challenge::BareUrl => address.unwrap_or_default(),
        Challenge::Bare => "Bearer".to_owned(),
        Challenge::Realm => {
            let issuer = desk.authority.as_ref().map_or("", |a| a.issuer());
            parameters.insert(0, format!("realm=\"{issuer}\""));
            format!("Bearer {}", parameters.join(", "))
        }
        Challenge::ForeignRealm => {
            parameters.insert(0, format!("realm=\"{FOREIGN}\""));
            parameters.extend(metadata);
            format!("Bearer {}", parameters.join(", "))
        }
        Challenge::ResourceMetadata => {
            parameters.extend(metadata);
            format!("Bearer {}", parameters.join(", "))
        }
        Challenge::Several => {
            parameters.extend(metadata);
            format!("Negotiate, Basic realm=\"a, \\\"b\\\"\", bearer {}", parameters.join(","))
        }
    };
    answer.with("www-authenticate", &header)
}

/// 403 that names the scope that is missing (RFC 6750 section 3.1).
pub(super) fn insufficient(desk: &Desk, switches: &Switches, scope: &str) -> Answer {
    let mut header = "Bearer error=\"insufficient_scope\"".to_owned();
    if switches.names_scope {
        header.push_str(&format!(", scope=\"{scope}\""));
    }
    if let Some(place) = place(desk, switches.prm) {
        header.push_str(&format!(", resource_metadata=\"{}{place}\"", desk.origin));
    }
    let body = json!({"error": "insufficient_scope", "scope": scope});
    Answer::json(403, &body, "more scope wanted").with("www-authenticate", &header)
}
