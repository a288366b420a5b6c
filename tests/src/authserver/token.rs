//! The token endpoint (RFC 6749 section 4.1.3 and 6) and the revocation endpoint (RFC 7009).

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::authorize::resource;
use super::clients::{Client, Origin, invalid_client, oauth_error};
use super::grants::{Request, Store};
use super::metadata::replace;
use super::switches::{Cimd, Refresh, Switches};
use super::{Authority, assertion};
use crate::call::{Answer, Call, Pairs, param};
use crate::random::secret;

pub(super) fn token(authority: &Authority, call: &Call) -> Answer {
    if let Some(answer) = outage(authority) {
        return answer;
    }
    if call.media_type() != "application/x-www-form-urlencoded" || !call.query.is_empty() {
        return oauth_error(400, "invalid_request", "parameters belong into a form body");
    }
    let form = call.form();
    let client = match authority.authenticate(call, &form) {
        Ok(client) => client,
        Err(answer) => return answer,
    };
    let switches = authority.switches();
    let grant_type = param(&form, "grant_type");
    if client.origin == Origin::Cimd {
        match (&switches.cimd, grant_type) {
            (Cimd::Off | Cimd::RefusedByPage | Cimd::RefusedAtToken, _)
            | (Cimd::RefusedAtRefresh, Some("refresh_token")) => {
                return invalid_client(false, "client documents are not accepted here");
            }
            _ => {}
        }
    }
    if grant_type == Some("refresh_token") {
        if let Some(status) = switches.refresh_status {
            let body = json!({"message": "something is wrong"});
            return Answer::json(status, &body, "refused without a code");
        }
        if switches.no_resource_at_refresh && param(&form, "resource").is_some() {
            return oauth_error(400, "invalid_request", "resource is not known here");
        }
    }
    let outcome = match grant_type {
        Some("authorization_code") => exchange(authority, &switches, &client, &form),
        Some("client_credentials") => own_name(authority, &switches, &client, &form),
        Some("urn:ietf:params:oauth:grant-type:token-exchange") => {
            assertion::vouch(authority, &client, &form)
        }
        Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => {
            assertion::redeem(authority, &switches, &client, &form)
        }
        Some("refresh_token") => refresh(authority, &switches, &client, &form),
        Some(other) => Err(("unsupported_grant_type", other.to_owned())),
        None => Err(("invalid_request", "no grant_type".to_owned())),
    };
    match outcome {
        Ok(answer) => answer,
        Err((error, text)) => oauth_error(400, error, &text),
    }
}

fn outage(authority: &Authority) -> Option<Answer> {
    let mut outage = authority.outage.lock().expect("outage");
    outage.remaining = outage.remaining.checked_sub(1)?;
    let text = "<html><body>Down for maintenance</body></html>";
    Some(
        Answer::new(outage.status, "text/html", text, "outage")
            .with("retry-after", &outage.retry_after.to_string()),
    )
}

