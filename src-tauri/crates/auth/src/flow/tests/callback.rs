//! What may come to our redirect URI, and what becomes of it.

use serde_json::json;

use super::world::{
    ISSUER, OPENID_FORM, PATH_FORM, PUSH, TOKEN, Walk, World, known, page, plain, plan, query,
    reply, silence,
};
use crate::authorize::{AuthorizationResponse, BadIssuer};
use crate::flow::{Event, Outcome, Plan, SignInError};

fn promising(promised: bool) -> World {
    World::usual().server(|doc| {
        doc["authorization_response_iss_parameter_supported"] = json!(promised);
    })
}

#[test]
fn iss_is_held_against_the_recorded_issuer_before_the_code_goes_anywhere() {
    let table = [
        (true, Some("https://as.test"), None),
        (true, Some("https://evil.test"), Some(BadIssuer::Other)),
        (true, Some("https://as.test/"), Some(BadIssuer::Other)),
        (true, Some("https://as.test:443"), Some(BadIssuer::Other)),
        (true, Some("HTTPS://as.test"), Some(BadIssuer::Other)),
        (true, Some(""), Some(BadIssuer::Other)),
        (true, None, Some(BadIssuer::Missing)),
        (false, Some("https://as.test"), None),
        (false, Some("https://evil.test"), Some(BadIssuer::Other)),
        (false, Some("https://as.test/"), Some(BadIssuer::Other)),
        (false, None, None),
    ];
    for (promised, iss, wrong) in table {
        let with_iss = |answer: &str| match iss {
            Some(iss) => format!("{answer}&iss={iss}"),
            None => answer.to_owned(),
        };
        let mut walk = Walk::start(known(), promising(promised));
        walk.come_back(&with_iss("code=the-code"));
        match &wrong {
            Some(wrong) => {
                assert_eq!(walk.error(), &SignInError::Issuer(wrong.clone()), "{promised} {iss:?}");
                assert_eq!(walk.count(TOKEN), 0, "the code stays here: {promised} {iss:?}");
            }
            None => assert_eq!(walk.grant().registration.issuer, ISSUER),
        }

        let mut walk = Walk::start(known(), promising(promised));
        walk.come_back(&with_iss("error=invalid_client"));
        match &wrong {
            Some(wrong) => {
                // An absent name accuses nobody: the words stay neutral.
                let expected = match wrong {
                    BadIssuer::Missing => SignInError::Unnamed { issuer: ISSUER.into() },
                    BadIssuer::Other => SignInError::Issuer(wrong.clone()),
                };
                assert_eq!(walk.error(), &expected, "{promised} {iss:?}");
                let shown = format!("{} {:?}", walk.error(), walk.trace);
                assert!(!shown.contains("invalid_client"), "nothing of it is shown: {shown}");
                assert!(walk.memos.is_empty(), "nor acted on: {walk:?}");
            }
            None => assert_eq!(walk.refusals().len(), 1, "an error of the real issuer counts"),
        }
    }
}

#[test]
fn where_there_was_no_document_there_is_no_issuer_to_compare_with() {
    let made = reply(201, json!({"client_id": "guessed"}));
    let token = reply(200, json!({"access_token": "a"}));
    let world = World::default()
        .with("https://mcp.test/register", made)
        .with("https://mcp.test/token", token);
    for answer in ["code=c", "code=c&iss=https://mcp.test/elsewhere"] {
        let allowed = Plan { allow_guessed_endpoints: true, ..plan() };
        let mut walk = Walk::start(allowed, world.clone());
        walk.come_back(answer);
        assert_eq!(walk.grant().token_endpoint, "https://mcp.test/token");
    }
}

#[test]
fn a_foreign_state_changes_nothing_and_the_right_one_still_works() {
    for foreign in ["x", "", "state"] {
        for answer in ["code=planted&iss=https://as.test", "error=access_denied", "code=c"] {
            let mut walk = Walk::start(known(), World::usual());
            let state = format!("{foreign}{}", &walk.visits[0].state.expose()[1..]);
            let lines = walk.trace.len();
            assert!(!walk.come_back_with(answer, &state), "whoever reaches the port can send it");
            assert_eq!((walk.count(TOKEN), walk.trace.len()), (0, lines));
            walk.approve();
            assert_eq!(super::world::form(walk.sent_to(TOKEN)[0])["code"], "the-code");
            assert_eq!(walk.grant().access.expose(), "access");
        }
    }
}

#[test]
fn a_response_that_comes_twice_is_redeemed_once() {
    let mut walk = Walk::start_until(known(), World::usual(), Some(TOKEN));
    walk.approve();
    assert_eq!(walk.count(TOKEN), 1);
    assert!(!walk.come_back("code=the-code&iss=https://as.test"));
    assert!(!walk.come_back("code=another&iss=https://as.test"));
    assert!(!walk.come_back("error=access_denied&iss=https://as.test"));
    assert_eq!((walk.count(TOKEN), walk.outcome.is_none()), (1, true), "it is on its way");
    walk.tell(Event::Answer(reply(200, json!({"access_token": "a"}))));
    assert_eq!(walk.grant().access.expose(), "a");
    assert!(!walk.come_back("code=the-code&iss=https://as.test"), "it is over");
}

