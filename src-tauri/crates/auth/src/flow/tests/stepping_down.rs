//! The way down the ladder, and that nobody goes round in circles on it.

use serde_json::{Value, json};

use super::world::{
    AUTHORIZE, Answer, BY_NAME, DOCUMENT, ISSUER, PUSH, REDIRECT, REGISTER, TOKEN, Walk, World,
    earlier, known, page, redirect, reply,
};
use crate::error_code::ErrorCode;
use crate::flow::{Event, Memo, OwnClient, Plan, SignInError};
use crate::registration::{ReasonCode, RegistrationKind};
use crate::token::TokenError;

const CLIENT_ERRORS: [&str; 2] = ["invalid_client", "unauthorized_client"];

/// The four places at which a server can say a typed no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Preflight,
    Push,
    Callback,
    Token,
}

const AFTER_THE_VISIT: [Place; 3] = [Place::Push, Place::Callback, Place::Token];

fn pushing(world: World) -> World {
    world.server(|doc| {
        doc["require_pushed_authorization_requests"] = json!(true);
        doc["pushed_authorization_request_endpoint"] = json!(PUSH);
    })
}

fn pushed() -> Answer {
    reply(201, json!({"request_uri": "urn:one", "expires_in": 60}))
}

fn failure(error: &str) -> Answer {
    reply(400, json!({"error": error}))
}

fn granted() -> Answer {
    reply(200, json!({"access_token": "access"}))
}

/// A walk up to the point where `place` has said `error` once.
fn refused_once(plan: Plan, error: &str, place: Place) -> Walk {
    let world = match place {
        Place::Preflight => {
            World::usual().with(AUTHORIZE, redirect(&format!("{REDIRECT}?error={error}&state=x")))
        }
        Place::Push => pushing(World::usual()).with(PUSH, failure(error)).then(PUSH, pushed()),
        Place::Callback => World::usual(),
        Place::Token => World::usual().with(TOKEN, failure(error)).then(TOKEN, granted()),
    };
    let plan = match place {
        Place::Preflight => Plan { accepted_by: Vec::new(), ..plan },
        Place::Push | Place::Callback | Place::Token => plan,
    };
    let mut walk = Walk::start(plan, world);
    match place {
        Place::Preflight | Place::Push => {}
        Place::Callback => walk.refuse(error),
        Place::Token => walk.approve(),
    }
    walk
}

/// The same, where it goes on saying so.
fn refused_always(plan: Plan, error: &str, place: Place) -> Walk {
    let world = match place {
        Place::Preflight => {
            World::usual().with(AUTHORIZE, redirect(&format!("{REDIRECT}?error={error}&state=x")))
        }
        Place::Push => pushing(World::usual()).with(PUSH, failure(error)),
        Place::Callback => World::usual(),
        Place::Token => World::usual().with(TOKEN, failure(error)),
    };
    let mut walk = Walk::start(plan, world);
    for _ in 0..10 {
        match place {
            _ if walk.outcome.is_some() => break,
            Place::Preflight | Place::Callback => walk.refuse(error),
            Place::Push | Place::Token => walk.approve(),
        }
    }
    walk
}

fn with_dcr() -> Plan {
    Plan { document: None, ..known() }
}

#[test]
fn a_refused_document_steps_down_to_dcr_exactly_once_wherever_it_is_refused() {
    for place in [Place::Preflight, Place::Push, Place::Callback, Place::Token] {
        for error in CLIENT_ERRORS {
            let mut walk = refused_once(known(), error, place);
            assert_eq!(walk.client_id(), "registered", "{error} at {place:?}");
            assert_eq!(walk.registration().reason.code, ReasonCode::Refused);
            let said: Vec<_> = walk.refusals().iter().map(|r| r.said.clone()).collect();
            assert_eq!(said, [error], "remembered once, with its word, at {place:?}");
            walk.approve();
            assert_eq!(walk.grant().registration.kind, RegistrationKind::Dcr, "{place:?}");
            assert_eq!(walk.registered(), ["registered"]);

            let walk = refused_always(known(), error, place);
            let error = SignInError::ClientRefused {
                issuer: ISSUER.into(),
                kind: RegistrationKind::Dcr,
                error: ErrorCode::parse(error),
            };
            assert_eq!(walk.error(), &error, "a second refusal ends it, at {place:?}");
            assert_eq!((walk.count(REGISTER), walk.refusals().len()), (1, 1), "{place:?}");
        }
    }
}

#[test]
fn a_new_browser_visit_is_made_only_where_one_is_needed() {
    for (place, visits) in
        [(Place::Preflight, 1), (Place::Push, 1), (Place::Callback, 2), (Place::Token, 2)]
    {
        assert_eq!(refused_once(known(), "invalid_client", place).visits.len(), visits);
    }
}

