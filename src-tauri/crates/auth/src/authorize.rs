//! The authorization request and what comes back on the redirect URI.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, Method, header};
use oauth2::{
    AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
};
use url::{Url, form_urlencoded};

use crate::error_code::ErrorCode;
use crate::metadata::AuthorizationServer;
use crate::registration::Registration;
use crate::scope::{self, OFFLINE_ACCESS};
use crate::secret::Secret;
use crate::token;
use crate::wire::{Request, Response};

/// Randomness for one authorization request; used once.
#[derive(Clone)]
pub struct Entropy(pub [u8; 64]);

/// The two values that bind an authorization response to its request.
#[derive(Clone)]
pub struct Binding {
    /// `state` (RFC 6749 section 10.12), 256 bits.
    pub state: Secret,
    /// The PKCE code verifier (RFC 7636 section 4.1), 256 bits.
    pub verifier: Secret,
}

impl Binding {
    /// Makes both from fresh entropy.
    pub fn new(entropy: &Entropy) -> Self {
        let (state, verifier) = entropy.0.split_at(32);
        Self {
            state: Secret::new(URL_SAFE_NO_PAD.encode(state)),
            verifier: Secret::new(URL_SAFE_NO_PAD.encode(verifier)),
        }
    }
}

/// Parameters that Keyfob sets itself.
const NOT_OWN: [&str; 12] = [
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "redirect_uri",
    "request",
    "request_uri",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

/// Whether a user may add a parameter of this name to the authorization request.
pub fn may_be_added(name: &str) -> bool {
    let is_name = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~".contains(&c));
    is_name && !NOT_OWN.contains(&name)
}

/// What an authorization request is made of.
pub struct AuthorizationRequest<'a> {
    /// Where it goes.
    pub server: &'a AuthorizationServer,
    /// Who asks.
    pub registration: &'a Registration,
    /// What for.
    pub scopes: &'a [String],
    /// The resource indicator (RFC 8707).
    pub resource: Option<&'a str>,
    /// Parameters that the user adds.
    pub parameters: &'a [(String, String)],
    /// The parameter that carries the scopes, where it is not `scope` (Slack: `user_scope`).
    pub scope_parameter: Option<&'a str>,
    /// State and verifier.
    pub binding: &'a Binding,
}

impl AuthorizationRequest<'_> {
    /// The URL for the browser (RFC 6749 section 4.1.1, RFC 7636 section 4.3).
    ///
    /// `None` when an endpoint or redirect URI is no URL, which parsing has ruled out.
    pub fn url(&self) -> Option<String> {
        let redirect = RedirectUrl::new(self.registration.redirect_uri.clone()).ok()?;
        let verifier = PkceCodeVerifier::new(self.binding.verifier.expose().to_owned());
        let client =
            oauth2::basic::BasicClient::new(ClientId::new(self.registration.client_id.clone()))
                .set_auth_uri(AuthUrl::new(self.server.authorization_endpoint.clone()).ok()?);
        let state = CsrfToken::new(self.binding.state.expose().to_owned());
        let mut request = client
            .authorize_url(|| state)
            .set_redirect_uri(Cow::Owned(redirect))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        match self.scope_parameter.filter(|name| may_be_added(name)) {
            Some(name) if !self.scopes.is_empty() => {
                request = request.add_extra_param(name, scope::join(self.scopes));
            }
            Some(_) => {}
            None => request = request.add_scopes(self.scopes.iter().cloned().map(Scope::new)),
        }
        let is_free = |name: &str| may_be_added(name) && Some(name) != self.scope_parameter;
        for (name, value) in self.parameters.iter().filter(|(name, _)| is_free(name)) {
            request = request.add_extra_param(name.as_str(), value.as_str());
        }
        if let Some(resource) = self.resource {
            request = request.add_extra_param("resource", resource);
        }
        let has_prompt = self.parameters.iter().any(|(name, _)| name == "prompt");
        if !has_prompt && self.scopes.iter().any(|scope| scope == OFFLINE_ACCESS) {
            // OpenID Connect Core section 11: without it the server may ignore the scope.
            request = request.add_extra_param("prompt", "consent");
        }
        let (url, _) = request.url();
        // A form-decoder reads "+" and "%20" alike; a URI-decoder only the latter.
        let mut url = url;
        let query = url.query().map(|q| q.replace('+', "%20"));
        url.set_query(query.as_deref());
        Some(url.into())
    }

    /// The pushed form (RFC 9126 section 2.1): the same parameters with client authentication.
    pub fn push(&self, endpoint: &str) -> Option<Request> {
        let url = Url::parse(&self.url()?).ok()?;
        let own = Url::parse(&self.server.authorization_endpoint).ok()?;
        let own: Vec<_> = own.query_pairs().into_owned().collect();
        let mut body = form_urlencoded::Serializer::new(String::new());
        for (name, value) in url.query_pairs().into_owned().filter(|pair| !own.contains(pair)) {
            if name != "client_id" {
                body.append_pair(&name, &value);
            }
        }
        let mut request = Request::get_json(endpoint);
        request.method = Method::POST;
        token::authenticate(self.registration, &mut request.headers, &mut body)?;
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers.insert(header::CONTENT_TYPE, form);
        request.body = body.finish().into_bytes();
        Some(request)
    }

    /// The URL for the browser after a successful push (RFC 9126 section 4).
    pub fn pushed_url(&self, request_uri: &str) -> Option<String> {
        let mut url = Url::parse(&self.server.authorization_endpoint).ok()?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.registration.client_id)
            .append_pair("request_uri", request_uri);
        Some(url.into())
    }
}

