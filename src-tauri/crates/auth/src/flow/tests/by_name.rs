//! `localhost` in the redirect URI, after its address was refused (RFC 8252 section 7.3 wants the
//! address; servers differ).

use serde_json::json;

use super::world::{
    AUTHORIZE, BY_NAME, ISSUER, PUSH, REDIRECT, REGISTER, Walk, World, earlier, form, known, page,
    plan, reply,
};
use crate::error_code::ErrorCode;
use crate::flow::{Event, Memo, OwnClient, Plan, SignInError};
use crate::registration::{Registration, RegistrationKind};

fn with_dcr() -> Plan {
    Plan { document: None, ..known() }
}

fn name_works(walk: &Walk) -> bool {
    walk.memos.iter().any(|memo| matches!(memo, Memo::NameWorks(at) if at == ISSUER))
}

fn refused(error: &str) -> super::world::Answer {
    reply(400, json!({"error": error}))
}

fn asked_for(walk: &Walk) -> Vec<String> {
    let bodies = walk.sent_to(REGISTER).into_iter().map(|request| {
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        body["redirect_uris"][0].as_str().expect("a URI").to_owned()
    });
    bodies.collect()
}

#[test]
fn a_registration_that_refuses_the_address_is_asked_for_by_name_once() {
    let made = reply(201, json!({"client_id": "registered"}));
    let world = World::usual().with(REGISTER, refused("invalid_redirect_uri")).then(REGISTER, made);
    let mut walk = Walk::start(with_dcr(), world);
    assert_eq!(asked_for(&walk), [REDIRECT, BY_NAME]);
    assert_eq!(walk.link()["redirect_uri"], BY_NAME);
    assert!(!name_works(&walk), "not before it has worked");
    walk.approve();
    assert_eq!(form(walk.asked.last().expect("a request"))["redirect_uri"], BY_NAME);
    assert_eq!(walk.grant().registration.redirect_uri, BY_NAME);
    assert!(name_works(&walk));

    let world = World::usual().with(REGISTER, refused("invalid_redirect_uri"));
    let walk = Walk::start(with_dcr(), world);
    assert!(matches!(walk.error(), SignInError::Registration { .. }), "{walk:?}");
    assert_eq!(walk.count(REGISTER), 2, "no loop");
}

#[test]
fn a_push_that_is_refused_without_a_better_word_is_tried_by_name_once() {
    for error in ["invalid_request", "invalid_redirect_uri"] {
        let pushing = World::usual().server(|doc| {
            doc["require_pushed_authorization_requests"] = json!(true);
            doc["pushed_authorization_request_endpoint"] = json!(PUSH);
        });
        let pushed = reply(201, json!({"request_uri": "urn:one", "expires_in": 60}));
        let world = pushing.clone().with(PUSH, refused(error)).then(PUSH, pushed);
        let mut walk = Walk::start(known(), world);
        let sent: Vec<_> =
            walk.sent_to(PUSH).iter().map(|r| form(r)["redirect_uri"].clone()).collect();
        assert_eq!(sent, [REDIRECT, BY_NAME]);
        walk.approve();
        assert_eq!(walk.grant().registration.kind, RegistrationKind::Cimd);

        let walk = Walk::start(known(), pushing.with(PUSH, refused(error)));
        let error = ErrorCode::parse(error);
        // By name and by address, with our document; where it is surely about the redirect URI,
        // also with a registration.
        let most = if error == ErrorCode::InvalidRedirectUri { 4 } else { 2 };
        assert_eq!(walk.error(), &SignInError::Refused { issuer: ISSUER.into(), error });
        assert_eq!(walk.count(PUSH), most, "no loop");
        assert!(walk.refusals().is_empty(), "nothing is known about CIMD");
    }
}

