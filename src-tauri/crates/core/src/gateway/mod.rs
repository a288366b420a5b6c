//! The gateway: the local HTTP listener that MCP clients and the browser talk to.

pub mod activity;
pub mod answer;
pub mod bound;
pub mod callbacks;
pub mod forward;
mod headers;
mod listen;
pub mod peer;
pub mod relay;
mod route;
pub mod seat;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use keyfob_auth::server_url::is_loopback;
use tokio::sync::watch;
use url::Url;

use self::activity::Activity;
use self::answer::{Response, bare, forbidden, nothing_here, page, refused, see};
use self::callbacks::{Arrival, Callbacks, PageNews};
use self::forward::{Inbound, forward};
pub use self::listen::{Listeners, choose_port, free_port, take_port};
use self::peer::Peers;
use self::relay::{Relay, Upload};
use self::route::Route;
use self::seat::{Broker, KeyRefused, Seats};
use crate::problem::{Code, Problem};
use crate::{client_key, clock};

/// Longest time that a client may take for its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest request head, in bytes.
const LARGEST_HEAD: usize = 64 * 1024;

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

    /// Answers until `stop` changes, then lets open requests end for as long as `grace`.
    pub async fn serve(
        self,
        listeners: Listeners,
        mut stop: watch::Receiver<bool>,
        grace: Duration,
    ) {
        let graceful = GracefulShutdown::new();
        let gateway = Arc::new(self);
        loop {
            tokio::select! {
                accepted = listeners.accept() => match accepted {
                    Ok((stream, _)) => gateway.clone().answer_on(stream, &graceful),
                    // Out of descriptors, most likely: wait for some to come free.
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                _ = stop.changed() => break,
            }
        }
        drop(listeners);
        let _ = tokio::time::timeout(grace, graceful.shutdown()).await;
    }

    fn answer_on(self: Arc<Self>, stream: tokio::net::TcpStream, graceful: &GracefulShutdown) {
        let _ = stream.set_nodelay(true);
        let presence = self.activity.enter();
        let peer = Arc::new(self.peers.of(&stream));
        let service = service_fn(move |request| {
            let (gateway, peer) = (self.clone(), peer.clone());
            async move {
                Ok::<_, Infallible>(match peer.refusal().await {
                    Some(refusal) => refusal,
                    None => gateway.respond(request).await,
                })
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(presence);
        });
    }

    async fn respond(&self, request: Request<Incoming>) -> Response {
        let Some(authority) = self.own_authority(request.headers()) else {
            return forbidden("This address is not Keyfob's");
        };
        if !self.is_own_origin(request.headers()) {
            return forbidden("Web pages may not use Keyfob");
        }
        match Route::of(request.uri().path()) {
            Route::Callback => self.callback(&request, &authority),
            Route::Page(name) => self.page(request.method(), name).await,
            Route::Go(nonce) => self.go(&request, nonce),
            Route::Nothing => bare(StatusCode::NOT_FOUND),
            Route::Server { name, key, tail } => {
                let (name, key, tail) = (name.to_owned(), key.map(str::to_owned), tail.to_owned());
                self.server(request, &name, key.as_deref(), tail).await
            }
        }
    }

    async fn server(
        &self,
        request: Request<Incoming>,
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
            (Some(seat), Ok(caller)) => (seat, caller),
            // Only who has the key is told what became of it.
            (_, Err(KeyRefused::Ended { client, at })) => {
                let problem = Problem::new(Code::KeyEnded).with("client", client);
                return refused(&problem.with("server", name).with("at", clock::rfc3339(at)));
            }
            // An unknown name is answered like a wrong key: names are not for those without one.
            (None, _) | (_, Err(KeyRefused::Unknown)) => {
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

    /// The `Host` that was asked, when it is one of ours: a page whose name was made to lead here
    /// (DNS rebinding) asks under its own name.
    fn own_authority(&self, headers: &HeaderMap) -> Option<String> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next()?.to_str().ok()?.to_ascii_lowercase();
        let is_own = self.own_authorities().any(|own| own == host) && hosts.next().is_none();
        is_own.then_some(host)
    }

    /// A present `Origin` must be ours.
    fn is_own_origin(&self, headers: &HeaderMap) -> bool {
        headers.get_all(ORIGIN).iter().all(|origin| {
            let origin = origin.to_str().unwrap_or_default();
            let own = origin.strip_prefix("http://").unwrap_or_default();
            self.own_authorities().any(|authority| authority == own)
        })
    }

    fn own_authorities(&self) -> impl Iterator<Item = String> {
        let port = self.port;
        ["127.0.0.1", "localhost", "[::1]"].into_iter().map(move |host| format!("{host}:{port}"))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && key.starts_with(client_key::PREFIX)).then_some(key)
}

fn is_looking_ahead(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-moz"].into_iter().any(|name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.to_ascii_lowercase().contains("prefetch"))
    })
}
