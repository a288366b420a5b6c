//! Changing and deleting a dynamic registration (RFC 7592).

use http::{HeaderValue, Method, header};
use serde_json::{Map, Value};

use super::{
    RegistrationError, can_manage, check_redirect, client_secret, information, registered,
    secret_end,
};
use crate::registration::{AuthMethod, Management, Registration};
use crate::secret::Secret;
use crate::server_url::is_usable_endpoint;
use crate::time::Timestamp;
use crate::wire::{Request, Response};

/// The request that renews a registration, and with it its secret, before that ends: everything as
/// it is registered (RFC 7592 section 2.2). `None` where the server did not give the means.
pub fn update(registration: &Registration) -> Option<Request> {
    let management = registration.management.as_ref()?;
    let registered = management.registered.as_ref()?.expose();
    let mut body: Map<String, Value> = serde_json::from_str(registered).ok()?;
    body.insert("client_id".to_owned(), Value::from(registration.client_id.as_str()));
    let mut request = managing(management, Method::PUT)?;
    request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.body = Value::Object(body).to_string().into_bytes();
    Some(request)
}

/// The registration after an update. What the answer leaves out stays as it was; the tokens of it
/// that came before are of no more use (RFC 7592 section 3).
///
/// # Errors
/// When the answer is none, is about another client, or brings no later end of the secret.
pub fn updated(
    response: &Response,
    before: &Registration,
    now: Timestamp,
) -> Result<Registration, RegistrationError> {
    let body = information(response)?;
    let string = |name: &str| body.get(name).and_then(Value::as_str).filter(|s| !s.is_empty());
    if string("client_id") != Some(before.client_id.as_str()) {
        return Err(RegistrationError::Unusable("it is about another client"));
    }
    check_redirect(&body, &before.redirect_uri)?;
    let method = match string("token_endpoint_auth_method").map(AuthMethod::parse) {
        // As at the registration: a secret is expected back.
        None | Some(Some(AuthMethod::None)) => before.auth_method,
        Some(Some(method)) => method,
        Some(None) => {
            return Err(RegistrationError::Unusable("its token_endpoint_auth_method is unknown"));
        }
    };
    let secret = client_secret(&body)?;
    let end = match body.get("client_secret_expires_at") {
        Some(_) => secret_end(&body),
        None => before.secret_expires_at.filter(|_| secret.is_none()),
    };
    let is_later = match (end, before.secret_expires_at) {
        (Some(end), Some(before)) => end > before,
        (None, _) => true,
        (Some(_), None) => false,
    };
    if end.is_some_and(|end| end <= now) || (secret.is_none() && !is_later) {
        return Err(RegistrationError::Unusable("it renewed nothing"));
    }
    let management = before.management.as_ref().map(|management| Management {
        uri: match string("registration_client_uri") {
            Some(uri) if is_usable_endpoint(uri) => uri.to_owned(),
            Some(_) | None => management.uri.clone(),
        },
        token: string("registration_access_token")
            .filter(|token| can_manage(token))
            .map_or_else(|| management.token.clone(), Secret::new),
        registered: registered(&body),
        renewed_at: Some(now),
    });
    Ok(Registration {
        secret: secret.or_else(|| before.secret.clone()),
        auth_method: method,
        secret_expires_at: end,
        management,
        ..before.clone()
    })
}

/// The request that deletes a registration (RFC 7592 section 2.3).
pub fn delete(management: &Management) -> Option<Request> {
    managing(management, Method::DELETE)
}