/// What came to the redirect URI.
#[derive(Clone, Debug)]
pub struct AuthorizationResponse {
    /// Which request it answers.
    pub state: Secret,
    /// RFC 9207 section 2.
    pub iss: Option<String>,
    /// A code, or an error.
    pub outcome: Result<Secret, ErrorCode>,
}

/// Why a request to the redirect URI is no authorization response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAuthorizationResponse {
    /// No `state`, so it answers nothing of ours.
    #[error("it carries no state")]
    NoState,
    /// A parameter stands twice (RFC 6749 section 3.1).
    #[error("a parameter stands in it twice")]
    Repeated,
    /// Neither a code nor an error.
    #[error("it carries neither a code nor an error")]
    Empty,
}

impl AuthorizationResponse {
    /// Parses the query of a request to the redirect URI.
    ///
    /// # Errors
    /// When it is none; nothing may be changed by it then.
    pub fn parse(query: &str) -> Result<Self, BadAuthorizationResponse> {
        let (mut state, mut iss, mut code, mut error) = (None, None, None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "state" => &mut state,
                "iss" => &mut iss,
                "code" => &mut code,
                "error" => &mut error,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err(BadAuthorizationResponse::Repeated);
            }
        }
        let state = state.filter(|s| !s.is_empty()).ok_or(BadAuthorizationResponse::NoState)?;
        let outcome = match (error, code.filter(|c| !c.is_empty())) {
            (Some(error), _) => Err(ErrorCode::parse(&error)),
            (None, Some(code)) => Ok(Secret::new(code)),
            (None, None) => return Err(BadAuthorizationResponse::Empty),
        };
        Ok(Self { state: Secret::new(state), iss, outcome })
    }

    /// The same, out of a redirect that we were answered ourselves (the preflight).
    pub fn from_location(response: &Response, redirect_uri: &str) -> Option<Self> {
        let location = response.header("location")?;
        let (place, query) = location.split_once('?')?;
        if place != redirect_uri {
            return None;
        }
        Self::parse(query.split('#').next().unwrap_or_default()).ok()
    }
}

/// Why `iss` does not fit (RFC 9207 section 2.4).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadIssuer {
    /// It was promised and is absent.
    #[error(
        "the answer does not say which sign-in service it comes from, although that was promised"
    )]
    Missing,
    /// It names another issuer.
    #[error("the answer comes from another sign-in service")]
    Other,
}