#[test]
fn a_refused_document_without_dcr_asks_for_a_client_and_says_what_was_said() {
    let world = World::usual().server(|doc| doc["registration_endpoint"] = Value::Null);
    let mut walk = Walk::start(known(), world);
    walk.refuse("invalid_client");
    let refused = Some("invalid_client".into());
    let error = SignInError::NoRegistrationRoute { issuer: ISSUER.into(), refused };
    assert_eq!(walk.error(), &error);
    assert_eq!(walk.refusals().len(), 1);
}

#[test]
fn the_users_own_client_is_never_replaced() {
    let own = Some(OwnClient { client_id: "own".into(), secret: None, issuer: None });
    for place in AFTER_THE_VISIT {
        let own = Plan { own_client: own.clone(), registrations: vec![earlier()], ..known() };
        let walk = refused_once(own, "invalid_client", place);
        let SignInError::ClientRefused { kind, .. } = walk.error() else { panic!("{walk:?}") };
        assert_eq!(*kind, RegistrationKind::PreRegistered, "{place:?}");
        assert_eq!(walk.count(REGISTER), 0);
        assert!(walk.memos.is_empty(), "nothing of ours was refused");
    }
}

#[test]
fn a_fresh_registration_that_is_refused_is_not_made_again() {
    for place in AFTER_THE_VISIT {
        let walk = refused_once(with_dcr(), "invalid_client", place);
        let SignInError::ClientRefused { kind, .. } = walk.error() else { panic!("{walk:?}") };
        assert_eq!((*kind, walk.count(REGISTER)), (RegistrationKind::Dcr, 1), "{place:?}");
        assert!(walk.gone().is_empty(), "it is as new as can be");
    }
}

#[test]
fn an_earlier_registration_that_is_gone_is_made_anew_exactly_once() {
    for place in AFTER_THE_VISIT {
        for error in CLIENT_ERRORS {
            let reuses = Plan { registrations: vec![earlier(), earlier()], ..with_dcr() };
            let mut walk = refused_once(reuses.clone(), error, place);
            assert_eq!(walk.gone(), ["earlier"], "{place:?}");
            assert_eq!(walk.client_id(), "registered", "not the gone one again");
            assert!(walk.refusals().is_empty(), "nothing was said about our document");
            walk.approve();
            assert_eq!(walk.grant().registration.client_id, "registered");

            let walk = refused_always(reuses, error, place);
            assert!(matches!(walk.error(), SignInError::ClientRefused { .. }), "{walk:?}");
            assert_eq!((walk.count(REGISTER), walk.gone().len()), (1, 1), "no loop at {place:?}");
        }
    }
}

#[test]
fn the_longest_way_down_is_document_earlier_registration_new_registration() {
    for place in AFTER_THE_VISIT {
        let reuses = Plan { registrations: vec![earlier()], ..known() };
        let walk = refused_always(reuses, "invalid_client", place);
        assert!(matches!(walk.error(), SignInError::ClientRefused { .. }), "{walk:?}");
        assert_eq!((walk.refusals().len(), walk.gone().len(), walk.registered().len()), (1, 1, 1));
    }
}

#[test]
fn other_errors_surface_and_change_no_rung() {
    let issuer = || ISSUER.to_owned();
    for error in [
        "access_denied",
        "invalid_request",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
        "unsupported_response_type",
        "login_required",
    ] {
        let code = ErrorCode::parse(error);
        let walk = refused_once(known(), error, Place::Callback);
        let expected = match code {
            ErrorCode::AccessDenied => SignInError::Denied,
            _ => SignInError::Refused { issuer: issuer(), error: code.clone() },
        };
        assert_eq!(walk.error(), &expected);
        assert_eq!((walk.count(REGISTER), walk.count(TOKEN)), (0, 0), "{error}");
        assert!(walk.memos.is_empty(), "{error} says nothing about our document");

        let walk = match code {
            // It is the only word that a push endpoint has for a redirect URI.
            ErrorCode::InvalidRequest => refused_always(known(), error, Place::Push),
            _ => refused_once(known(), error, Place::Push),
        };
        assert_eq!(walk.error(), &SignInError::Refused { issuer: issuer(), error: code });
        assert!(walk.visits.is_empty() && walk.memos.is_empty(), "{error}");
    }
}

