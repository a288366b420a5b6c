//! Client authentication with a signed token, `private_key_jwt` (RFC 7521 section 4.2, RFC 7523
//! sections 2.2 and 3).

use std::time::Duration;

use serde_json::json;
use url::form_urlencoded::Serializer;

use crate::authorize::Entropy;
use crate::jwt::{SigningKey, token_id};
use crate::registration::{AuthMethod, Registration};
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::Request;

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is good for: as short as clocks that differ a little allow.
const LIFE: Duration = Duration::from_secs(120);

/// An assertion for `issuer`. The audience is the issuer and not the endpoint, so that another
/// server that names the same endpoint cannot use it.
pub fn assertion(
    key: &SigningKey,
    client_id: &str,
    issuer: &str,
    now: Timestamp,
    entropy: &Entropy,
) -> Secret {
    let claims = json!({
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "iat": now.0 / 1000,
        "exp": now.plus(LIFE).0 / 1000,
        "jti": token_id(entropy),
    });
    Secret::new(key.sign(json!({ "typ": "JWT" }), &claims))
}

/// Adds an assertion to the form of a request, where the registration authenticates by one. It is
/// made anew each time that a request is sent: a server may refuse a `jti` that it has seen.
///
/// `None` when the registration's key is none, which the one who gave it was told.
pub fn add(
    request: &mut Request,
    registration: &Registration,
    now: Timestamp,
    entropy: &Entropy,
) -> Option<()> {
    match (registration.auth_method, &registration.secret) {
        (AuthMethod::PrivateKeyJwt, Some(pem)) => {
            let key = SigningKey::from_pem(pem).ok()?;
            let Registration { client_id, issuer, .. } = registration;
            let signed = assertion(&key, client_id, issuer, now, entropy);
            let form = String::from_utf8(std::mem::take(&mut request.body)).ok()?;
            let mut form = Serializer::new(form);
            form.append_pair("client_assertion_type", TYPE);
            form.append_pair("client_assertion", signed.expose());
            request.body = form.finish().into_bytes();
            Some(())
        }
        (AuthMethod::PrivateKeyJwt, None) => None,
        (
            AuthMethod::None | AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost,
            Some(_) | None,
        ) => Some(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;
    use url::form_urlencoded;

    use super::{TYPE, add};
    use crate::jwt::SigningKey;
    use crate::jwt::tests::{PEM, entropy, verified};
    use crate::registration::{AuthMethod, Reason, ReasonCode, Registration, RegistrationKind};
    use crate::secret::Secret;
    use crate::time::Timestamp;
    use crate::wire::Request;

    const NOW: Timestamp = Timestamp(1_800_000_000_500);

    fn registration(auth_method: AuthMethod, secret: &str) -> Registration {
        Registration {
            kind: RegistrationKind::PreRegistered,
            client_id: "robot".into(),
            secret: Some(Secret::new(secret)),
            auth_method,
            issuer: "https://a".into(),
            redirect_uri: String::new(),
            scopes: None,
            registered_at: NOW,
            secret_expires_at: None,
            reason: Reason::new(ReasonCode::OwnClient),
            management: None,
        }
    }

    fn request() -> Request {
        Request { body: b"grant_type=x".to_vec(), ..Request::get_json("https://a/token") }
    }

    #[test]
    fn the_assertion_says_who_and_for_whom_and_not_for_long() {
        let registration = registration(AuthMethod::PrivateKeyJwt, PEM);
        let mut request = request();
        add(&mut request, &registration, NOW, &entropy(1)).expect("added");
        let form: HashMap<_, _> = form_urlencoded::parse(&request.body).into_owned().collect();
        assert_eq!(form["grant_type"], "x");
        assert_eq!(form["client_assertion_type"], TYPE);
        let key = SigningKey::from_pem(&Secret::new(PEM)).expect("a key");
        let (header, claims) = verified(&form["client_assertion"], &key.public_jwk());
        assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT" }));
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("robot"), &json!("robot")));
        assert_eq!(claims["aud"], "https://a", "the issuer, not the endpoint");
        let time = |name: &str| claims[name].as_u64().expect("a time");
        assert_eq!(time("iat"), 1_800_000_000);
        assert!((1..=300).contains(&(time("exp") - time("iat"))));
        assert!(claims["jti"].as_str().expect("an id").len() >= 16);
        let mut again = self::request();
        add(&mut again, &registration, NOW, &entropy(2)).expect("added");
        assert_ne!(again.body, request.body, "each has an id of its own");
    }

    #[test]
    fn other_methods_add_nothing_and_a_bad_key_sends_nothing() {
        let mut request = request();
        for method in
            [AuthMethod::None, AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost]
        {
            add(&mut request, &registration(method, "s"), NOW, &entropy(1)).expect("nothing to do");
        }
        assert_eq!(request.body, b"grant_type=x");
        let bad = registration(AuthMethod::PrivateKeyJwt, "no key");
        assert!(add(&mut request, &bad, NOW, &entropy(1)).is_none());
    }
}
