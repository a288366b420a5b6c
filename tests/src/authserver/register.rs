//! Dynamic client registration (RFC 7591) and its management (RFC 7592).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Authority;
use super::clients::{
    Client, Origin, oauth_error, redirect_is_named_well, redirect_is_native, strings,
};
use super::metadata::replace;
use super::switches::{Dcr, LoopbackNames, Switches};
use crate::call::{Answer, Call};
use crate::random::secret;

pub(super) fn register(authority: &Authority, call: &Call) -> Answer {
    let switches = authority.switches();
    match switches.dcr {
        Dcr::Off => return Answer::empty(404, "no registration"),
        Dcr::Forbidden => {
            return Answer::new(403, "text/plain", "registration is closed", "closed");
        }
        Dcr::TooMany => {
            return Answer::json(429, &json!({"error": "too_many_requests"}), "too many")
                .with("retry-after", "30");
        }
        Dcr::Page => return Answer::page(200, "Sign up", "Create an account.", "a page"),
        Dcr::On | Dcr::Answers200 | Dcr::WithSecret | Dcr::RefusesScopes => {}
    }
    let asked = match check(call, switches.loopback_names) {
        Ok(asked) => asked,
        Err((error, text)) => return oauth_error(400, error, &text),
    };
    if switches.dcr == Dcr::RefusesScopes && asked.get("scope").is_some() {
        return Answer::new(403, "text/plain", "no such scope", "scopes are refused");
    }
    let asked_method = asked["token_endpoint_auth_method"].as_str();
    let mut method = asked_method.unwrap_or("client_secret_basic").to_owned();
    if switches.dcr == Dcr::WithSecret && method == "none" {
        "client_secret_basic".clone_into(&mut method);
    }
    if switches.auth_methods.as_ref().is_some_and(|known| !known.contains(&method)) {
        let text = format!("token_endpoint_auth_method {method} is not offered");
        return oauth_error(400, "invalid_client_metadata", &text);
    }
    let mut client = Client {
        id: secret("dcr-"),
        origin: Origin::Dcr,
        name: asked["client_name"].as_str().unwrap_or("unnamed").to_owned(),
        redirect_uris: strings(asked.get("redirect_uris")),
        secret: None,
        secret_until: None,
        registered: Value::Null,
        may_refresh: strings(asked.get("grant_types")).iter().any(|g| g == "refresh_token"),
        management: switches.registration_management.then(|| secret("rat-")),
        auth_method: method,
    };
    client.redirect_uris.dedup();
    client.registered = asked;
    client.registered["token_endpoint_auth_method"] = json!(client.auth_method);
    // Metadata of the server's own choice, which an update has to send back.
    client.registered["policy_uri"] = json!(format!("{}/policy", authority.origin));
    new_secret(&mut client, &switches);
    let mut answer = answer_for(authority, &client);
    if let Some(answer) = answer.as_object_mut() {
        replace(answer, &switches.registration_fields);
    }
    let mut store = authority.store.lock().expect("store");
    store.issued.registration.extend(client.secret.clone());
    store.issued.registration.extend(client.management.clone());
    let status = if switches.dcr == Dcr::Answers200 { 200 } else { 201 };
    let decision = format!("registered {}", client.id);
    store.clients.insert(client.id.clone(), client);
    Answer::json(status, &answer, &decision).with("pragma", "no-cache")
}

fn check(call: &Call, names: LoopbackNames) -> Result<Value, (&'static str, String)> {
    let bad = |text: &str| ("invalid_client_metadata", text.to_owned());
    if call.media_type() != "application/json" {
        return Err(bad("the body is not application/json"));
    }
    let asked = call.json().filter(Value::is_object).ok_or_else(|| bad("not a JSON object"))?;
    let redirects = strings(asked.get("redirect_uris"));
    if redirects.is_empty() {
        return Err(("invalid_redirect_uri", "no redirect_uris".to_owned()));
    }
    if let Some(uri) =
        redirects.iter().find(|r| !redirect_is_native(r) || !redirect_is_named_well(r, names))
    {
        return Err(("invalid_redirect_uri", format!("{uri} is not for a native client")));
    }
    if asked["application_type"].as_str() != Some("native") {
        return Err(bad("application_type is not native"));
    }
    let grants = strings(asked.get("grant_types"));
    if !grants.iter().any(|g| g == "authorization_code") {
        return Err(bad("grant_types lacks authorization_code"));
    }
    if strings(asked.get("response_types")) != ["code"] {
        return Err(bad("response_types is not code"));
    }
    if asked["client_name"].as_str().unwrap_or_default().is_empty() {
        return Err(bad("no client_name"));
    }
    if asked.get("client_id").is_some() || asked.get("client_secret").is_some() {
        return Err(bad("client_id and client_secret are given out here, not taken"));
    }
    Ok(asked)
}

