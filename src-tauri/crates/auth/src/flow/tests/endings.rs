//! Giving up, running out of time, and that over is over: in every state.

use serde_json::json;

use super::world::{
    AUTHORIZE, OAUTH_FORM, OPENID_FORM, PATH_FORM, PUSH, REGISTER, SERVER, TOKEN, Walk, World,
    known, page, plan, reply,
};
use crate::authorize::AuthorizationResponse;
use crate::flow::{Event, Plan, SignInError};

/// One walk into each state, left there with its question open.
fn every_state() -> Vec<(&'static str, Walk)> {
    let at = |plan, world, url| Walk::start_until(plan, world, Some(url));
    let pushing = World::usual().server(|doc| {
        doc["require_pushed_authorization_requests"] = json!(true);
        doc["pushed_authorization_request_endpoint"] = json!(PUSH);
    });
    let gaps = World::usual().server(|doc| doc["revocation_endpoint"] = json!(null));
    let unregistered = Plan { document: None, ..plan() };
    let mut exchanging = at(known(), World::usual(), TOKEN);
    exchanging.approve();
    vec![
        ("Probing", at(Plan { challenge: None, ..plan() }, World::usual(), SERVER)),
        ("FindingResource", at(plan(), World::usual(), PATH_FORM)),
        ("FindingServer", at(plan(), World::usual(), OAUTH_FORM)),
        ("FillingIn", at(plan(), gaps, OPENID_FORM)),
        ("Registering", at(unregistered, World::usual(), REGISTER)),
        ("Preflighting", at(plan(), World::usual(), AUTHORIZE)),
        ("Pushing", at(plan(), pushing, PUSH)),
        ("InBrowser", Walk::start(known(), World::usual())),
        ("Exchanging", exchanging),
    ]
}

fn all_events() -> Vec<Event> {
    let callback = AuthorizationResponse::parse("code=c&state=s").expect("a response");
    vec![
        Event::Answer(page(404)),
        Event::Answer(reply(200, json!({"access_token": "late"}))),
        Event::Callback(callback),
        Event::BrowserFailed("late".into()),
        Event::TryAnotherWay,
        Event::TimedOut,
        Event::Cancelled,
    ]
}

#[test]
fn every_state_can_be_left_at_any_time_and_stays_left() {
    for (event, error) in
        [(Event::TimedOut, SignInError::TimedOut), (Event::Cancelled, SignInError::Cancelled)]
    {
        for (state, mut walk) in every_state() {
            let shown = format!("{walk:?}");
            assert!(shown.contains(&format!("{state}(")), "it was to be in {state}: {shown}");
            assert!(walk.outcome.is_none(), "{state} has its question open");
            let asked = walk.asked.len();
            assert!(walk.tell(event.clone()));
            assert_eq!(walk.error(), &error, "{state}");
            for late in all_events() {
                assert!(!walk.tell(late), "over is over, after {state}");
            }
            assert_eq!((walk.asked.len(), walk.error()), (asked, &error), "{state}");
        }
    }
}

#[test]
fn what_is_not_the_awaited_answer_changes_no_state_but_the_browsers() {
    for (state, mut walk) in every_state().into_iter().filter(|(state, _)| *state != "InBrowser") {
        let (asked, visits) = (walk.asked.len(), walk.visits.len());
        let callback = AuthorizationResponse::parse("code=c&state=s").expect("a response");
        assert!(!walk.tell(Event::Callback(callback)), "{state}");
        assert!(!walk.tell(Event::BrowserFailed("x".into())), "{state}");
        assert!(!walk.tell(Event::TryAnotherWay), "{state}");
        assert_eq!((walk.asked.len(), walk.visits.len()), (asked, visits), "{state}");
        assert!(format!("{walk:?}").contains(&format!("{state}(")), "{state} goes on");
    }
}

#[test]
fn a_walk_that_has_signed_in_is_over_too() {
    let mut walk = Walk::start(known(), World::usual());
    walk.approve();
    let (asked, memos) = (walk.asked.len(), walk.memos.len());
    for late in all_events() {
        assert!(!walk.tell(late), "the grant stands");
    }
    assert_eq!((walk.asked.len(), walk.memos.len()), (asked, memos));
    assert_eq!(walk.grant().access.expose(), "access");
}

#[test]
fn trace_lines_and_memos_are_handed_out_once() {
    let mut walk = Walk::start(plan(), World::usual());
    walk.approve();
    let results: Vec<_> = walk.trace.iter().map(|l| (l.step, l.result.as_str())).collect();
    let mut once = results.clone();
    once.dedup();
    assert_eq!(results, once, "no line comes twice");
    assert!(walk.trace.iter().all(|line| line.target.as_deref().is_none_or(|t| !t.contains('?'))));
}
