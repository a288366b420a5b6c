//! The authorization endpoint (RFC 6749 section 4.1.1) and pushed requests (RFC 9126).

use serde_json::json;

use super::Authority;
use super::clients::{Client, Origin, oauth_error, redirect_is_named_well, redirect_matches};
use super::consent;
use super::grants::Request;
use super::switches::{Cimd, Iss, Par, ResourceRule, Switches};
use crate::call::{Answer, Call, Pairs, param, repeated, with_query};
use crate::random::secret;

/// Why a request is not served.
enum Refusal {
    /// Nothing may be sent to the redirect URI (RFC 6749 section 4.1.2.1).
    Page(u16, String),
    /// An error for the client.
    Redirect { uri: String, state: Option<String>, error: String, text: String },
}

pub(super) async fn authorize(authority: &Authority, call: &Call) -> Answer {
    let asked = if call.method == "POST" { call.form() } else { call.query.clone() };
    let asked = match pulled(authority, asked) {
        Ok(asked) => asked,
        Err(text) => return page(400, &text),
    };
    match check(authority, &asked).await {
        Ok(request) => consent::ask(authority, request),
        Err(Refusal::Page(status, text)) => {
            page(authority.switches().page_status.unwrap_or(status), &text)
        }
        Err(Refusal::Redirect { uri, state, error, text }) => {
            back(authority, &uri, state.as_deref(), &[("error", &error)], &text)
        }
    }
}

/// Takes the parameters of a pushed request in place of those in the URL (RFC 9126 section 4).
fn pulled(authority: &Authority, asked: Pairs) -> Result<Pairs, String> {
    let par = authority.switches().par;
    match param(&asked, "request_uri") {
        None if par == Par::Required => Err("The request must be pushed first.".to_owned()),
        None => Ok(asked),
        Some(_) if par == Par::Off => Err("Pushed requests are not known here.".to_owned()),
        Some(uri) => {
            let pushed = authority.store.lock().expect("store").pushed.remove(uri);
            match pushed {
                Some((client, pairs)) if param(&asked, "client_id") == Some(&client) => Ok(pairs),
                Some(_) => Err("The request was pushed by another client.".to_owned()),
                None => Err("There is no such pushed request.".to_owned()),
            }
        }
    }
}

pub(super) async fn push(authority: &Authority, call: &Call) -> Answer {
    if authority.switches().par == Par::Off {
        return Answer::empty(404, "no pushed requests");
    }
    let form = call.form();
    if param(&form, "request_uri").is_some() {
        return oauth_error(400, "invalid_request", "request_uri inside a pushed request");
    }
    // The document of a client that is new here has to be had before it can be authenticated.
    if let Some(id) = param(&form, "client_id")
        && let Err(text) = authority.client(id).await
    {
        return oauth_error(401, "invalid_client", &text);
    }
    let client = match authority.authenticate(call, &form) {
        Ok(client) => client,
        Err(answer) => return answer,
    };
    match check(authority, &form).await {
        Ok(_) => {
            let uri = format!("urn:ietf:params:oauth:request_uri:{}", secret(""));
            let mut store = authority.store.lock().expect("store");
            store.pushed.insert(uri.clone(), (client.id, form));
            Answer::json(201, &json!({"request_uri": uri, "expires_in": 60}), "pushed")
        }
        Err(Refusal::Page(_, text)) => oauth_error(400, "invalid_request", &text),
        Err(Refusal::Redirect { error, text, .. }) => oauth_error(400, &error, &text),
    }
}

async fn check(authority: &Authority, asked: &Pairs) -> Result<Request, Refusal> {
    let twice = repeated(asked, &["resource"]);
    if let Some(name @ ("client_id" | "redirect_uri")) = twice {
        return Err(Refusal::Page(400, format!("The parameter {name} stands twice.")));
    }
    let Some(id) = param(asked, "client_id") else {
        return Err(Refusal::Page(400, "The request names no client.".to_owned()));
    };
    let client = authority.client(id).await.map_err(|text| Refusal::Page(400, text))?;
    let switches = authority.switches();
    let Some(uri) = param(asked, "redirect_uri") else {
        return Err(Refusal::Page(400, "The request names no redirect URI.".to_owned()));
    };
    let is_registered = redirect_matches(&client.redirect_uris, uri, switches.loopback_ports);
    if !is_registered || !redirect_is_named_well(uri, switches.loopback_names) {
        return Err(Refusal::Page(400, format!("{uri} is not registered for this client.")));
    }
    let state = param(asked, "state").map(str::to_owned);
    let refuse = |error: &str, text: &str| Refusal::Redirect {
        uri: uri.to_owned(),
        // A state that stands twice is none.
        state: state.clone().filter(|_| twice != Some("state")),
        error: error.to_owned(),
        text: text.to_owned(),
    };
    if let Some(name) = twice {
        return Err(refuse("invalid_request", &format!("{name} stands twice")));
    }
    if let (Cimd::RefusedInCallback(error), Origin::Cimd) = (&switches.cimd, client.origin) {
        return Err(refuse(error, "client documents are not accepted today"));
    }
    match param(asked, "response_type") {
        Some("code") => {}
        Some(_) => return Err(refuse("unsupported_response_type", "only code")),
        None => return Err(refuse("invalid_request", "no response_type")),
    }
    let challenge = challenge(asked).map_err(|text| refuse("invalid_request", text))?;
    let resource =
        resource(authority, &switches, asked).map_err(|text| refuse("invalid_target", &text))?;
    let scope = scope(&switches, asked).map_err(|text| refuse("invalid_scope", &text))?;
    // RFC 7591 section 2: a client is registered with the scopes that it can use.
    if let Some(registered) = client.registered["scope"].as_str()
        && switches.scopes_as_registered
        && let Some(more) = scope.iter().find(|s| !registered.split(' ').any(|had| had == *s))
    {
        return Err(refuse("invalid_scope", &format!("{more} is not a scope of this client")));
    }
    if let Some(error) = &switches.front_error {
        return Err(refuse(error, "so the test wants it"));
    }
    Ok(Request { redirect_uri: uri.to_owned(), client, state, challenge, resource, scope })
}

