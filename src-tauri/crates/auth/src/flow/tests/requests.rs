//! What the authorization and token requests carry, and what the grant keeps.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::world::{
    AUTHORIZE, ISSUER, ORIGIN, PATH_FORM, PUSH, REDIRECT, REGISTER, SERVER, TOKEN, Walk, World,
    complete, earlier, form, known, list, page, plan, query, reply, resource_of, silence, typed,
};
use crate::challenge::Challenge;
use crate::flow::{Memo, Plan, ResourceForm, SignInError};
use crate::registration::Registration;
use crate::server_url::ServerUrl;
use crate::token::TokenError;

fn wanting(scope: &str, plan: Plan) -> Plan {
    let challenge = Challenge { scope: Some(scope.into()), ..Challenge::default() };
    Plan { challenge: Some(challenge), ..plan }
}

fn offering_offline_access() -> World {
    World::usual().server(|doc| doc["scopes_supported"] = json!(["a", "offline_access"]))
}

fn pushing() -> World {
    World::usual()
        .server(|doc| {
            doc["require_pushed_authorization_requests"] = json!(true);
            doc["pushed_authorization_request_endpoint"] = json!(PUSH);
        })
        .with(PUSH, reply(201, json!({"request_uri": "urn:one"})))
}

fn scope(walk: &Walk) -> Option<String> {
    walk.link().remove("scope")
}

#[test]
fn the_code_is_redeemed_with_the_verifier_of_the_visit_and_not_of_the_preflight() {
    let mut walk = Walk::start(plan(), World::usual());
    walk.approve();
    let sent = form(walk.sent_to(TOKEN)[0]);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&sent["code_verifier"]));
    assert_eq!(challenge, walk.link()["code_challenge"]);
    assert_ne!(challenge, query(&walk.sent_to(AUTHORIZE)[0].url)["code_challenge"]);
}

#[test]
fn the_token_request_repeats_what_was_authorized() {
    let mut walk = Walk::start(plan(), World::usual());
    walk.approve();
    let sent = form(walk.sent_to(TOKEN)[0]);
    assert_eq!(sent["grant_type"], "authorization_code");
    assert_eq!(sent["code"], "the-code");
    for same in ["redirect_uri", "client_id", "resource"] {
        assert_eq!(sent[same], walk.link()[same], "{same} must be identical");
    }
    assert_eq!(sent["redirect_uri"], REDIRECT);
    assert_eq!(walk.grant().resource.as_deref(), Some(SERVER), "refreshing goes on with it");
}

#[test]
fn a_refused_resource_indicator_is_left_out_of_all_requests_from_then_on() {
    let granted = || reply(200, json!({"access_token": "access"}));
    let refused = || reply(400, json!({"error": "invalid_target"}));
    for place in ["callback", "token", "push"] {
        let mut walk = match place {
            "callback" => Walk::start(known(), World::usual()),
            "token" => {
                let world = World::usual().with(TOKEN, refused()).then(TOKEN, granted());
                Walk::start(known(), world)
            }
            _ => {
                let pushed = reply(201, json!({"request_uri": "urn:two"}));
                Walk::start(known(), pushing().with(PUSH, refused()).then(PUSH, pushed))
            }
        };
        match place {
            "callback" => walk.refuse("invalid_target"),
            "token" => walk.approve(),
            _ => assert!(!form(walk.sent_to(PUSH)[1]).contains_key("resource")),
        }
        assert!(!walk.link().contains_key("resource"), "authorization, after the {place}");
        assert!(
            matches!(walk.memos.as_slice(), [Memo::ResourceForm { issuer, form: ResourceForm::Absent }] if issuer == ISSUER)
        );
        walk.approve();
        let last = walk.sent_to(TOKEN).pop().expect("a token request");
        assert!(!form(last).contains_key("resource"), "token, after the {place}");
        assert_eq!(walk.grant().resource, None, "and refresh, after the {place}");
        let is_marked = walk.trace.iter().any(|line| {
            line.reason.as_deref().is_some_and(|r| r.contains("departs from the MCP specification"))
        });
        assert!(is_marked, "it is a deviation and is to be seen");
    }
}