pub(super) type Outcome = Result<Answer, (&'static str, String)>;

fn exchange(authority: &Authority, switches: &Switches, client: &Client, form: &Pairs) -> Outcome {
    let bad = |text: &str| ("invalid_grant", text.to_owned());
    let missing = |name: &str| ("invalid_request", format!("no {name}"));
    let presented = param(form, "code").ok_or_else(|| missing("code"))?;
    let redirect_uri = param(form, "redirect_uri").ok_or_else(|| missing("redirect_uri"))?;
    let verifier = param(form, "code_verifier").ok_or_else(|| missing("code_verifier"))?;
    let named = resource(authority, switches, form).map_err(|text| ("invalid_target", text))?;
    let mut store = authority.store.lock().expect("store");
    let code = store.codes.get(presented).ok_or_else(|| bad("unknown code"))?;
    if code.request.client.id != client.id {
        return Err(bad("the code was given to another client"));
    }
    // RFC 6749 section 4.1.2: a code that comes twice takes with it what it gave.
    if let Some(grant) = code.grant {
        store.revoke(grant);
        return Err(bad("the code was used before; its tokens are revoked"));
    }
    if Instant::now() > code.until {
        return Err(bad("the code is too old"));
    }
    if code.request.redirect_uri != redirect_uri {
        return Err(bad("redirect_uri differs from the one of the authorization request"));
    }
    check_verifier(verifier, &code.request.challenge)?;
    if code.request.resource != named {
        return Err(("invalid_target", "resource differs from the one asked for".to_owned()));
    }
    let request = code.request.clone();
    let grant = store.new_grant(request.clone());
    if let Some(code) = store.codes.get_mut(presented) {
        code.grant = Some(grant);
    }
    let refresh = (switches.refresh != Refresh::Never && client.may_refresh)
        .then(|| store.new_refresh(grant));
    Ok(tokens(&mut store, switches, grant, &request, refresh, "code exchanged"))
}

/// RFC 6749 section 4.4: a confidential client in its own name.
fn own_name(authority: &Authority, switches: &Switches, client: &Client, form: &Pairs) -> Outcome {
    if client.origin != Origin::Static || client.secret.is_none() {
        return Err(("unauthorized_client", "this client has no name of its own".to_owned()));
    }
    let resource = resource(authority, switches, form).map_err(|text| ("invalid_target", text))?;
    let scope = param(form, "scope").unwrap_or_default();
    let request = Request {
        client: client.clone(),
        redirect_uri: String::new(),
        state: None,
        challenge: String::new(),
        resource,
        scope: scope.split_ascii_whitespace().map(str::to_owned).collect(),
    };
    let mut store = authority.store.lock().expect("store");
    let grant = store.new_grant(request.clone());
    Ok(tokens(&mut store, switches, grant, &request, None, "client credentials"))
}

/// RFC 7636 section 4.6.
fn check_verifier(verifier: &str, challenge: &str) -> Result<(), (&'static str, String)> {
    let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    if !(43..=128).contains(&verifier.len()) || !verifier.chars().all(unreserved) {
        return Err(("invalid_request", "code_verifier has the wrong form".to_owned()));
    }
    if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == challenge {
        Ok(())
    } else {
        Err(("invalid_grant", "code_verifier does not fit the challenge".to_owned()))
    }
}

fn refresh(authority: &Authority, switches: &Switches, client: &Client, form: &Pairs) -> Outcome {
    let bad = |text: &str| ("invalid_grant", text.to_owned());
    let presented = param(form, "refresh_token")
        .ok_or_else(|| ("invalid_request", "no refresh_token".to_owned()))?;
    let named = resource(authority, switches, form).map_err(|text| ("invalid_target", text))?;
    let mut store = authority.store.lock().expect("store");
    let grant = *store.refresh.get(presented).ok_or_else(|| bad("unknown refresh token"))?;
    let held = &store.grants[grant];
    if held.request.client.id != client.id {
        return Err(bad("the refresh token was given to another client"));
    }
    if held.revoked {
        return Err(bad("the grant is revoked"));
    }
    if held.refresh.as_deref() != Some(presented) {
        if switches.refresh == Refresh::RotateMildly {
            return Err(bad("the refresh token was used before"));
        }
        store.revoke(grant);
        return Err(bad("the refresh token was used before; the grant is revoked"));
    }
    let request = held.request.clone();
    if named.is_some() && request.resource != named {
        return Err(("invalid_target", "resource differs from the one granted".to_owned()));
    }
    if let Some(scope) = param(form, "scope")
        && scope.split(' ').any(|s| !request.scope.iter().any(|had| had == s))
    {
        return Err(("invalid_scope", "more than was granted".to_owned()));
    }
    let next = match switches.refresh {
        Refresh::Rotate | Refresh::RotateMildly => Some(store.new_refresh(grant)),
        Refresh::Keep => None,
        Refresh::Never => return Err(bad("refresh tokens are not in use")),
    };
    Ok(tokens(&mut store, switches, grant, &request, next, "refreshed"))
}

pub(super) fn tokens(
    store: &mut Store,
    switches: &Switches,
    grant: usize,
    request: &Request,
    refresh: Option<String>,
    decision: &str,
) -> Answer {
    let access = store.new_access(grant, switches.access_token_seconds);
    let mut body = json!({"access_token": access, "token_type": "Bearer"});
    if switches.tells_expiry {
        body["expires_in"] = json!(switches.access_token_seconds);
    }
    if !request.scope.is_empty() {
        body["scope"] = Value::String(request.scope.join(" "));
    }
    // OpenID Connect Core section 3.1.3.3.
    if request.scope.iter().any(|scope| scope == "openid") {
        let id_token = secret("idt-");
        store.id_tokens.insert(id_token.clone(), request.client.id.clone());
        store.issued.identity.push(id_token.clone());
        body["id_token"] = Value::String(id_token);
    }
    if let Some(refresh) = refresh {
        body["refresh_token"] = Value::String(refresh);
    }
    if let Value::Object(body) = &mut body {
        replace(body, &switches.token_fields);
    }
    Answer::json(200, &body, decision).with("pragma", "no-cache")
}

pub(super) fn revoke(authority: &Authority, call: &Call) -> Answer {
    let form = call.form();
    let client = match authority.authenticate(call, &form) {
        Ok(client) => client,
        Err(answer) => return answer,
    };
    let Some(token) = param(&form, "token") else {
        return oauth_error(400, "invalid_request", "no token");
    };
    let mut store = authority.store.lock().expect("store");
    let grant = store.refresh.get(token).copied();
    let grant = grant.or_else(|| store.access.get(token).map(|a| a.grant));
    match grant {
        Some(grant) if store.grants[grant].request.client.id == client.id => {
            store.revoke(grant);
            Answer::empty(200, "revoked")
        }
        // RFC 7009 section 2.2: an unknown token is as good as revoked.
        Some(_) | None => Answer::empty(200, "nothing of this client's to revoke"),
    }
}
