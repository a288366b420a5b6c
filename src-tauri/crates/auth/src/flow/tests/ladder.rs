//! Which rung is taken, and the reason that is given for it.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{
    DOCUMENT, ISSUER, NOW, OPENID_FORM, REGISTER, SERVER, TOKEN, Walk, World, challenged, earlier,
    form, page, plan, reply, silence,
};
use crate::challenge::Challenge;
use crate::client_document::{ClientDocumentUrl, redirect_uri};
use crate::dcr::RegistrationError;
use crate::flow::{OwnClient, Plan, SignInError};
use crate::registration::{
    AuthMethod, REFUSAL_LASTS, ReasonCode, Refusal, Registration, RegistrationKind,
};
use crate::secret::Secret;
use crate::time::Timestamp;

fn offers_cimd(doc: &mut Value, offers: Value) {
    doc["client_id_metadata_document_supported"] = offers;
}

fn methods(listed: Value) -> World {
    World::usual().server(|doc| doc["token_endpoint_auth_methods_supported"] = listed)
}

fn reason(walk: &Walk) -> (RegistrationKind, ReasonCode) {
    let registration = walk.registration();
    (registration.kind, registration.reason.code)
}

fn no_document() -> Plan {
    Plan { document: None, ..plan() }
}

fn scoped(plan: Plan) -> Plan {
    let challenge = Challenge { scope: Some("a b".into()), ..Challenge::default() };
    Plan { challenge: Some(challenge), ..plan }
}

#[test]
fn the_users_own_client_comes_first() {
    let own = OwnClient { client_id: "own".into(), secret: None, issuer: None };
    let registrations = vec![earlier()];
    let mut walk =
        Walk::start(Plan { own_client: Some(own), registrations, ..plan() }, World::usual());
    assert_eq!(reason(&walk), (RegistrationKind::PreRegistered, ReasonCode::OwnClient));
    assert_eq!((walk.client_id().as_str(), walk.count(REGISTER)), ("own", 0));
    walk.approve();
    assert_eq!(walk.grant().registration.client_id, "own");
    assert!(walk.memos.is_empty(), "nothing was learnt about our document or a registration");
}

#[test]
fn the_users_secret_goes_by_the_method_that_the_server_lists() {
    for (listed, expected) in [
        (Value::Null, AuthMethod::ClientSecretBasic),
        (json!(["none", "client_secret_post"]), AuthMethod::ClientSecretPost),
    ] {
        let own = OwnClient {
            client_id: "own".into(),
            secret: Some(Secret::new("hunter2")),
            issuer: None,
        };
        let mut walk =
            Walk::start(Plan { own_client: Some(own), ..plan() }, methods(listed.clone()));
        walk.approve();
        assert_eq!(walk.grant().registration.auth_method, expected, "{listed}");
        let token = walk.sent_to(TOKEN)[0];
        let in_body = form(token).contains_key("client_secret");
        let in_header = token.headers.contains_key("authorization");
        assert!(in_body != in_header, "one method per request (RFC 6749 section 2.3)");
    }
}

#[test]
fn an_empty_secret_is_no_secret() {
    let own = OwnClient { client_id: "own".into(), secret: Some(Secret::new("")), issuer: None };
    let walk = Walk::start(Plan { own_client: Some(own), ..plan() }, World::usual());
    assert_eq!(walk.registration().auth_method, AuthMethod::None);
}

#[test]
fn cimd_comes_before_dcr_and_sends_no_secret() {
    let mut walk = Walk::start(Plan { registrations: vec![earlier()], ..plan() }, World::usual());
    assert_eq!(reason(&walk), (RegistrationKind::Cimd, ReasonCode::OfferedAndAccepted));
    assert_eq!((walk.client_id().as_str(), walk.count(REGISTER)), (DOCUMENT, 0));
    walk.approve();
    let token = walk.sent_to(TOKEN)[0];
    assert_eq!(form(token)["client_id"], DOCUMENT, "the same id on every request");
    assert!(!token.headers.contains_key("authorization"), "a public client has no credentials");
}

#[test]
fn dcr_where_cimd_is_not_offered_as_a_boolean_true() {
    for flag in [json!(false), json!("true"), json!(1), Value::Null] {
        let world = World::usual().server(|doc| offers_cimd(doc, flag.clone()));
        let walk = Walk::start(plan(), world);
        let expected = (RegistrationKind::Dcr, ReasonCode::NotOffered);
        assert_eq!(reason(&walk), expected, "{flag}");
    }
}

#[test]
fn dcr_where_there_is_no_document_for_our_redirect_uri() {
    let expected = (RegistrationKind::Dcr, ReasonCode::NoDocument);
    assert_eq!(reason(&Walk::start(no_document(), World::usual())), expected);
    let unlisted = Plan { redirect_uri: "http://127.0.0.1:15393/other".into(), ..plan() };
    assert_eq!(reason(&Walk::start(unlisted, World::usual())), expected);
    let ephemeral = Plan { redirect_uri: redirect_uri(40000), ..plan() };
    let walk = Walk::start(ephemeral, World::usual());
    assert_eq!(walk.registration().kind, RegistrationKind::Cimd, "the port-less entry covers it");
}

