//! The gateway: the local HTTP listener that MCP clients and the browser talk to.

pub mod activity;
pub mod answer;
pub mod bound;
pub mod callbacks;
pub mod connections;
pub mod forward;
mod headers;
mod listen;
mod origin;
pub mod peer;
pub mod relay;
mod route;
pub mod seat;

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use keyfob_auth::Timestamp;
use keyfob_auth::server_url::is_loopback;
use url::Url;

use self::activity::Activity;
use self::answer::{Response, bare, forbidden, not_for_browsers, nothing_here, page, refused, see};
use self::callbacks::{Arrival, Callbacks, PageNews};
use self::connections::{Connection, Connections};
use self::forward::{Inbound, forward};
pub use self::listen::{Listeners, choose_port, free_port, take_port};
use self::origin::{Maker, asked_host, is_looking_ahead, is_own_origin, is_own_target};
use self::peer::Peers;
use self::relay::{Relay, Upload};
use self::route::Route;
use self::seat::{Broker, KeyRefused, Seats};
use crate::problem::{Code, Problem};
use crate::remembered::KeyDigest;
use crate::{client_key, clock};

/// Longest time that the page after the callback waits for its news.
const PAGE_WAIT: Duration = Duration::from_secs(10);

/// Everything that the gateway needs to answer a request.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// The port it answers on.
    pub port: u16,
    /// Servers and keys.
    pub seats: Arc<Seats>,
    /// What the browser may bring.
    pub callbacks: Arc<Callbacks>,
    /// The way up.
    pub relay: Relay,
    /// The way to the broker.
    pub broker: Broker,
    /// Whose connections are answered.
    pub peers: Arc<Peers>,
    /// Whether anyone uses it.
    pub activity: Arc<Activity>,
    /// Who is connected.
    pub connections: Arc<Connections>,
}

impl Gateway {
    /// The address that clients are given, without a key.
    pub fn address(&self, name: &str) -> String {
        format!("{}/{name}", self.origin())
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Whether a URL leads back to this gateway, in whatever spelling.
    pub fn is_own_address(&self, url: &str) -> bool {
        Url::parse(url)
            .is_ok_and(|url| is_loopback(&url) && url.port_or_known_default() == Some(self.port))
    }

    /// Lets the keys no longer in for which `is_gone` holds, and ends what goes on with them.
    pub fn revoke(&self, is_gone: impl Fn(&KeyDigest) -> bool) {
        self.seats.revoke(is_gone);
        self.connections.end_revoked();
    }

    /// Ends the keys whose time is over, and what goes on with them.
    pub fn end_expired_keys(&self, now: Timestamp) {
        self.seats.end_expired(now);
        self.connections.end_revoked();
    }

    async fn respond(&self, request: Request<Incoming>, connection: &Connection) -> Response {
        if !is_own_target(request.uri(), self.port) {
            return bare(StatusCode::BAD_REQUEST);
        }
        let Some(host) = asked_host(request.headers(), self.port) else {
            return forbidden("This address is not Keyfob's");
        };
        if !is_own_origin(request.headers(), self.port) {
            return forbidden("Web pages may not use Keyfob");
        }
        match Route::of(request.uri().path()) {
            Route::Callback => self.callback(&request, &format!("{host}:{}", self.port)),
            Route::Page(name) => self.page(request.method(), name).await,
            Route::Go(nonce) => self.go(&request, nonce),
            Route::Nothing => bare(StatusCode::NOT_FOUND),
            Route::Server { name, key, tail } => match Maker::of(request.headers()) {
                Maker::Program => {
                    let (name, key, tail) =
                        (name.to_owned(), key.map(str::to_owned), tail.to_owned());
                    self.server(request, connection, &name, key.as_deref(), tail).await
                }
                Maker::Navigation => not_for_browsers(),
                Maker::Page => forbidden("Web pages may not use Keyfob"),
            },
        }
    }

    async fn server(
        &self,
        request: Request<Incoming>,
        connection: &Connection,
        name: &str,
        key: Option<&str>,
        tail: String,
    ) -> Response {
        let presented = key.or_else(|| bearer(request.headers()));
        let seat = self.seats.get(name);
        let caller = match (&seat, presented) {
            (Some(seat), Some(key)) => self.seats.caller(&seat.id, key),
            _ => Err(KeyRefused::Unknown),
        };
        let (seat, caller) = match (seat, caller) {
            (Some(seat), Ok((caller, key))) if connection.show(&key) => (seat, caller),
            // Only who has the key is told what became of it.
            (_, Err(KeyRefused::Ended { client, at })) => {
                let problem = Problem::new(Code::KeyEnded).with("client", client);
                return refused(&problem.with("server", name).with("at", clock::rfc3339(at)));
            }
            // An unknown name is answered like a wrong key: names are not for those without one.
            (None, _) | (_, Ok(_) | Err(KeyRefused::Unknown)) => {
                return forbidden(
                    "This needs a client key for this server: keyfob clients add CLIENT NAME makes one",
                );
            }
        };
        if !matches!(*request.method(), Method::GET | Method::POST | Method::DELETE) {
            return bare(StatusCode::METHOD_NOT_ALLOWED);
        }
        let (parts, body) = request.into_parts();
        let Ok(body) = Upload::read(body).await else { return bare(StatusCode::BAD_REQUEST) };
        let query = parts.uri.query().map(str::to_owned);
        let inbound = Inbound { method: parts.method, headers: parts.headers, tail, query, body };
        forward(&self.relay, &self.broker, &seat, &caller, inbound).await
    }

    fn callback(&self, request: &Request<Incoming>, authority: &str) -> Response {
        if self.callbacks.is_idle() {
            return nothing_here();
        }
        // Looking ahead must not spend the answer.
        if request.method() != Method::GET || is_looking_ahead(request.headers()) {
            return bare(StatusCode::NO_CONTENT);
        }
        match self.callbacks.arrive(request.uri().query().unwrap_or_default(), authority) {
            Arrival::Accepted { page } => {
                see(StatusCode::SEE_OTHER, &format!("http://{authority}/callback/{page}"))
            }
            Arrival::NotAwaited => {
                tracing::info!("an answer came that no sign-in waits for; it was ignored");
                nothing_here()
            }
        }
    }

    async fn page(&self, method: &Method, name: &str) -> Response {
        let Some(mut shown) = self.callbacks.page(name).filter(|_| method == Method::GET) else {
            return nothing_here();
        };
        let settled = shown.news.wait_for(|news| *news != PageNews::Working);
        let _ = tokio::time::timeout(PAGE_WAIT, async { settled.await.map(drop) }).await;
        let news = shown.news.borrow().clone();
        page(&shown.server, &news)
    }

    fn go(&self, request: &Request<Incoming>, nonce: &str) -> Response {
        if request.method() != Method::GET || is_looking_ahead(request.headers()) {
            return bare(StatusCode::NO_CONTENT);
        }
        match self.callbacks.take_link(nonce) {
            Some(link) => see(StatusCode::FOUND, link.expose()),
            None => nothing_here(),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && key.starts_with(client_key::PREFIX)).then_some(key)
}