#[test]
fn a_resource_indicator_is_refused_once_and_then_the_error_surfaces() {
    let mut walk = Walk::start(known(), World::usual());
    walk.refuse("invalid_target");
    walk.refuse("invalid_target");
    assert!(matches!(walk.error(), SignInError::Refused { .. }), "{walk:?}");
    assert_eq!((walk.visits.len(), walk.memos.len()), (2, 1));
}

#[test]
fn a_remembered_refusal_of_the_resource_indicator_holds_for_that_issuer_only() {
    let remembers = |issuer: &str| Plan {
        resource_forms: vec![(issuer.into(), ResourceForm::Absent)],
        ..plan()
    };
    let mut walk = Walk::start(remembers(ISSUER), World::usual());
    assert!(!query(&walk.sent_to(AUTHORIZE)[0].url).contains_key("resource"), "preflight");
    assert!(!walk.link().contains_key("resource"), "authorization");
    walk.approve();
    assert!(!form(walk.sent_to(TOKEN)[0]).contains_key("resource"), "token");
    assert_eq!(walk.grant().resource, None, "refresh");
    let walk = Walk::start(remembers("https://other.test"), World::usual());
    assert_eq!(walk.link()["resource"], SERVER);
}

#[test]
fn the_users_scopes_go_before_the_challenges_and_those_before_the_resources() {
    let offered = json!({
        "resource": SERVER, "authorization_servers": [ISSUER], "scopes_supported": ["r1", "r2"],
    });
    let world = World::usual().with(PATH_FORM, reply(200, offered));
    assert_eq!(scope(&Walk::start(known(), world.clone())).as_deref(), Some("r1 r2"));
    let walk = Walk::start(wanting("c1", known()), world.clone());
    assert_eq!(scope(&walk).as_deref(), Some("c1"), "never cut down to what is listed");
    let walk = Walk::start(Plan { scopes: list("mine"), ..wanting("c1", known()) }, world);
    assert_eq!(scope(&walk).as_deref(), Some("mine"));
    assert_eq!(scope(&Walk::start(known(), World::usual())), None, "the server's own default");
}

#[test]
fn offline_access_is_added_where_listed_never_to_nothing_and_with_prompt_consent() {
    let walk = Walk::start(wanting("a", known()), offering_offline_access());
    assert_eq!(scope(&walk).as_deref(), Some("a offline_access"));
    assert_eq!(walk.link()["prompt"], "consent", "OpenID Connect Core section 11");
    for (plan, world) in
        [(known(), offering_offline_access()), (wanting("a", known()), World::usual())]
    {
        let walk = Walk::start(plan, world);
        assert_ne!(scope(&walk).as_deref(), Some("offline_access"));
        assert!(!walk.link().contains_key("prompt"), "it blocks people who may not consent");
        assert!(!scope(&walk).unwrap_or_default().contains("offline_access"));
    }
}

#[test]
fn offline_access_of_our_own_is_left_out_once_it_is_refused() {
    let mut walk = Walk::start(wanting("a", known()), offering_offline_access());
    walk.refuse("invalid_scope");
    assert_eq!(scope(&walk).as_deref(), Some("a"));
    assert!(!walk.link().contains_key("prompt"));
    walk.refuse("invalid_scope");
    assert!(matches!(walk.error(), SignInError::Refused { .. }), "then it surfaces: {walk:?}");
    assert_eq!(walk.visits.len(), 2);

    let refused = reply(400, json!({"error": "invalid_scope"}));
    let granted = reply(200, json!({"access_token": "access"}));
    let world = offering_offline_access().with(TOKEN, refused).then(TOKEN, granted);
    let mut walk = Walk::start(wanting("a", known()), world);
    walk.approve();
    assert_eq!(scope(&walk).as_deref(), Some("a"), "at the token endpoint too");
    walk.approve();
    assert_eq!(walk.grant().requested_scopes, ["a"]);
}