#[test]
fn dcr_where_no_public_client_is_let_in_but_cimd_where_there_is_nothing_else() {
    let listed = json!(["client_secret_basic"]);
    let secret = reply(201, json!({"client_id": "c", "client_secret": "s"}));
    let walk = Walk::start(plan(), methods(listed.clone()).with(REGISTER, secret));
    assert_eq!(reason(&walk), (RegistrationKind::Dcr, ReasonCode::NoPublicClients));
    assert_eq!(walk.registration().auth_method, AuthMethod::ClientSecretBasic);

    let world = World::usual().server(|doc| {
        doc["token_endpoint_auth_methods_supported"] = listed;
        doc["registration_endpoint"] = Value::Null;
    });
    let mut walk = Walk::start(plan(), world);
    assert_eq!(reason(&walk), (RegistrationKind::Cimd, ReasonCode::OfferedAndAccepted));
    walk.approve();
    assert_eq!(walk.grant().registration.auth_method, AuthMethod::None, "never a listed one");
}

#[test]
fn a_list_of_methods_that_is_absent_everywhere_counts_as_open_to_public_clients() {
    let walk = Walk::start(plan(), methods(Value::Null));
    assert_eq!(reason(&walk), (RegistrationKind::Cimd, ReasonCode::OfferedAndAccepted));
    let mut second = super::world::bare(ISSUER);
    second["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
    let secret = reply(201, json!({"client_id": "c", "client_secret": "s"}));
    let world = methods(Value::Null).with(OPENID_FORM, reply(200, second)).with(REGISTER, secret);
    assert_eq!(reason(&Walk::start(plan(), world)).1, ReasonCode::NoPublicClients, "after merging");
}

#[test]
fn a_remembered_refusal_counts_for_seven_days() {
    let at = |ago: Duration| Refusal {
        issuer: ISSUER.into(),
        document: DOCUMENT.into(),
        at: NOW.minus(ago),
        said: "invalid_client".into(),
    };
    let one = Duration::from_millis(1);
    let walk_with =
        |refusal| Walk::start(Plan { refusals: vec![refusal], ..plan() }, World::usual());
    for ago in [Duration::ZERO, REFUSAL_LASTS - one] {
        let walk = walk_with(at(ago));
        assert_eq!(reason(&walk), (RegistrationKind::Dcr, ReasonCode::Refused), "{ago:?}");
        assert!(walk.registration().reason.text.contains("invalid_client"), "it says why");
        assert!(walk.refusals().is_empty(), "remembering anew would make it last for ever");
    }
    let kind = |refusal| walk_with(refusal).registration().kind;
    assert_eq!(kind(at(REFUSAL_LASTS)), RegistrationKind::Cimd, "after a week it is tried again");
    let of_another = Refusal { issuer: "https://other.test".into(), ..at(one) };
    assert_eq!(kind(of_another), RegistrationKind::Cimd);
    let about_another = Refusal { document: "https://keyfob.test/old.json".into(), ..at(one) };
    assert_eq!(kind(about_another), RegistrationKind::Cimd, "a new document gets its own try");
}

#[test]
fn where_there_is_no_way_left_the_user_is_asked_for_a_client() {
    let world = World::usual().server(|doc| doc["registration_endpoint"] = Value::Null);
    let walk = Walk::start(no_document(), world.clone());
    let error = SignInError::NoDocument { issuer: ISSUER.into() };
    assert_eq!(walk.error(), &error, "a document would do as well");
    let registrations = vec![Registration { issuer: "https://other.test".into(), ..earlier() }];
    let without = World::usual().server(|doc| {
        doc["registration_endpoint"] = Value::Null;
        doc["client_id_metadata_document_supported"] = Value::Bool(false);
    });
    let walk = Walk::start(no_document(), without);
    let none = SignInError::NoRegistrationRoute { issuer: ISSUER.into(), refused: None };
    assert_eq!(walk.error(), &none, "here it would not");
    let walk = Walk::start(Plan { registrations, ..no_document() }, world);
    assert_eq!(walk.error(), &error, "another server's registration is good for nothing here");
}

#[test]
fn a_live_registration_is_used_again_and_never_made_twice() {
    let registrations = vec![earlier()];
    let mut walk = Walk::start(Plan { registrations, ..no_document() }, World::usual());
    assert_eq!((walk.client_id().as_str(), walk.count(REGISTER)), ("earlier", 0));
    assert_eq!(walk.registration().reason.code, ReasonCode::NoDocument, "the reason is of today");
    walk.approve();
    assert_eq!(walk.grant().registration.client_id, "earlier");
}

#[test]
fn a_registration_of_another_issuer_redirect_uri_rung_or_time_is_not_used() {
    let useless = [
        Registration { issuer: "https://as.test/".into(), ..earlier() },
        Registration { redirect_uri: redirect_uri(25393), ..earlier() },
        Registration { secret_expires_at: Some(NOW), ..earlier() },
        Registration { kind: RegistrationKind::PreRegistered, ..earlier() },
    ];
    for registration in useless {
        let shown = format!("{registration:?}");
        let plan = Plan { registrations: vec![registration], ..no_document() };
        let walk = Walk::start(plan, World::usual());
        assert_eq!(walk.client_id(), "registered", "{shown}");
        assert_eq!(walk.registered(), ["registered"], "the new one is to be kept");
    }
    let lasting = Registration { secret_expires_at: Some(Timestamp(NOW.0 + 1)), ..earlier() };
    let plan = Plan { registrations: vec![lasting], ..no_document() };
    assert_eq!(Walk::start(plan, World::usual()).client_id(), "earlier");
}

#[test]
fn a_registration_that_fails_over_its_scope_is_tried_once_without() {
    let refusals = [
        reply(400, json!({"error": "invalid_client_metadata"})),
        reply(400, json!({"error": "invalid_scope"})),
        page(403),
    ];
    for refusal in refusals {
        let once = World::usual().with(REGISTER, refusal.clone());
        let made = reply(201, json!({"client_id": "second try"}));
        let walk = Walk::start(scoped(no_document()), once.clone().then(REGISTER, made));
        let bodies: Vec<Value> = walk
            .sent_to(REGISTER)
            .iter()
            .map(|sent| serde_json::from_slice(&sent.body).expect("JSON"))
            .collect();
        assert_eq!((bodies[0]["scope"].as_str(), bodies[1].get("scope")), (Some("a b"), None));
        assert_eq!(walk.link()["scope"], "a b", "only the registration goes without");

        let walk = Walk::start(scoped(no_document()), once.clone());
        assert_eq!(walk.count(REGISTER), 2, "not a third time: {walk:?}");
        let walk = Walk::start(no_document(), once);
        assert_eq!(walk.count(REGISTER), 1, "there was no scope to leave out");
    }
}

/// R3g: a secret that has ended before it began is no hindrance to this sign-in.
#[test]
fn a_secret_that_has_ended_already_serves_this_sign_in_and_no_other() {
    let made = json!({
        "client_id": "registered",
        "client_secret": "short-lived",
        "client_secret_expires_at": 1,
        "token_endpoint_auth_method": "client_secret_post",
    });
    let mut walk = Walk::start(no_document(), World::usual().with(REGISTER, reply(201, made)));
    walk.approve();
    let made = walk.grant().registration.clone();
    assert_eq!(made.secret_expires_at, Some(Timestamp(1000)));
    let plan = Plan { registrations: vec![made], ..no_document() };
    assert_eq!(Walk::start(plan, World::usual()).count(REGISTER), 1, "made anew the next time");
}

#[test]
fn other_failures_of_a_registration_are_told_and_not_tried_again() {
    let issuer = || ISSUER.to_owned();
    for status in [401, 403, 404, 405, 501] {
        let walk = Walk::start(no_document(), World::usual().with(REGISTER, page(status)));
        let closed = SignInError::NoRegistrationRoute { issuer: issuer(), refused: None };
        assert_eq!(walk.error(), &closed, "HTTP {status}: a client of one's own may do");
    }
    for answer in [
        reply(400, json!({"error": "unapproved_software_statement"})),
        page(429),
        page(503),
        page(201),
        reply(201, json!({"client_id": ""})),
    ] {
        let shown = format!("{answer:?}");
        let walk = Walk::start(scoped(no_document()), World::usual().with(REGISTER, answer));
        assert!(matches!(walk.error(), SignInError::Registration { .. }), "{shown}");
        assert_eq!((walk.count(REGISTER), walk.registered().len()), (1, 0), "{shown}");
    }
    let walk = Walk::start(no_document(), World::usual().with(REGISTER, silence()));
    assert!(matches!(walk.error(), SignInError::Unreachable { .. }), "{walk:?}");
}

#[test]
fn a_server_that_knows_only_methods_that_we_do_not_speak_is_not_asked_to_register() {
    let walk = Walk::start(no_document(), methods(json!(["private_key_jwt"])));
    let SignInError::Registration { cause, .. } = walk.error() else { panic!("{walk:?}") };
    assert!(matches!(cause, RegistrationError::Unusable(_)), "{cause:?}");
    assert_eq!(walk.count(REGISTER), 0);
}

#[test]
fn the_document_is_told_by_its_own_string() {
    let url = "https://keyfob.test:443/client.json";
    let document = Some(ClientDocumentUrl::parse(url).expect("a client id"));
    let walk = Walk::start(Plan { document, ..plan() }, World::usual());
    assert_eq!(walk.client_id(), url, "a default port makes another client id");
    let walk = Walk::start(challenged(Challenge::default()), World::usual());
    assert_eq!(walk.link()["resource"], SERVER);
}
