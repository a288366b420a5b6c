//! Token, refresh and revocation requests, and what comes back (RFC 6749 sections 4.1.3, 5 and 6,
//! RFC 7009).
//!
//! The requests are built by the `oauth2` crate; a one-shot client captures what it would send.

mod limits;

use std::borrow::Cow;
use std::cell::RefCell;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use oauth2::basic::{BasicClient, BasicTokenType};
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, ExtraTokenFields, HttpRequest,
    HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken, RevocationUrl, Scope,
    StandardRevocableToken, StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::form_urlencoded::{self, Serializer};

pub use self::limits::LONGEST_TOKEN;
pub(crate) use self::limits::{TokenFaults, check_token};
use crate::error_code::ErrorCode;
use crate::jwt;
use crate::registration::{AuthMethod, Registration};
use crate::scope;
use crate::secret::Secret;
use crate::text::Shown;
use crate::time::Timestamp;
use crate::wire::{Request, Response};

/// Tokens as they were issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The access token.
    pub access: Secret,
    /// The refresh token, where there is one.
    pub refresh: Option<Secret>,
    /// When they came.
    pub issued_at: Timestamp,
    /// When the access token ends; `None` when the server did not say.
    pub expires_at: Option<Timestamp>,
    /// The granted scopes, where the server said (RFC 6749 section 5.1: absent means as asked).
    pub scopes: Option<Vec<String>>,
    /// How many words among them are no scopes (RFC 6749 appendix A.4) and were left out.
    pub odd_scopes: usize,
    /// Who signed in, as far as the ID token tells; for display only.
    pub account: Option<Shown>,
    /// The ID token, where there is one; only an identity provider is shown it again.
    pub id_token: Option<Secret>,
}

/// Why there are no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The server said no (RFC 6749 section 5.2), with whatever status.
    #[error("the sign-in service refused ({error})")]
    Refused {
        /// The code.
        error: ErrorCode,
        /// What it said about it, cleaned.
        said: Option<Shown>,
    },
    /// It cannot answer now: 429, 5xx, or a page where JSON belongs.
    #[error("the sign-in service cannot answer now (HTTP {status})")]
    NotNow {
        /// The status.
        status: u16,
        /// `Retry-After` in seconds.
        retry_after: Option<u64>,
    },
    /// The answer cannot be used.
    #[error("the sign-in service's answer cannot be used: {0}")]
    Unusable(&'static str),
}

/// The request that redeems a code (RFC 6749 section 4.1.3). `None` when an endpoint is no URL.
pub fn exchange(
    registration: &Registration,
    token_endpoint: &str,
    code: &Secret,
    verifier: &Secret,
    resource: Option<&str>,
) -> Option<Request> {
    let redirect = RedirectUrl::new(registration.redirect_uri.clone()).ok()?;
    let client = client(registration).set_token_uri(TokenUrl::new(token_endpoint.to_owned()).ok()?);
    let mut request = client
        .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
        .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()))
        .set_redirect_uri(Cow::Owned(redirect));
    if let Some(resource) = resource {
        request = request.add_extra_param("resource", resource);
    }
    capture(token_endpoint, |send| {
        let _ = request.request(send);
    })
}

/// The request that refreshes (RFC 6749 section 6). It names no scope: what was granted stays.
pub fn refresh(
    registration: &Registration,
    token_endpoint: &str,
    refresh_token: &Secret,
    resource: Option<&str>,
) -> Option<Request> {
    let client = client(registration).set_token_uri(TokenUrl::new(token_endpoint.to_owned()).ok()?);
    let token = RefreshToken::new(refresh_token.expose().to_owned());
    let mut request = client.exchange_refresh_token(&token);
    if let Some(resource) = resource {
        request = request.add_extra_param("resource", resource);
    }
    capture(token_endpoint, |send| {
        let _ = request.request(send);
    })
}

/// The request for a token in the client's own name (RFC 6749 section 4.4.2).
pub fn client_credentials(
    registration: &Registration,
    token_endpoint: &str,
    scopes: &[String],
    resource: Option<&str>,
) -> Option<Request> {
    let client = client(registration).set_token_uri(TokenUrl::new(token_endpoint.to_owned()).ok()?);
    let mut request =
        client.exchange_client_credentials().add_scopes(scopes.iter().cloned().map(Scope::new));
    if let Some(resource) = resource {
        request = request.add_extra_param("resource", resource);
    }
    capture(token_endpoint, |send| {
        let _ = request.request(send);
    })
}

/// Which token a revocation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An access token.
    Access,
    /// A refresh token.
    Refresh,
}