#[test]
fn offline_access_that_the_user_wrote_is_not_taken_away() {
    let wrote = Plan { scopes: list("a offline_access"), ..known() };
    let mut walk = Walk::start(wrote, World::usual());
    walk.refuse("invalid_scope");
    assert!(matches!(walk.error(), SignInError::Refused { .. }), "{walk:?}");
    assert_eq!(walk.visits.len(), 1);
}

#[test]
fn what_was_learnt_goes_along_down_the_ladder() {
    let mut walk = Walk::start(wanting("a", known()), offering_offline_access());
    walk.refuse("invalid_target");
    walk.refuse("invalid_scope");
    walk.refuse("invalid_client");
    assert_eq!(walk.count(REGISTER), 1);
    let link = walk.link();
    assert_eq!((link["client_id"].as_str(), link["scope"].as_str()), ("registered", "a"));
    assert!(!link.contains_key("resource"), "the server is the same");
}

#[test]
fn a_step_up_asks_for_the_union_of_had_and_wanted() {
    let challenge = Challenge {
        scope: Some("write".into()),
        error: Some("insufficient_scope".into()),
        ..Challenge::default()
    };
    let step_up = Plan {
        challenge: Some(challenge),
        had_scopes: list("basic read"),
        had_at: Some(ISSUER.into()),
        ..known()
    };
    let mut walk = Walk::start(step_up.clone(), World::usual());
    assert_eq!(scope(&walk).as_deref(), Some("basic read write"));
    walk.approve();
    assert_eq!(walk.grant().requested_scopes, list("basic read write"));
    let walk = Walk::start(Plan { scopes: list("mine read"), ..step_up }, World::usual());
    assert_eq!(scope(&walk).as_deref(), Some("basic read mine write"), "the wanted one is in it");
}

#[test]
fn a_step_up_registers_anew_where_the_earlier_registration_does_not_cover_it() {
    let step_up = |scopes: Option<&str>| Plan {
        challenge: Some(Challenge { scope: Some("write".into()), ..Challenge::default() }),
        had_scopes: list("read"),
        had_at: Some(ISSUER.into()),
        registrations: vec![Registration { scopes: scopes.map(list), ..earlier() }],
        document: None,
        ..plan()
    };
    for (registered, client_id) in
        [(Some("read write more"), "earlier"), (None, "earlier"), (Some("read"), "registered")]
    {
        let walk = Walk::start(step_up(registered), World::usual());
        assert_eq!(
            (walk.client_id().as_str(), scope(&walk).as_deref()),
            (client_id, Some("read write"))
        );
    }
    let mut walk = Walk::start(step_up(Some("read")), World::usual());
    walk.approve();
    let known = walk.grant().registration.scopes.clone();
    assert_eq!(known, Some(list("read write")), "it is used again for the same from then on");
}

#[test]
fn scopes_that_the_answer_omits_are_those_that_were_asked_for() {
    for (answer, granted) in [
        (json!({"access_token": "x"}), "a b"),
        (json!({"access_token": "x", "scope": ""}), "a b"),
        (json!({"access_token": "x", "scope": "a"}), "a"),
        (json!({"access_token": "x", "scope": "a b c"}), "a b c"),
    ] {
        let world = World::usual().with(TOKEN, reply(200, answer.clone()));
        let mut walk = Walk::start(wanting("a b", known()), world);
        walk.approve();
        assert_eq!(walk.grant().scopes, list(granted), "{answer}");
        assert_eq!(walk.grant().requested_scopes, list("a b"), "{answer}");
    }
}

