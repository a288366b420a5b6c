//! The company's identity provider vouches for the person (MCP extension
//! `enterprise-managed-authorization`).

use http::Method;
use serde_json::{Value, json};

use super::world::{
    AUTHORIZE, Answer, ISSUER, NOW, SERVER, TOKEN, Walk, World, bare, form, list, page, plan,
    query, reply,
};
use crate::authorize::Entropy;
use crate::flow::{Extensions, IdentityProvider, Memo, OwnClient, Plan, SignInError, SignInWay};
use crate::grant::Grant;
use crate::registration::RegistrationKind;
use crate::secret::Secret;
use crate::token::TokenError;
use crate::wire::Request;

const IDP: &str = "https://idp.test";
const IDP_OPENID: &str = "https://idp.test/.well-known/openid-configuration";
const IDP_AUTHORIZE: &str = "https://idp.test/authorize";
const IDP_TOKEN: &str = "https://idp.test/token";
const JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

fn provider(id_token: Option<&str>) -> IdentityProvider {
    IdentityProvider {
        issuer: IDP.into(),
        client_id: "at-idp".into(),
        client_secret: Some(Secret::new("idp-secret")),
        token_endpoint: None,
        id_token: id_token.map(Secret::new),
        grant: None,
    }
}

fn employee(provider: IdentityProvider) -> Plan {
    Plan {
        own_client: Some(OwnClient {
            client_id: "at-as".into(),
            secret: Some(Secret::new("as-secret")),
            issuer: None,
        }),
        extensions: Extensions {
            way: SignInWay::Enterprise,
            identity_provider: Some(provider),
            ..Extensions::default()
        },
        ..plan()
    }
}

fn assertion() -> Answer {
    let body = json!({"access_token": "the-jag", "issued_token_type": JAG, "token_type": "N_A"});
    reply(200, body)
}

/// An identity provider that signs in and vouches, before a server at which all else works.
fn company() -> World {
    let signed_in =
        json!({"access_token": "x", "token_type": "Bearer", "id_token": "the.id.token"});
    World::usual()
        .server(|s| s["token_endpoint_auth_methods_supported"] = json!(["client_secret_basic"]))
        .with(IDP_OPENID, reply(200, bare(IDP)))
        .with(IDP_TOKEN, reply(200, signed_in))
        .then(IDP_TOKEN, assertion())
}

fn basic(request: &Request) -> Option<&str> {
    request.headers.get("authorization").and_then(|value| value.to_str().ok())
}