/// The request that revokes a token (RFC 7009 section 2.1).
pub fn revoke(
    registration: &Registration,
    endpoint: &str,
    token: &Secret,
    kind: TokenKind,
) -> Option<Request> {
    // The crate refuses plain http, which loopback servers use; the real endpoint is set below.
    let stand_in = RevocationUrl::new("https://revocation.invalid/".to_owned()).ok()?;
    let client = client(registration).set_revocation_url(stand_in);
    let text = token.expose().to_owned();
    let token = match kind {
        TokenKind::Access => StandardRevocableToken::AccessToken(oauth2::AccessToken::new(text)),
        TokenKind::Refresh => StandardRevocableToken::RefreshToken(RefreshToken::new(text)),
    };
    let request = client.revoke_token(token).ok()?;
    capture(endpoint, |send| {
        let _ = request.request(send);
    })
}

/// What a token is good for by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// Whoever has it may use it (RFC 6750).
    Bearer,
    /// It is bound to a key (RFC 9449 section 5).
    Dpop,
}

/// Reads a token endpoint's answer to a request for a bearer token.
///
/// # Errors
/// When there are no usable tokens in it.
pub fn parse(response: &Response, now: Timestamp) -> Result<Tokens, TokenError> {
    parse_as(TokenType::Bearer, response, now)
}

/// Reads a token endpoint's answer. A token of another type than was asked for is not used:
/// a bearer token in place of a bound one would lack what the user insists on (RFC 9449 section 5).
///
/// # Errors
/// When there are no usable tokens in it.
pub fn parse_as(
    wanted: TokenType,
    response: &Response,
    now: Timestamp,
) -> Result<Tokens, TokenError> {
    let mut normal = normalize(response)?;
    for (name, faults) in limits::TOKENS {
        let token = normal.get(name).and_then(Value::as_str).unwrap_or_default();
        check_token(token, faults).map_err(TokenError::Unusable)?;
    }
    let said = normal.remove("scope");
    let said = said.as_ref().and_then(Value::as_str).unwrap_or_default();
    if said.len() > scope::LONGEST {
        return Err(TokenError::Unusable("its list of scopes has more than 4 kB"));
    }
    let odd_scopes = scope::count_odd(said);
    let scopes = Some(scope::split(said)).filter(|scopes| !scopes.is_empty());
    let parsed: StandardTokenResponse<IdToken, BasicTokenType> =
        serde_json::from_value(Value::Object(normal))
            .map_err(|_| TokenError::Unusable("it has no access token"))?;
    let is_dpop = |name: &str| name.eq_ignore_ascii_case("dpop");
    match (wanted, parsed.token_type()) {
        (TokenType::Bearer, BasicTokenType::Bearer) => {}
        (TokenType::Dpop, BasicTokenType::Extension(name)) if is_dpop(name) => {}
        (TokenType::Bearer, _) => return Err(TokenError::Unusable("its token type is not Bearer")),
        (TokenType::Dpop, _) => {
            return Err(TokenError::Unusable("its token is not bound to a key (DPoP)"));
        }
    }
    let access = Secret::new(parsed.access_token().secret().clone());
    if access.is_empty() {
        return Err(TokenError::Unusable("its access token is empty"));
    }
    let refresh = parsed.refresh_token().map(|t| Secret::new(t.secret().clone()));
    Ok(Tokens {
        access,
        refresh: refresh.filter(|t| !t.is_empty()),
        issued_at: now,
        expires_at: parsed.expires_in().map(|life| now.plus(life)),
        scopes,
        odd_scopes,
        account: parsed.extra_fields().account(),
        id_token: parsed.extra_fields().id_token.clone().map(Secret::new),
    })
}

