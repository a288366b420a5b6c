//! Clients, and what identifies one: registration, client documents, client authentication.

use std::fmt;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};
use url::{Host, Url};

use super::Authority;
use super::switches::{Cimd, LoopbackNames, LoopbackPorts};
use crate::call::{Answer, Call, Pairs, param, repeated};
use crate::journal::Kind;

/// How a client came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// By hand.
    Static,
    /// By RFC 7591.
    Dcr,
    /// By its document.
    Cimd,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static => "static",
            Self::Dcr => "dcr",
            Self::Cimd => "cimd",
        })
    }
}

/// A client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// How it came to be known.
    pub origin: Origin,
    /// What it calls itself.
    pub name: String,
    /// Its redirect URIs, as registered.
    pub redirect_uris: Vec<String>,
    /// How it proves itself at the token endpoint.
    pub auth_method: String,
    /// Its secret.
    pub secret: Option<String>,
    /// When that ends.
    pub secret_until: Option<SystemTime>,
    /// May it refresh?
    pub may_refresh: bool,
    /// Its metadata as it was told last (RFC 7592 section 2.2).
    pub registered: Value,
    /// The token for RFC 7592.
    pub management: Option<String>,
}

/// RFC 9700 section 4.1.3: exact, save the port of loopback IP literals (RFC 8252 section 7.3).
pub fn redirect_matches(registered: &[String], asked: &str, ports: LoopbackPorts) -> bool {
    if registered.iter().any(|r| r == asked) {
        return true;
    }
    if ports == LoopbackPorts::Exact {
        return false;
    }
    let Some(asked) = loopback_without_port(asked) else { return false };
    registered.iter().filter_map(|r| loopback_without_port(r)).any(|r| r == asked)
}

fn loopback_without_port(uri: &str) -> Option<String> {
    let mut url = Url::parse(uri).ok()?;
    let loopback = match url.host()? {
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
        Host::Domain(_) => false,
    };
    if url.scheme() != "http" || !loopback || url.fragment().is_some() {
        return None;
    }
    url.set_port(None).ok()?;
    Some(url.to_string())
}

/// Is this name of our own machine taken here?
pub fn redirect_is_named_well(uri: &str, names: LoopbackNames) -> bool {
    let Ok(url) = Url::parse(uri) else { return false };
    match names {
        LoopbackNames::Both => true,
        LoopbackNames::AddressOnly => url.host_str() != Some("localhost"),
        LoopbackNames::NameOnly => url.host_str() == Some("localhost"),
    }
}

/// May a native client register this (RFC 8252 section 7)?
pub fn redirect_is_native(uri: &str) -> bool {
    let Ok(url) = Url::parse(uri) else { return false };
    let local = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    url.scheme() == "http" && local && url.fragment().is_none() && url.username().is_empty()
}

impl Authority {
    /// Finds the client of an authorization request; fetches its document where its id is a URL.
    pub(super) async fn client(&self, id: &str) -> Result<Client, String> {
        if let Some(client) = self.known_client(id) {
            return Ok(client);
        }
        let cimd = self.switches().cimd;
        if !id.starts_with("https://") || matches!(cimd, Cimd::Off | Cimd::RefusedByPage) {
            return Err(format!("There is no client with the id {id}."));
        }
        let (status, outcome) = self.fetch_document(id).await;
        let note = outcome.as_ref().map_or_else(Clone::clone, |_| "accepted".to_owned());
        self.journal.outgoing(Kind::DocumentFetch, id, status, &note);
        let client = outcome?;
        self.store.lock().expect("store").documents.insert(id.to_owned(), client.clone());
        Ok(client)
    }

    /// A client that was registered by hand or by RFC 7591.
    pub(super) fn known_client(&self, id: &str) -> Option<Client> {
        if let Some(s) = self.switches().static_clients.iter().find(|s| s.id == id) {
            let method = if s.secret.is_some() { "client_secret_basic" } else { "none" };
            return Some(Client {
                id: s.id.clone(),
                origin: Origin::Static,
                name: s.id.clone(),
                redirect_uris: s.redirect_uris.clone(),
                auth_method: method.to_owned(),
                secret: s.secret.clone(),
                secret_until: None,
                registered: Value::Null,
                may_refresh: true,
                management: None,
            });
        }
        self.store.lock().expect("store").clients.get(id).cloned()
    }

