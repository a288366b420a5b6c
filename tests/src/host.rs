//! A loopback listener that serves one or more sites, plain or over TLS.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, RwLock};

use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::call::{Answer, Call, decode_pairs};
use crate::journal::{Journal, Kind};

/// A future that can be kept in a trait object.
pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// One server behind a listener.
pub trait Site: Send + Sync + 'static {
    /// Is this path mine? Of several sites the first that says so answers.
    fn claims(&self, path: &str) -> bool;
    /// What the request is for, for the journal.
    fn kind(&self, call: &Call) -> Kind;
    /// Where requests are noted.
    fn journal(&self) -> &Journal;
    /// Answers.
    fn answer(self: Arc<Self>, call: Call) -> Later<Answer>;
}

type Sites = Arc<RwLock<Vec<Arc<dyn Site>>>>;

/// A running listener on 127.0.0.1. It ends, with all its connections, when dropped.
pub struct Host {
    addr: SocketAddr,
    sites: Sites,
    task: JoinHandle<()>,
}

impl Host {
    /// Starts on a port of the system's choice.
    pub async fn start(tls: Option<TlsAcceptor>) -> Self {
        Self::start_at(0, tls).await
    }

    /// Starts on this port.
    pub async fn start_at(port: u16, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a loopback port");
        let addr = listener.local_addr().expect("bound");
        let sites = Sites::default();
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&sites)));
        Self { addr, sites, task }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Adds a site; earlier ones are asked first.
    pub fn add(&self, site: Arc<dyn Site>) {
        self.sites.write().expect("sites").push(site);
    }

    /// Adds a site that is asked before those that are there.
    pub fn add_first(&self, site: Arc<dyn Site>) {
        self.sites.write().expect("sites").insert(0, site);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, sites: Sites) {
    // Dropped with this task, and every connection with it: a stopped server must not live on
    // in somebody's kept-alive connection.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        connections.spawn(connection(stream, tls.clone(), Arc::clone(&sites)));
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, sites: Sites) {
    stream.set_nodelay(true).ok();
    match tls {
        None => http(stream, sites).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                http(stream, sites).await;
            }
        }
    }
}

async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, sites: Sites) {
    let service = hyper::service::service_fn(move |request| {
        let sites = Arc::clone(&sites);
        async move { Ok::<_, Infallible>(dispatch(request, &sites).await) }
    });
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

async fn dispatch(request: Request<hyper::body::Incoming>, sites: &Sites) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        return *Answer::empty(413, "too large").response;
    };
    let call = Call {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: decode_pairs(parts.uri.query().unwrap_or_default().as_bytes()),
        headers: parts.headers,
        body: body.to_bytes(),
    };
    let site = {
        let sites = sites.read().expect("sites");
        sites.iter().find(|s| s.claims(&call.path)).cloned()
    };
    let Some(site) = site else { return *Answer::empty(404, "nobody's path").response };
    let journal = site.journal().clone();
    let seq = journal.arrive(site.kind(&call), &call);
    let answer = site.answer(call).await;
    journal.settle(seq, answer.response.status().as_u16(), &answer.decision, answer.bearer);
    *answer.response
}
