//! Which authorization server is asked, where its metadata lies, and what stops the search.

use serde_json::{Value, json};

use super::world::{
    AUTHORIZE, ISSUER, OAUTH_FORM, OPENID_FORM, ORIGIN, PATH_FORM, REGISTER, ROOT_FORM, SERVER,
    Walk, World, bare, challenged, complete, earlier, list, page, plain, plan, redirect, reply,
    resource_of, silence,
};
use crate::challenge::Challenge;
use crate::flow::{OwnClient, Plan, SignInError};
use crate::metadata::BadMetadata;
use crate::registration::Registration;
use crate::secret::Secret;

const SECOND: &str = "https://second.test";
const SECOND_FORM: &str = "https://second.test/.well-known/oauth-authorization-server";
const ORIGIN_OAUTH: &str = "https://mcp.test/.well-known/oauth-authorization-server";
const ORIGIN_OPENID: &str = "https://mcp.test/.well-known/openid-configuration";

fn realm(realm: &str) -> Plan {
    challenged(Challenge { realm: Some(realm.into()), ..Challenge::default() })
}

/// A server that says nothing about its sign-in.
fn mute() -> World {
    World::usual().with(PATH_FORM, page(404))
}

fn visited(walk: &Walk) -> &str {
    walk.visits.last().map_or("nowhere", |visit| plain(visit.url.expose()))
}

#[test]
fn an_issuer_without_a_path_has_two_locations_in_order() {
    let world =
        World::usual().with(OAUTH_FORM, page(404)).with(OPENID_FORM, reply(200, complete(ISSUER)));
    let walk = Walk::start(plan(), world);
    assert_eq!(walk.places()[1..3], [OAUTH_FORM, OPENID_FORM]);
    assert_eq!(visited(&walk), AUTHORIZE);
}

#[test]
fn an_issuer_with_a_path_has_three_locations_and_never_the_root() {
    const TENANT: &str = "https://as.test/tenant";
    let forms = [
        "https://as.test/.well-known/oauth-authorization-server/tenant",
        "https://as.test/.well-known/openid-configuration/tenant",
        "https://as.test/tenant/.well-known/openid-configuration",
    ];
    for (last, form) in forms.iter().enumerate() {
        let world = World::usual()
            .with(PATH_FORM, resource_of(SERVER, &[TENANT]))
            .with(form, reply(200, complete(TENANT)));
        let walk = Walk::start(plan(), world);
        assert_eq!(walk.places()[1..last + 2], forms[..=last]);
        assert_eq!(visited(&walk), "https://as.test/tenant/authorize");
        assert_eq!(walk.count(OAUTH_FORM) + walk.count(OPENID_FORM), 0, "these are another's");
    }
}

#[test]
fn a_page_a_redirect_or_a_4xx_means_not_here() {
    for answer in [page(200), page(401), page(404), page(502), redirect("https://as.test/login")] {
        let world =
            World::usual().with(OAUTH_FORM, answer).with(OPENID_FORM, reply(200, complete(ISSUER)));
        assert_eq!(visited(&Walk::start(plan(), world)), AUTHORIZE);
    }
}

#[test]
fn what_cannot_be_told_ends_the_search_at_this_issuer() {
    for answer in [page(429), page(500), page(503), silence()] {
        let world =
            World::usual().with(OAUTH_FORM, answer).with(OPENID_FORM, reply(200, complete(ISSUER)));
        let walk = Walk::start(plan(), world);
        assert_eq!(walk.places(), [PATH_FORM, OAUTH_FORM], "{:?}", walk.outcome);
    }
}

#[test]
fn a_wrong_issuer_stops_and_no_other_document_is_fished_for() {
    for wrong in ["https://evil.test", "https://as.test/", "https://AS.test", "https://as.test:443"]
    {
        let world = World::usual()
            .server(|doc| doc["issuer"] = json!(wrong))
            .with(OPENID_FORM, reply(200, complete(ISSUER)));
        let walk = Walk::start(plan(), world);
        let by_slash = wrong == "https://as.test/";
        let cause = BadMetadata::OtherIssuer { found: wrong.into(), by_slash };
        assert_eq!(walk.error(), &SignInError::Metadata { url: OAUTH_FORM.into(), cause });
        assert_eq!(walk.places(), [PATH_FORM, OAUTH_FORM], "a document that lies ends it");
        assert!(walk.visits.is_empty());
    }
}