#[test]
fn the_grant_keeps_what_refreshing_and_revoking_need() {
    let answer = json!({
        "access_token": "access", "refresh_token": "refresh", "expires_in": 60, "token_type": "bearer",
    });
    let mut walk = Walk::start(plan(), World::usual().with(TOKEN, reply(200, answer)));
    walk.approve();
    let grant = walk.grant();
    assert_eq!(grant.refresh.as_ref().map(|t| t.expose()), Some("refresh"));
    assert_eq!(grant.expires_at.map(|end| end.since(grant.issued_at).as_secs()), Some(60));
    assert_eq!((grant.server.as_str(), grant.token_endpoint.as_str()), (SERVER, TOKEN));
    assert_eq!(grant.revocation_endpoint.as_deref(), Some("https://as.test/revoke"));
}

#[test]
fn a_code_is_sent_once_whatever_becomes_of_it() {
    for answer in [
        silence(),
        page(429),
        page(503),
        page(200),
        typed(200, "application/json", "{}"),
        reply(200, json!({"access_token": "a", "token_type": "mac"})),
    ] {
        let shown = format!("{answer:?}");
        let mut walk = Walk::start(known(), World::usual().with(TOKEN, answer));
        walk.approve();
        assert!(
            matches!(
                walk.error(),
                SignInError::Unreachable { .. }
                    | SignInError::Exchange {
                        cause: TokenError::NotNow { .. } | TokenError::Unusable(_),
                        ..
                    }
            ),
            "{shown}: {walk:?}"
        );
        assert_eq!((walk.count(TOKEN), walk.memos.len()), (1, 0), "{shown}");
    }
}

#[test]
fn a_refused_resource_indicator_is_tried_without_its_slash_and_then_left_out() {
    let world = World::usual().with(PATH_FORM, resource_of("https://mcp.test/", &[ISSUER]));
    let mut walk = Walk::start(known(), world.clone());
    assert_eq!(walk.link()["resource"], "https://mcp.test/", "as named, first");
    walk.refuse("invalid_target");
    assert_eq!(walk.link()["resource"], "https://mcp.test");
    walk.refuse("invalid_target");
    assert!(!walk.link().contains_key("resource"));
    walk.refuse("invalid_target");
    assert!(matches!(walk.error(), SignInError::Refused { .. }), "no loop: {walk:?}");
    let forms: Vec<_> = walk
        .memos
        .iter()
        .filter_map(|memo| match memo {
            Memo::ResourceForm { form, .. } => Some(*form),
            _ => None,
        })
        .collect();
    assert_eq!(forms, [ResourceForm::WithoutSlash, ResourceForm::Absent]);

    let resource_forms = vec![(ISSUER.to_owned(), ResourceForm::WithoutSlash)];
    let mut walk = Walk::start(Plan { resource_forms, ..known() }, world);
    assert_eq!(walk.link()["resource"], "https://mcp.test", "it is remembered");
    walk.approve();
    assert_eq!(walk.grant().resource.as_deref(), Some("https://mcp.test"));
}

/// One slash after the other would be taken away, and the push tells no person that it goes on.
#[test]
fn a_resource_that_ends_in_several_slashes_is_tried_three_times_and_no_more() {
    let server = "https://mcp.test/public/mcp//";
    let mut document = complete(ORIGIN);
    document["require_pushed_authorization_requests"] = json!(true);
    document["pushed_authorization_request_endpoint"] = json!(PUSH);
    let world = World::usual()
        .with(PATH_FORM, page(404))
        .with(&format!("{ORIGIN}/.well-known/oauth-authorization-server"), reply(200, document))
        .with(PUSH, reply(400, json!({"error": "invalid_target"})));
    let server = ServerUrl::parse(server).expect("a server URL");
    let walk = Walk::start(Plan { server, ..plan() }, world);
    assert!(matches!(walk.error(), SignInError::Refused { .. }), "{:?}", walk.error());
    let sent = walk.sent_to(PUSH).into_iter().map(|push| form(push).remove("resource"));
    let sent: Vec<_> = sent.collect();
    let named = |resource: &str| Some(resource.to_owned());
    assert_eq!(
        sent,
        [named("https://mcp.test/public/mcp//"), named("https://mcp.test/public/mcp"), None]
    );
}
