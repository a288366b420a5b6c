//! A server that is to be put on the list, checked before anything changes.

use keyfob_auth::ServerUrl;

use crate::config::{self, ServerConfig};
use crate::control::protocol::NewServer;
use crate::extensions;
use crate::problem::{Code, Problem};
use crate::server_name::{check_name, suggest_name};

/// Headers that cannot be the user's own: they belong to the hop, or to the gateway.
const NOT_OWN: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "upgrade",
    "te",
    "trailer",
    "expect",
];

/// The gateway is no server: requests would go round in circles.
pub(super) fn is_own_address(url: &str) -> Problem {
    Problem::new(Code::InvalidUrl).with("url", url).with("cause", "it is Keyfob's own address")
}

/// Checks a new server before anything changes.
pub(super) fn checked(
    new: &NewServer,
    is_taken: impl Fn(&str) -> bool,
) -> Result<ServerConfig, Problem> {
    let usage = |cause: String| Problem::new(Code::Usage).with("cause", cause);
    let url = ServerUrl::parse(&new.url).map_err(|cause| {
        Problem::new(Code::InvalidUrl)
            .with("url", keyfob_auth::text::without_query(&new.url))
            .with("cause", cause)
    })?;
    let name = match &new.name {
        Some(name) => {
            check_name(name).map_err(|cause| usage(cause.to_string()))?;
            if is_taken(name) {
                return Err(Problem::new(Code::NameTaken).with("name", name));
            }
            name.clone()
        }
        None => suggest_name(&url, is_taken),
    };
    if let Some(issuer) = &new.issuer
        && !keyfob_auth::server_url::is_usable_endpoint(issuer)
    {
        return Err(usage(format!("--issuer takes an https URL, not {issuer}")));
    }
    // An empty one is none, wherever it was left empty.
    let client_id = new.client_id.as_deref().map(str::trim).filter(|id| !id.is_empty());
    if client_id.is_some_and(|id| id.chars().any(char::is_control)) {
        return Err(usage("a client id is a line of text; the provider shows it".to_owned()));
    }
    if new.client_secret.is_some() && client_id.is_none() {
        return Err(usage("a client secret needs its client id: --client-id".to_owned()));
    }
    let secrets = new.extension_secrets();
    let has_secret = new.client_secret.is_some();
    extensions::check(&new.extensions, &secrets, client_id, has_secret)
        .map_err(|cause| usage(cause.to_owned()))?;
    for (header, value) in &new.headers {
        let lower = header.to_ascii_lowercase();
        let is_fit =
            lower.parse::<http::HeaderName>().is_ok() && !NOT_OWN.contains(&lower.as_str());
        if !is_fit {
            return Err(usage(format!("{header} cannot be a header of your own")));
        }
        if value.is_empty() || http::HeaderValue::from_str(value.expose()).is_err() {
            return Err(usage(format!(
                "the value for the header {header} is empty or cannot be sent"
            )));
        }
    }
    let server = ServerConfig {
        id: config::new_id()?,
        name,
        url: url.as_str().to_owned(),
        issuer: new.issuer.clone(),
        client_id: client_id.map(str::to_owned),
        scopes: new.scopes.clone(),
        parameters: new.parameters.clone(),
        scope_parameter: new.scope_parameter.clone(),
        headers: new.headers.iter().map(|(name, _)| name.clone()).collect(),
        enabled: true,
        allow_guessed_endpoints: new.allow_guessed_endpoints,
        allow_unadvertised_pkce: false,
        extensions: new.extensions.clone(),
    };
    match server.unfit_parameter() {
        Some(name) => Err(usage(format!("{name} cannot be a parameter of your own"))),
        None => Ok(server),
    }
}
