//! Trying the authorization endpoint before the browser does.

use http::Method;
use serde_json::{Value, json};

use super::world::{
    AUTHORIZE, Answer, DOCUMENT, ISSUER, NOW, REDIRECT, REGISTER, Walk, World, earlier, known,
    page, plain, plan, query, redirect, silence,
};
use crate::flow::{Memo, OwnClient, Plan, SignInError};
use crate::registration::{ReasonCode, Refusal, RegistrationKind};
use crate::wire::NoAnswer;

fn without_dcr() -> World {
    World::usual().server(|doc| doc["registration_endpoint"] = Value::Null)
}

fn page_then(first: Answer, second: Answer) -> World {
    World::usual().with(AUTHORIZE, first).then(AUTHORIZE, second)
}

fn back(query: &str) -> Answer {
    redirect(&format!("{REDIRECT}?{query}"))
}

#[test]
fn an_issuer_that_has_never_accepted_our_document_is_asked_beforehand() {
    let walk = Walk::start(plan(), World::usual());
    let sent = walk.sent_to(AUTHORIZE);
    assert_eq!((sent.len(), &sent[0].method), (1, &Method::GET));
    assert!(sent[0].body.is_empty() && !sent[0].headers.contains_key("cookie"));
    let asked = query(&sent[0].url);
    let mut link = walk.link();
    for of_its_own in ["state", "code_challenge"] {
        let fresh = link.insert(of_its_own.into(), asked[of_its_own].clone());
        assert_ne!(fresh.as_ref(), Some(&asked[of_its_own]), "the browser gets a fresh pair");
    }
    assert_eq!(asked, link, "apart from that it is the very request that the browser will make");
}

#[test]
fn an_issuer_that_has_accepted_our_document_before_is_not() {
    let walk = Walk::start(known(), World::usual());
    assert_eq!(walk.count(AUTHORIZE), 0);
    assert_eq!(walk.client_id(), DOCUMENT);
    let elsewhere = Plan { accepted_by: vec!["https://other.test".into()], ..plan() };
    assert_eq!(Walk::start(elsewhere, World::usual()).count(AUTHORIZE), 1);
}

#[test]
fn neither_the_users_own_client_nor_dcr_is_tried_out() {
    let own = Some(OwnClient { client_id: "own".into(), secret: None, issuer: None });
    let of_week = Refusal {
        issuer: ISSUER.into(),
        document: DOCUMENT.into(),
        at: NOW,
        said: "HTTP 400".into(),
    };
    for plan in [
        Plan { own_client: own, ..plan() },
        Plan { document: None, ..plan() },
        Plan { document: None, registrations: vec![earlier()], ..plan() },
        Plan { refusals: vec![of_week], ..plan() },
    ] {
        let walk = Walk::start(plan, World::usual());
        assert_eq!((walk.count(AUTHORIZE), walk.visits.len()), (0, 1));
    }
}

#[test]
fn acceptance_is_remembered_only_with_the_grant() {
    let mut walk = Walk::start(plan(), World::usual());
    assert!(walk.memos.is_empty(), "a page may still show an error");
    walk.approve();
    assert!(matches!(walk.memos.as_slice(), [Memo::DocumentAccepted(by)] if by == ISSUER));
}

#[test]
fn every_page_and_every_redirect_is_an_acceptance() {
    for answer in [
        page(200),
        page(204),
        redirect("https://as.test/login"),
        redirect("/login"),
        back("code=thrown-away&state=x"),
        back("error=login_required&state=x"),
        back("error=invalid_request&state=x"),
        back("error=access_denied&state=x"),
        redirect("https://elsewhere.test/callback?error=invalid_client&state=x"),
        redirect("http://127.0.0.1:15393/callback/?error=invalid_client&state=x"),
    ] {
        let shown = format!("{answer:?}");
        let walk = Walk::start(plan(), World::usual().with(AUTHORIZE, answer));
        assert_eq!(walk.client_id(), DOCUMENT, "{shown}");
        assert_eq!(walk.count(REGISTER), 0, "{shown}");
    }
}

#[test]
fn a_code_that_comes_to_the_preflight_is_thrown_away_with_its_state() {
    let world = World::usual().with(AUTHORIZE, back("code=thrown-away&state=x"));
    let mut walk = Walk::start(plan(), world);
    let asked = query(&walk.sent_to(AUTHORIZE)[0].url);
    assert!(!walk.come_back_with("code=thrown-away&iss=https://as.test", &asked["state"]));
    assert_eq!(walk.count("https://as.test/token"), 0, "that state belongs to nobody");
    walk.approve();
    assert_eq!(walk.grant().registration.kind, RegistrationKind::Cimd);
}

#[test]
fn a_refusal_counts_only_when_a_registered_client_is_then_accepted() {
    for status in [400, 401, 403, 404, 422, 429, 500, 503] {
        let mut walk = Walk::start(plan(), page_then(page(status), page(200)));
        let ids: Vec<_> =
            walk.sent_to(AUTHORIZE).iter().map(|r| query(&r.url)["client_id"].clone()).collect();
        assert_eq!(ids, [DOCUMENT, "registered"], "the same question with the other id");
        assert_eq!(walk.count(REGISTER), 1);
        let refusal = Refusal {
            issuer: ISSUER.into(),
            document: DOCUMENT.into(),
            at: NOW,
            said: format!("HTTP {status}").into(),
        };
        assert_eq!(walk.refusals(), [&refusal], "now it is known to be about the document");
        assert_eq!(walk.client_id(), "registered");
        walk.approve();
        let reason = &walk.grant().registration.reason;
        assert_eq!(reason.code, ReasonCode::Refused);
        assert!(reason.text.contains(&format!("HTTP {status}")), "{reason:?}");
        assert_eq!(walk.refusals().len(), 1, "once");
    }
}

