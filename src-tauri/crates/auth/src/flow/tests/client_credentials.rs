//! A client of the user's own, without a person (MCP extension `oauth-client-credentials`).

use serde_json::{Value, json};

use super::world::{
    AUTHORIZE, DOCUMENT, ISSUER, NOW, OAUTH_FORM, REGISTER, SERVER, TOKEN, Walk, World, bare, form,
    list, plan, reply,
};
use crate::authorize::Entropy;
use crate::flow::{Extensions, OwnClient, Plan, SignInError, SignInWay};
use crate::grant::Grant;
use crate::jwt::SigningKey;
use crate::jwt::tests::{PEM, verified};
use crate::registration::{AuthMethod, RegistrationKind};
use crate::secret::Secret;
use crate::wire::Request;

fn robot(secret: Option<&str>, key: Option<&str>) -> Plan {
    let secret = secret.map(Secret::new);
    let own = OwnClient { client_id: "robot".into(), secret, issuer: None };
    let extensions = Extensions {
        way: SignInWay::ClientCredentials,
        client_key: key.map(Secret::new),
        ..Extensions::default()
    };
    Plan { own_client: Some(own), extensions, ..plan() }
}

fn methods(listed: Value) -> World {
    World::usual().server(|s| s["token_endpoint_auth_methods_supported"] = listed)
}

fn basic(request: &Request) -> Option<&str> {
    request.headers.get("authorization").and_then(|value| value.to_str().ok())
}

#[test]
fn a_secret_gets_a_token_without_browser_registration_or_pkce() {
    let world = World::usual().server(|s| {
        s["code_challenge_methods_supported"] = Value::Null;
        s["token_endpoint_auth_methods_supported"] = json!(["client_secret_basic"]);
    });
    let walk = Walk::start(robot(Some("s"), None), world);
    let grant = walk.grant();
    assert!(walk.visits.is_empty());
    assert_eq!((walk.count(AUTHORIZE), walk.count(REGISTER)), (0, 0));
    let sent = walk.sent_to(TOKEN)[0];
    let form = form(sent);
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["resource"], SERVER);
    assert_eq!(basic(sent), Some("Basic cm9ib3Q6cw=="));
    assert!(!form.contains_key("client_secret") && !form.contains_key("scope"));
    assert_eq!(grant.registration.kind, RegistrationKind::PreRegistered);
    assert_eq!((grant.way, grant.can_renew()), (SignInWay::ClientCredentials, true));
}

#[test]
fn a_server_without_an_authorization_endpoint_will_do() {
    let mut document = bare(ISSUER);
    document["authorization_endpoint"] = Value::Null;
    document["grant_types_supported"] = json!(["client_credentials"]);
    let world = World::usual().with(OAUTH_FORM, reply(200, document.clone()));
    let walk = Walk::start(robot(Some("s"), None), world.clone());
    assert_eq!(walk.grant().token_endpoint, TOKEN);
    // Whoever needs the browser finds it missing.
    document["grant_types_supported"] = json!(["authorization_code"]);
    let walk = Walk::start(plan(), world.with(OAUTH_FORM, reply(200, document)));
    assert!(matches!(walk.error(), SignInError::Metadata { .. }), "{:?}", walk.error());
}

#[test]
fn a_key_signs_for_the_issuer() {
    let walk = Walk::start(robot(None, Some(PEM)), methods(json!(["private_key_jwt"])));
    let form = form(walk.sent_to(TOKEN)[0]);
    assert_eq!(form["client_id"], "robot");
    let key = SigningKey::from_pem(&Secret::new(PEM)).expect("a key");
    let (_, claims) = verified(&form["client_assertion"], &key.public_jwk());
    assert_eq!(claims["aud"], ISSUER);
    assert_eq!(walk.grant().registration.auth_method, AuthMethod::PrivateKeyJwt);
}