    /// Fetches and checks a client document (draft-ietf-oauth-client-id-metadata-document-02
    /// sections 3, 4, 5 and 8.7).
    async fn fetch_document(&self, id: &str) -> (Option<u16>, Result<Client, String>) {
        if let Err(reason) = check_id(id) {
            return (None, Err(reason));
        }
        let response = match self.fetch.get(id).header("accept", "application/json").send().await {
            Ok(response) => response,
            Err(e) => return (None, Err(format!("The client document cannot be had: {e}."))),
        };
        let status = response.status().as_u16();
        let media_type = response
            .headers()
            .get("content-type")
            .and_then(|v| v.to_str().ok())
            .map(|v| v.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        if status != 200 {
            return (Some(status), Err(format!("The client document answers {status}, not 200.")));
        }
        if media_type.as_deref() != Some("application/json") {
            return (Some(status), Err(format!("The client document is {media_type:?}.")));
        }
        let checked = match response.bytes().await {
            Ok(bytes) if bytes.len() >= 5 * 1024 => Err("The client document is too big.".into()),
            Ok(bytes) => check_document(id, &bytes),
            Err(e) => Err(format!("The client document broke off: {e}.")),
        };
        (Some(status), checked)
    }

    /// Client authentication at a back-channel endpoint (RFC 6749 sections 2.3 and 3.2.1).
    pub(super) fn authenticate(&self, call: &Call, form: &Pairs) -> Result<Client, Answer> {
        if let Some(name) = repeated(form, &["resource"]) {
            return Err(oauth_error(400, "invalid_request", &format!("{name} stands twice")));
        }
        let basic = match call.header("authorization") {
            None => None,
            Some(raw) => Some(
                basic(raw).ok_or_else(|| invalid_client(true, "the Authorization is not Basic"))?,
            ),
        };
        let posted = (param(form, "client_id"), param(form, "client_secret"));
        if basic.is_some() && posted.1.is_some() {
            return Err(oauth_error(400, "invalid_request", "two ways of client authentication"));
        }
        let used_basic = basic.is_some();
        let (id, secret, method) = match (&basic, posted) {
            (Some((id, secret)), (also, _)) => {
                if also.is_some_and(|also| also != id) {
                    return Err(oauth_error(400, "invalid_request", "two different client ids"));
                }
                (id.clone(), Some(secret.clone()), "client_secret_basic")
            }
            (None, (Some(id), Some(secret))) => {
                (id.to_owned(), Some(secret.to_owned()), "client_secret_post")
            }
            (None, (Some(id), None)) => (id.to_owned(), None, "none"),
            (None, (None, _)) => return Err(invalid_client(false, "no client id")),
        };
        if self.switches().gone_at_token.is_some_and(|gone| id.starts_with(&gone)) {
            return Err(invalid_client(used_basic, "no longer known"));
        }
        let documents = self.store.lock().expect("store").documents.clone();
        let client = self
            .known_client(&id)
            .or_else(|| documents.get(&id).cloned())
            .ok_or_else(|| invalid_client(used_basic, "unknown client"))?;
        if client.auth_method != method {
            let text = format!("registered for {}, came with {method}", client.auth_method);
            return Err(invalid_client(used_basic, &text));
        }
        if client.secret != secret {
            return Err(invalid_client(used_basic, "wrong secret"));
        }
        if client.secret_until.is_some_and(|until| SystemTime::now() >= until) {
            return Err(invalid_client(used_basic, "the secret has ended"));
        }
        Ok(client)
    }
}

/// Draft section 3: what a client id URL may look like.
fn check_id(id: &str) -> Result<(), String> {
    let no = |why: &str| Err(format!("The client id {why}."));
    let Some(rest) = id.strip_prefix("https://") else { return no("is not an https URL") };
    let (authority, path) = match rest.find('/') {
        Some(i) => rest.split_at(i),
        None => return no("has no path"),
    };
    if authority.contains('@') {
        return no("has user information");
    }
    if id.contains('#') {
        return no("has a fragment");
    }
    let path = path.split('?').next().unwrap_or_default();
    if path.split('/').any(|s| matches!(s, "." | "..")) {
        return no("has dot segments");
    }
    if Url::parse(id).is_err() { no("is not a URL") } else { Ok(()) }
}

fn check_document(id: &str, bytes: &[u8]) -> Result<Client, String> {
    let no = |why: &str| Err(format!("The client document {why}."));
    let Ok(Value::Object(document)) = serde_json::from_slice::<Value>(bytes) else {
        return no("is not a JSON object");
    };
    if document.get("client_id").and_then(Value::as_str) != Some(id) {
        return no("names another client_id");
    }
    if document.keys().any(|k| k.starts_with("client_secret")) {
        return no("holds a secret");
    }
    // RFC 7591 section 2: left out, this means client_secret_basic, which a document may not use.
    if document.get("token_endpoint_auth_method").and_then(Value::as_str) != Some("none") {
        return no("does not say that it needs no secret");
    }
    if document.get("application_type").and_then(Value::as_str) != Some("native") {
        return no("is not that of a native application");
    }
    let name = document.get("client_name").and_then(Value::as_str).unwrap_or_default();
    if name.is_empty() {
        return no("has no client_name");
    }
    let redirects = strings(document.get("redirect_uris"));
    if redirects.is_empty() || !redirects.iter().all(|r| redirect_is_native(r)) {
        return no("has redirect URIs that a native client may not have");
    }
    let grants = strings(document.get("grant_types"));
    Ok(Client {
        id: id.to_owned(),
        origin: Origin::Cimd,
        name: name.to_owned(),
        redirect_uris: redirects,
        auth_method: "none".to_owned(),
        secret: None,
        secret_until: None,
        registered: Value::Null,
        may_refresh: grants.iter().any(|g| g == "refresh_token"),
        management: None,
    })
}

/// The strings of a JSON array.
pub fn strings(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// RFC 6749 section 2.3.1: both halves are form-encoded before they are joined.
fn basic(raw: &str) -> Option<(String, String)> {
    let (scheme, encoded) = raw.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let plain = |s: &str| {
        url::form_urlencoded::parse(s.as_bytes()).next().map(|(name, _)| name.into_owned())
    };
    Some((plain(id)?, plain(secret).unwrap_or_default()))
}

/// An error answer of a back-channel endpoint (RFC 6749 section 5.2).
pub fn oauth_error(status: u16, error: &str, text: &str) -> Answer {
    let body = json!({"error": error, "error_description": text});
    Answer::json(status, &body, &format!("{error}: {text}")).with("pragma", "no-cache")
}

/// `invalid_client`: 401 with a challenge where Basic was tried.
pub fn invalid_client(basic: bool, text: &str) -> Answer {
    let answer = oauth_error(401, "invalid_client", text);
    if basic { answer.with("www-authenticate", "Basic realm=\"token\"") } else { answer }
}