#[test]
fn a_named_issuer_without_a_document_is_not_replaced_by_the_origin() {
    let world =
        World::usual().with(OAUTH_FORM, page(404)).with(ORIGIN_OAUTH, reply(200, complete(ORIGIN)));
    let allowed = Plan { allow_guessed_endpoints: true, ..plan() };
    let walk = Walk::start(allowed, world);
    let cause = BadMetadata::NotMetadata;
    assert_eq!(walk.error(), &SignInError::Metadata { url: ISSUER.into(), cause });
    assert_eq!(walk.places(), [PATH_FORM, OAUTH_FORM, OPENID_FORM]);
}

#[test]
fn the_configured_issuer_is_the_only_one_asked() {
    let world = World::usual().with(SECOND_FORM, reply(200, complete(SECOND)));
    let walk = Walk::start(Plan { issuer: Some(SECOND.into()), ..plan() }, world);
    assert_eq!(visited(&walk), "https://second.test/authorize");
    assert_eq!(walk.count(OAUTH_FORM), 0, "the user's word goes before the server's");
    let walk = Walk::start(Plan { issuer: Some(SECOND.into()), ..plan() }, mute());
    assert!(matches!(walk.error(), SignInError::Metadata { .. }), "{walk:?}");
    assert_eq!(walk.count(ORIGIN_OAUTH), 0, "nothing takes the place of the user's choice");
}

#[test]
fn of_several_issuers_the_one_that_knows_us_is_asked_first() {
    let world = World::usual()
        .with(PATH_FORM, resource_of(SERVER, &[ISSUER, SECOND]))
        .with(SECOND_FORM, reply(200, complete(SECOND)));
    let walk = Walk::start(plan(), world.clone());
    assert_eq!((visited(&walk), walk.count(SECOND_FORM)), (AUTHORIZE, 0), "the first that is good");
    let registrations = vec![Registration { issuer: SECOND.into(), ..earlier() }];
    let walk = Walk::start(Plan { registrations, ..plan() }, world);
    assert_eq!(walk.places()[1], SECOND_FORM);
    assert_eq!(walk.count(OAUTH_FORM), 0, "the second works, so the first is not asked");
}

#[test]
fn of_several_issuers_the_first_that_validates_is_taken_else_the_first_failure_is_told() {
    let two = World::usual().with(PATH_FORM, resource_of(SERVER, &[ISSUER, SECOND]));
    for first in [page(404), page(500), silence(), reply(200, complete("https://evil.test"))] {
        let world = two.clone().with(OAUTH_FORM, first);
        let good = world.clone().with(SECOND_FORM, reply(200, complete(SECOND)));
        assert_eq!(visited(&Walk::start(plan(), good)), "https://second.test/authorize");
    }
    let walk = Walk::start(plan(), two.with(OAUTH_FORM, silence()));
    assert_eq!(walk.named, [ISSUER, SECOND], "all are told, so that the person may choose");
    assert!(
        matches!(walk.error(), SignInError::Unreachable { target, .. } if target == OAUTH_FORM),
        "the first choice is the one to tell about: {walk:?}"
    );
}

#[test]
fn an_issuer_that_cannot_be_asked_safely_is_passed_over() {
    let world = World::usual().with(PATH_FORM, resource_of(SERVER, &["http://plain.test", ISSUER]));
    let walk = Walk::start(plan(), world);
    assert_eq!(visited(&walk), AUTHORIZE);
    assert!(walk.places().iter().all(|place| place.starts_with("https://")));
}

#[test]
fn the_realm_is_a_hint_where_there_is_no_metadata() {
    let walk = Walk::start(realm(ISSUER), mute());
    assert_eq!(walk.places()[..3], [PATH_FORM, ROOT_FORM, OAUTH_FORM]);
    assert_eq!(visited(&walk), AUTHORIZE);
    assert_eq!(walk.link()["resource"], SERVER, "without metadata it is the server's own URL");
    let world = World::usual().with(SECOND_FORM, reply(200, complete(SECOND)));
    let walk = Walk::start(realm(SECOND), world);
    assert_eq!(walk.count(SECOND_FORM), 0, "what the metadata names goes before the realm");
}

#[test]
fn the_origin_is_asked_only_after_a_clean_not_here() {
    let world = mute().with(ORIGIN_OAUTH, reply(200, complete(ORIGIN)));
    for plan in [plan(), realm("example"), realm("https://nothing.test")] {
        let walk = Walk::start(plan, world.clone());
        assert_eq!(visited(&walk), "https://mcp.test/authorize");
        assert!(walk.trace.iter().any(|l| l.result == "old-style sign-in"), "it is made visible");
    }
    for answer in [page(500), page(429), silence()] {
        for place in [PATH_FORM, ROOT_FORM, OAUTH_FORM] {
            let walk = Walk::start(realm(ISSUER), world.clone().with(place, answer.clone()));
            assert_eq!(walk.count(ORIGIN_OAUTH), 0, "{place} may be back in a minute");
            assert!(walk.visits.is_empty(), "{walk:?}");
        }
    }
}