#[test]
fn when_both_are_refused_the_error_is_told_and_nothing_is_remembered_of_the_document() {
    for status in [400, 403, 500] {
        let walk = Walk::start(plan(), page_then(page(400), page(status)));
        let error = SignInError::AuthorizationRefused { issuer: ISSUER.into(), status };
        assert_eq!(walk.error(), &error, "it was not about CIMD");
        assert!(walk.refusals().is_empty(), "{walk:?}");
        // Where it may be about the redirect URI, that is tried by name as well.
        let made = if status == 500 { 1 } else { 2 };
        assert_eq!(walk.registered().len(), made, "the registration was made and is kept");
        assert!(walk.visits.is_empty());
    }
}

#[test]
fn an_earlier_registration_confirms_as_well_as_a_new_one() {
    let reuses = Plan { registrations: vec![earlier()], ..plan() };
    let walk = Walk::start(reuses, page_then(page(400), page(200)));
    assert_eq!((walk.client_id().as_str(), walk.count(REGISTER)), ("earlier", 0));
    assert_eq!(walk.refusals().len(), 1);
}

#[test]
fn a_suspicion_that_cannot_be_confirmed_is_not_remembered() {
    let mut walk = Walk::start(plan(), page_then(page(400), silence()));
    assert_eq!(walk.client_id(), "registered", "the browser will tell");
    walk.approve();
    assert_eq!(walk.grant().registration.kind, RegistrationKind::Dcr);
    assert!(walk.refusals().is_empty());
    let world = World::usual().with(AUTHORIZE, page(400)).with(REGISTER, page(403));
    assert!(Walk::start(plan(), world).refusals().is_empty());
}

#[test]
fn without_dcr_a_refusal_asks_for_a_client_and_trouble_is_left_to_the_browser() {
    for status in [400, 401, 422] {
        let walk = Walk::start(plan(), without_dcr().with(AUTHORIZE, page(status)));
        let refused = Some(format!("HTTP {status}").into());
        let error = SignInError::NoRegistrationRoute { issuer: ISSUER.into(), refused };
        assert_eq!(walk.error(), &error);
        assert!(walk.refusals().is_empty(), "nothing has shown that it is about the document");
    }
    for status in [403, 404, 405, 429, 500, 503] {
        let walk = Walk::start(plan(), without_dcr().with(AUTHORIZE, page(status)));
        assert_eq!(walk.client_id(), DOCUMENT, "HTTP {status} may be about robots");
    }
}

#[test]
fn no_answer_is_left_to_the_browser() {
    let walk = Walk::start(plan(), World::usual().with(AUTHORIZE, silence()));
    assert_eq!(walk.client_id(), DOCUMENT, "the browser may have a proxy that we lack");
    assert_eq!(walk.count(REGISTER), 0);
}

#[test]
fn a_page_that_we_may_not_reach_is_not_opened_in_the_browser_either() {
    let forbidden = Err(NoAnswer::Forbidden("a private address".into()));
    let walk = Walk::start(plan(), World::usual().with(AUTHORIZE, forbidden));
    assert_eq!(walk.error(), &SignInError::UnsafeLink { issuer: ISSUER.into() });
    assert!(walk.visits.is_empty() && walk.memos.is_empty());
}

#[test]
fn an_error_about_the_client_in_the_redirect_steps_down_at_once() {
    for error in ["invalid_client", "unauthorized_client"] {
        let world = page_then(back(&format!("error={error}&state=x")), page(400));
        let mut walk = Walk::start(plan(), world);
        assert_eq!(walk.count(AUTHORIZE), 1, "a typed error needs no confirmation");
        assert_eq!(walk.count(REGISTER), 1);
        assert_eq!(walk.refusals().len(), 1, "{error} is remembered");
        assert_eq!(walk.refusals()[0].said, error);
        walk.approve();
        assert_eq!(walk.grant().registration.reason.code, ReasonCode::Refused);
        assert_eq!(walk.refusals().len(), 1, "once");

        let world = without_dcr().with(AUTHORIZE, back(&format!("error={error}&state=x")));
        let walk = Walk::start(plan(), world);
        let refused = Some(error.into());
        let expected = SignInError::NoRegistrationRoute { issuer: ISSUER.into(), refused };
        assert_eq!(walk.error(), &expected);
    }
}

#[test]
fn an_error_about_the_client_in_the_confirming_preflight_refuses_dcr_too() {
    let refused = back("error=unauthorized_client&state=x");
    let walk = Walk::start(plan(), page_then(page(400), refused.clone()));
    assert!(matches!(walk.error(), SignInError::ClientRefused { .. }), "{walk:?}");
    assert!(walk.refusals().is_empty(), "both are refused, so it is not about CIMD");

    let reuses = Plan { registrations: vec![earlier()], ..plan() };
    let walk = Walk::start(reuses, page_then(page(400), refused).then(AUTHORIZE, page(200)));
    assert_eq!(walk.gone(), ["earlier"]);
    assert_eq!((walk.client_id().as_str(), walk.count(REGISTER)), ("registered", 1));
    assert_eq!(walk.refusals().len(), 1, "the new registration confirmed the suspicion");
}

#[test]
fn a_pushed_request_needs_no_preflight() {
    let world = World::usual().server(|doc| {
        doc["require_pushed_authorization_requests"] = json!(true);
        doc["pushed_authorization_request_endpoint"] = json!("https://as.test/par");
    });
    let walk = Walk::start(plan(), world);
    assert_eq!(walk.count(AUTHORIZE), 0, "the push endpoint tells about the client by itself");
    assert_eq!(walk.places().last().copied().map(plain), Some("https://as.test/par"));
}
