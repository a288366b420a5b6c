//! All requests that the sign-in makes: no redirects, no cookies, capped in size and time, and
//! within the address rule.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use keyfob_auth::reach::Reach;
use keyfob_auth::server_url::is_loopback;
use keyfob_auth::text::Shown;
use keyfob_auth::wire::{NoAnswer, Request, Response};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder};
use url::Url;

use crate::problem::{Code, Problem};
use crate::reach::{self, Beyond, Lookup, Within};
use crate::typed::Typed;

/// Largest answer that is read, in bytes.
const LARGEST: usize = 1024 * 1024;

/// Longest time for one request with its answer.
const LONGEST: Duration = Duration::from_secs(30);

/// Longest time to connect.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The clients that all requests of one profile go through.
#[derive(Clone, Debug)]
pub struct Fetch {
    public: Client,
    private: Client,
    /// For what the user typed, and what is named where that is this machine.
    anywhere: Client,
    /// For what the system's settings send through a proxy. It resolves no name but the proxy's.
    proxied: Client,
    proxies: Arc<Matcher>,
    lookup: Lookup,
}

/// The head of an answer, and the address that it came from; `None` through a proxy.
type Head = (reqwest::Response, Option<IpAddr>);

impl Fetch {
    /// Sets the clients up, trusting the system's certificates and those in `ca_file`.
    ///
    /// # Errors
    /// When the file cannot be used, or the system has no certificates at all.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, Problem> {
        Self::with(ca_file, reach::system, Matcher::from_system())
    }

    fn with(ca_file: Option<&Path>, lookup: Lookup, proxies: Matcher) -> Result<Self, Problem> {
        // Some servers compress whatever is asked for; the cap counts what comes out.
        let base =
            || -> Result<ClientBuilder, Problem> { Ok(base(ca_file)?.gzip(true).timeout(LONGEST)) };
        let build = |builder: ClientBuilder| builder.build().map_err(|error| no_client(&error));
        let direct = |limit| build(base()?.no_proxy().dns_resolver(Within { limit, lookup }));
        Ok(Self {
            public: direct(Reach::Public)?,
            private: direct(Reach::Private)?,
            anywhere: direct(Reach::Loopback)?,
            proxied: build(base()?)?,
            proxies: Arc::new(proxies),
            lookup,
        })
    }

    /// Sends a request and reads the answer. An event stream is read up to its first event.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn send(&self, request: Request, limit: Reach) -> Result<Response, NoAnswer> {
        let url = parse(&request)?;
        let (answer, _) = self.head(request, url, limit).await?;
        read(answer).await
    }

    /// The same as a part of a sign-in: as far as what the user typed for it reaches, of which this
    /// answer may show where it leads.
    ///
    /// # Errors
    /// As [`Fetch::send`].
    pub async fn ask(&self, request: Request, typed: &mut Typed) -> Result<Response, NoAnswer> {
        let url = parse(&request)?;
        let (answer, from) = self.head(request, url.clone(), typed.limit(&url)).await?;
        typed.answered(&url, from);
        read(answer).await
    }

    /// How far what `server` has named may reach once it is signed in to: as far as was `kept` with
    /// its grant. Without that, its name counts as the least private of its addresses.
    pub async fn reach(&self, kept: Option<Reach>, server: &str) -> Reach {
        let Ok(url) = Url::parse(server) else { return Reach::Public };
        if let Some(known) = kept.or(Reach::as_written(&url)) {
            return known;
        }
        let Some(name) = url.domain().filter(|_| !self.is_proxied(&url)) else {
            return Reach::Public;
        };
        let found = (self.lookup)(name.to_owned()).await.unwrap_or_default();
        reach::least(&found).unwrap_or(Reach::Public)
    }

    async fn head(&self, request: Request, url: Url, limit: Reach) -> Result<Head, NoAnswer> {
        if !limit.allows_literal(&url) {
            return Err(NoAnswer::Forbidden(Beyond.to_string().into()));
        }
        let is_proxied = self.is_proxied(&url);
        let client = match limit {
            _ if is_proxied => &self.proxied,
            Reach::Public => &self.public,
            Reach::Private => &self.private,
            Reach::Loopback => &self.anywhere,
        };
        let sent =
            client.request(request.method, url).headers(request.headers).body(request.body).send();
        let answer = sent.await.map_err(|error| no_answer(&error))?;
        let from = answer.remote_addr().filter(|_| !is_proxied).map(|address| address.ip());
        Ok((answer, from))
    }

    /// Whether the system's settings send this through a proxy. What leads to this machine is never
    /// sent to one: it could not reach it, and must not see it.
    fn is_proxied(&self, url: &Url) -> bool {
        let uri = || url.as_str().parse::<http::Uri>().ok();
        !is_loopback(url) && uri().is_some_and(|uri| self.proxies.intercept(&uri).is_some())
    }
}