#[test]
fn other_errors_of_the_token_endpoint_surface_and_the_code_is_not_sent_again() {
    for error in ["invalid_grant", "invalid_request", "invalid_scope", "unsupported_grant_type"] {
        let walk = refused_once(known(), error, Place::Token);
        let cause = TokenError::Refused { error: ErrorCode::parse(error), said: None };
        let expected = SignInError::Exchange { issuer: ISSUER.into(), cause };
        assert_eq!(walk.error(), &expected);
        assert_eq!((walk.count(TOKEN), walk.count(REGISTER)), (1, 0), "{error}");
        assert!(walk.memos.is_empty(), "{error}");
    }
    for error in ["server_error", "temporarily_unavailable"] {
        let walk = refused_once(known(), error, Place::Token);
        let SignInError::Exchange { cause, .. } = walk.error() else { panic!("{walk:?}") };
        assert!(matches!(cause, TokenError::NotNow { .. }), "an outage is no refusal: {cause:?}");
        assert_eq!(walk.count(TOKEN), 1);
    }
}

#[test]
fn a_push_endpoint_out_of_order_is_no_refusal() {
    for status in [400, 429, 500, 503] {
        let walk = Walk::start(known(), pushing(World::usual()).with(PUSH, page(status)));
        assert!(matches!(walk.error(), SignInError::OutOfOrder { .. }), "{walk:?}");
        assert!(walk.memos.is_empty() && walk.visits.is_empty());
    }
}

#[test]
fn another_way_leads_from_the_document_to_dcr_and_is_remembered_once_it_worked() {
    let mut walk = Walk::start(known(), World::usual());
    let left = walk.visits[0].state.clone();
    assert!(walk.tell(Event::TryAnotherWay));
    assert_eq!(walk.client_id(), "registered");
    assert_eq!(walk.registration().reason.code, ReasonCode::Refused);
    assert_eq!(walk.count(AUTHORIZE), 0, "the person has seen the page; there is no suspicion");
    assert!(walk.refusals().is_empty(), "the person may have been wrong");
    assert!(
        !walk.come_back_with("code=late&iss=https://as.test", left.expose()),
        "the visit that was left is nobody's any more"
    );
    walk.approve();
    assert_eq!(walk.grant().registration.kind, RegistrationKind::Dcr);
    assert_eq!(walk.refusals().len(), 1);
    assert_eq!(walk.refusals()[0].document, DOCUMENT);
}

#[test]
fn another_way_below_dcr_and_below_the_users_own_client_is_a_client_of_ones_own() {
    let own = Some(OwnClient { client_id: "own".into(), secret: None, issuer: None });
    for plan in [with_dcr(), Plan { own_client: own, ..known() }] {
        let by_name_at = vec![ISSUER.to_owned()];
        let mut walk = Walk::start(Plan { by_name_at, ..plan }, World::usual());
        assert!(walk.tell(Event::TryAnotherWay));
        let error = SignInError::NoRegistrationRoute { issuer: ISSUER.into(), refused: None };
        assert_eq!(walk.error(), &error);
        assert!(walk.refusals().is_empty());
    }
    let mut walk = Walk::start(known(), World::usual());
    walk.tell(Event::TryAnotherWay);
    walk.tell(Event::TryAnotherWay);
    walk.tell(Event::TryAnotherWay);
    assert!(matches!(walk.error(), SignInError::NoRegistrationRoute { .. }), "{walk:?}");
    assert!(walk.refusals().is_empty(), "nothing worked, so nothing is known");
}

#[test]
fn another_way_below_an_earlier_registration_registers_anew_once() {
    let reuses = Plan { registrations: vec![earlier()], ..with_dcr() };
    let mut walk = Walk::start(reuses, World::usual());
    assert_eq!(walk.client_id(), "earlier");
    walk.tell(Event::TryAnotherWay);
    assert_eq!((walk.client_id().as_str(), walk.gone()), ("registered", vec!["earlier"]));
    walk.tell(Event::TryAnotherWay);
    assert_eq!(walk.link()["redirect_uri"], BY_NAME);
    walk.tell(Event::TryAnotherWay);
    assert!(matches!(walk.error(), SignInError::NoRegistrationRoute { .. }), "{walk:?}");
    assert_eq!(walk.count(REGISTER), 2, "once for each redirect URI");
}

#[test]
fn a_document_whose_page_nobody_came_back_from_is_tried_out_again() {
    let doubted = |walk: &Walk| walk.memos.iter().any(|m| matches!(m, Memo::DocumentDoubted(_)));
    for end in [Event::TimedOut, Event::Cancelled] {
        let mut walk = Walk::start(known(), World::usual());
        walk.tell(end.clone());
        assert!(doubted(&walk), "it may show an error page: {end:?}");
        let mut walk = Walk::start(with_dcr(), World::usual());
        walk.tell(end.clone());
        assert!(!doubted(&walk), "no document was shown: {end:?}");
        let mut walk = Walk::start_until(known(), World::usual(), Some(TOKEN));
        walk.approve();
        walk.tell(end);
        assert!(!doubted(&walk), "somebody came back");
    }
}
