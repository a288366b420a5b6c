//! Access that is bound to a key (RFC 9449).

use http::HeaderValue;
use serde_json::{Value, json};

use super::world::{
    AUTHORIZE, Answer, ISSUER, NOW, PATH_FORM, SERVER, TOKEN, Walk, World, form, known, reply,
};
use crate::authorize::Entropy;
use crate::flow::{Extensions, Plan, SignInError};
use crate::grant::Grant;
use crate::jwt::tests::verified;
use crate::token::{TokenError, TokenType};
use crate::wire::Request;

fn bound() -> Plan {
    Plan { extensions: Extensions { dpop: true, ..Extensions::default() }, ..known() }
}

fn token(kind: &str) -> Answer {
    reply(200, json!({"access_token": "t", "token_type": kind, "refresh_token": "r"}))
}

/// Where a nonce is demanded.
fn demand(nonce: &'static str) -> Answer {
    let mut answer = reply(400, json!({"error": "use_dpop_nonce"}));
    if let Ok(answer) = &mut answer {
        answer.headers.insert("dpop-nonce", HeaderValue::from_static(nonce));
    }
    answer
}

fn walk(plan: Plan, world: World) -> Walk {
    let mut walk = Walk::start(plan, world);
    walk.approve();
    walk
}

/// The claims of a request's proof, its signature checked by the key that it shows.
fn proof(request: &Request, grant: &Grant) -> Value {
    let value = request.headers["dpop"].to_str().expect("text");
    let jwk = grant.dpop_key.as_ref().expect("a key").public_jwk();
    let (header, claims) = verified(value, &jwk);
    assert_eq!(header["jwk"], jwk);
    claims
}

#[test]
fn the_code_is_redeemed_with_a_proof_and_the_key_stays_with_the_grant() {
    let walk = walk(bound(), World::usual().with(TOKEN, token("DPoP")));
    let grant = walk.grant();
    assert_eq!(grant.token_type(), TokenType::Dpop);
    let claims = proof(walk.sent_to(TOKEN)[0], grant);
    assert_eq!((&claims["htm"], &claims["htu"]), (&json!("POST"), &json!(TOKEN)));
    assert_eq!(claims.get("ath"), None);
    let kept = Grant::decode(&grant.encode()).expect("a grant");
    let renewal = kept.renewal(Some("n"), NOW, &Entropy([9; 64])).expect("a request");
    let again = proof(&renewal, grant);
    assert_eq!((&again["nonce"], &form(&renewal)["refresh_token"][..]), (&json!("n"), "r"));
    assert_ne!(claims["jti"], again["jti"]);
}

#[test]
fn a_bearer_token_in_place_of_a_bound_one_is_not_used_nor_the_other_way_round() {
    let walk_1 = walk(bound(), World::usual());
    let error = walk_1.error();
    let unusable = |error: &SignInError| {
        matches!(error, SignInError::Exchange { cause: TokenError::Unusable(_), .. })
    };
    assert!(unusable(error), "{error:?}");
    let walk_2 = walk(known(), World::usual().with(TOKEN, token("DPoP")));
    assert!(unusable(walk_2.error()), "{:?}", walk_2.error());
    assert!(walk_2.sent_to(TOKEN)[0].headers.get("dpop").is_none(), "not asked for");
}

#[test]
fn a_server_that_takes_no_others_is_heard() {
    let resource = json!({
        "resource": SERVER, "authorization_servers": [ISSUER],
        "dpop_bound_access_tokens_required": true,
    });
    let world = World::usual().with(PATH_FORM, reply(200, resource)).with(TOKEN, token("DPoP"));
    assert_eq!(walk(known(), world).grant().token_type(), TokenType::Dpop);
}

#[test]
fn a_service_that_knows_other_algorithms_only_is_not_visited() {
    let lists = |names: Value| {
        World::usual()
            .server(|s| s["dpop_signing_alg_values_supported"] = names)
            .with(TOKEN, token("DPoP"))
    };
    let walk_1 = Walk::start(bound(), lists(json!(["RS256"])));
    assert!(matches!(walk_1.error(), SignInError::DpopUnsupported { .. }));
    assert_eq!((walk_1.visits.len(), walk_1.count(AUTHORIZE)), (0, 0));
    assert!(walk(bound(), lists(json!(["RS256", "ES256"]))).grant().dpop_key.is_some());
    // Whoever wants no bound token does not care.
    let walk_2 = Walk::start(known(), lists(json!(["RS256"])));
    assert_eq!(walk_2.visits.len(), 1);
}

#[test]
fn a_demanded_nonce_is_sent_once_with_the_same_code_and_key() {
    let world = World::usual().with(TOKEN, demand("n1")).then(TOKEN, token("DPoP"));
    let walk_1 = walk(bound(), world);
    let sent = walk_1.sent_to(TOKEN);
    assert_eq!(sent.len(), 2);
    let (first, again) = (proof(sent[0], walk_1.grant()), proof(sent[1], walk_1.grant()));
    assert_eq!((first.get("nonce"), &again["nonce"]), (None, &json!("n1")));
    assert_ne!(first["jti"], again["jti"]);
    assert_eq!(form(sent[0]), form(sent[1]));
    let world = World::usual().with(TOKEN, demand("n1")).then(TOKEN, demand("n2"));
    let walk_2 = walk(bound(), world.then(TOKEN, token("DPoP")));
    assert_eq!(walk_2.count(TOKEN), 2, "not a third time");
    assert!(matches!(walk_2.error(), SignInError::Exchange { .. }));
    // Without a proof there is nothing to put a nonce into.
    let walk_3 = walk(known(), World::usual().with(TOKEN, demand("n1")));
    assert_eq!(walk_3.count(TOKEN), 1);
}
