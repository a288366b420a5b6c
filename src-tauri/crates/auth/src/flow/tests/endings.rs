//! Giving up, running out of time, and that over is over: in every state.

use serde_json::json;

use super::world::{
    AUTHORIZE, Answer, OAUTH_FORM, OPENID_FORM, ORIGIN, PATH_FORM, PUSH, REGISTER, ROOT_FORM,
    SERVER, TOKEN, Walk, World, complete, earlier, known, list, page, plan, redirect, reply,
    resource_of,
};
use crate::authorize::AuthorizationResponse;
use crate::flow::{Event, MOST_REQUESTS, Plan, SignInError};
use crate::registration::Registration;
use crate::trace::Weight;

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

fn moved(to: &str) -> Answer {
    let mut response = redirect(to).expect("an answer");
    response.status = 308;
    Ok(response)
}

/// Each answer is one that an honest server may give, and together they lead nowhere.
#[test]
fn a_maze_of_answers_is_left_after_thirty_requests() {
    const LAST: &str = "https://as5.test/t";
    let hop = |n: usize| format!("{SERVER}{}", "/x".repeat(n));
    let issuers: Vec<_> = (1..=5).map(|n| format!("https://as{n}.test/t")).collect();
    let issuers: Vec<_> = issuers.iter().map(String::as_str).collect();
    let mut world = World::usual();
    for n in 0..3 {
        world = world.with(&hop(n), moved(&hop(n + 1)));
    }
    let era = json!({"jsonrpc": "2.0", "id": "keyfob-probe", "error": {"code": -1, "message": ""}});
    let refused = |error: &str| reply(400, json!({"error": error}));
    let register = format!("{LAST}/register");
    let world = world
        .with(&hop(3), reply(400, era))
        .then(&hop(3), page(401))
        .with(PATH_FORM, page(404))
        .with(ROOT_FORM, resource_of(ORIGIN, &issuers))
        .with("https://as5.test/t/.well-known/openid-configuration", reply(200, complete(LAST)))
        .with(&format!("{LAST}/authorize"), page(400))
        .with(&register, refused("invalid_client_metadata"))
        .then(&register, reply(201, json!({"client_id": "made"})))
        .then(&register, refused("invalid_client_metadata"))
        .then(&register, reply(201, json!({"client_id": "made by name"})));
    // From earlier sign-ins at all of them, so that none is asked before the others.
    let held = |issuer: &&str| Registration { issuer: (*issuer).to_owned(), ..earlier() };
    let registrations = issuers.iter().map(held).collect();
    let plan = Plan { challenge: None, registrations, scopes: list("a"), ..plan() };
    let walk = Walk::start(plan, world);
    assert_eq!(walk.asked.len(), MOST_REQUESTS as usize, "{:#?}", walk.places());
    let SignInError::Endless { asked, .. } = walk.error() else { panic!("{:?}", walk.error()) };
    assert_eq!(*asked, MOST_REQUESTS);
    let line = walk.trace.last().expect("a line");
    assert_eq!((line.decision.as_deref(), line.weight), (Some("stopped"), Weight::Warn));
    assert!(walk.visits.is_empty(), "nobody was troubled");
}