fn new_secret(client: &mut Client, switches: &Switches) {
    client.secret = (client.auth_method != "none").then(|| secret("cs-"));
    let life = switches.client_secret_seconds.filter(|_| client.secret.is_some());
    // Whole seconds are told, so whole seconds are kept.
    client.secret_until = life.map(|life| UNIX_EPOCH + Duration::from_secs(now() + life));
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn answer_for(authority: &Authority, client: &Client) -> Value {
    let mut answer = client.registered.clone();
    answer["client_id"] = json!(client.id);
    answer["client_id_issued_at"] = json!(0);
    if let Some(secret) = &client.secret {
        let until = client.secret_until.and_then(|until| until.duration_since(UNIX_EPOCH).ok());
        answer["client_secret"] = json!(secret);
        answer["client_secret_expires_at"] = json!(until.map_or(0, |until| until.as_secs()));
    }
    if let Some(token) = &client.management {
        let uri = format!("{}/oauth/register/{}", authority.origin, client.id);
        answer["registration_client_uri"] = json!(uri);
        answer["registration_access_token"] = json!(token);
    }
    answer
}

pub(super) fn manage(authority: &Authority, call: &Call, id: &str) -> Answer {
    let switches = authority.switches();
    let mut store = authority.store.lock().expect("store");
    let known = store.clients.get(id).cloned();
    let Some(client) = known.filter(|c| c.management.is_some()) else {
        return Answer::empty(401, "unknown client");
    };
    if client.management.as_deref() != call.bearer() {
        return Answer::empty(401, "wrong management token");
    }
    match call.method.as_str() {
        "DELETE" => {
            store.clients.remove(id);
            Answer::empty(204, "registration deleted")
        }
        "PUT" => match (switches.registration_update_status, updated(call, client, &switches)) {
            (Some(status), _) => Answer::empty(status, "updates are out of order"),
            (None, Err((error, text))) => oauth_error(400, error, &text),
            (None, Ok(client)) => {
                store.issued.registration.extend(client.secret.clone());
                store.issued.registration.extend(client.management.clone());
                let answer = answer_for(authority, &client);
                store.clients.insert(client.id.clone(), client);
                Answer::json(200, &answer, "registration updated").with("pragma", "no-cache")
            }
        },
        _ => Answer::empty(405, "only PUT and DELETE"),
    }
}

/// RFC 7592 section 2.2: all metadata comes back, and the client's own credentials do not. The
/// secret and the management token are new then, and those before are good for nothing.
fn updated(
    call: &Call,
    mut client: Client,
    switches: &Switches,
) -> Result<Client, (&'static str, String)> {
    let bad = |text: String| Err(("invalid_client_metadata", text));
    if call.media_type() != "application/json" {
        return bad("the body is not application/json".to_owned());
    }
    let Some(Value::Object(mut asked)) = call.json() else {
        return bad("not a JSON object".to_owned());
    };
    if asked.remove("client_id") != Some(json!(client.id)) {
        return bad("client_id is not the client's".to_owned());
    }
    let own = [
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
    ];
    if let Some(name) = own.into_iter().find(|name| asked.contains_key(*name)) {
        return bad(format!("{name} is not the client's to send"));
    }
    if asked
        .remove("client_secret")
        .is_some_and(|secret| Some(secret) != client.secret.clone().map(Value::String))
    {
        return bad("client_secret is another one".to_owned());
    }
    if Value::Object(asked) != client.registered {
        return bad("it is not all that is registered".to_owned());
    }
    new_secret(&mut client, switches);
    client.management = Some(secret("rat-"));
    Ok(client)
}