#[test]
fn a_state_is_good_for_one_visit() {
    let mut walk = Walk::start(known(), World::usual());
    let first = walk.visits[0].state.clone();
    walk.refuse("invalid_target");
    assert_eq!(walk.visits.len(), 2);
    assert_ne!(walk.visits[1].state, first, "each visit has its own");
    assert!(!walk.come_back_with("code=old&iss=https://as.test", first.expose()));
    assert_eq!(walk.count(TOKEN), 0);
}

#[test]
fn the_listener_waits_for_the_state_in_the_link() {
    let walk = Walk::start(plan(), World::usual());
    assert_eq!(walk.link()["state"], walk.visits[0].state.expose());
    assert!(walk.link()["state"].len() >= 43, "256 bits");
}

#[test]
fn an_error_goes_before_a_code_in_the_same_answer() {
    let mut walk = Walk::start(known(), World::usual());
    walk.come_back("error=access_denied&code=c&iss=https://as.test");
    assert_eq!(walk.error(), &SignInError::Denied);
    assert_eq!(walk.count(TOKEN), 0);
}

#[test]
fn a_browser_that_cannot_be_opened_ends_the_try() {
    let mut walk = Walk::start(known(), World::usual());
    assert!(walk.tell(Event::BrowserFailed("no browser".into())));
    assert_eq!(walk.error(), &SignInError::Browser { cause: "no browser".into() });
}

#[test]
fn an_answer_that_nobody_awaits_changes_nothing() {
    let mut walk = Walk::start(known(), World::usual());
    assert!(!walk.tell(Event::Answer(reply(200, json!({"access_token": "planted"})))));
    assert!(!walk.tell(Event::Answer(silence())));
    walk.approve();
    assert_eq!(walk.grant().access.expose(), "access");
}

#[test]
fn what_comes_while_an_answer_is_awaited_changes_nothing() {
    let mut walk = Walk::start_until(known(), World::usual(), Some(PATH_FORM));
    let stray = AuthorizationResponse::parse("code=c&state=s").expect("a response");
    assert!(!walk.tell(Event::Callback(stray)));
    assert!(!walk.tell(Event::TryAnotherWay));
    assert!(!walk.tell(Event::BrowserFailed("late".into())));
    assert!(walk.tell(Event::Answer(page(404))), "the answer is still awaited");
    assert!(matches!(walk.outcome, Some(Outcome::Failed(SignInError::NoAuthorizationServer))));
}

#[test]
fn a_pushed_request_leaves_only_its_handle_in_the_link() {
    let world = World::usual().server(|doc| {
        doc["require_pushed_authorization_requests"] = json!(true);
        doc["pushed_authorization_request_endpoint"] = json!(PUSH);
        doc["authorization_endpoint"] = json!("https://as.test/authorize?tenant=seven");
    });
    let handle = reply(201, json!({"request_uri": "urn:one", "expires_in": 60}));
    let mut walk = Walk::start(known(), world.with(PUSH, handle));
    let pushed = super::world::form(walk.sent_to(PUSH)[0]);
    assert_eq!(pushed["state"], walk.visits[0].state.expose(), "the state that is waited for");
    assert_eq!(pushed["code_challenge_method"], "S256");
    assert!(!pushed.contains_key("code_verifier") && !pushed.contains_key("tenant"));
    let expected = query(
        "https://x/?tenant=seven&client_id=https://keyfob.test/client.json&request_uri=urn:one",
    );
    assert_eq!(walk.link(), expected);
    walk.approve();
    let verifier = &super::world::form(walk.sent_to(TOKEN)[0])["code_verifier"];
    let own = walk.bindings().into_iter().find(|b| b.state.expose() == pushed["state"]);
    assert_eq!(own.map(|b| b.verifier.expose().to_owned()).as_ref(), Some(verifier));
    assert_eq!(walk.grant().registration.issuer, ISSUER);
}

#[test]
fn required_pushing_without_an_endpoint_is_left_to_the_link() {
    let world = World::usual()
        .server(|doc| doc["require_pushed_authorization_requests"] = json!(true))
        .with(OPENID_FORM, page(404));
    let walk = Walk::start(known(), world);
    assert_eq!(plain(walk.visits[0].url.expose()), "https://as.test/authorize");
}

/// A2a, A2b: what a server writes beside its error is nowhere to be seen.
#[test]
fn the_description_of_an_error_is_neither_shown_nor_kept() {
    for said in ["<script>alert(1)</script>", "call+0800+and+say+PIN", "%3Cb%3Ebold%3C/b%3E"] {
        for error in ["access_denied", "server_error", "made_up_by_them"] {
            let mut walk = Walk::start(known(), World::usual());
            let query =
                format!("error={error}&error_description={said}&error_uri=https://evil.test/help");
            walk.come_back(&format!("{query}&iss={ISSUER}"));
            let trace = serde_json::to_string(&walk.trace).expect("JSON");
            let everything = format!("{} {trace} {:?}", walk.error(), walk.memos);
            for shown in ["script", "alert", "0800", "bold", "evil"] {
                assert!(!everything.contains(shown), "{shown} in {everything}");
            }
        }
    }
}
