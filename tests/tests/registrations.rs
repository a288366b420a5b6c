//! What becomes of a registration: refused, odd, or purged.

use keyfob_tests::authserver::{Cimd, Dcr, LoopbackNames, LoopbackPorts, Par};
use keyfob_tests::world::files_below;
use keyfob_tests::{Kind, Scene, Setup, Visit};
use serde_json::{Map, Value, json};

async fn registration(scene: &Scene) -> Value {
    scene.status("s").await["registration"].clone()
}

/// No client document: the third rung and what lies below it.
fn by_registration(setup: &mut Setup, dcr: Dcr) {
    setup.authority.cimd = Cimd::Off;
    setup.authority.dcr = dcr;
}

/// R3c, R3d, R3e: an answer that is no use ends the sign-in with the reason; nobody is sent to a
/// browser with it, and the next try registers as if nothing had been.
#[tokio::test]
async fn a_registration_that_is_no_use_is_told_and_not_kept() {
    let elsewhere = json!(["https://elsewhere.example/callback"]);
    for (dcr, redirect_uris, reason) in [
        (Dcr::TooMany, None, "try again in 30 s"),
        (Dcr::Page, None, "it is not JSON"),
        (Dcr::On, Some(elsewhere), "it registered another redirect URI"),
    ] {
        let scene = Scene::with(|s| {
            by_registration(s, dcr);
            s.authority
                .registration_fields
                .extend(redirect_uris.map(|r| ("redirect_uris".into(), r)));
        })
        .await;
        scene.add("s", &[]).await.ok();
        let output = scene.connect("s", Visit::Allow).await.expect_code(5);
        let said = output.one_sentence();
        assert!(said.contains(reason) && said.contains(scene.authority.issuer()), "{said}");
        let callback = format!("http://127.0.0.1:{}/callback", scene.keyfob.port());
        assert!(said.contains(&callback), "the way out: {said}");
        let journal = scene.authority.journal();
        assert_eq!(journal.registrations().len(), 1, "{dcr:?} in a loop");
        assert_eq!(journal.authorizations().len(), 0);
        assert!(scene.keyfob.links().is_empty());

        scene.authority.set(|s| (s.dcr, s.registration_fields) = (Dcr::On, Map::new()));
        journal.clear();
        scene.connect("s", Visit::Allow).await.ok();
        scene.echo("s", "registered").await;
        assert_eq!(journal.registrations().len(), 1, "nothing of {dcr:?} was kept");
    }
}

/// R4: a scope that is not known when registering is no reason to do without a registration; it is
/// asked for all the same.
#[tokio::test]
async fn a_registration_that_fails_over_its_scope_is_made_without() {
    let scene = Scene::with(|s| {
        by_registration(s, Dcr::RefusesScopes);
        s.mcp.prm_scopes = vec!["notes:read".to_owned()];
    })
    .await
    .signed_in()
    .await;
    scene.echo("s", "registered without").await;
    let made = scene.authority.journal().registrations();
    let scopes: Vec<_> = made.iter().map(|m| m.param("scope").map(str::to_owned)).collect();
    assert_eq!(scopes, [Some("notes:read".to_owned()), None]);
    let asked = scene.authority.journal().authorizations().pop().expect("a request");
    assert_eq!(asked.param("scope"), Some("notes:read"));
}

/// R3g: a secret that is said to have ended is used as given, for nothing else was given; the
/// registration is not used again for another sign-in, and there is one per sign-in.
#[tokio::test]
async fn a_secret_that_has_ended_on_arrival_serves_once() {
    let scene = Scene::with(|s| {
        by_registration(s, Dcr::WithSecret);
        s.authority.registration_fields.insert("client_secret_expires_at".into(), json!(1));
    })
    .await
    .signed_in()
    .await;
    let journal = scene.authority.journal();
    assert_eq!(journal.registrations().len(), 1);
    let first = registration(&scene).await["client_id"].clone();
    scene.authority.expire_access_tokens();
    scene.echo("s", "renewed with it").await;
    assert_eq!(journal.refreshes().len(), 1);
    assert!(journal.token_requests().iter().all(keyfob_tests::Entry::accepted));

    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(journal.registrations().len(), 2);
    assert_ne!(registration(&scene).await["client_id"], first);
}