/// A port of the user's own stands in our document only through its entry without a port.
#[test]
fn a_push_that_refuses_an_unlisted_port_is_made_with_a_registration() {
    const OWN: &str = "http://127.0.0.1:40404/callback";
    const OWN_BY_NAME: &str = "http://localhost:40404/callback";
    let pushed = reply(201, json!({"request_uri": "urn:one", "expires_in": 60}));
    let world = World::usual()
        .server(|doc| {
            doc["require_pushed_authorization_requests"] = json!(true);
            doc["pushed_authorization_request_endpoint"] = json!(PUSH);
        })
        .with(PUSH, refused("invalid_request"))
        .then(PUSH, refused("invalid_request"))
        .then(PUSH, pushed);
    let plan =
        Plan { redirect_uri: OWN.into(), redirect_uri_by_name: OWN_BY_NAME.into(), ..known() };
    let mut walk = Walk::start(plan, world);
    let sent: Vec<_> = walk.sent_to(PUSH).iter().map(|r| form(r)["redirect_uri"].clone()).collect();
    assert_eq!(sent, [OWN, OWN_BY_NAME, OWN]);
    walk.approve();
    assert_eq!(walk.grant().registration.kind, RegistrationKind::Dcr);
    assert_eq!(walk.refusals().len(), 1, "so that it is not tried at each sign-in");
}

#[test]
fn where_both_preflights_are_refused_the_name_is_tried_and_cimd_is_not_blamed() {
    let world = World::usual()
        .with(AUTHORIZE, page(400))
        .then(AUTHORIZE, page(400))
        .then(AUTHORIZE, page(200));
    let mut walk = Walk::start(plan(), world);
    assert_eq!(walk.link()["redirect_uri"], BY_NAME);
    walk.approve();
    assert_eq!(walk.grant().registration.kind, RegistrationKind::Cimd, "the document lists both");
    assert!(walk.refusals().is_empty() && name_works(&walk));
    assert_eq!(asked_for(&walk), [REDIRECT]);

    let walk = Walk::start(plan(), World::usual().with(AUTHORIZE, page(400)));
    assert!(matches!(walk.error(), SignInError::AuthorizationRefused { .. }), "{walk:?}");
    assert_eq!(
        (walk.count(AUTHORIZE), asked_for(&walk)),
        (4, vec![REDIRECT.into(), BY_NAME.into()])
    );
    assert!(walk.refusals().is_empty(), "nothing is known about CIMD");

    let walk = Walk::start(plan(), World::usual().with(AUTHORIZE, page(503)));
    assert_eq!(walk.count(AUTHORIZE), 2, "an outage is not about the redirect URI");
}

#[test]
fn the_person_comes_to_the_name_below_everything_else() {
    let own = Some(OwnClient { client_id: "own".into(), secret: None, issuer: None });
    for plan in [with_dcr(), Plan { own_client: own, ..known() }] {
        let mut walk = Walk::start(plan, World::usual());
        assert_eq!(walk.link()["redirect_uri"], REDIRECT);
        walk.tell(Event::TryAnotherWay);
        assert_eq!(walk.link()["redirect_uri"], BY_NAME);
        walk.tell(Event::TryAnotherWay);
        assert!(matches!(walk.error(), SignInError::NoRegistrationRoute { .. }), "{walk:?}");
    }
}

#[test]
fn where_only_the_name_has_worked_it_comes_first() {
    let by_name = Registration { redirect_uri: BY_NAME.into(), ..earlier() };
    let plan = Plan {
        by_name_at: vec![ISSUER.into()],
        registrations: vec![earlier(), by_name],
        ..with_dcr()
    };
    let mut walk = Walk::start(plan.clone(), World::usual());
    assert_eq!(walk.registration().redirect_uri, BY_NAME);
    assert_eq!(walk.count(REGISTER), 0);
    walk.approve();
    assert!(!name_works(&walk), "that is known");
    let elsewhere = Plan { by_name_at: vec!["https://other.test".into()], ..plan };
    assert_eq!(Walk::start(elsewhere, World::usual()).registration().redirect_uri, REDIRECT);
}