fn parse(request: &Request) -> Result<Url, NoAnswer> {
    Url::parse(&request.url).map_err(|_| NoAnswer::Forbidden("its address is no URL".into()))
}

async fn read(mut answer: reqwest::Response) -> Result<Response, NoAnswer> {
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let is_stream = headers
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| no_answer(&error))? {
        if body.len() + chunk.len() > LARGEST {
            return Err(NoAnswer::TooLarge);
        }
        body.extend_from_slice(&chunk);
        if is_stream {
            break;
        }
    }
    Ok(Response { status, headers, body })
}

/// What all our clients have in common.
///
/// # Errors
/// When the file cannot be used.
pub fn base(ca_file: Option<&Path>) -> Result<ClientBuilder, Problem> {
    let mut builder = Client::builder()
        .redirect(Policy::none())
        // What a client is sent through the gateway comes byte for byte.
        .no_gzip()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(Duration::from_secs(60))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .tcp_nodelay(true)
        .referer(false)
        .user_agent(concat!("Keyfob/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = ca_file {
        let invalid = |cause: String| {
            Problem::new(Code::ConfigInvalid).with("file", file.display()).with("cause", cause)
        };
        let pem = std::fs::read(file).map_err(|error| invalid(error.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem)
            .map_err(|_| invalid("it holds no certificates in PEM form".to_owned()))?;
        if certificates.is_empty() {
            return Err(invalid("it holds no certificates in PEM form".to_owned()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    Ok(builder)
}

/// A client that cannot be built: in practice, a system without certificates.
pub fn no_client(error: &reqwest::Error) -> Problem {
    Problem::new(Code::TlsUntrusted).with("target", "every server").with(
        "cause",
        format_args!("this system has no usable certificates ({})", innermost(error)),
    )
}

/// Why there was no answer, in few words and without the URL.
pub fn no_answer(error: &reqwest::Error) -> NoAnswer {
    let causes = || std::iter::successors(error.source(), |cause| (*cause).source());
    if causes().any(|cause| cause.is::<Beyond>()) {
        return NoAnswer::Forbidden(Beyond.to_string().into());
    }
    if error.is_timeout() {
        return NoAnswer::Unreachable("it did not answer in time".into());
    }
    if causes().any(is_certificate_trouble) {
        return NoAnswer::Untrusted(innermost(error));
    }
    let kind = causes().find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(|e| e.kind());
    NoAnswer::Unreachable(match kind {
        Some(std::io::ErrorKind::ConnectionRefused) => "nothing answers there".into(),
        Some(std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::UnexpectedEof) => {
            "the connection was cut".into()
        }
        _ => innermost(error),
    })
}

fn is_certificate_trouble(cause: &(dyn StdError + 'static)) -> bool {
    // An I/O error does not name what it wraps as its source, and may wrap another one.
    let wrapped = std::iter::successors(Some(cause), |cause| {
        let inner = cause.downcast_ref::<std::io::Error>()?.get_ref()?;
        Some(inner as &(dyn StdError + 'static))
    });
    let mut tls = wrapped.filter_map(|cause| cause.downcast_ref::<rustls::Error>());
    tls.any(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
}

fn innermost(error: &reqwest::Error) -> Shown {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    match causes.last() {
        Some(cause) => Shown::quotation(&cause.to_string()),
        None => "the request failed".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use hyper_util::client::proxy::matcher::Matcher;
    use keyfob_auth::reach::Reach;
    use keyfob_auth::wire::{NoAnswer, Request};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use url::Url;

    use super::{Fetch, LARGEST};
    use crate::reach::{Found, Lookup};
    use crate::typed::Typed;

    /// Answers every connection with these bytes; gives its port and how many came.
    async fn answering(bytes: Vec<u8>) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let count = Arc::new(AtomicUsize::new(0));
        let came = count.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                came.fetch_add(1, Ordering::SeqCst);
                let bytes = bytes.clone();
                tokio::spawn(async move {
                    let mut asked = [0; 4096];
                    let _ = stream.read(&mut asked).await;
                    let _ = stream.write_all(&bytes).await;
                });
            }
        });
        (port, count)
    }

    fn answer(head: &str, body: &[u8]) -> Vec<u8> {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    async fn get(url: &str, limit: Reach) -> Result<keyfob_auth::wire::Response, NoAnswer> {
        let fetch = Fetch::new(None).expect("clients");
        fetch.send(Request::get_json(url), limit).await
    }

    /// 6.2-43, spec 3.10-6: a public server names this machine, by address or by name.
    #[tokio::test]
    async fn what_a_public_server_names_on_this_machine_is_never_connected_to() {
        let (port, came) = answering(answer("200 OK", b"{}")).await;
        for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433"] {
            for scheme in ["http", "https"] {
                for limit in [Reach::Public, Reach::Private] {
                    let url = format!("{scheme}://{host}:{port}/x");
                    let refused = get(&url, limit).await.expect_err(&url);
                    assert!(matches!(refused, NoAnswer::Forbidden(_)), "{url}: {refused:?}");
                }
            }
        }
        assert_eq!(came.load(Ordering::SeqCst), 0, "not even a connection");
        let found = get(&format!("http://127.0.0.1:{port}/x"), Reach::Loopback).await;
        assert_eq!(found.expect("an answer").status, 200, "where the user typed such an address");
    }

    fn with_names(lookup: Lookup) -> Fetch {
        Fetch::with(None, lookup, Matcher::builder().build()).expect("clients")
    }

    /// 6.2-43: the name of a hostile server leads to a public address when it is looked at, and to
    /// this machine ever after.
    #[tokio::test]
    async fn a_name_that_changes_its_address_between_check_and_use_reaches_nothing_private() {
        fn here(_: String) -> Found {
            Box::pin(async { Ok(vec![([127, 0, 0, 1], 0).into()]) })
        }
        let (port, came) = answering(answer("200 OK", b"{}")).await;
        let url = Url::parse(&format!("http://changing.example:{port}/x")).expect("a URL");
        let fetch = with_names(here);
        let mut typed = Typed::default();
        typed.add(&url, None);
        typed.answered(&url, Some([93, 184, 216, 34].into()));
        let refused = fetch.ask(Request::get_json(url.as_str()), &mut typed).await;
        assert!(matches!(refused, Err(NoAnswer::Forbidden(_))), "{refused:?}");
        for limit in [Reach::Public, Reach::Private] {
            let refused = fetch.send(Request::get_json(url.as_str()), limit).await;
            assert!(matches!(refused, Err(NoAnswer::Forbidden(_))), "{refused:?}");
        }
        assert_eq!(came.load(Ordering::SeqCst), 0, "not even a connection");
        let found = fetch.send(Request::get_json(url.as_str()), Reach::Loopback).await;
        assert_eq!(found.expect("an answer").status, 200, "it does lead there");
    }

    /// attack-B2: the class of a typed name is that of the address which answered under it.
    #[tokio::test]
    async fn a_typed_name_reaches_as_far_as_the_address_that_answered_under_it() {
        fn here(_: String) -> Found {
            Box::pin(async { Ok(vec![([127, 0, 0, 1], 0).into()]) })
        }
        let (port, came) = answering(answer("200 OK", b"{}")).await;
        let (elsewhere, there) = answering(answer("200 OK", b"{}")).await;
        let url = |port| format!("http://typed.example:{port}/x");
        let fetch = with_names(here);
        let mut typed = Typed::default();
        typed.add(&Url::parse(&url(port)).expect("a URL"), None);
        let early = fetch.ask(Request::get_json(url(elsewhere)), &mut typed).await;
        assert!(matches!(early, Err(NoAnswer::Forbidden(_))), "nothing is known yet: {early:?}");
        assert_eq!(there.load(Ordering::SeqCst), 0);
        for asked in [port, elsewhere] {
            let answer = fetch.ask(Request::get_json(url(asked)), &mut typed).await;
            assert_eq!(answer.expect("an answer").status, 200);
            assert_eq!(typed.reach(), Reach::Loopback);
        }
        assert_eq!(came.load(Ordering::SeqCst) + there.load(Ordering::SeqCst), 2);
    }

    /// attack-B2: a grant of an older version does not say how far it reaches.
    #[tokio::test]
    async fn a_grant_without_its_reach_counts_the_least_private_address_of_its_server() {
        fn names(name: String) -> Found {
            let found: &[[u8; 4]] = match name.as_str() {
                "both.example" => &[[127, 0, 0, 1], [10, 0, 0, 1], [93, 184, 216, 34]],
                "corp.example" => &[[10, 0, 0, 1], [127, 0, 0, 1]],
                "own.example" => &[[127, 0, 0, 1]],
                _ => &[],
            };
            let found = found.iter().map(|address| (*address, 0).into()).collect();
            Box::pin(async { Ok(found) })
        }
        let fetch = with_names(names);
        for (server, reach) in [
            ("https://both.example/mcp", Reach::Public),
            ("https://corp.example/mcp", Reach::Private),
            ("https://own.example/mcp", Reach::Loopback),
            ("https://unknown.example/mcp", Reach::Public),
            ("https://10.0.0.1/mcp", Reach::Private),
            ("http://localhost:1/mcp", Reach::Loopback),
            ("nonsense", Reach::Public),
        ] {
            assert_eq!(fetch.reach(None, server).await, reach, "{server}");
            assert_eq!(
                fetch.reach(Some(Reach::Private), server).await,
                match server {
                    "nonsense" => Reach::Public,
                    _ => Reach::Private,
                }
            );
        }
        let proxies = Matcher::builder().https("http://192.0.2.1:3128").build();
        let proxied = Fetch::with(None, names, proxies).expect("clients");
        for (server, reach) in [
            ("https://own.example/mcp", Reach::Public),
            ("https://10.0.0.1/mcp", Reach::Private),
            ("https://localhost:1/mcp", Reach::Loopback),
        ] {
            assert_eq!(proxied.reach(None, server).await, reach, "{server} through a proxy");
        }
    }

    /// 6.2-44: at most 1 MiB.
    #[tokio::test]
    async fn an_answer_is_read_up_to_a_mebibyte_and_no_further() {
        for (length, is_read) in [(LARGEST, true), (LARGEST + 1, false)] {
            let (port, _) = answering(answer("200 OK", &vec![b'x'; length])).await;
            let read = get(&format!("http://127.0.0.1:{port}/"), Reach::Loopback).await;
            match read {
                Ok(response) => assert!(is_read && response.body.len() == length),
                Err(error) => assert!(!is_read && error == NoAnswer::TooLarge, "{error:?}"),
            }
        }
    }

    /// T2g: a document comes compressed; a small one must not grow beyond the cap either.
    #[tokio::test]
    async fn a_compressed_answer_is_read_and_its_cap_counts_what_comes_out() {
        // `printf '{"a":1}' | gzip -n9`
        let small = [
            0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xab, 0x56, 0x4a, 0x54, 0xb2, 0x32, 0xac, 5, 0,
            0xaf, 0xac, 0x1b, 0x56, 7, 0, 0, 0,
        ];
        let head = "200 OK\r\ncontent-encoding: gzip\r\ncontent-type: application/json";
        let (port, _) = answering(answer(head, &small)).await;
        let read = get(&format!("http://127.0.0.1:{port}/"), Reach::Loopback).await;
        assert_eq!(read.expect("an answer").body, b"{\"a\":1}");

        let (port, _) = answering(answer(head, include_bytes!("../tests/two-mebibytes.gz"))).await;
        let read = get(&format!("http://127.0.0.1:{port}/"), Reach::Loopback).await;
        assert!(matches!(read, Err(NoAnswer::TooLarge)), "{read:?}");
    }

    /// 6.2-42: whoever redirects decides nothing.
    #[tokio::test]
    async fn a_redirect_is_returned_and_not_followed() {
        let (elsewhere, came) = answering(answer("200 OK", b"{}")).await;
        let head = format!("302 Found\r\nlocation: http://127.0.0.1:{elsewhere}/");
        let (port, _) = answering(answer(&head, b"")).await;
        let response = get(&format!("http://127.0.0.1:{port}/"), Reach::Loopback).await;
        assert_eq!(response.expect("an answer").status, 302);
        assert_eq!(came.load(Ordering::SeqCst), 0);
    }
}