fn managing(management: &Management, method: Method) -> Option<Request> {
    let mut request = Request::get_json(&management.uri);
    request.method = method;
    let bearer = format!("Bearer {}", management.token.expose());
    let mut value = HeaderValue::from_str(&bearer).ok()?;
    value.set_sensitive(true);
    request.headers.insert(header::AUTHORIZATION, value);
    Some(request)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};
    use serde_json::{Value, json};

    use super::{delete, update, updated};
    use crate::dcr::{RegistrationError, parse};
    use crate::metadata::AuthorizationServer;
    use crate::registration::{AuthMethod, Reason, ReasonCode, Registration};
    use crate::time::Timestamp;
    use crate::wire::Response;

    const REDIRECT: &str = "http://127.0.0.1:15393/callback";
    const DAY: u64 = 24 * 60 * 60;

    fn answer(status: u16, body: &Value) -> Response {
        Response { status, headers: HeaderMap::new(), body: body.to_string().into_bytes() }
    }

    /// What a server answers that has registered us with a secret for `days` days.
    fn information(days: u64) -> Value {
        json!({
            "client_id": "c",
            "client_id_issued_at": 0,
            "client_secret": "first",
            "client_secret_expires_at": days * DAY,
            "registration_client_uri": "https://a/register/c",
            "registration_access_token": "manage",
            "client_name": "Keyfob",
            "redirect_uris": [REDIRECT],
            "token_endpoint_auth_method": "client_secret_basic",
            "grant_types": ["authorization_code", "refresh_token"],
            "scope": "a b",
            "logo_uri": null,
            "their_own": {"deep": [1]},
        })
    }

    fn made(body: &Value) -> Registration {
        let reason = Reason::new(ReasonCode::NotOffered);
        let server = AuthorizationServer::guessed("https://a");
        let asked = AuthMethod::ClientSecretBasic;
        parse(&answer(201, body), &server, asked, REDIRECT, reason, Timestamp(0))
            .expect("a registration")
    }

    fn at(days: u64) -> Timestamp {
        Timestamp(days * DAY * 1000)
    }

    fn secret(registration: &Registration) -> &str {
        registration.secret.as_ref().expect("a secret").expose()
    }

    /// RFC 7592 section 2.2: all client metadata as it was returned, the client id, and nothing
    /// that is the server's own.
    #[test]
    fn an_update_sends_back_all_that_is_registered_and_no_secret() {
        let sent = update(&made(&information(30))).expect("a request");
        assert_eq!((sent.method, sent.url.as_str()), (Method::PUT, "https://a/register/c"));
        assert_eq!(sent.headers["authorization"], "Bearer manage");
        assert!(sent.headers["authorization"].is_sensitive());
        assert_eq!(sent.headers["content-type"], "application/json");
        let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
        let mut expected = information(30);
        for own in [
            "client_id_issued_at",
            "client_secret",
            "client_secret_expires_at",
            "registration_client_uri",
            "registration_access_token",
        ] {
            expected.as_object_mut().expect("an object").remove(own);
        }
        assert_eq!(body, expected);
    }

    #[test]
    fn the_answer_brings_a_new_secret_and_a_new_management_token() {
        let before = made(&information(30));
        let mut body = information(57);
        body["client_secret"] = json!("second");
        body["registration_access_token"] = json!("manage-on");
        body["registration_client_uri"] = json!("https://a/register/c?v=2");
        body["scope"] = json!("a");
        let after = updated(&answer(200, &body), &before, at(27)).expect("renewed");
        assert_eq!(secret(&after), "second");
        assert_eq!(after.secret_expires_at, Some(at(57)));
        let management = after.management.as_ref().expect("management");
        assert_eq!(management.token.expose(), "manage-on");
        assert_eq!(management.uri, "https://a/register/c?v=2");
        assert_eq!(after.registered_at, before.registered_at, "it is the same registration");
        assert!(after.is_later_than(&before) && !before.is_later_than(&after));
        let again = update(&after).expect("a request");
        assert_eq!(again.headers["authorization"], "Bearer manage-on");
        let again: Value = serde_json::from_slice(&again.body).expect("JSON");
        assert_eq!(again["scope"], "a", "it is sent back as it is now");
    }

    #[test]
    fn what_an_answer_leaves_out_stays_as_it_was() {
        let before = made(&information(30));
        let body = json!({"client_id": "c", "client_secret_expires_at": 60 * DAY});
        let after = updated(&answer(200, &body), &before, at(27)).expect("a longer life");
        assert_eq!((secret(&after), after.secret_expires_at), ("first", Some(at(60))));
        let token = &after.management.as_ref().expect("management").token;
        assert_eq!(token.expose(), "manage");
        let body = json!({"client_id": "c", "client_secret": "second"});
        let after = updated(&answer(200, &body), &before, at(27)).expect("a new secret");
        assert_eq!(after.secret_expires_at, None, "it did not say that this one ends");
        let body = json!({"client_id": "c", "client_secret_expires_at": 0});
        let after = updated(&answer(200, &body), &before, at(27)).expect("for ever");
        assert_eq!((secret(&after), after.secret_expires_at), ("first", None));
    }

    #[test]
    fn an_answer_that_renews_nothing_is_none() {
        let before = made(&information(30));
        let read = |status, body: &Value| updated(&answer(status, body), &before, at(27));
        let unusable = |body: Value| {
            let read = read(200, &body);
            assert!(matches!(read, Err(RegistrationError::Unusable(_))), "{read:?}");
        };
        let mut other = information(60);
        other["client_id"] = json!("d");
        unusable(other);
        unusable(json!({"client_id": "c"}));
        unusable(json!({"client_id": "c", "client_secret_expires_at": 30 * DAY}));
        // Over before it begins.
        unusable(json!({"client_id": "c", "client_secret": "s", "client_secret_expires_at": 1}));
        let mut elsewhere = information(60);
        elsewhere["redirect_uris"] = json!(["https://elsewhere"]);
        unusable(elsewhere);
        let mut unknown = information(60);
        unknown["token_endpoint_auth_method"] = json!("tls_client_auth");
        unusable(unknown);
        unusable(json!("no object"));
        for status in [401, 403, 404, 405] {
            let read = read(status, &json!({}));
            assert!(matches!(read, Err(RegistrationError::Closed { .. })), "{read:?}");
        }
        let busy = read(503, &json!({}));
        assert!(matches!(busy, Err(RegistrationError::NotNow { status: 503, .. })), "{busy:?}");
        let refused = read(400, &json!({"error": "invalid_client_metadata"}));
        assert!(matches!(refused, Err(RegistrationError::Refused { .. })), "{refused:?}");
    }

    /// D-18: at nine tenths of the secret's own life, whenever that began.
    #[test]
    fn a_secret_is_renewed_when_nine_tenths_of_its_life_are_over() {
        let first = made(&information(30));
        assert_eq!(first.renew_secret_at(), Some(at(27)));
        let mut body = information(127);
        body["client_secret"] = json!("second");
        let second = updated(&answer(200, &body), &first, at(27)).expect("renewed");
        assert_eq!(second.renew_secret_at(), Some(at(117)), "a hundred days from day 27 on");
        let mut endless = information(30);
        endless["client_secret_expires_at"] = json!(0);
        assert_eq!(made(&endless).renew_secret_at(), None);
        let mut public = information(30);
        public.as_object_mut().expect("an object").remove("client_secret");
        public["token_endpoint_auth_method"] = json!("none");
        assert_eq!(made(&public).renew_secret_at(), None, "there is nothing to renew");
    }

    /// D-18: where it cannot be renewed, its person is told a day ahead, and a sign-in from then on
    /// makes a new one.
    #[test]
    fn a_secret_that_cannot_be_renewed_is_told_a_day_ahead_and_not_used_for_a_new_sign_in() {
        let mut body = information(30);
        body.as_object_mut().expect("an object").remove("registration_access_token");
        let made_without = made(&body);
        assert!(made_without.management.is_none() && update(&made_without).is_none());
        assert_eq!(made_without.renew_secret_at(), None);
        assert_eq!(made_without.person_needed_from(), Some(at(29)));
        let serves = |day| made_without.is_good_for("https://a", REDIRECT, at(day));
        assert!(serves(28) && !serves(29) && !serves(31));
        body["client_secret_expires_at"] = json!(DAY);
        let half = Some(Timestamp(DAY * 1000 / 2));
        assert_eq!(made(&body).person_needed_from(), half, "never above half its life");
        let renewable = made(&information(30));
        assert_eq!(renewable.person_needed_from(), None, "nobody is needed");
        assert!(renewable.is_good_for("https://a", REDIRECT, at(29)));
    }

    #[test]
    fn metadata_without_measure_is_not_kept_and_the_registration_still_can_be_deleted() {
        let mut body = information(30);
        body["their_own"] = json!("x".repeat(9000));
        let made = made(&body);
        assert!(update(&made).is_none() && !made.can_renew_secret());
        let delete = delete(made.management.as_ref().expect("management")).expect("a request");
        assert_eq!(delete.method, Method::DELETE);
        assert_eq!(delete.headers["authorization"], "Bearer manage");
        assert!(delete.body.is_empty());
    }

    #[test]
    fn no_token_of_a_registration_is_printed() {
        let printed = format!("{:?}", made(&information(30)));
        for secret in ["first", "\"manage", "their_own"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}