#[test]
fn metadata_that_names_no_issuer_leads_to_the_origin() {
    let world = World::usual()
        .with(PATH_FORM, resource_of(SERVER, &[]))
        .with(ORIGIN_OPENID, reply(200, complete(ORIGIN)));
    let walk = Walk::start(plan(), world);
    assert_eq!(walk.places()[..3], [PATH_FORM, ORIGIN_OAUTH, ORIGIN_OPENID]);
    assert_eq!(visited(&walk), "https://mcp.test/authorize");
}

#[test]
fn one_slash_is_tolerated_where_we_derived_the_issuer_and_kept_from_then_on() {
    let mut document = complete(ORIGIN);
    document["issuer"] = json!("https://mcp.test/");
    let world = mute().with(ORIGIN_OAUTH, reply(200, document));
    let mut walk = Walk::start(plan(), world.clone());
    walk.come_back("code=c&iss=https://mcp.test");
    assert!(matches!(walk.error(), SignInError::Issuer(_)), "iss is the document's own string");
    let token = json!({"access_token": "a"});
    let mut walk = Walk::start(plan(), world.with("https://mcp.test/token", reply(200, token)));
    walk.come_back("code=c&iss=https://mcp.test/");
    assert_eq!(walk.grant().registration.issuer, "https://mcp.test/");
}

#[test]
fn endpoints_are_guessed_only_where_that_is_allowed() {
    let walk = Walk::start(plan(), mute());
    assert_eq!(walk.error(), &SignInError::NoAuthorizationServer);
    assert_eq!(walk.places(), [PATH_FORM, ROOT_FORM, ORIGIN_OAUTH, ORIGIN_OPENID]);

    let made = reply(201, json!({"client_id": "guessed"}));
    let allowed = Plan { allow_guessed_endpoints: true, ..plan() };
    let walk = Walk::start(allowed.clone(), mute().with("https://mcp.test/register", made));
    assert_eq!(walk.places()[2..], [ORIGIN_OAUTH, ORIGIN_OPENID, "https://mcp.test/register"]);
    assert_eq!(visited(&walk), "https://mcp.test/authorize");
    assert_eq!(walk.link()["code_challenge_method"], "S256", "PKCE is sent all the same");

    for answer in [page(500), silence()] {
        let walk = Walk::start(allowed.clone(), mute().with(ORIGIN_OPENID, answer));
        assert!(walk.visits.is_empty(), "what cannot be told is no reason to guess: {walk:?}");
    }
}

#[test]
fn without_s256_there_is_no_sign_in_on_any_rung() {
    let own = OwnClient { client_id: "own".into(), secret: None, issuer: None };
    let rungs = [
        ("own client", Plan { own_client: Some(own), ..plan() }),
        ("cimd", plan()),
        ("dcr", Plan { document: None, ..plan() }),
    ];
    for (rung, plan) in rungs {
        for methods in [Value::Null, json!([]), json!(["plain"]), json!("S256")] {
            let world = World::usual().server(|d| d["code_challenge_methods_supported"] = methods);
            let walk = Walk::start(plan.clone(), world.clone());
            let error = SignInError::PkceUnsupported { issuer: ISSUER.into() };
            assert_eq!(walk.error(), &error, "{rung}");
            assert!(walk.registered().is_empty() && walk.visits.is_empty(), "{rung}");

            let allowed = Plan { allow_unadvertised_pkce: true, ..plan.clone() };
            let walk = Walk::start(allowed, world);
            let method = &walk.link()["code_challenge_method"];
            assert_eq!(method, "S256", "{rung}: it is sent however little was promised");
        }
    }
}

#[test]
fn s256_in_the_second_document_is_enough() {
    let world = World::usual()
        .server(|doc| doc["code_challenge_methods_supported"] = Value::Null)
        .with(OPENID_FORM, reply(200, bare(ISSUER)));
    assert_eq!(visited(&Walk::start(plan(), world)), AUTHORIZE);
}

