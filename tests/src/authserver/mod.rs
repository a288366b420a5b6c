//! A strict OAuth authorization server.
//!
//! It refuses what RFC 6749, 7591, 7636, 8707, 9207 and the CIMD draft tell it to refuse, fetches
//! client documents over real TLS, and notes every request in its [`Journal`].

mod assertion;
mod authorize;
pub mod clients;
mod consent;
mod grants;
mod metadata;
mod register;
pub mod switches;
mod token;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::call::{Answer, Call};
use crate::host::{Host, Later, Site};
use crate::journal::{BearerSeen, Journal, Kind};
use grants::Store;
pub use grants::{Issued, Subject};
pub use switches::{
    Cimd, CimdFlag, Consent, Dcr, Documents, Iss, LoopbackNames, LoopbackPorts, Par, Refresh,
    ResourceRule, StaticClient, Switches,
};

/// The running server; it ends when dropped.
pub struct AuthorizationServer {
    authority: Arc<Authority>,
    host: Host,
}

/// What the server knows.
pub(crate) struct Authority {
    origin: String,
    issuer: String,
    switches: Mutex<Switches>,
    journal: Journal,
    store: Mutex<Store>,
    outage: Mutex<Outage>,
    /// The identity provider whose word counts here.
    believes: Mutex<Option<Arc<Authority>>>,
    fetch: reqwest::Client,
}

#[derive(Default)]
struct Outage {
    remaining: u32,
    status: u16,
    retry_after: u64,
}

/// How to start an [`AuthorizationServer`].
#[derive(Default)]
pub struct Start {
    /// The path of the issuer, `/tenant1` for example; empty for none.
    pub issuer_path: String,
    /// A certificate authority (PEM) under which client documents may stand.
    pub trusted_ca: Option<String>,
    /// The first switches.
    pub switches: Switches,
    /// The port; 0 for any.
    pub port: u16,
    /// What stands for scheme, host and port in all that it says of itself, where something in
    /// front of it gives it another name.
    pub origin: Option<String>,
}

impl AuthorizationServer {
    /// Starts with all defaults: everything offered, everything checked.
    pub async fn start() -> Self {
        Self::start_with(Start::default()).await
    }

    /// Starts as told.
    pub async fn start_with(start: Start) -> Self {
        let host = Host::start_at(start.port, None).await;
        let own = || format!("http://127.0.0.1:{}", host.port());
        let origin = start.origin.clone().unwrap_or_else(own);
        let mut fetch = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(5));
        if let Some(pem) = &start.trusted_ca {
            let ca = reqwest::Certificate::from_pem(pem.as_bytes()).expect("a certificate");
            fetch = fetch.tls_certs_only([ca]);
        }
        let authority = Arc::new(Authority {
            issuer: format!("{origin}{}", start.issuer_path),
            origin,
            switches: Mutex::new(start.switches),
            journal: Journal::default(),
            store: Mutex::default(),
            outage: Mutex::default(),
            believes: Mutex::default(),
            fetch: fetch.build().expect("an HTTP client"),
        });
        host.add(Arc::clone(&authority) as Arc<dyn Site>);
        Self { authority, host }
    }

    /// The issuer identifier.
    pub fn issuer(&self) -> &str {
        &self.authority.issuer
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.authority.origin
    }

    /// The address of an endpoint: `authorize`, `token`, `register`, `revoke`, `par`.
    pub fn endpoint(&self, name: &str) -> String {
        format!("{}/oauth/{name}", self.authority.origin)
    }

    /// Every request so far.
    pub fn journal(&self) -> &Journal {
        &self.authority.journal
    }

    /// Turns switches while running.
    pub fn set(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.authority.switches.lock().expect("switches"));
    }

    /// Names a protected resource (RFC 8707), for which tokens may be asked.
    pub fn protect(&self, resource: &str) {
        self.authority.store.lock().expect("store").resources.insert(resource.to_owned());
    }

    /// From now on assertions of this identity provider are good here.
    pub fn believe(&self, provider: &Self) {
        *self.authority.believes.lock().expect("provider") = Some(provider.authority());
    }

    /// The next `count` token requests are answered with this status and `Retry-After`.
    pub fn token_outage(&self, count: u32, status: u16, retry_after: u64) {
        *self.authority.outage.lock().expect("outage") =
            Outage { remaining: count, status, retry_after };
    }

    /// Revokes all grants now, access and refresh tokens alike.
    pub fn revoke_all(&self) {
        self.authority.store.lock().expect("store").revoke_all();
    }

    /// Ends all access tokens now; refresh tokens stay good.
    pub fn expire_access_tokens(&self) {
        self.authority.store.lock().expect("store").expire_access_tokens();
    }

    /// Forgets all dynamic registrations, as a purge would.
    pub fn forget_registrations(&self) {
        self.authority.store.lock().expect("store").clients.clear();
    }

    /// Ends all secrets of dynamic registrations now.
    pub fn expire_client_secrets(&self) {
        for client in self.authority.store.lock().expect("store").clients.values_mut() {
            client.secret_until = Some(std::time::UNIX_EPOCH);
        }
    }

    /// Everything secret that was ever given out: access tokens, refresh tokens, client secrets.
    pub fn issued(&self) -> Issued {
        self.authority.store.lock().expect("store").issued.clone()
    }

    /// How many registrations there are.
    pub fn registered(&self) -> usize {
        self.authority.store.lock().expect("store").clients.len()
    }

    pub(crate) fn authority(&self) -> Arc<Authority> {
        Arc::clone(&self.authority)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.host.port()
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }
}

