//! A server that is to be put on the list, checked before anything changes.

use keyfob_auth::{Secret, ServerUrl};

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

/// A command that asks for what cannot be.
pub(super) fn usage(cause: impl ToString) -> Problem {
    Problem::new(Code::Usage).with("cause", cause.to_string())
}

/// Checks a new server before anything changes.
pub(super) fn checked(
    new: &NewServer,
    is_taken: impl Fn(&str) -> bool,
) -> Result<ServerConfig, Problem> {
    let url = checked_url(&new.url)?;
    let name = match &new.name {
        Some(name) => checked_name(name, is_taken)?,
        None => suggest_name(&url, is_taken),
    };
    if let Some(issuer) = &new.issuer {
        check_issuer(issuer)?;
    }
    let client_id = checked_client_id(new.client_id.as_deref())?;
    if new.client_secret.is_some() && client_id.is_none() {
        return Err(usage("a client secret needs its client id: --client-id"));
    }
    let secrets = new.extension_secrets();
    let has_secret = new.client_secret.is_some();
    extensions::check(&new.extensions, &secrets, client_id.as_deref(), has_secret)
        .map_err(usage)?;
    for (header, value) in &new.headers {
        check_header(header, value)?;
    }
    let server = ServerConfig {
        id: config::new_id()?,
        name,
        url: url.as_str().to_owned(),
        issuer: new.issuer.clone(),
        client_id,
        scopes: new.scopes.clone(),
        parameters: new.parameters.clone(),
        scope_parameter: new.scope_parameter.clone(),
        headers: new.headers.iter().map(|(name, _)| name.clone()).collect(),
        enabled: true,
        allow_guessed_endpoints: new.allow_guessed_endpoints,
        allow_unadvertised_pkce: false,
        extensions: new.extensions.clone(),
    };
    check_parameters(&server)?;
    Ok(server)
}

/// A server's URL, from what a person typed.
pub(super) fn checked_url(url: &str) -> Result<ServerUrl, Problem> {
    ServerUrl::parse(url).map_err(|cause| {
        Problem::new(Code::InvalidUrl)
            .with("url", keyfob_auth::text::without_query(url))
            .with("cause", cause)
    })
}

/// A name that can be a server's and is not yet.
pub(super) fn checked_name(name: &str, is_taken: impl Fn(&str) -> bool) -> Result<String, Problem> {
    check_name(name).map_err(usage)?;
    if is_taken(name) {
        return Err(Problem::new(Code::NameTaken).with("name", name));
    }
    Ok(name.to_owned())
}

/// A client id, from what a person typed. An empty one is none, wherever it was left empty.
pub(super) fn checked_client_id(id: Option<&str>) -> Result<Option<String>, Problem> {
    let id = id.map(str::trim).filter(|id| !id.is_empty());
    if id.is_some_and(|id| id.chars().any(char::is_control)) {
        return Err(usage("a client id is a line of text; the provider shows it"));
    }
    Ok(id.map(str::to_owned))
}

/// Checks what is to be an issuer.
pub(super) fn check_issuer(issuer: &str) -> Result<(), Problem> {
    if keyfob_auth::server_url::is_usable_endpoint(issuer) {
        return Ok(());
    }
    Err(usage(format_args!("a sign-in service has an https URL, which {issuer} is not")))
}

/// Checks a header of the user's own.
pub(super) fn check_header(name: &str, value: &Secret) -> Result<(), Problem> {
    let lower = name.to_ascii_lowercase();
    if lower.parse::<http::HeaderName>().is_err() || NOT_OWN.contains(&lower.as_str()) {
        return Err(usage(format_args!("{name} cannot be a header of your own")));
    }
    if value.is_empty() || http::HeaderValue::from_str(value.expose()).is_err() {
        let cause = format_args!("the value for the header {name} is empty or cannot be sent");
        return Err(usage(cause));
    }
    Ok(())
}

/// Checks the parameters that a server's authorization request is to have.
pub(super) fn check_parameters(server: &ServerConfig) -> Result<(), Problem> {
    match server.unfit_parameter() {
        Some(name) => Err(usage(format_args!("{name} cannot be a parameter of your own"))),
        None => Ok(()),
    }
}