#[test]
fn of_secret_and_key_the_one_is_used_that_the_server_lists() {
    for (listed, method) in [
        (json!(["client_secret_post"]), AuthMethod::ClientSecretPost),
        (json!(["client_secret_post", "private_key_jwt"]), AuthMethod::PrivateKeyJwt),
        (Value::Null, AuthMethod::ClientSecretBasic),
    ] {
        let walk = Walk::start(robot(Some("s"), Some(PEM)), methods(listed.clone()));
        assert_eq!(walk.grant().registration.auth_method, method, "{listed}");
    }
    let walk = Walk::start(robot(None, Some(PEM)), methods(Value::Null));
    assert_eq!(walk.grant().registration.auth_method, AuthMethod::PrivateKeyJwt);
}

#[test]
fn scopes_are_chosen_as_always_but_for_offline_access() {
    let world = World::usual().server(|s| s["scopes_supported"] = json!(["offline_access"]));
    let mut wants = robot(Some("s"), None);
    if let Some(challenge) = &mut wants.challenge {
        challenge.scope = Some("a b".into());
    }
    let walk = Walk::start(wants, world);
    assert_eq!(form(walk.sent_to(TOKEN)[0])["scope"], "a b");
    assert_eq!(walk.grant().scopes, list("a b"));
}

#[test]
fn without_a_client_of_ones_own_nothing_is_registered_for_it() {
    let walk = Walk::start(Plan { own_client: None, ..robot(None, None) }, World::usual());
    assert!(matches!(walk.error(), SignInError::NoRegistrationRoute { .. }));
    assert!(walk.asked.iter().all(|r| r.url != REGISTER && r.url != TOKEN && r.url != DOCUMENT));
}

#[test]
fn a_refusal_of_the_client_is_the_end_and_an_invalid_target_is_not() {
    let world = World::usual().with(TOKEN, reply(401, json!({"error": "invalid_client"})));
    let walk = Walk::start(robot(Some("s"), None), world);
    assert!(matches!(walk.error(), SignInError::ClientRefused { .. }), "{:?}", walk.error());
    assert_eq!(walk.count(TOKEN), 1);
    let token = reply(200, json!({"access_token": "t", "token_type": "Bearer"}));
    let world = World::usual()
        .with(TOKEN, reply(400, json!({"error": "invalid_target"})))
        .then(TOKEN, token);
    let walk = Walk::start(robot(Some("s"), None), world);
    assert_eq!(walk.count(TOKEN), 2);
    assert_eq!(walk.grant().resource, None);
}

#[test]
fn it_is_renewed_by_the_same_request_with_an_assertion_of_its_own() {
    let mut wants = robot(None, Some(PEM));
    wants.scopes = list("a");
    let token = json!({"access_token": "t", "token_type": "Bearer", "refresh_token": "r"});
    let walk = Walk::start(wants, World::usual().with(TOKEN, reply(200, token)));
    let grant = Grant::decode(&walk.grant().encode()).expect("a grant");
    assert_eq!(&grant, walk.grant());
    let renewal = grant.renewal(None, NOW, &Entropy([9; 64])).expect("a request");
    let (mut first, mut again) = (form(walk.sent_to(TOKEN)[0]), form(&renewal));
    assert_ne!(first.remove("client_assertion"), again.remove("client_assertion"));
    assert_eq!(first, again, "the refresh token has no part in it");
    assert_eq!(again["scope"], "a");
}

#[test]
fn an_own_client_with_a_key_signs_in_the_browser_too() {
    let mut wants = robot(None, Some(PEM));
    wants.extensions.way = SignInWay::Browser;
    let mut walk = Walk::start(wants, methods(json!(["private_key_jwt"])));
    walk.approve();
    let form = form(walk.sent_to(TOKEN)[0]);
    assert_eq!(form["grant_type"], "authorization_code");
    assert!(form.contains_key("client_assertion") && form.contains_key("code_verifier"));
}

#[test]
fn a_client_that_belongs_elsewhere_is_shown_to_nobody() {
    for key in [None, Some(PEM)] {
        let mut wants = robot(Some("s"), key);
        if let Some(own) = &mut wants.own_client {
            own.issuer = Some("https://elsewhere.test".into());
        }
        let walk = Walk::start(wants, World::usual());
        assert!(matches!(walk.error(), SignInError::OtherService { .. }), "{:?}", walk.error());
        assert_eq!(walk.count(TOKEN), 0);
    }
}