/// Adds client authentication by hand, where the `oauth2` crate has no request of the kind
/// (pushed authorization requests). `None` when a header cannot hold it.
pub(crate) fn authenticate(
    registration: &Registration,
    headers: &mut HeaderMap,
    body: &mut Serializer<'_, String>,
) -> Option<()> {
    match (&registration.secret, registration.auth_method) {
        (Some(secret), AuthMethod::ClientSecretBasic) => {
            // RFC 6749 section 2.3.1: both are form-encoded before they are joined.
            let encode =
                |t: &str| form_urlencoded::byte_serialize(t.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encode(&registration.client_id), encode(secret.expose()));
            let mut value =
                HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        (Some(secret), AuthMethod::ClientSecretPost) => {
            body.append_pair("client_secret", secret.expose());
        }
        // The assertion is added by whoever knows the time.
        (_, AuthMethod::None | AuthMethod::PrivateKeyJwt) | (None, _) => {}
    }
    body.append_pair("client_id", &registration.client_id);
    Some(())
}

fn client(registration: &Registration) -> BasicClient {
    let client = BasicClient::new(ClientId::new(registration.client_id.clone()));
    match (&registration.secret, registration.auth_method) {
        (Some(secret), AuthMethod::ClientSecretBasic) => client
            .set_client_secret(ClientSecret::new(secret.expose().to_owned()))
            .set_auth_type(AuthType::BasicAuth),
        (Some(secret), AuthMethod::ClientSecretPost) => client
            .set_client_secret(ClientSecret::new(secret.expose().to_owned()))
            .set_auth_type(AuthType::RequestBody),
        (_, AuthMethod::None | AuthMethod::PrivateKeyJwt) | (None, _) => client,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("captured")]
struct Captured;

type Send<'a> = &'a dyn Fn(HttpRequest) -> Result<HttpResponse, Captured>;

fn capture(endpoint: &str, run: impl FnOnce(&Send<'_>)) -> Option<Request> {
    let caught = RefCell::new(None);
    let send = |request: HttpRequest| -> Result<HttpResponse, Captured> {
        *caught.borrow_mut() = Some(request);
        Err(Captured)
    };
    let send: Send<'_> = &send;
    run(&send);
    let (parts, body) = caught.take()?.into_parts();
    let mut headers = parts.headers;
    for value in headers.values_mut() {
        value.set_sensitive(true);
    }
    Some(Request { method: parts.method, url: endpoint.to_owned(), headers, body })
}

/// Brings what servers in the field answer into the shape of RFC 6749 section 5.1: a form instead
/// of JSON, 201 for 200, an error with status 200, a number in quotes, no token type.
fn normalize(response: &Response) -> Result<Map<String, Value>, TokenError> {
    let mut body = match response.json_object() {
        Some(body) => body,
        None if response.media_type().as_deref() == Some("application/x-www-form-urlencoded") => {
            form_urlencoded::parse(&response.body)
                .map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())))
                .collect()
        }
        None => return Err(not_json(response)),
    };
    if let Some(error) = body.get("error").and_then(Value::as_str) {
        let error = ErrorCode::parse(error);
        if matches!(error, ErrorCode::ServerError | ErrorCode::TemporarilyUnavailable) {
            return Err(not_now(response));
        }
        let said = body.get("error_description").and_then(Value::as_str).map(Shown::quotation);
        return Err(TokenError::Refused { error, said });
    }
    if !matches!(response.status, 200 | 201) {
        return Err(not_now(response));
    }
    if !body.get("access_token").is_some_and(Value::is_string) {
        return Err(TokenError::Unusable("it has no access token"));
    }
    let life = body.remove("expires_in").and_then(|life| match life {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    });
    if let Some(life) = life.filter(|life| life.is_finite() && *life > 0.0) {
        body.insert(
            "expires_in".into(),
            Value::from(Duration::from_secs_f64(life.min(1e10)).as_secs()),
        );
    }
    if !body.get("token_type").is_some_and(Value::is_string) {
        body.insert("token_type".into(), Value::from("Bearer"));
    }
    for name in ["refresh_token", "scope", "id_token"] {
        if body.get(name).is_some_and(|value| !value.is_string()) {
            body.remove(name);
        }
    }
    Ok(body)
}

fn not_json(response: &Response) -> TokenError {
    match response.status {
        200 | 201 => TokenError::Unusable("it is not JSON"),
        _ => not_now(response),
    }
}

fn not_now(response: &Response) -> TokenError {
    TokenError::NotNow { status: response.status, retry_after: response.retry_after() }
}

/// The one extra member that we read; it is never kept.
#[derive(Deserialize, Serialize)]
struct IdToken {
    #[serde(default, skip_serializing)]
    id_token: Option<String>,
}

impl std::fmt::Debug for IdToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[id token]")
    }
}

impl ExtraTokenFields for IdToken {}

/// Whom an access token is for, where it is a JWT that says so (RFC 9068 section 2.2); it is not
/// verified, so good for an explanation and for nothing else.
pub fn audience(access: &Secret) -> Option<Vec<String>> {
    match jwt::claims(access.expose())?.get("aud")? {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(many) => {
            Some(many.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => None,
    }
}

impl IdToken {
    /// A readable name. The token came straight from the token endpoint over TLS, which stands in
    /// for its signature (OpenID Connect Core section 3.1.3.7).
    fn account(&self) -> Option<Shown> {
        let claims = jwt::claims(self.id_token.as_deref()?)?;
        ["email", "preferred_username", "name"]
            .into_iter()
            .find_map(|claim| claims.get(claim).and_then(Value::as_str))
            .map(Shown::quotation)
            .filter(|name| !name.is_empty())
    }
}

#[cfg(test)]
mod tests;
