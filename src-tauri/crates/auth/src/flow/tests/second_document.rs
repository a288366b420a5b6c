//! The other form's document of the same issuer: it fills gaps and never fails a sign-in.

use serde_json::json;

use super::world::{
    AUTHORIZE, DOCUMENT, ISSUER, OAUTH_FORM, OPENID_FORM, PATH_FORM, REGISTER, SERVER, Walk, World,
    bare, complete, page, plain, plan, redirect, reply, resource_of, silence, typed,
};
use crate::flow::{Plan, SignInError};
use crate::trace::Weight;

const ELSEWHERE: &str = "https://evil.test";

#[test]
fn a_document_that_lacks_nothing_is_not_supplemented() {
    let walk = Walk::start(plan(), World::usual());
    assert_eq!(walk.count(OPENID_FORM), 0, "nothing speculative");
}

#[test]
fn cimd_that_only_the_second_document_offers_is_used() {
    let world = World::usual()
        .server(|doc| doc["client_id_metadata_document_supported"] = json!(false))
        .with(OPENID_FORM, reply(200, complete(ISSUER)));
    let walk = Walk::start(plan(), world);
    assert_eq!(walk.places()[1..3], [OAUTH_FORM, OPENID_FORM]);
    assert_eq!(walk.client_id(), DOCUMENT, "true in either counts (Granola)");
    assert_eq!(walk.count(REGISTER), 0);
}

#[test]
fn the_second_document_is_looked_for_at_every_openid_location() {
    const TENANT: &str = "https://as.test/tenant";
    let forms = [
        "https://as.test/.well-known/oauth-authorization-server/tenant",
        "https://as.test/.well-known/openid-configuration/tenant",
        "https://as.test/tenant/.well-known/openid-configuration",
    ];
    let world = World::usual()
        .with(PATH_FORM, resource_of(SERVER, &[TENANT]))
        .with(forms[0], reply(200, bare(TENANT)))
        .with(forms[2], reply(200, complete(TENANT)));
    let walk = Walk::start(plan(), world);
    assert_eq!(walk.places()[1..4], forms);
    assert_eq!(walk.client_id(), DOCUMENT);
}

#[test]
fn the_second_document_never_overrides_the_first() {
    let mut second = complete(ISSUER);
    for member in ["authorization_endpoint", "token_endpoint", "registration_endpoint"] {
        second[member] = json!("https://as.test/second");
    }
    let world = World::usual()
        .server(|doc| doc["client_id_metadata_document_supported"] = json!(null))
        .with(OPENID_FORM, reply(200, second));
    let mut walk = Walk::start(Plan { document: None, ..plan() }, world);
    assert_eq!(walk.count(REGISTER), 1, "the first document named the endpoint");
    walk.approve();
    assert_eq!(walk.grant().token_endpoint, "https://as.test/token");
    assert_eq!(walk.count("https://as.test/second"), 0);
    assert_eq!(plain(walk.visits[0].url.expose()), AUTHORIZE);
}

#[test]
fn the_second_document_supplies_the_registration_endpoint() {
    let world = World::usual()
        .with(OAUTH_FORM, reply(200, bare(ISSUER)))
        .with(OPENID_FORM, reply(200, complete(ISSUER)));
    let walk = Walk::start(Plan { document: None, ..plan() }, world);
    assert_eq!(walk.client_id(), "registered");
}

#[test]
fn a_promise_of_iss_in_the_second_document_binds() {
    let world = World::usual()
        .with(OAUTH_FORM, reply(200, bare(ISSUER)))
        .with(OPENID_FORM, reply(200, complete(ISSUER)));
    let mut walk = Walk::start(plan(), world);
    walk.come_back("code=c");
    assert!(matches!(walk.error(), SignInError::Issuer(_)), "it was promised: {walk:?}");
}

#[test]
fn a_second_document_that_fails_is_late_or_foreign_never_fails_the_sign_in() {
    let mut foreign = complete(ELSEWHERE);
    foreign["code_challenge_methods_supported"] = json!(["S256"]);
    let mut slashed = complete(ISSUER);
    slashed["issuer"] = json!("https://as.test/");
    slashed["registration_endpoint"] = json!("https://evil.test/register");
    let answers = [
        page(200),
        page(404),
        page(429),
        page(500),
        silence(),
        redirect(ELSEWHERE),
        typed(200, "application/json", "{"),
        reply(200, json!({"issuer": ISSUER})),
        reply(200, foreign),
        reply(200, slashed),
    ];
    for answer in answers {
        let shown = format!("{answer:?}");
        let is_foreign = matches!(&answer, Ok(response) if response.status == 200
            && response.json_object().is_some_and(|doc| doc["issuer"] != ISSUER));
        let mut first = bare(ISSUER);
        first["registration_endpoint"] = json!(REGISTER);
        let world = World::usual().with(OAUTH_FORM, reply(200, first)).with(OPENID_FORM, answer);
        let mut walk = Walk::start(plan(), world);
        assert_eq!(walk.client_id(), "registered", "the first document stands alone: {shown}");
        assert!(walk.places().iter().all(|place| !place.contains("evil")), "{shown}");
        let left = walk.trace.iter().find(|l| l.decision.as_deref() == Some("left aside"));
        let is_warned = left.is_some_and(|line| line.weight == Weight::Warn);
        assert_eq!(is_warned, is_foreign, "6.2-4: a foreign one is worth a warning: {shown}");
        walk.come_back("code=c");
        assert_eq!(walk.grant().revocation_endpoint, None, "nothing of it was taken: {shown}");
    }
}