/// RFC 7636 section 4.3; plain is not taken.
fn challenge(asked: &Pairs) -> Result<String, &'static str> {
    let challenge = param(asked, "code_challenge").ok_or("no code_challenge")?;
    if param(asked, "code_challenge_method") != Some("S256") {
        return Err("code_challenge_method is not S256");
    }
    let base64url = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if challenge.len() != 43 || !challenge.chars().all(base64url) {
        return Err("code_challenge is not a SHA-256 in base64url");
    }
    Ok(challenge.to_owned())
}

/// RFC 8707 section 2.
pub(super) fn resource(
    authority: &Authority,
    switches: &Switches,
    asked: &Pairs,
) -> Result<Option<String>, String> {
    let mut named = asked.iter().filter(|(n, _)| n == "resource").map(|(_, v)| v.as_str());
    let first = named.next();
    if named.next().is_some() {
        return Err("more than one resource".to_owned());
    }
    match (first, switches.resource) {
        (None, ResourceRule::Required | ResourceRule::WithoutSlash) => {
            Err("no resource".to_owned())
        }
        (None, ResourceRule::Optional | ResourceRule::Refused) => Ok(None),
        (Some(_), ResourceRule::Refused) => Err("resource is not known here".to_owned()),
        (Some(named), ResourceRule::WithoutSlash) => {
            let slashed = format!("{named}/");
            let store = authority.store.lock().expect("store");
            let is_known = store.resources.contains(&slashed);
            is_known.then_some(Some(slashed)).ok_or_else(|| format!("{named} is not known here"))
        }
        (Some(named), ResourceRule::Required | ResourceRule::Optional) => {
            let store = authority.store.lock().expect("store");
            if store.resources.contains(named) {
                Ok(Some(named.to_owned()))
            } else {
                Err(format!("{named} is none of {:?}", store.resources))
            }
        }
    }
}

fn scope(switches: &Switches, asked: &Pairs) -> Result<Vec<String>, String> {
    let scope: Vec<String> = param(asked, "scope")
        .map(|s| s.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect())
        .unwrap_or_default();
    let known = &switches.known_scopes;
    match scope.iter().find(|s| !known.is_empty() && !known.contains(s)) {
        Some(unknown) => Err(format!("{unknown} is not a scope")),
        None => Ok(scope),
    }
}

/// Sends a code to the client.
pub(super) fn grant(authority: &Authority, request: Request) -> Answer {
    let (uri, state) = (request.redirect_uri.clone(), request.state.clone());
    let who = who(&request.client);
    let code = authority.store.lock().expect("store").new_code(request);
    back(authority, &uri, state.as_deref(), &[("code", &code)], &format!("code for {who}"))
}

/// Sends `access_denied` to the client.
pub(super) fn deny(authority: &Authority, request: &Request) -> Answer {
    let state = request.state.as_deref();
    back(authority, &request.redirect_uri, state, &[("error", "access_denied")], "denied")
}

fn who(client: &Client) -> String {
    format!("{} client {}", client.origin, client.id)
}

/// The authorization response (RFC 6749 section 4.1.2) with `iss` (RFC 9207 section 2).
fn back(
    authority: &Authority,
    uri: &str,
    state: Option<&str>,
    what: &[(&str, &str)],
    decision: &str,
) -> Answer {
    let mut pairs = what.to_vec();
    if let Some((_, error)) = what.iter().find(|(name, _)| *name == "error") {
        let told = authority.switches().front_description;
        let description = told.as_deref().unwrap_or(decision);
        if !description.is_empty() {
            pairs.push(("error_description", description));
        }
        if let Some(state) = state {
            pairs.push(("state", state));
        }
        let decision = format!("{error}: {decision}");
        return Answer::redirect(&with_query(uri, with_iss(authority, pairs)), &decision);
    }
    if let Some(state) = state {
        pairs.push(("state", state));
    }
    Answer::redirect(&with_query(uri, with_iss(authority, pairs)), decision)
}

fn with_iss<'a>(
    authority: &'a Authority,
    mut pairs: Vec<(&'a str, &'a str)>,
) -> Vec<(&'a str, &'a str)> {
    match authority.switches().iss {
        Iss::On | Iss::Unadvertised => pairs.push(("iss", &authority.issuer)),
        Iss::Wrong => pairs.push(("iss", "https://attacker.example")),
        Iss::Off | Iss::Missing => {}
    }
    pairs
}

fn page(status: u16, text: &str) -> Answer {
    Answer::page(status, "This request cannot be served", text, &format!("error page: {text}"))
}
