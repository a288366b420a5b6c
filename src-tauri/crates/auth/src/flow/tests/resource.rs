//! The first look at the server, and where its metadata is looked for.

use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::json;

use super::world::{
    Answer, ISSUER, OAUTH_FORM, ORIGIN, PATH_FORM, ROOT_FORM, SERVER, Walk, World, challenged,
    page, plan, redirect, reply, resource_of, silence, typed,
};
use crate::challenge::Challenge;
use crate::flow::{Outcome, Plan, SignInError};
use crate::metadata::BadMetadata;
use crate::server_url::ServerUrl;
use crate::wire::Request;

const NAMED: &str = "https://mcp.test/custom/metadata.json";

fn unprobed() -> Plan {
    Plan { challenge: None, ..plan() }
}

fn named(url: &str) -> Plan {
    challenged(Challenge { resource_metadata: Some(url.into()), ..Challenge::default() })
}

fn challenge(value: &'static str) -> Answer {
    let mut response = page(401).expect("an answer");
    response.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(value));
    Ok(response)
}

#[test]
fn only_a_json_rpc_answer_shows_a_server_that_needs_no_sign_in() {
    let result = json!({"jsonrpc": "2.0", "id": "keyfob-probe", "result": {}});
    let walk = Walk::start(unprobed(), World::usual().with(SERVER, reply(200, result)));
    assert!(matches!(walk.outcome, Some(Outcome::Open)), "{walk:?}");
    assert_eq!(walk.places(), [SERVER], "an open server has nothing to be discovered");
}

