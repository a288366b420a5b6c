//! A host of client documents: TLS on loopback under a certificate authority of its own.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::call::{Answer, Call};
use crate::host::{Host, Later, Site};
use crate::journal::{Journal, Kind};

/// What stands at a path.
#[derive(Debug, Clone)]
pub enum Document {
    /// This JSON, with `client_id` set to the URL that was asked for.
    Json(Value),
    /// These bytes as `application/json`, untouched.
    Bytes(Vec<u8>),
    /// 404.
    Missing,
    /// A good document as `text/html`.
    Html(Value),
    /// A redirect to this path.
    Redirect(String),
    /// A good document, late.
    Slow(Value, Duration),
    /// A document that names another client.
    WrongClientId(Value),
    /// A document with a secret in it.
    WithSecret(Value),
    /// A document above 5 KB.
    TooBig(Value),
    /// 401 with this challenge, as of an MCP server.
    Challenge(String),
}

/// The running host; it ends when dropped.
pub struct DocumentHost {
    shelf: Arc<Shelf>,
    host: Host,
    ca_pem: String,
    ca_file: NamedTempFile,
    tls: TlsAcceptor,
}

struct Shelf {
    documents: Mutex<HashMap<String, Document>>,
    journal: Journal,
}

/// A document that every careful server accepts, for tests that need no product.
pub fn sample_document() -> Value {
    json!({
        "client_name": "Sample client",
        "client_uri": "https://client.example/",
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/callback", "http://localhost/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "token_endpoint_auth_methods_supported": ["none"],
    })
}

impl DocumentHost {
    /// Starts with nothing on the shelf.
    pub async fn start() -> Self {
        let (ca_pem, tls) = certificates();
        let ca_file = tempfile::Builder::new().suffix(".pem").tempfile().expect("a temp file");
        std::fs::write(ca_file.path(), &ca_pem).expect("a temp file");
        let host = Host::start(Some(tls.clone())).await;
        let shelf = Arc::new(Shelf { documents: Mutex::default(), journal: Journal::default() });
        host.add(Arc::clone(&shelf) as Arc<dyn Site>);
        Self { shelf, host, ca_pem, ca_file, tls }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.host.port())
    }

    /// Puts a document at a path and gives its URL.
    pub fn put(&self, path: &str, document: Document) -> String {
        self.shelf.documents.lock().expect("shelf").insert(path.to_owned(), document);
        self.url(path)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.host.port()
    }

    /// The certificate of the authority, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A file with the certificate of the authority.
    pub fn ca_file(&self) -> &Path {
        self.ca_file.path()
    }

    /// The certificate for this machine under that authority, and its key.
    pub fn tls(&self) -> TlsAcceptor {
        self.tls.clone()
    }

    /// Who asked for what.
    pub fn journal(&self) -> &Journal {
        &self.shelf.journal
    }
}

fn certificates() -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, "Keyfob test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_key = KeyPair::generate().expect("a key");
    let ca = params.self_signed(&ca_key).expect("a certificate");
    let issuer = Issuer::new(params, ca_key);

    // The names that end in example are reached through a proxy of ours, or in a network of ours.
    let names = [
        "localhost",
        "127.0.0.1",
        "::1",
        "mcp.example",
        "other.example",
        "as.example",
        "login.example",
    ];
    let mut leaf = CertificateParams::new(names.map(str::to_owned).to_vec()).expect("good names");
    leaf.distinguished_name.push(DnType::CommonName, "localhost");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().expect("a key");
    let certificate = leaf.signed_by(&key, &issuer).expect("a certificate");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate and its key");
    (ca.pem(), TlsAcceptor::from(Arc::new(config)))
}

impl Site for Shelf {
    fn claims(&self, _path: &str) -> bool {
        true
    }

    fn kind(&self, _call: &Call) -> Kind {
        Kind::Document
    }

    fn journal(&self) -> &Journal {
        &self.journal
    }

    fn answer(self: Arc<Self>, call: Call) -> Later<Answer> {
        let document = self.documents.lock().expect("shelf").get(&call.path).cloned();
        let host = call.header("host").unwrap_or_default().to_owned();
        let id = format!("https://{host}{}", call.path);
        Box::pin(async move {
            match document {
                None | Some(Document::Missing) => Answer::empty(404, "missing"),
                Some(Document::Json(body)) => good(&named(body, &id)),
                Some(Document::Bytes(bytes)) => {
                    Answer::new(200, "application/json", bytes, "as is")
                }
                Some(Document::Html(body)) => {
                    Answer::new(200, "text/html", named(body, &id).to_string(), "as HTML")
                }
                Some(Document::Redirect(to)) => Answer::redirect(&to, "redirected"),
                Some(Document::Slow(body, wait)) => {
                    tokio::time::sleep(wait).await;
                    good(&named(body, &id))
                }
                Some(Document::WrongClientId(body)) => {
                    good(&named(body, "https://other.example/client.json"))
                }
                Some(Document::WithSecret(body)) => {
                    let mut body = named(body, &id);
                    body["client_secret"] = json!("not a secret any more");
                    good(&body)
                }
                Some(Document::Challenge(challenge)) => {
                    Answer::empty(401, "sign-in wanted").with("www-authenticate", &challenge)
                }
                Some(Document::TooBig(body)) => {
                    let mut body = named(body, &id);
                    body["padding"] = json!("x".repeat(6 * 1024));
                    good(&body)
                }
            }
        })
    }
}

fn named(mut body: Value, id: &str) -> Value {
    body["client_id"] = json!(id);
    body
}

fn good(body: &Value) -> Answer {
    Answer::new(200, "application/json", body.to_string(), "served")
        .with("cache-control", "public, max-age=3600")
        .with("x-content-type-options", "nosniff")
}
