//! Identity assertions (ID-JAG): the one server vouches for its user at another, as a company's
//! identity provider does (RFC 8693, RFC 7523).

use serde_json::json;

use super::Authority;
use super::authorize::resource;
use super::clients::{Client, Origin};
use super::grants::Request;
use super::switches::Switches;
use super::token::{Outcome, tokens};
use crate::call::{Answer, Pairs, param};
use crate::random::secret;

const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// What was vouched for.
#[derive(Debug, Clone)]
pub(super) struct Assertion {
    audience: String,
    resource: Option<String>,
}

/// The provider's part: an ID token for an assertion.
pub(super) fn vouch(authority: &Authority, client: &Client, form: &Pairs) -> Outcome {
    let bad = |text: &str| ("invalid_request", text.to_owned());
    if param(form, "requested_token_type") != Some(ID_JAG)
        || param(form, "subject_token_type") != Some(ID_TOKEN)
    {
        return Err(bad("only ID tokens are exchanged, for identity assertions"));
    }
    let audience = param(form, "audience").ok_or_else(|| bad("no audience"))?;
    let subject = param(form, "subject_token").ok_or_else(|| bad("no subject_token"))?;
    let mut store = authority.store.lock().expect("store");
    if store.id_tokens.get(subject) != Some(&client.id) {
        return Err(("invalid_grant", "not an ID token of this client".to_owned()));
    }
    let assertion = secret("jag-");
    let resource = param(form, "resource").map(str::to_owned);
    let audience = audience.to_owned();
    store.assertions.insert(assertion.clone(), Assertion { audience, resource });
    let body = json!({"access_token": assertion, "issued_token_type": ID_JAG, "token_type": "N_A"});
    Ok(Answer::json(200, &body, "vouched").with("pragma", "no-cache"))
}

/// The other's part: an assertion for an access token.
pub(super) fn redeem(
    authority: &Authority,
    switches: &Switches,
    client: &Client,
    form: &Pairs,
) -> Outcome {
    if client.origin != Origin::Static || client.secret.is_none() {
        return Err(("unauthorized_client", "this client may not bring assertions".to_owned()));
    }
    let bad = |text: &str| ("invalid_grant", text.to_owned());
    let presented = param(form, "assertion").ok_or_else(|| bad("no assertion"))?;
    let resource = resource(authority, switches, form).map_err(|text| ("invalid_target", text))?;
    let believed = authority.believes.lock().expect("provider").clone();
    let provider = believed.ok_or_else(|| bad("nobody is believed here"))?;
    let assertion = provider.store.lock().expect("store").assertions.remove(presented);
    let assertion = assertion.ok_or_else(|| bad("unknown, or used before"))?;
    if assertion.audience != authority.issuer || assertion.resource != resource {
        return Err(bad("it is for another service or server"));
    }
    let request = Request {
        client: client.clone(),
        redirect_uri: String::new(),
        state: None,
        challenge: String::new(),
        resource,
        scope: Vec::new(),
    };
    let mut store = authority.store.lock().expect("store");
    let grant = store.new_grant(request.clone());
    Ok(tokens(&mut store, switches, grant, &request, None, "believed"))
}