impl Authority {
    fn switches(&self) -> Switches {
        self.switches.lock().expect("switches").clone()
    }

    /// Names a protected resource.
    pub(crate) fn protect(&self, resource: &str) {
        self.store.lock().expect("store").resources.insert(resource.to_owned());
    }

    /// Whose token this is, at this resource.
    pub(crate) fn introspect(
        &self,
        token: Option<&str>,
        resource: &str,
    ) -> (BearerSeen, Option<Subject>) {
        self.store.lock().expect("store").introspect(token, resource)
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The endpoint's name; `/oauth/token` and the old default path `/token` are the same.
    fn endpoint_of<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix("/oauth/").or_else(|| path.strip_prefix('/')).unwrap_or_default()
    }

    async fn respond(&self, call: Call) -> Answer {
        if metadata::is_document(&self.issuer, &call.path) {
            return metadata::document(self, &call);
        }
        let endpoint = self.endpoint_of(&call.path);
        if let Some(id) = endpoint.strip_prefix("register/") {
            return register::manage(self, &call, id);
        }
        match (call.method.as_str(), endpoint) {
            ("GET" | "POST", "authorize") => authorize::authorize(self, &call).await,
            ("GET", "login") => consent::login(self, &call),
            ("POST", "consent") => consent::decide(self, &call),
            ("POST", "par") => authorize::push(self, &call).await,
            ("POST", "token") => {
                tokio::time::sleep(self.switches().token_pause).await;
                token::token(self, &call)
            }
            ("POST", "register") => register::register(self, &call),
            ("POST", "revoke") => token::revoke(self, &call),
            ("GET", "jwks") => Answer::json(200, &serde_json::json!({"keys": []}), "no keys"),
            (_, "authorize" | "login" | "consent" | "par" | "token" | "register" | "revoke") => {
                Answer::empty(405, "wrong method")
            }
            _ => Answer::page(404, "Not found", "There is nothing here.", "no such path"),
        }
    }
}

impl Site for Authority {
    fn claims(&self, _path: &str) -> bool {
        true
    }

    fn kind(&self, call: &Call) -> Kind {
        if metadata::is_document(&self.issuer, &call.path) {
            return Kind::Metadata;
        }
        let endpoint = self.endpoint_of(&call.path);
        if endpoint.starts_with("register/") {
            return Kind::RegistrationManagement;
        }
        match endpoint {
            "authorize" => Kind::Authorization,
            "login" | "consent" => Kind::Consent,
            "par" => Kind::Par,
            "token" => Kind::Token,
            "register" => Kind::Registration,
            "revoke" => Kind::Revocation,
            _ => Kind::Other,
        }
    }

    fn journal(&self) -> &Journal {
        &self.journal
    }

    fn answer(self: Arc<Self>, call: Call) -> Later<Answer> {
        Box::pin(async move { self.respond(call).await })
    }
}

/// The path of a URL without a slash at its end; empty for none.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |i| rest[i..].trim_end_matches('/'))
}