/// Checks `iss` against the issuer recorded with the request: byte for byte, before any code goes
/// anywhere and before any error is believed.
///
/// # Errors
/// When the answer must be rejected.
pub fn check_issuer(iss: Option<&str>, server: &AuthorizationServer) -> Result<(), BadIssuer> {
    match iss {
        Some(iss) if iss == server.issuer => Ok(()),
        Some(_) if server.is_guessed => Ok(()),
        Some(_) => Err(BadIssuer::Other),
        None if server.authorization_response_iss_parameter_supported => Err(BadIssuer::Missing),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use url::Url;

    use super::{
        AuthorizationRequest, AuthorizationResponse, BadAuthorizationResponse, BadIssuer, Binding,
        Entropy, check_issuer,
    };
    use crate::error_code::ErrorCode;
    use crate::metadata::AuthorizationServer;
    use crate::registration::{AuthMethod, Reason, ReasonCode, Registration, RegistrationKind};
    use crate::time::Timestamp;

    fn server() -> AuthorizationServer {
        AuthorizationServer {
            authorization_endpoint: "https://a/authorize?tenant=x".into(),
            is_guessed: false,
            ..AuthorizationServer::guessed("https://a")
        }
    }

    fn registration() -> Registration {
        Registration {
            kind: RegistrationKind::Cimd,
            client_id: "https://k/client.json".into(),
            secret: None,
            auth_method: AuthMethod::None,
            issuer: "https://a".into(),
            redirect_uri: "http://127.0.0.1:15393/callback".into(),
            scopes: None,
            registered_at: Timestamp(0),
            secret_expires_at: None,
            reason: Reason::new(ReasonCode::OfferedAndAccepted),
            management: None,
        }
    }

    #[test]
    fn the_users_parameters_are_added_and_none_of_ours_is_replaced() {
        let (server, registration) = (server(), registration());
        let binding = Binding::new(&Entropy(std::array::from_fn(|at| at as u8)));
        let scopes = ["a".to_owned(), "offline_access".to_owned()];
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let parameters = [
            pair("audience", "x y"),
            pair("prompt", "login"),
            pair("user_scope", "twice"),
            pair("redirect_uri", "https://evil"),
            pair("state", "known"),
            pair("", "nothing"),
        ];
        let request = AuthorizationRequest {
            server: &server,
            registration: &registration,
            scopes: &scopes,
            resource: None,
            parameters: &parameters,
            scope_parameter: Some("user_scope"),
            binding: &binding,
        };
        let url = Url::parse(&request.url().expect("a URL")).expect("a URL");
        let push = request.push("https://a/par").expect("a request");
        let pushed = url::form_urlencoded::parse(&push.body).into_owned().collect::<Vec<_>>();
        for sent in [url.query_pairs().into_owned().collect(), pushed] {
            let all = |wanted: &str| {
                let found = sent.iter().filter(|(name, _)| name == wanted);
                found.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
            };
            assert_eq!(all("audience"), ["x y"]);
            assert_eq!(all("user_scope"), ["a offline_access"], "in place of scope, once");
            assert!(all("scope").is_empty());
            assert_eq!(all("prompt"), ["login"], "the user's word counts");
            assert_eq!(all("redirect_uri"), ["http://127.0.0.1:15393/callback"]);
            assert_eq!(all("state"), [binding.state.expose()]);
        }
    }

    #[test]
    fn the_request_carries_everything_and_keeps_the_endpoints_query() {
        let (server, registration) = (server(), registration());
        let binding = Binding::new(&Entropy(std::array::from_fn(|at| at as u8)));
        let scopes = ["a".to_owned(), "offline_access".to_owned()];
        let url = AuthorizationRequest {
            server: &server,
            registration: &registration,
            scopes: &scopes,
            resource: Some("https://h"),
            parameters: &[],
            scope_parameter: None,
            binding: &binding,
        }
        .url()
        .expect("a URL");
        assert!(!url.contains('+'), "spaces are %20: {url}");
        let url = Url::parse(&url).expect("a URL");
        let pairs: HashMap<_, _> = url.query_pairs().into_owned().collect();
        let has = |name: &str| pairs.get(name).map(String::as_str);
        assert_eq!(has("tenant"), Some("x"));
        assert_eq!(has("response_type"), Some("code"));
        assert_eq!(has("client_id"), Some("https://k/client.json"));
        assert_eq!(has("redirect_uri"), Some("http://127.0.0.1:15393/callback"));
        assert_eq!(has("code_challenge_method"), Some("S256"));
        assert_eq!(has("code_challenge").map(str::len), Some(43));
        assert_eq!(has("scope"), Some("a offline_access"));
        assert_eq!(has("prompt"), Some("consent"));
        assert_eq!(has("resource"), Some("https://h"), "no slash is added");
        assert_eq!(has("state"), Some(binding.state.expose()));
        assert!(!url.as_str().contains(binding.verifier.expose()));
    }

    #[test]
    fn the_response_is_parsed_or_ignored() {
        let parsed =
            AuthorizationResponse::parse("code=c&state=s&iss=https%3A%2F%2Fa").expect("one");
        assert_eq!(parsed.outcome.map(|c| c.expose().to_owned()), Ok("c".to_owned()));
        assert_eq!(parsed.iss.as_deref(), Some("https://a"));
        let parsed = AuthorizationResponse::parse("error=access_denied&state=s").expect("one");
        assert_eq!(parsed.outcome.err(), Some(ErrorCode::AccessDenied));
        let bad = |query| AuthorizationResponse::parse(query).err();
        assert_eq!(bad("code=c"), Some(BadAuthorizationResponse::NoState));
        assert_eq!(bad("state="), Some(BadAuthorizationResponse::NoState));
        assert_eq!(bad("state=s"), Some(BadAuthorizationResponse::Empty));
        for twice in
            ["state=s&code=a&code=b", "state=s&state=t&code=a", "state=s&iss=a&iss=a&code=c"]
        {
            assert_eq!(bad(twice), Some(BadAuthorizationResponse::Repeated), "{twice}");
        }
    }

    #[test]
    fn the_issuer_table() {
        let mut server = server();
        for (advertised, iss, expected) in [
            (true, Some("https://a"), Ok(())),
            (true, Some("https://a/"), Err(BadIssuer::Other)),
            (true, None, Err(BadIssuer::Missing)),
            (false, Some("https://a"), Ok(())),
            (false, Some("https://evil.example.com"), Err(BadIssuer::Other)),
            (false, None, Ok(())),
        ] {
            server.authorization_response_iss_parameter_supported = advertised;
            assert_eq!(check_issuer(iss, &server), expected, "{advertised} {iss:?}");
        }
    }
}
