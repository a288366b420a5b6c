//! Dynamic client registration (RFC 7591).

mod management;

use http::{HeaderValue, Method, header};
use serde_json::{Map, Value, json};

pub use self::management::{delete, update, updated};
use crate::client_document::CLIENT_NAME;
use crate::error_code::ErrorCode;
use crate::metadata::AuthorizationServer;
use crate::registration::{AuthMethod, Management, Reason, Registration, RegistrationKind};
use crate::scope;
use crate::secret::Secret;
use crate::server_url::is_usable_endpoint;
use crate::text::Shown;
use crate::time::Timestamp;
use crate::token::{self, TokenFaults};
use crate::wire::{Request, Response};

/// What we ask to be registered as.
#[derive(Clone, Debug)]
pub struct Application<'a> {
    /// Where.
    pub endpoint: &'a str,
    /// The redirect URI in use, and no other.
    pub redirect_uri: &'a str,
    /// The scopes that will be asked for; empty to leave the choice to the server.
    pub scopes: &'a [String],
    /// The authentication method.
    pub auth_method: AuthMethod,
    /// Our version.
    pub version: &'a str,
}

/// The method to ask for: none wherever it is allowed, else the server's first that we speak.
/// `None` when it lists only methods that we do not speak.
pub fn auth_method(server: &AuthorizationServer) -> Option<AuthMethod> {
    match (&server.token_endpoint_auth_methods_supported, server.allows_public_clients()) {
        (None, _) | (_, Some(true)) => Some(AuthMethod::None),
        (Some(listed), _) => listed.iter().find_map(|name| AuthMethod::parse(name)),
    }
}

/// The registration request (RFC 7591 section 3.1).
pub fn request(application: &Application<'_>) -> Request {
    let mut body = json!({
        "client_name": CLIENT_NAME,
        "redirect_uris": [application.redirect_uri],
        "application_type": "native",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": application.auth_method.as_str(),
        "software_id": "dev.keyfob",
        "software_version": application.version,
    });
    if !application.scopes.is_empty() {
        body["scope"] = Value::from(scope::join(application.scopes));
    }
    let mut request = Request::get_json(application.endpoint);
    request.method = Method::POST;
    request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.body = body.to_string().into_bytes();
    request
}

/// Why there is no registration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// The server does not register clients from here (401, 403, 404, 405, 501).
    #[error("it registers no clients from here (HTTP {status})")]
    Closed {
        /// The status.
        status: u16,
    },
    /// It refused what we asked for (RFC 7591 section 3.2.2).
    #[error("it refused the registration ({error})")]
    Refused {
        /// The code.
        error: ErrorCode,
        /// What it said about it, cleaned.
        said: Option<Shown>,
    },
    /// Too many registrations, or it is out of order; later may do.
    #[error("it cannot register clients now (HTTP {status}{})", later(*retry_after))]
    NotNow {
        /// The status.
        status: u16,
        /// `Retry-After` in seconds.
        retry_after: Option<u64>,
    },
    /// The answer cannot be used.
    #[error("its answer cannot be used: {0}")]
    Unusable(&'static str),
}

/// What `Retry-After` says, for a person.
fn later(retry_after: Option<u64>) -> String {
    retry_after.map(|seconds| format!(", try again in {seconds} s")).unwrap_or_default()
}