/// R3h: an answer that does not say how to authenticate means what RFC 7591 has as the default
/// where it gives a secret, and no secret where it gives none.
#[tokio::test]
async fn an_answer_that_names_no_method_is_understood() {
    for dcr in [Dcr::On, Dcr::WithSecret] {
        let scene = Scene::with(|s| {
            by_registration(s, dcr);
            let method = "token_endpoint_auth_method".to_owned();
            s.authority.registration_fields.insert(method, Value::Null);
        })
        .await
        .signed_in()
        .await;
        scene.authority.expire_access_tokens();
        scene.echo("s", "understood").await;
        for asked in scene.authority.journal().token_requests() {
            assert!(asked.accepted(), "{dcr:?}: {}", asked.decision);
            assert_eq!(asked.header("authorization").is_some(), dcr == Dcr::WithSecret);
        }
    }
}

/// 6.2-17: a registration that is refused after our document was does not lead to another one.
#[tokio::test]
async fn a_second_refusal_is_the_end() {
    for cimd in [
        Cimd::RefusedByPage,
        Cimd::RefusedInCallback("invalid_client".to_owned()),
        Cimd::RefusedAtToken,
    ] {
        let scene = Scene::with(|s| {
            s.authority.cimd = cimd.clone();
            s.authority.gone_at_token = Some("dcr-".to_owned());
        })
        .await;
        scene.add("s", &[]).await.ok();
        scene.connect("s", Visit::Allow).await.expect_code(5).one_sentence();
        let journal = scene.authority.journal();
        assert_eq!(journal.registrations().len(), 1, "{cimd:?}");
        let exchanges = journal.exchanges();
        assert_eq!(exchanges.len(), if cimd == Cimd::RefusedAtToken { 2 } else { 1 }, "{cimd:?}");
        assert_eq!(scene.status("s").await["state"], "signed-out");
    }
}

/// R5c: purged, and found out at a refresh: the sign-in is over, nobody registers or opens a
/// browser by themselves, and the next sign-in registers exactly once.
#[tokio::test]
async fn a_registration_that_is_gone_at_refresh_is_made_anew_at_the_next_sign_in() {
    for dcr in [Dcr::On, Dcr::WithSecret] {
        let scene = Scene::with(|s| by_registration(s, dcr)).await.signed_in().await;
        let journal = scene.authority.journal();
        let had = registration(&scene).await["client_id"].clone();
        let links = scene.keyfob.links().len();
        scene.authority.forget_registrations();
        scene.authority.expire_access_tokens();
        let refused = scene.call("s", "echo", &json!({"text": "gone"})).await.expect_code(5);
        assert_eq!(refused.problem()["code"], "grant-expired", "{refused}");
        assert_eq!(scene.status("s").await["state"], "signed-out");
        scene.call("s", "echo", &json!({"text": "still gone"})).await.expect_code(5);
        assert_eq!(journal.refreshes().len(), 1, "it is not asked again and again");
        assert_eq!(journal.registrations().len(), 1, "registered unasked");
        assert_eq!(scene.keyfob.links().len(), links, "a browser unasked");

        journal.clear();
        scene.connect("s", Visit::Allow).await.ok();
        scene.echo("s", "registered anew").await;
        assert_eq!(journal.registrations().len(), 1, "{dcr:?}");
        assert!(!journal.mentions(had.as_str().unwrap()), "{}", journal.to_json());
        scene.connect("s", Visit::Allow).await.ok();
        assert_eq!(journal.registrations().len(), 1, "the new one serves again");
    }
}

/// R5b: the same, found out when the code is redeemed: the person is asked once more.
#[tokio::test]
async fn a_registration_that_is_gone_when_the_code_is_redeemed_is_made_anew_once() {
    let scene = Scene::with(|s| by_registration(s, Dcr::On)).await.signed_in().await;
    let had = registration(&scene).await["client_id"].as_str().map(str::to_owned);
    scene.keyfob.run(&["signout", "s"]).await.ok();
    let journal = scene.authority.journal();
    journal.clear();
    scene.authority.set(|s| s.gone_at_token.clone_from(&had));
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "registered anew").await;
    assert_eq!(journal.registrations().len(), 1);
    assert_eq!((journal.authorizations().len(), journal.exchanges().len()), (2, 2));

    // What is gone as soon as it is made is not made again and again.
    scene.authority.set(|s| s.gone_at_token = Some("dcr-".to_owned()));
    journal.clear();
    scene.connect("s", Visit::Allow).await.expect_code(5).one_sentence();
    assert_eq!(journal.registrations().len(), 1);
}

