//! The look at a server before anything is registered or opened.

use http::Method;
use serde_json::json;

use super::world::{
    AUTHORIZE, DOCUMENT, ISSUER, NOW, REGISTER, SERVER, World, entropy, plan, reply,
};
use crate::flow::{Event, Next, Outcome, Plan, SignIn, SignInError, Survey, Way};
use crate::registration::{ReasonCode, Refusal};

/// Surveys; gives what was found and whom it asked, with what method.
fn survey(mut world: World, plan: Plan) -> (Outcome, Vec<(Method, String)>) {
    let (mut flow, mut next) = SignIn::survey(plan, NOW, &entropy(1));
    let mut asked = Vec::new();
    for turn in 2..60 {
        match next {
            Next::Fetch(request) => {
                asked.push((request.method.clone(), request.url.clone()));
                next = flow.step(Event::Answer(world.answer(&request)), NOW, &entropy(turn));
            }
            Next::Over(outcome) => return (outcome, asked),
            Next::Browse(_) => panic!("a survey opens no browser"),
            Next::Wait => panic!("a survey waits for nobody"),
        }
    }
    panic!("it goes in circles: {asked:?}")
}

fn found(world: World, plan: Plan) -> Survey {
    match survey(world, plan).0 {
        Outcome::Surveyed(survey) => *survey,
        other => panic!("no survey: {other:?}"),
    }
}

#[test]
fn it_names_the_rung_and_asks_only_for_descriptions() {
    let (outcome, asked) = survey(World::usual(), plan());
    let Outcome::Surveyed(survey) = outcome else { panic!("{outcome:?}") };
    assert_eq!(survey.issuer, ISSUER);
    assert_eq!((survey.way, survey.reason), (Way::Document, ReasonCode::OfferedAndAccepted));
    assert!(asked.len() >= 2, "{asked:?}");
    assert!(
        asked.iter().all(|(method, _)| method == Method::GET),
        "something was posted: {asked:?}"
    );
    for never in [AUTHORIZE, REGISTER, DOCUMENT] {
        assert!(!asked.iter().any(|(_, url)| url.starts_with(never)), "{never} was asked");
    }
}

#[test]
fn without_cimd_it_is_a_registration_and_without_that_a_client_of_ones_own() {
    let not_offered = |with_dcr: bool| {
        World::usual().server(move |document| {
            document["client_id_metadata_document_supported"] = json!(false);
            if !with_dcr {
                document.as_object_mut().expect("an object").remove("registration_endpoint");
            }
        })
    };
    let dynamic = found(not_offered(true), plan());
    assert_eq!((dynamic.way, dynamic.reason), (Way::Dynamic, ReasonCode::NotOffered));
    let by_hand = found(not_offered(false), plan());
    assert_eq!((by_hand.way, by_hand.reason), (Way::Ask, ReasonCode::NotOffered));
    let own = Plan {
        own_client: Some(crate::flow::OwnClient {
            client_id: "mine".into(),
            secret: None,
            issuer: None,
        }),
        ..plan()
    };
    assert_eq!(found(not_offered(false), own).way, Way::OwnClient);
}

#[test]
fn a_remembered_refusal_shows_before_connecting() {
    let refusal = Refusal {
        issuer: ISSUER.into(),
        document: DOCUMENT.into(),
        at: NOW,
        said: "invalid_client".into(),
    };
    let survey = found(World::usual(), Plan { refusals: vec![refusal], ..plan() });
    assert_eq!((survey.way, survey.reason), (Way::Dynamic, ReasonCode::Refused));
}

#[test]
fn an_open_server_and_one_without_a_way_in_are_said_as_a_sign_in_would_say_them() {
    let answer = json!({"jsonrpc":"2.0","id":1,"result":{}});
    let open = World::usual().with(SERVER, reply(200, answer));
    assert!(matches!(survey(open, Plan { challenge: None, ..plan() }).0, Outcome::Open));
    let no_s256 = World::usual()
        .server(|document| document["code_challenge_methods_supported"] = json!(["plain"]));
    assert!(matches!(
        survey(no_s256, plan()).0,
        Outcome::Failed(SignInError::PkceUnsupported { .. })
    ));
}