/// Reads the answer (RFC 7591 section 3.2). The server may have changed any value: what it
/// returned is what counts.
///
/// # Errors
/// When there is no usable registration in it.
pub fn parse(
    response: &Response,
    server: &AuthorizationServer,
    asked: AuthMethod,
    redirect_uri: &str,
    reason: Reason,
    now: Timestamp,
) -> Result<Registration, RegistrationError> {
    let body = information(response)?;
    let string = |name: &str| body.get(name).and_then(Value::as_str).filter(|s| !s.is_empty());
    let client_id =
        string("client_id").ok_or(RegistrationError::Unusable("it has no client_id"))?;
    check_client_id(client_id)?;
    let secret = client_secret(&body)?;
    let auth_method = match (string("token_endpoint_auth_method"), &secret) {
        (Some(name), Some(_)) => match AuthMethod::parse(name) {
            // A secret that came along although no method wants it is expected back (Figma).
            Some(AuthMethod::None) => AuthMethod::ClientSecretPost,
            Some(method) => method,
            None => {
                return Err(RegistrationError::Unusable(
                    "its token_endpoint_auth_method is unknown",
                ));
            }
        },
        (Some(name), None) => match AuthMethod::parse(name) {
            Some(AuthMethod::None) => AuthMethod::None,
            _ => return Err(RegistrationError::Unusable("it wants a secret and gave none")),
        },
        (None, Some(_)) if asked == AuthMethod::None => AuthMethod::with_secret(server),
        (None, Some(_)) => asked,
        (None, None) => AuthMethod::None,
    };
    check_redirect(&body, redirect_uri)?;
    let management = match (string("registration_client_uri"), string("registration_access_token"))
    {
        (Some(uri), Some(token)) if is_usable_endpoint(uri) && can_manage(token) => {
            Some(Management {
                uri: uri.to_owned(),
                token: Secret::new(token),
                registered: registered(&body),
                renewed_at: None,
            })
        }
        _ => None,
    };
    Ok(Registration {
        kind: RegistrationKind::Dcr,
        client_id: client_id.to_owned(),
        secret,
        auth_method,
        issuer: server.issuer.clone(),
        redirect_uri: redirect_uri.to_owned(),
        scopes: string("scope").filter(|said| said.len() <= scope::LONGEST).map(scope::split),
        registered_at: now,
        secret_expires_at: secret_end(&body),
        reason,
        management,
    })
}

/// A client information response (RFC 7591 section 3.2.1, RFC 7592 section 3).
fn information(response: &Response) -> Result<Map<String, Value>, RegistrationError> {
    let body = response.json_object();
    match response.status {
        200 | 201 => body.ok_or(RegistrationError::Unusable("it is not JSON")),
        429 | 500 | 502..=599 => {
            let retry_after = response.retry_after();
            Err(RegistrationError::NotNow { status: response.status, retry_after })
        }
        status => {
            let member = |name| body.as_ref().and_then(|b| b.get(name)).and_then(Value::as_str);
            Err(match member("error") {
                Some(error) if status == 400 || status == 422 => RegistrationError::Refused {
                    error: ErrorCode::parse(error),
                    said: member("error_description").map(Shown::quotation),
                },
                _ => RegistrationError::Closed { status },
            })
        }
    }
}

/// Longest client id that is used, in bytes. It goes into links.
const LONGEST_CLIENT_ID: usize = 4096;

/// RFC 6749 appendix A.1: printable ASCII.
fn check_client_id(client_id: &str) -> Result<(), RegistrationError> {
    if client_id.len() > LONGEST_CLIENT_ID {
        return Err(RegistrationError::Unusable("its client_id has more than 4 kB"));
    }
    match client_id.bytes().all(is_vschar) {
        true => Ok(()),
        false => Err(RegistrationError::Unusable(
            "its client_id has characters other than printable ASCII",
        )),
    }
}

/// VSCHAR of RFC 6749 appendix A.
fn is_vschar(c: u8) -> bool {
    matches!(c, 0x20..=0x7e)
}

/// The client secret, where there is one (RFC 6749 appendix A.2).
fn client_secret(body: &Map<String, Value>) -> Result<Option<Secret>, RegistrationError> {
    let secret = body.get("client_secret").and_then(Value::as_str).filter(|s| !s.is_empty());
    let Some(secret) = secret else { return Ok(None) };
    if secret.len() > token::LONGEST_TOKEN {
        return Err(RegistrationError::Unusable("its client_secret has more than 16 kB"));
    }
    match secret.bytes().all(is_vschar) {
        true => Ok(Some(Secret::new(secret))),
        false => Err(RegistrationError::Unusable(
            "its client_secret has characters other than printable ASCII",
        )),
    }
}

