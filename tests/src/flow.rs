//! An OAuth client driven by hand, for tests of the authorization server itself: every request
//! can be bent before it is sent.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::authserver::AuthorizationServer;
use crate::call::{Pairs, encode_pairs, param};
use crate::random::secret;

/// The redirect URI that flows use; nobody listens there.
pub const REDIRECT: &str = "http://127.0.0.1:45678/callback";

/// One client, one sign-in.
pub struct Flow {
    http: reqwest::Client,
    base: String,
    /// The client id.
    pub client_id: String,
    /// The PKCE verifier.
    pub verifier: String,
    /// The `state`.
    pub state: String,
    /// The resource.
    pub resource: String,
}

/// An answer.
#[derive(Debug)]
pub struct Got {
    /// The status.
    pub status: u16,
    /// `Location`.
    pub location: Option<String>,
    /// The media type.
    pub media_type: String,
    /// The body.
    pub text: String,
}

impl Got {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// A parameter of the redirect.
    pub fn in_redirect(&self, name: &str) -> Option<String> {
        let url = Url::parse(self.location.as_deref()?).ok()?;
        url.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned())
    }

    /// Is this an error page, as a refusal of the client or its redirect URI must be?
    pub fn is_page(&self) -> bool {
        self.status == 400 && self.location.is_none() && self.media_type.starts_with("text/html")
    }

    /// The `error` of a JSON answer.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }
}

impl Flow {
    /// A flow of this client against this server.
    pub fn new(authority: &AuthorizationServer, client_id: &str, resource: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .build()
            .expect("an HTTP client");
        Self {
            http,
            base: format!("{}/oauth/", authority.origin()),
            client_id: client_id.to_owned(),
            verifier: secret("verifier-of-a-good-length-"),
            state: secret(""),
            resource: resource.to_owned(),
        }
    }

    /// Registers by RFC 7591 and takes the client id.
    pub async fn register(authority: &AuthorizationServer, resource: &str) -> Self {
        let mut flow = Self::new(authority, "", resource);
        let got = flow.post_json("register", &good_registration()).await;
        assert_eq!(got.status, 201, "{got:?}");
        got.json()["client_id"].as_str().expect("a client id").clone_into(&mut flow.client_id);
        flow
    }

    /// The parameters of a good authorization request.
    pub fn request(&self) -> Pairs {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier));
        [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", REDIRECT),
            ("state", &self.state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", &self.resource),
        ]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .to_vec()
    }

    /// The parameters of a good code exchange.
    pub fn exchange(&self, code: &str) -> Pairs {
        [
            ("grant_type", "authorization_code"),
            ("client_id", &self.client_id),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", &self.verifier),
            ("resource", &self.resource),
        ]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .to_vec()
    }

    /// The parameters of a good refresh.
    pub fn refresh(&self, token: &str) -> Pairs {
        [
            ("grant_type", "refresh_token"),
            ("client_id", &self.client_id),
            ("refresh_token", token),
            ("resource", &self.resource),
        ]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .to_vec()
    }

    /// Sends an authorization request.
    pub async fn authorize(&self, pairs: &Pairs) -> Got {
        let url = format!("{}authorize?{}", self.base, encoded(pairs));
        got(self.http.get(url)).await
    }

    /// Sends a good authorization request and takes the code.
    pub async fn code(&self) -> String {
        let got = self.authorize(&self.request()).await;
        got.in_redirect("code").unwrap_or_else(|| panic!("no code: {got:?}"))
    }

    /// Sends a form to a back-channel endpoint.
    pub async fn post(&self, endpoint: &str, pairs: &Pairs) -> Got {
        self.post_as(endpoint, pairs, None).await
    }

    /// Sends a form with an `Authorization` header.
    pub async fn post_as(&self, endpoint: &str, pairs: &Pairs, credential: Option<&str>) -> Got {
        let mut request = self
            .http
            .post(format!("{}{endpoint}", self.base))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(encoded(pairs));
        if let Some(credential) = credential {
            request = request.header("authorization", credential);
        }
        got(request).await
    }

    /// Sends JSON to an endpoint.
    pub async fn post_json(&self, endpoint: &str, body: &Value) -> Got {
        let request = self
            .http
            .post(format!("{}{endpoint}", self.base))
            .header("content-type", "application/json")
            .body(body.to_string());
        got(request).await
    }

    /// Signs in whole; gives access token and refresh token.
    pub async fn tokens(&self) -> (String, String) {
        let code = self.code().await;
        let got = self.post("token", &self.exchange(&code)).await;
        assert_eq!(got.status, 200, "{got:?}");
        let body = got.json();
        let take = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (take("access_token"), take("refresh_token"))
    }
}

/// A registration request that a strict server takes.
pub fn good_registration() -> Value {
    json!({
        "client_name": "By hand",
        "application_type": "native",
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    })
}

/// The same parameters with one replaced; an empty value removes it.
pub fn bent(pairs: &Pairs, name: &str, value: &str) -> Pairs {
    assert!(param(pairs, name).is_some() || !value.is_empty(), "{name} is not there to remove");
    let mut bent: Pairs = pairs.iter().filter(|(n, _)| n != name).cloned().collect();
    if !value.is_empty() {
        bent.push((name.to_owned(), value.to_owned()));
    }
    bent
}

fn encoded(pairs: &Pairs) -> String {
    encode_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())))
}

async fn got(request: reqwest::RequestBuilder) -> Got {
    let response = request.send().await.expect("the fixture answers");
    let header =
        |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    Got {
        status: response.status().as_u16(),
        location: header("location"),
        media_type: header("content-type").unwrap_or_default(),
        text: response.text().await.unwrap_or_default(),
    }
}