#[test]
fn an_id_token_becomes_an_assertion_and_that_an_access_token() {
    let given = IdentityProvider {
        token_endpoint: Some(IDP_TOKEN.into()),
        ..provider(Some("the.id.token"))
    };
    let mut wants = employee(given);
    wants.scopes = list("a b");
    let walk = Walk::start(wants, company().with(IDP_TOKEN, assertion()));
    assert!(walk.visits.is_empty(), "nobody is sent anywhere");
    assert_eq!((walk.count(IDP_OPENID), walk.count(AUTHORIZE)), (0, 0));
    let exchange = walk.sent_to(IDP_TOKEN)[0];
    assert_eq!(exchange.method, Method::POST);
    let sent = form(exchange);
    assert_eq!(sent["grant_type"], "urn:ietf:params:oauth:grant-type:token-exchange");
    assert_eq!(sent["requested_token_type"], JAG);
    assert_eq!(sent["subject_token"], "the.id.token");
    assert_eq!(sent["subject_token_type"], "urn:ietf:params:oauth:token-type:id_token");
    assert_eq!((&sent["audience"][..], &sent["resource"][..]), (ISSUER, SERVER));
    assert_eq!(sent["scope"], "a b");
    assert_eq!(basic(exchange), Some("Basic YXQtaWRwOmlkcC1zZWNyZXQ="), "the client there");
    let redeem = walk.sent_to(TOKEN)[0];
    let sent = form(redeem);
    assert_eq!(sent["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert_eq!((&sent["assertion"][..], &sent["scope"][..]), ("the-jag", "a b"));
    assert_eq!(basic(redeem), Some("Basic YXQtYXM6YXMtc2VjcmV0"), "the client here");
    let grant = walk.grant();
    assert_eq!(
        (grant.way, grant.registration.kind),
        (SignInWay::Enterprise, RegistrationKind::PreRegistered)
    );
    assert_eq!(grant.registration.issuer, ISSUER);
    assert!(!grant.can_renew() && grant.renewal(None, NOW, &Entropy([9; 64])).is_none());
    assert_eq!(Grant::decode(&grant.encode()).as_ref(), Ok(grant));
    let told = format!("{:?} {:?}", walk.trace, grant);
    assert!(
        !told.contains("the.id.token") && !told.contains("the-jag") && !told.contains("secret\"")
    );
}

#[test]
fn without_an_id_token_the_person_visits_the_identity_provider_and_never_the_other() {
    let mut wants = employee(provider(None));
    wants.parameters = vec![("team".into(), "t".into())];
    wants.scope_parameter = Some("user_scope".into());
    let mut walk = Walk::start(wants, company());
    let link = walk.visits[0].url.expose().to_owned();
    assert!(link.starts_with(IDP_AUTHORIZE), "{link}");
    let link = query(&link);
    assert_eq!((&link["client_id"][..], &link["scope"][..]), ("at-idp", "openid email"));
    assert_eq!(link["code_challenge_method"], "S256");
    assert!(!link.contains_key("resource") && !link.contains_key("team"));
    walk.come_back("code=the-code");
    let sent = walk.sent_to(IDP_TOKEN);
    assert_eq!(form(sent[0])["grant_type"], "authorization_code");
    assert_eq!(form(sent[1])["subject_token"], "the.id.token");
    assert_eq!((walk.visits.len(), walk.count(AUTHORIZE)), (1, 0));
    assert_eq!(walk.grant().access, Secret::new("access"));
    assert!(walk.sent_to(TOKEN).iter().all(|r| !form(r).contains_key("code")));
}

/// An identity provider that lets Keyfob come back without the person.
fn lasting() -> World {
    let mut said = bare(IDP);
    said["scopes_supported"] = json!(["openid", "offline_access"]);
    let signed_in = json!({"access_token": "x", "token_type": "Bearer", "id_token": "the.id.token",
        "refresh_token": "first-refresh"});
    company()
        .with(IDP_OPENID, reply(200, said))
        .with(IDP_TOKEN, reply(200, signed_in))
        .then(IDP_TOKEN, assertion())
}

/// The grant at the provider that a sign-in has told to be kept.
fn kept(walk: &Walk) -> Grant {
    let mut grants = walk.memos.iter().filter_map(|memo| match memo {
        Memo::ProviderGrant(grant) => Some((**grant).clone()),
        _ => None,
    });
    grants.next_back().expect("a grant at the provider")
}

#[test]
fn the_grant_of_a_visit_is_kept_and_the_next_server_needs_nobody() {
    let mut walk = Walk::start(employee(provider(None)), lasting());
    assert_eq!(query(walk.visits[0].url.expose())["scope"], "openid email offline_access");
    walk.come_back("code=the-code");
    let grant = kept(&walk);
    assert_eq!((&grant.server[..], &grant.registration.issuer[..]), (IDP, IDP));
    assert_eq!(Grant::decode(&grant.encode()).as_ref(), Ok(&grant));
    assert!(walk.grant().refresh.is_none(), "the server's own grant holds nothing of it");

    let renewed = json!({"access_token": "y", "token_type": "Bearer", "id_token": "another.id.token",
        "refresh_token": "second-refresh"});
    let knows = IdentityProvider {
        grant: Some(Box::new(grant)),
        client_secret: Some(Secret::new("changed")),
        ..provider(None)
    };
    let world = company().with(IDP_TOKEN, reply(200, renewed)).then(IDP_TOKEN, assertion());
    let walk = Walk::start(employee(knows), world);
    assert!(walk.visits.is_empty(), "nobody is sent anywhere");
    assert_eq!(walk.count(IDP_OPENID), 0);
    let sent = walk.sent_to(IDP_TOKEN);
    assert_eq!(form(sent[0])["grant_type"], "refresh_token");
    assert_eq!(form(sent[0])["refresh_token"], "first-refresh");
    assert_eq!(basic(sent[0]), Some("Basic YXQtaWRwOmNoYW5nZWQ="), "the secret of today");
    assert_eq!(form(sent[1])["subject_token"], "another.id.token");
    assert_eq!(kept(&walk).refresh, Some(Secret::new("second-refresh")));
    assert_eq!(walk.grant().access, Secret::new("access"));
}

#[test]
fn a_grant_at_the_provider_that_is_over_sends_the_person_there() {
    let mut walk = Walk::start(employee(provider(None)), lasting());
    walk.come_back("code=the-code");
    let knows = IdentityProvider { grant: Some(Box::new(kept(&walk))), ..provider(None) };
    let refused = reply(400, json!({"error": "invalid_grant"}));
    let silent = reply(200, json!({"access_token": "y", "token_type": "Bearer"}));
    for (answer, is_gone) in [(refused, true), (silent, false)] {
        let world = lasting().with(IDP_TOKEN, answer);
        let walk = Walk::start(employee(knows.clone()), world);
        assert_eq!(walk.visits.len(), 1);
        assert_eq!(walk.memos.iter().any(|m| matches!(m, Memo::ProviderGrantGone)), is_gone);
    }
    // A provider that is down for a moment has ended nothing.
    let walk = Walk::start(employee(knows), lasting().with(IDP_TOKEN, page(503)));
    assert!(walk.visits.is_empty() && walk.memos.is_empty());
    assert!(matches!(walk.error(), SignInError::Exchange { issuer, .. } if issuer == IDP));
}

#[test]
fn an_invalid_target_does_not_send_the_person_again() {
    let token = reply(200, json!({"access_token": "t", "token_type": "Bearer"}));
    let world = company()
        .then(IDP_TOKEN, assertion())
        .with(TOKEN, reply(400, json!({"error": "invalid_target"})))
        .then(TOKEN, token);
    let mut walk = Walk::start(employee(provider(None)), world);
    walk.come_back("code=the-code");
    assert_eq!(walk.visits.len(), 1);
    assert_eq!(walk.grant().resource, None);
    let last = *walk.sent_to(IDP_TOKEN).last().expect("an exchange");
    assert!(!form(last).contains_key("resource"));
}

#[test]
fn what_the_provider_does_not_give_is_the_end() {
    let end = |answer: Answer| {
        let walk = Walk::start(
            employee(provider(Some("the.id.token"))),
            company().with(IDP_TOKEN, answer),
        );
        assert_eq!(walk.count(TOKEN), 0);
        match walk.error() {
            SignInError::Exchange { issuer, cause } if issuer == IDP => cause.clone(),
            other => panic!("another end: {other:?}"),
        }
    };
    let refused = end(reply(400, json!({"error": "invalid_grant"})));
    assert!(matches!(refused, TokenError::Refused { .. }));
    let other = json!({"access_token": "x", "issued_token_type": "urn:x", "token_type": "N_A"});
    assert!(matches!(end(reply(200, other)), TokenError::Unusable(_)));
    assert!(matches!(end(page(502)), TokenError::NotNow { status: 502, .. }));
}

#[test]
fn a_visit_that_brings_no_id_token_is_the_end() {
    let world = company().with(IDP_TOKEN, reply(200, json!({"access_token": "x"})));
    let mut walk = Walk::start(employee(provider(None)), world);
    walk.come_back("code=the-code");
    assert!(matches!(walk.error(), SignInError::Exchange { issuer, .. } if issuer == IDP));
    let mut walk = Walk::start(employee(provider(None)), company());
    walk.come_back("error=access_denied");
    assert!(matches!(walk.error(), SignInError::Denied));
}

#[test]
fn a_provider_that_calls_itself_otherwise_is_not_visited() {
    let world = company().with(IDP_OPENID, reply(200, bare("https://evil.test")));
    let walk = Walk::start(employee(provider(None)), world);
    assert!(matches!(walk.error(), SignInError::Metadata { .. }));
    let world = company().with(IDP_OPENID, page(404));
    let walk = Walk::start(employee(provider(None)), world);
    assert!(matches!(walk.error(), SignInError::Metadata { .. }), "{:?}", walk.error());
    assert!(walk.visits.is_empty());
    let nameless = Plan {
        extensions: Extensions { way: SignInWay::Enterprise, ..Extensions::default() },
        ..employee(provider(None))
    };
    let walk = Walk::start(nameless, company());
    assert!(matches!(walk.error(), SignInError::NoRegistrationRoute { .. }));
}

#[test]
fn the_servers_token_may_be_bound_and_the_providers_is_not() {
    let mut wants = employee(provider(None));
    wants.extensions.dpop = true;
    let token: Value = json!({"access_token": "t", "token_type": "DPoP"});
    let mut walk = Walk::start(wants, company().with(TOKEN, reply(200, token)));
    walk.come_back("code=the-code");
    assert!(walk.grant().dpop_key.is_some());
    assert!(walk.sent_to(TOKEN)[0].headers.contains_key("dpop"));
    assert!(walk.sent_to(IDP_TOKEN).iter().all(|r| !r.headers.contains_key("dpop")));
}