/// Whether a registration access token can be kept and sent. Without one there is no management,
/// and the registration serves all the same.
fn can_manage(token: &str) -> bool {
    let unsaid = TokenFaults { too_long: "", not_visible: "" };
    token::check_token(token, unsaid).is_ok()
}

fn check_redirect(body: &Map<String, Value>, uri: &str) -> Result<(), RegistrationError> {
    let returned = body.get("redirect_uris").and_then(Value::as_array);
    if returned.is_some_and(|list| !list.iter().any(|known| known.as_str() == Some(uri))) {
        return Err(RegistrationError::Unusable("it registered another redirect URI"));
    }
    Ok(())
}

/// When the secret ends; 0 stands for never.
fn secret_end(body: &Map<String, Value>) -> Option<Timestamp> {
    let seconds = body.get("client_secret_expires_at").and_then(Value::as_u64);
    let seconds = seconds.filter(|seconds| *seconds > 0)?;
    Some(Timestamp(seconds.saturating_mul(1000)))
}

/// What a server returns beside the client metadata, and an update must not send or need not (RFC
/// 7592 section 2.2).
const NOT_METADATA: [&str; 6] = [
    "client_id",
    "client_secret",
    "client_id_issued_at",
    "client_secret_expires_at",
    "registration_client_uri",
    "registration_access_token",
];

/// Most client metadata that is kept, in bytes: it goes into the keychain.
const MOST_METADATA: usize = 8 * 1024;