#[test]
fn a_page_is_no_mcp_server_whatever_its_status() {
    for status in [200, 404] {
        let walk = Walk::start(unprobed(), World::usual().with(SERVER, page(status)));
        assert!(matches!(walk.error(), SignInError::NotMcp { .. }), "{walk:?}");
        assert_eq!(walk.places(), [SERVER], "a captive portal must not start a sign-in");
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_not_taken_for_one_without_sign_in() {
    let walk = Walk::start(unprobed(), World::usual().with(SERVER, silence()));
    assert!(matches!(walk.error(), SignInError::Unreachable { .. }), "{walk:?}");
    for status in [429, 500, 503] {
        let walk = Walk::start(unprobed(), World::usual().with(SERVER, page(status)));
        assert!(matches!(walk.error(), SignInError::OutOfOrder { .. }), "{walk:?}");
        assert_eq!(walk.places(), [SERVER], "HTTP {status} says nothing about sign-ins");
    }
}

#[test]
fn the_probe_is_a_post_with_the_users_own_headers() {
    let mut headers = HeaderMap::new();
    headers.insert("x-tenant", HeaderValue::from_static("seven"));
    let walk = Walk::start(Plan { headers, ..unprobed() }, World::usual());
    assert_eq!(walk.asked[0].method, Method::POST);
    assert_eq!(walk.asked[0].headers["x-tenant"], "seven");
    let world = World::usual().with(SERVER, challenge("Bearer"));
    let mut headers = HeaderMap::new();
    headers.insert("x-tenant", HeaderValue::from_static("seven"));
    let walk = Walk::start(Plan { headers, ..unprobed() }, world);
    let others = &walk.asked[1..];
    assert!(!others.is_empty(), "the challenge was followed");
    assert!(others.iter().all(|r| !r.headers.contains_key("x-tenant")), "they are the server's");
}

fn moved(status: u16, location: &str) -> Answer {
    let mut response = redirect(location).expect("an answer");
    response.status = status;
    Ok(response)
}

#[test]
fn the_probe_follows_a_few_redirects_at_or_below_the_servers_own_place() {
    for place in ["https://mcp.test/public/mcp/", "/public/mcp/v2"] {
        let world = World::usual().with(SERVER, moved(308, place));
        let walk = Walk::start(unprobed(), world);
        assert_eq!(walk.places().len(), 2, "it was asked there: {walk:?}");
        assert!(walk.asked[1].url.ends_with(place), "{walk:?}");
    }
    let mut world = World::usual();
    for hop in 0..9 {
        let place = format!("{SERVER}{}", "/x".repeat(hop));
        world = world.with(&place, moved(307, &format!("{place}/x")));
    }
    assert_eq!(Walk::start(unprobed(), world).asked.len(), 4, "three hops and no more");
}

#[test]
fn the_probe_carries_no_credential_elsewhere() {
    for place in [
        "https://evil.test/public/mcp",
        "http://mcp.test/public/mcp/",
        "https://mcp.test:8443/public/mcp/",
        "/public",
        "/public/mcp2",
        "/login",
    ] {
        let world = World::usual().with(SERVER, moved(308, place));
        assert_eq!(Walk::start(unprobed(), world).places(), [SERVER], "{place}");
    }
    let world = World::usual().with(SERVER, moved(302, "https://mcp.test/public/mcp/"));
    assert_eq!(Walk::start(unprobed(), world).places(), [SERVER], "302 may change the method");
}

#[test]
fn the_challenge_of_the_probe_is_followed() {
    let world = World::usual().with(NAMED, resource_of(SERVER, &[ISSUER])).with(
        SERVER,
        challenge(r#"Bearer resource_metadata="https://mcp.test/custom/metadata.json", scope="a""#),
    );
    let walk = Walk::start(unprobed(), world);
    assert_eq!(walk.places()[..3], [SERVER, NAMED, OAUTH_FORM]);
    assert_eq!(walk.link()["scope"], "a", "the challenge's scopes are asked for");
}

#[test]
fn a_challenge_that_a_client_met_spares_the_probe() {
    let walk = Walk::start(plan(), World::usual());
    assert_eq!(walk.count(SERVER), 0, "the server was asked once already");
}

#[test]
fn the_headers_location_is_the_only_one_asked() {
    let world = World::usual().with(NAMED, resource_of(SERVER, &[ISSUER]));
    let walk = Walk::start(named(NAMED), world);
    assert_eq!(walk.places()[..2], [NAMED, OAUTH_FORM]);
    assert_eq!(walk.count(PATH_FORM) + walk.count(ROOT_FORM), 0, "nothing speculative");
}

#[test]
fn the_path_form_comes_before_the_root_which_then_is_never_asked() {
    let walk = Walk::start(plan(), World::usual());
    assert_eq!(walk.places()[..2], [PATH_FORM, OAUTH_FORM]);
    assert_eq!(walk.count(ROOT_FORM), 0, "asking the root form is a failure of the suite");
}

#[test]
fn header_then_path_then_root_each_only_when_the_one_before_is_not_there() {
    let elsewhere =
        [page(400), page(401), page(404), page(502), page(200), redirect("https://mcp.test/login")];
    for answer in elsewhere {
        let world = World::usual()
            .with(NAMED, answer.clone())
            .with(PATH_FORM, answer)
            .with(ROOT_FORM, resource_of(ORIGIN, &[ISSUER]));
        let walk = Walk::start(named(NAMED), world);
        assert_eq!(walk.places()[..4], [NAMED, PATH_FORM, ROOT_FORM, OAUTH_FORM]);
    }
}

#[test]
fn at_the_root_the_origin_is_the_resource_and_is_sent_as_it_stands() {
    let world =
        World::usual().with(PATH_FORM, page(404)).with(ROOT_FORM, resource_of(ORIGIN, &[ISSUER]));
    let walk = Walk::start(plan(), world);
    assert_eq!(walk.link()["resource"], ORIGIN, "no slash is added");
}

#[test]
fn a_server_without_a_path_has_one_location() {
    let server = ServerUrl::parse("https://mcp.test/").expect("a server URL");
    let world = World::default().with(ROOT_FORM, page(404));
    let walk = Walk::start(Plan { server, ..plan() }, world);
    assert_eq!(walk.count(ROOT_FORM), 1, "both forms are the same request");
}

#[test]
fn what_cannot_be_told_ends_the_search() {
    for answer in [page(429), page(500), page(503), silence()] {
        let world =
            World::usual().with(PATH_FORM, answer).with(ROOT_FORM, resource_of(ORIGIN, &[ISSUER]));
        let walk = Walk::start(plan(), world);
        assert!(
            matches!(
                walk.error(),
                SignInError::OutOfOrder { .. } | SignInError::Unreachable { .. }
            ),
            "{walk:?}"
        );
        assert_eq!(walk.places(), [PATH_FORM], "it must not slide into another way of sign-in");
    }
}

#[test]
fn metadata_of_another_resource_is_refused_and_nothing_more_is_asked() {
    for other in
        ["https://evil.test/public/mcp", "https://mcp.test/pub", "https://mcp.test/public/mcp2"]
    {
        for url in [NAMED, PATH_FORM] {
            let world = World::usual().with(url, resource_of(other, &[ISSUER]));
            let walk = Walk::start(if url == NAMED { named(url) } else { plan() }, world);
            let SignInError::Metadata { url: place, cause } = walk.error() else {
                panic!("{other} must not stand for the server: {walk:?}");
            };
            assert_eq!(
                (place.as_str(), cause),
                (url, &BadMetadata::OtherResource { found: other.into() })
            );
            assert_eq!(walk.places(), [url], "not another location, and no authorization server");
            assert!(walk.visits.is_empty());
        }
    }
}

#[test]
fn a_resource_that_covers_the_server_is_used_byte_for_byte_and_logged() {
    for covering in [ORIGIN, "https://mcp.test/", "https://mcp.test/public"] {
        let world = World::usual().with(PATH_FORM, resource_of(covering, &[ISSUER]));
        let walk = Walk::start(plan(), world);
        assert_eq!(walk.link()["resource"], covering, "it is compared as a string at the server");
        let is_logged = walk.trace.iter().any(|line| {
            line.reason.as_deref().is_some_and(|r| r.contains("without being its exact name"))
        });
        assert!(is_logged, "a prefix is a departure from RFC 9728 and is to be seen");
    }
}

#[test]
fn a_location_that_cannot_be_fetched_safely_is_not_asked() {
    for unusable in ["http://mcp.test/metadata", "file:///etc/passwd", "https://u:p@mcp.test/m"] {
        let walk = Walk::start(named(unusable), World::usual());
        assert_eq!(walk.places()[0], PATH_FORM, "{unusable}");
    }
}

#[test]
fn json_that_is_no_object_is_no_metadata() {
    let world = World::usual()
        .with(PATH_FORM, typed(200, "application/json", "[]"))
        .with(ROOT_FORM, resource_of(ORIGIN, &[ISSUER]));
    let walk = Walk::start(plan(), world);
    assert_eq!(walk.places()[..3], [PATH_FORM, ROOT_FORM, OAUTH_FORM]);
}

fn error_of_the_protocol() -> Answer {
    let error = json!({"code": -32022, "message": "Unsupported protocol version"});
    reply(400, json!({"jsonrpc": "2.0", "id": "keyfob-probe", "error": error}))
}

#[test]
fn an_error_of_the_protocol_says_nothing_so_the_other_era_is_asked() {
    let world = World::usual().with(SERVER, error_of_the_protocol()).then(SERVER, page(401));
    let walk = Walk::start(unprobed(), world);
    assert_eq!(walk.places()[..3], [SERVER, SERVER, PATH_FORM], "it wants a sign-in after all");
    let methods: Vec<String> = walk.sent_to(SERVER).iter().map(|r| rpc_method(r)).collect();
    assert_eq!(methods, ["initialize", "server/discover"]);
    let second = walk.sent_to(SERVER)[1];
    assert_eq!(second.headers["mcp-protocol-version"], "2026-07-28");
    assert_eq!(second.headers["mcp-method"], "server/discover");

    for last in [error_of_the_protocol(), page(404), reply(200, json!({"jsonrpc": "2.0"}))] {
        let world = World::usual().with(SERVER, error_of_the_protocol()).then(SERVER, last);
        let walk = Walk::start(unprobed(), world);
        assert!(matches!(walk.outcome, Some(Outcome::Open)), "{walk:?}");
        assert_eq!(walk.places(), [SERVER, SERVER], "asked once each");
    }
}

fn rpc_method(request: &Request) -> String {
    let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
    body["method"].as_str().expect("a method").to_owned()
}

fn answers_freely() -> World {
    let result = json!({"jsonrpc": "2.0", "id": "keyfob-probe", "result": {}});
    World::usual().with(SERVER, reply(200, result))
}

#[test]
fn a_server_that_challenges_later_requests_alone_is_signed_in_to() {
    let later = Challenge {
        resource_metadata: Some(NAMED.into()),
        scope: Some("call".into()),
        ..Challenge::default()
    };
    let plan = Plan { refused_later: Some(later), ..unprobed() };
    let world = answers_freely().with(NAMED, resource_of(SERVER, &[ISSUER]));
    let walk = Walk::start(plan.clone(), world);
    assert_eq!(walk.places()[..2], [SERVER, NAMED], "with what the later request was told");
    assert_eq!(walk.link()["scope"], "call");

    let world = World::usual().with(SERVER, challenge("Bearer scope=\"newer\""));
    let walk = Walk::start(plan, world);
    assert_eq!(walk.link()["scope"], "newer", "what it says now counts for more");
}

#[test]
fn a_server_that_describes_its_sign_in_no_more_needs_none() {
    let plan = Plan { refused_later: Some(Challenge::default()), ..unprobed() };
    let result = json!({"jsonrpc": "2.0", "id": "keyfob-probe", "result": {}});
    let nothing = World::default().with(SERVER, reply(200, result));
    let walk = Walk::start(plan.clone(), nothing.clone());
    assert!(matches!(walk.outcome, Some(Outcome::Open)), "{walk:?}");
    let walk = Walk::start(plan.clone(), nothing.with(PATH_FORM, page(503)));
    assert!(
        matches!(walk.error(), SignInError::OutOfOrder { .. }),
        "that cannot be told: {walk:?}"
    );
    let walk = Walk::start(plan, World::default().with(SERVER, page(401)));
    assert_eq!(walk.error(), &SignInError::NoAuthorizationServer);
}

/// T2c: the header may name a place on another host; what it says about whom still counts.
#[test]
fn metadata_on_another_host_that_the_header_names_is_used() {
    let place = "https://cdn.test/metadata.json";
    let world = World::usual().with(place, resource_of(SERVER, &[ISSUER]));
    let walk = Walk::start(named(place), world);
    assert_eq!(walk.places()[..2], [place, OAUTH_FORM]);
    assert_eq!(walk.link()["resource"], SERVER);
}

/// T2d: refusing to show it is not having it.
#[test]
fn forbidden_and_gone_mean_not_here() {
    for status in [403, 404, 410] {
        let world = World::usual()
            .with(PATH_FORM, page(status))
            .with(ROOT_FORM, resource_of(ORIGIN, &[ISSUER]));
        let walk = Walk::start(plan(), world);
        assert_eq!(walk.places()[..3], [PATH_FORM, ROOT_FORM, OAUTH_FORM], "HTTP {status}");
    }
}

/// T1a, T1d: no challenge at all, or one that is none.
#[test]
fn a_401_without_a_challenge_that_can_be_read_leads_to_the_well_known_locations() {
    for answer in [page(401), challenge("https://mcp.test/custom/metadata.json"), challenge("")] {
        let walk = Walk::start(unprobed(), World::usual().with(SERVER, answer));
        assert_eq!(walk.places()[..3], [SERVER, PATH_FORM, OAUTH_FORM], "{walk:?}");
        assert!(!walk.visits.is_empty());
    }
}

/// T7a, T7b: a list of scopes that is none is no list.
#[test]
fn scopes_that_are_no_list_are_not_asked_for() {
    for scopes in [json!(null), json!([]), json!("read write"), json!({"a": 1})] {
        let document = json!({
            "resource": SERVER,
            "authorization_servers": [ISSUER],
            "scopes_supported": scopes,
        });
        let walk = Walk::start(plan(), World::usual().with(PATH_FORM, reply(200, document)));
        assert!(!walk.link().contains_key("scope"), "{scopes}");
    }
}