#[test]
fn the_users_own_client_is_shown_to_no_other_issuer_than_its_own() {
    let own = |issuer: &str| OwnClient {
        client_id: "own".into(),
        secret: Some(Secret::new("own-secret")),
        issuer: Some(issuer.into()),
    };
    let mut walk = Walk::start(Plan { own_client: Some(own(ISSUER)), ..plan() }, World::usual());
    walk.approve();
    assert_eq!(walk.grant().registration.client_id, "own");

    let had = "https://before.test";
    let walk = Walk::start(Plan { own_client: Some(own(had)), ..plan() }, World::usual());
    let (had, named) = (had.to_owned(), ISSUER.to_owned());
    assert_eq!(walk.error(), &SignInError::OtherService { had, named });
    assert!(walk.visits.is_empty() && walk.count(REGISTER) == 0, "no other way in silence");
    let sent = walk.sent();
    assert!(!sent.contains("own-secret") && !sent.contains("client_id"), "{sent}");
}

#[test]
fn scopes_had_from_another_issuer_stay_there() {
    let had = |at: &str| Plan {
        challenge: Some(Challenge { scope: Some("write".into()), ..Challenge::default() }),
        had_scopes: list("basic secret-project"),
        had_at: Some(at.into()),
        document: None,
        ..plan()
    };
    let walk = Walk::start(had(ISSUER), World::usual());
    assert_eq!(walk.link()["scope"], "basic secret-project write");
    let walk = Walk::start(had("https://before.test"), World::usual());
    assert_eq!(walk.link()["scope"], "write");
    assert!(!walk.sent().contains("secret-project"), "nor at the registration");
}

/// T4e: a document that does not say whose it is.
#[test]
fn metadata_without_an_issuer_stops_and_nothing_else_is_fished_for() {
    for issuer in [Value::Null, json!(""), json!(7)] {
        let world = World::usual().server(|doc| doc["issuer"] = issuer.clone());
        let walk = Walk::start(plan(), world);
        let SignInError::Metadata { cause, .. } = walk.error() else { panic!("{walk:?}") };
        assert_eq!(cause, &BadMetadata::Member("issuer"), "{issuer}");
        assert_eq!(walk.places(), [PATH_FORM, OAUTH_FORM], "no other location");
        assert!(walk.visits.is_empty());
    }
}

/// D-8, T5: the issuer of the last sign-in, then that of the user's own client, then a held
/// registration, then the server's order.
#[test]
fn of_several_issuers_the_one_of_the_last_sign_in_comes_first() {
    let third = "https://third.test";
    let world = [SECOND, third].into_iter().fold(
        World::usual().with(PATH_FORM, resource_of(SERVER, &[ISSUER, SECOND, third])),
        |world, issuer| {
            let place = format!("{issuer}/.well-known/oauth-authorization-server");
            world.with(&place, reply(200, complete(issuer)))
        },
    );
    let visited_by = |plan: Plan| visited(&Walk::start(plan, world.clone())).to_owned();
    let held =
        Plan { registrations: vec![Registration { issuer: SECOND.into(), ..earlier() }], ..plan() };
    let own = |issuer: &str| OwnClient {
        client_id: "own".into(),
        secret: None,
        issuer: Some(issuer.into()),
    };
    assert_eq!(visited_by(held.clone()), format!("{SECOND}/authorize"));
    let with_own = Plan { own_client: Some(own(third)), ..held.clone() };
    assert_eq!(visited_by(with_own), format!("{third}/authorize"));
    let chosen = Plan { chosen_issuer: Some(ISSUER.into()), ..held.clone() };
    assert_eq!(visited_by(chosen), AUTHORIZE);

    let elsewhere = Plan { chosen_issuer: Some("https://before.test".into()), ..held };
    let walk = Walk::start(elsewhere, world.clone());
    assert_eq!(visited(&walk), format!("{SECOND}/authorize"), "it is no longer named");
    let warned = walk.trace.iter().any(|line| line.result == "no longer named");
    assert!(warned && !walk.sent().contains("before.test"), "{walk:?}");
}

#[test]
fn of_too_many_issuers_the_first_five_are_asked() {
    let many: Vec<String> = (0..50).map(|n| format!("https://as{n}.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let world = World::default().with(PATH_FORM, resource_of(SERVER, &many));
    let walk = Walk::start(plan(), world);
    assert!(matches!(walk.error(), SignInError::Metadata { .. }), "{walk:?}");
    assert_eq!(walk.asked.len(), 1 + 5 * 2, "{:?}", walk.places());
}

#[test]
fn a_link_of_any_length_is_not_opened() {
    let page = format!("{AUTHORIZE}?x={}", "y".repeat(16_300));
    let world = World::usual().server(|doc| doc["authorization_endpoint"] = json!(page));
    let walk = Walk::start(Plan { accepted_by: vec![ISSUER.into()], ..plan() }, world);
    assert!(matches!(walk.error(), SignInError::UnsafeLink { .. }), "{walk:?}");
    assert!(walk.visits.is_empty());
}