/// The client metadata in an answer; `None` where it is too much to be kept.
fn registered(body: &Map<String, Value>) -> Option<Secret> {
    let mut metadata = body.clone();
    metadata.retain(|name, _| !NOT_METADATA.contains(&name.as_str()));
    let text = Value::Object(metadata).to_string();
    (text.len() <= MOST_METADATA).then(|| Secret::new(text))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use serde_json::{Value, json};

    use super::{Application, RegistrationError, auth_method, parse, request};
    use crate::error_code::ErrorCode;
    use crate::metadata::AuthorizationServer;
    use crate::registration::{AuthMethod, Reason, ReasonCode, Registration};
    use crate::time::Timestamp;
    use crate::wire::Response;

    const REDIRECT: &str = "http://127.0.0.1:15393/callback";

    fn server(methods: Option<&[&str]>) -> AuthorizationServer {
        AuthorizationServer {
            token_endpoint_auth_methods_supported: methods
                .map(|list| list.iter().map(|m| (*m).to_owned()).collect()),
            ..AuthorizationServer::guessed("https://a")
        }
    }

    fn read(status: u16, body: &Value) -> Result<Registration, RegistrationError> {
        let response =
            Response { status, headers: HeaderMap::new(), body: body.to_string().into_bytes() };
        let reason = Reason::new(ReasonCode::NotOffered);
        parse(&response, &server(None), AuthMethod::None, REDIRECT, reason, Timestamp(1))
    }

    #[test]
    fn the_request_says_what_we_are() {
        let sent = request(&Application {
            endpoint: "https://a/register",
            redirect_uri: REDIRECT,
            scopes: &[],
            auth_method: AuthMethod::None,
            version: "1.2.3",
        });
        let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
        assert_eq!(body["application_type"], "native");
        assert_eq!(body["redirect_uris"], json!([REDIRECT]));
        assert_eq!(body["grant_types"], json!(["authorization_code", "refresh_token"]));
        assert!(body.get("scope").is_none());
    }

    #[test]
    fn the_method_is_none_where_allowed_else_one_that_we_speak() {
        assert_eq!(auth_method(&server(None)), Some(AuthMethod::None));
        let listed = ["client_secret_post", "none"];
        assert_eq!(auth_method(&server(Some(&listed))), Some(AuthMethod::None));
        let listed = ["private_key_jwt", "client_secret_post"];
        assert_eq!(auth_method(&server(Some(&listed))), Some(AuthMethod::ClientSecretPost));
        assert_eq!(auth_method(&server(Some(&["tls_client_auth"]))), None);
    }

    #[test]
    fn what_the_server_returned_counts() {
        for status in [200, 201] {
            let made = read(status, &json!({"client_id": "c"})).expect("a registration");
            assert_eq!((made.client_id.as_str(), made.auth_method), ("c", AuthMethod::None));
        }
        let body = json!({"client_id": "c", "client_secret": "s", "client_secret_expires_at": 5,
            "token_endpoint_auth_method": "client_secret_basic"});
        let made = read(201, &body).expect("a registration");
        assert_eq!(made.auth_method, AuthMethod::ClientSecretBasic);
        assert_eq!(made.secret_expires_at, Some(Timestamp(5000)));
        let body = json!({"client_id": "c", "client_secret": "s",
            "token_endpoint_auth_method": "none", "client_secret_expires_at": 0});
        let made = read(201, &body).expect("a registration");
        assert_eq!(made.auth_method, AuthMethod::ClientSecretPost);
        assert_eq!(made.secret_expires_at, None);
    }

    #[test]
    fn a_registration_for_another_redirect_uri_is_useless() {
        let body = json!({"client_id": "c", "redirect_uris": ["https://elsewhere"]});
        assert!(matches!(read(201, &body), Err(RegistrationError::Unusable(_))));
    }

    /// RFC 6749 appendix A.1.
    #[test]
    fn a_client_id_is_printable_ascii_of_at_most_4_kb() {
        let long = "c".repeat(4096);
        for good in ["c", "https://h/c?x=1", "a b|c!*~", &long] {
            let made = read(201, &json!({"client_id": good})).expect("a registration");
            assert_eq!(made.client_id, good);
        }
        let longer = "c".repeat(4097);
        for bad in ["c\n● forged", "c\u{1b}[2J", "c\u{9b}2J", "c\u{202e}", "ü", "\t", &longer] {
            let made = read(201, &json!({"client_id": bad}));
            let Err(RegistrationError::Unusable(why)) = made else { panic!("{bad:?}: {made:?}") };
            assert!(why.contains("client_id"), "{why}");
        }
    }

    #[test]
    fn what_a_registration_brings_along_is_bounded() {
        let long = "s".repeat(16 * 1024 + 1);
        for bad in ["s\u{1b}[2J", "s\n", "ü", &long] {
            let body = json!({"client_id": "c", "client_secret": bad});
            assert!(matches!(read(201, &body), Err(RegistrationError::Unusable(_))));
            let body = json!({"client_id": "c", "registration_client_uri": "https://a/c",
                "registration_access_token": bad});
            let made = read(201, &body).expect("a registration that cannot be managed");
            assert!(made.management.is_none());
        }
        let body = json!({"client_id": "c", "scope": "a b\u{1b}[2J c"});
        let made = read(201, &body).expect("a registration");
        assert_eq!(made.scopes, Some(vec!["a".to_owned(), "c".to_owned()]));
    }

    #[test]
    fn refusals_are_told_apart() {
        assert!(matches!(read(403, &json!("Forbidden")), Err(RegistrationError::Closed { .. })));
        assert!(matches!(read(404, &json!({})), Err(RegistrationError::Closed { status: 404 })));
        let busy = read(429, &json!({})).expect_err("it is busy");
        assert_eq!(busy.to_string(), "it cannot register clients now (HTTP 429)");
        let busy = RegistrationError::NotNow { status: 429, retry_after: Some(30) };
        assert!(busy.to_string().ends_with("(HTTP 429, try again in 30 s)"), "{busy}");
        let refused = read(400, &json!({"error": "invalid_redirect_uri"}));
        assert!(matches!(
            refused,
            Err(RegistrationError::Refused { error: ErrorCode::InvalidRedirectUri, .. })
        ));
        assert!(matches!(read(201, &json!("x")), Err(RegistrationError::Unusable(_))));
    }
}
