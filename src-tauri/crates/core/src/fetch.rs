//! All requests that the sign-in makes: no redirects, no cookies, capped in size and time, and
//! within the address rule.

use std::error::Error as StdError;
use std::path::Path;
use std::time::Duration;

use keyfob_auth::server_url::is_loopback;
use keyfob_auth::text::Shown;
use keyfob_auth::wire::{NoAnswer, Request, Response};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder};
use url::Url;

use crate::problem::{Code, Problem};
use crate::reach::{self, Beyond, Lookup, Reach, Within};

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
    /// For what the user typed that leads to this machine, and everything it names.
    anywhere: Client,
    /// The same without a proxy, which could not reach this machine and must not see what goes to it.
    loopback: Client,
}

impl Fetch {
    /// Sets the clients up, trusting the system's certificates and those in `ca_file`.
    ///
    /// # Errors
    /// When the file cannot be used, or the system has no certificates at all.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, Problem> {
        Self::with_lookup(ca_file, reach::system)
    }

    fn with_lookup(ca_file: Option<&Path>, lookup: Lookup) -> Result<Self, Problem> {
        let client = |limit: Reach| -> Result<ClientBuilder, Problem> {
            // Some servers compress whatever is asked for; the cap counts what comes out.
            let within = Within { limit, lookup };
            Ok(base(ca_file)?.gzip(true).timeout(LONGEST).dns_resolver(within))
        };
        let build = |builder: ClientBuilder| builder.build().map_err(|error| no_client(&error));
        Ok(Self {
            public: build(client(Reach::Public)?)?,
            private: build(client(Reach::Private)?)?,
            anywhere: build(client(Reach::Loopback)?)?,
            loopback: build(client(Reach::Loopback)?.no_proxy())?,
        })
    }

    /// Sends a request and reads the answer. An event stream is read up to its first event.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn send(&self, request: Request, limit: Reach) -> Result<Response, NoAnswer> {
        let url = Url::parse(&request.url)
            .map_err(|_| NoAnswer::Forbidden("its address is no URL".into()))?;
        if !limit.allows_literal(&url) {
            return Err(NoAnswer::Forbidden(Beyond.to_string().into()));
        }
        let client = match limit {
            _ if is_loopback(&url) => &self.loopback,
            Reach::Public => &self.public,
            Reach::Private => &self.private,
            Reach::Loopback => &self.anywhere,
        };
        if is_loopback(&url) && limit < Reach::Loopback {
            return Err(NoAnswer::Forbidden(Beyond.to_string().into()));
        }
        let sent =
            client.request(request.method, url).headers(request.headers).body(request.body).send();
        let mut answer = sent.await.map_err(|error| no_answer(&error))?;
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

    use keyfob_auth::wire::{NoAnswer, Request};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::{Fetch, LARGEST};
    use crate::reach::{Found, Reach};

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

    /// 6.2-43: the name of a hostile server leads to a public address when it is looked at, and to
    /// this machine ever after.
    #[tokio::test]
    async fn a_name_that_changes_its_address_between_check_and_use_reaches_nothing_private() {
        static LOOKED_UP: AtomicUsize = AtomicUsize::new(0);
        fn changing(_: String) -> Found {
            let is_first = LOOKED_UP.fetch_add(1, Ordering::SeqCst) == 0;
            let address = if is_first { [192, 0, 2, 1] } else { [127, 0, 0, 1] };
            Box::pin(async move { Ok(vec![(address, 0).into()]) })
        }
        let (port, came) = answering(answer("200 OK", b"{}")).await;
        let url = format!("http://changing.example:{port}/x");
        let checked = Reach::of_url_by(&url.parse().expect("a URL"), changing).await;
        assert_eq!(checked, Reach::Public, "a harmless server");
        let fetch = Fetch::with_lookup(None, changing).expect("clients");
        for limit in [checked, Reach::Private] {
            let refused = fetch.send(Request::get_json(&url), limit).await;
            assert!(matches!(refused, Err(NoAnswer::Forbidden(_))), "{refused:?}");
        }
        assert_eq!(came.load(Ordering::SeqCst), 0, "not even a connection");
        let found = fetch.send(Request::get_json(&url), Reach::Loopback).await;
        assert_eq!(found.expect("an answer").status, 200, "it does lead there");
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