/// 6.2-15: a redirect URI that the document does not list to the letter, at a service that has no
/// page to say so: its push endpoint knows only `invalid_request` for it (RFC 9126 section 2.3).
#[tokio::test]
async fn a_push_that_refuses_our_redirect_uri_leads_to_registration() {
    for names in [LoopbackNames::Both, LoopbackNames::AddressOnly, LoopbackNames::NameOnly] {
        let scene = Scene::with(|s| {
            s.authority.par = Par::Required;
            s.authority.loopback_ports = LoopbackPorts::Exact;
            s.authority.loopback_names = names;
        })
        .await
        .signed_in()
        .await;
        scene.echo("s", "registered with its port").await;
        let card = registration(&scene).await;
        assert_eq!((&card["kind"], &card["reason"]["code"]), (&json!("dcr"), &json!("refused")));
        let journal = scene.authority.journal();
        assert_eq!(scene.keyfob.links().len(), 1, "one visit: {names:?}");
        assert!(journal.of(Kind::Par).len() <= 4, "{}", journal.to_json());

        journal.clear();
        scene.connect("s", Visit::Allow).await.ok();
        assert_eq!(journal.registrations().len(), 0, "the registration serves again");
    }
}

/// R1b: whatever the page says, and however, our document is not accepted there.
#[tokio::test]
async fn any_page_that_refuses_our_document_leads_to_registration() {
    for status in [401, 403, 422, 500] {
        let scene = Scene::with(|s| {
            s.authority.cimd = Cimd::RefusedByPage;
            s.authority.page_status = Some(status);
        })
        .await
        .signed_in()
        .await;
        scene.echo("s", "registered").await;
        let card = registration(&scene).await;
        assert_eq!((&card["kind"], &card["reason"]["code"]), (&json!("dcr"), &json!("refused")));
        assert_eq!(scene.authority.journal().registrations().len(), 1, "{status}");
        assert_eq!(scene.keyfob.links().len(), 1, "nobody was shown the page: {status}");
    }
}

/// 6.2-20: a service that drops documents while a sign-in by one lasts. Its person signs in once
/// more, and from then on the registration renews it.
#[tokio::test]
async fn a_service_that_drops_documents_is_signed_in_to_by_registration() {
    let scene = Scene::start().await.signed_in().await;
    scene.authority.set(|s| s.cimd = Cimd::Off);
    scene.authority.expire_access_tokens();
    let refused = scene.call("s", "echo", &json!({"text": "dropped"})).await;
    assert!(matches!(refused.code, Some(3 | 5)), "{refused}");
    refused.problem();
    let journal = scene.authority.journal();
    assert_eq!(journal.registrations().len(), 0, "nobody asked for another sign-in yet");

    scene.connect("s", Visit::Allow).await.ok();
    journal.clear();
    scene.authority.expire_access_tokens();
    scene.echo("s", "renewed").await;
    let card = registration(&scene).await;
    assert_eq!((&card["kind"], &card["reason"]["code"]), (&json!("dcr"), &json!("not-offered")));
    let renewed = journal.refreshes().pop();
    assert_eq!(renewed.as_ref().and_then(|r| r.param("client_id")), card["client_id"].as_str());
}

/// 6.2-19: a refusal is not held against a service for ever: a week later our document is tried
/// out once more. (The week passes in the file that remembers it.)
#[tokio::test]
async fn a_refusal_is_remembered_for_a_week() {
    let mut scene = Scene::with(|s| s.authority.cimd = Cimd::RefusedByPage).await.signed_in().await;
    scene.authority.set(|s| s.cimd = Cimd::On);
    for (days, kind) in [(6, "dcr"), (2, "cimd")] {
        scene.keyfob.stop().await;
        let mut aged = 0;
        for (path, bytes) in files_below(&scene.keyfob.home()) {
            let Ok(mut facts) = serde_json::from_slice::<Value>(&bytes) else { continue };
            let refusals = facts.pointer_mut("/refusals").and_then(Value::as_array_mut);
            for refusal in refusals.into_iter().flatten() {
                let at = refusal["at"].as_u64().unwrap_or_default();
                refusal["at"] = json!(at - days * 24 * 60 * 60 * 1000);
                aged += 1;
            }
            if aged > 0 {
                std::fs::write(path, facts.to_string()).unwrap();
                break;
            }
        }
        assert_eq!(aged, 1, "the refusal is remembered in a file");
        scene.keyfob.serve().await;
        scene.connect("s", Visit::Allow).await.ok();
        assert_eq!(registration(&scene).await["kind"], kind, "after {days} days more");
    }
}
