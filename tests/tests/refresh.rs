//! Tokens that run out, while Keyfob runs: one refresh, whoever asks.

use std::time::Duration;

use keyfob_tests::authserver::{Cimd, Dcr, Refresh, ResourceRule};
use keyfob_tests::{BearerSeen, Scene, Visit};
use serde_json::json;

#[tokio::test]
async fn a_401_means_one_refresh_and_one_replay() {
    let scene = Scene::start().await.signed_in().await;
    let client = scene.client("s").await;
    assert_eq!(client.modern_call("echo", json!({"text": "a"})).await.tool_text(), "a");
    scene.authority.expire_access_tokens();
    assert_eq!(client.modern_call("echo", json!({"text": "b"})).await.tool_text(), "b");
    let refreshes = scene.authority.journal().refreshes();
    assert_eq!(refreshes.len(), 1);
    assert_eq!(refreshes[0].param("client_id"), Some(scene.document_url.as_str()));
    assert_eq!(refreshes[0].param("resource"), Some(scene.mcp.resource().as_str()));
    assert_eq!(refreshes[0].param("scope"), None);
    let seen: Vec<_> =
        scene.mcp.journal().tool_calls("echo").into_iter().filter_map(|c| c.bearer).collect();
    assert_eq!(seen, [BearerSeen::Issued, BearerSeen::Expired, BearerSeen::Issued]);
}

#[tokio::test]
async fn twenty_at_once_on_an_expired_token_make_one_refresh() {
    let scene = Scene::start().await.signed_in().await;
    let client = scene.client("s").await;
    for round in 1..=3 {
        scene.authority.expire_access_tokens();
        let calls = (0..20).map(|n| {
            let client = client.clone();
            tokio::spawn(async move {
                let text = format!("call {n}");
                let reply = client.modern_call("echo", json!({"text": text})).await;
                assert_eq!(reply.tool_text(), text);
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
        assert_eq!(scene.authority.journal().refreshes().len(), round, "round {round}");
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let scene = Scene::with(|s| s.authority.access_token_seconds = 3).await.signed_in().await;
    let client = scene.client("s").await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        client.modern_call("echo", json!({"text": "x"})).await.tool_text();
    }
    let calls = scene.mcp.journal().tool_calls("echo");
    let refused = calls.iter().filter(|c| c.bearer != Some(BearerSeen::Issued)).count();
    assert!(refused <= 1, "{refused} of {} came with a token that was over", calls.len());
    let refreshes = scene.authority.journal().refreshes();
    assert!((1..=6).contains(&refreshes.len()), "{} refreshes", refreshes.len());
    assert!(refreshes.iter().all(keyfob_tests::Entry::accepted), "a token was used twice");
}

#[tokio::test]
async fn after_a_step_down_the_refresh_uses_the_registered_id() {
    let scene = Scene::with(|s| s.authority.cimd = Cimd::RefusedByPage).await.signed_in().await;
    let id = scene.status("s").await["registration"]["client_id"].as_str().unwrap().to_owned();
    scene.authority.expire_access_tokens();
    scene.echo("s", "still").await;
    let refreshes = scene.authority.journal().refreshes();
    assert_eq!(refreshes.len(), 1);
    assert_eq!(refreshes[0].param("client_id"), Some(id.as_str()));
}

#[tokio::test]
async fn an_outage_deletes_nothing() {
    let scene = Scene::start().await.signed_in().await;
    let client = scene.client("s").await;
    for status in [503, 500, 429] {
        scene.authority.expire_access_tokens();
        scene.authority.token_outage(1, status, 1);
        let reply = client.modern_call("echo", json!({"text": "x"})).await;
        assert!(matches!(reply.status, 200 | 502..=504), "{status}: {reply:?}");
        let worked = async {
            loop {
                let reply = client.modern_call("echo", json!({"text": "y"})).await;
                if reply.status == 200 && reply.message().get("result").is_some() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        };
        let worked = tokio::time::timeout(Duration::from_secs(20), worked).await;
        assert!(worked.is_ok(), "did not come back after {status}");
    }
    assert_eq!(scene.keyfob.links().len(), 1, "a browser was opened");
    assert_eq!(scene.status("s").await["state"], "ready");
}

#[tokio::test]
async fn a_revoked_grant_means_sign_in_again_and_no_browser() {
    let scene = Scene::start().await.signed_in().await;
    let client = scene.client("s").await;
    scene.authority.revoke_all();
    let reply = client.modern("resources/list", json!({})).await;
    assert_eq!(reply.status, 503);
    let status = scene.status("s").await;
    assert_eq!((&status["state"], &status["level"]), (&json!("signed-out"), &json!("red")));
    assert_eq!(scene.keyfob.links().len(), 1, "a browser was opened unasked");
    let refreshes = scene.authority.journal().refreshes().len();
    for _ in 0..3 {
        client.modern("resources/list", json!({})).await;
    }
    assert_eq!(scene.authority.journal().refreshes().len(), refreshes, "a dead token was tried");
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "back").await;
    assert_eq!(scene.authority.journal().registrations().len(), 0, "the registration stays");
}

#[tokio::test]
async fn a_server_that_refuses_fresh_tokens_is_not_asked_forever() {
    let scene = Scene::start().await.signed_in().await;
    let client = scene.client("s").await;
    scene.mcp.set(|s| s.refuses_all = true);
    let before = scene.mcp.journal().entries().len();
    let reply = client.modern("resources/list", json!({})).await;
    assert!((502..=504).contains(&reply.status), "{reply:?}");
    assert_eq!(reply.header("www-authenticate"), None);
    assert!(scene.authority.journal().refreshes().len() <= 2);
    assert!(scene.mcp.journal().entries().len() - before <= 4);
}

/// 6.2-47, D-11: what is refused when fresh needs its person, once; and the mark clears with what
/// works later, whichever way that is come by.
#[tokio::test]
async fn a_second_refusal_needs_a_sign_in_until_something_works_again() {
    for way in ["connect", "refresh"] {
        let (scene, machine) = Scene::on_machine(|_| ()).await;
        let scene = scene.signed_in().await;
        // Straight after a sign-in a refusal is told for something else.
        machine.set_passed(120);
        scene.mcp.set(|s| s.refuses_all = true);
        let output = scene.call("s", "echo", &json!({"text": "x"})).await.expect_code(5);
        assert_eq!(output.problem()["code"], "grant-expired", "{output}");
        let status = scene.status("s").await;
        assert_eq!((&status["state"], &status["level"]), (&json!("signed-out"), &json!("red")));
        assert_eq!(scene.authority.journal().refreshes().len(), 1, "one refresh");
        let upstream = scene.mcp.journal().entries().len();
        for _ in 0..3 {
            scene.call("s", "echo", &json!({"text": "y"})).await.expect_code(5);
        }
        assert_eq!(scene.mcp.journal().entries().len(), upstream, "known, and asked all the same");
        assert_eq!(scene.authority.journal().refreshes().len(), 1);
        assert_eq!(scene.keyfob.links().len(), 1, "a browser was opened unasked");

        scene.mcp.set(|s| s.refuses_all = false);
        scene.keyfob.run(&[way, "s"]).await.ok();
        let status = scene.status("s").await;
        assert_eq!((&status["state"], &status["level"]), (&json!("ready"), &json!("green")));
        scene.echo("s", "as before").await;
    }
}

#[tokio::test]
async fn without_refresh_tokens_the_access_token_is_used_to_its_end() {
    let scene = Scene::with(|s| {
        s.authority.refresh = Refresh::Never;
        s.authority.access_token_seconds = 4;
    })
    .await
    .signed_in()
    .await;
    scene.echo("s", "while it lasts").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let client = scene.client("s").await;
    assert_eq!(client.modern("resources/list", json!({})).await.status, 503);
    assert_eq!(scene.authority.journal().refreshes().len(), 0);
}

#[tokio::test]
async fn a_document_that_the_authority_cannot_have_today_ends_nothing() {
    let scene = Scene::start().await.signed_in().await;
    let client = scene.client("s").await;
    scene.authority.set(|s| s.cimd = Cimd::RefusedAtRefresh);
    scene.authority.expire_access_tokens();
    let reply = client.modern("resources/list", json!({})).await;
    assert!((502..=504).contains(&reply.status), "{reply:?}");
    assert_eq!(scene.authority.journal().registrations().len(), 0);
    assert_eq!(scene.status("s").await["registration"]["kind"], "cimd", "kept");
}

#[tokio::test]
async fn a_refresh_by_hand_and_signing_out() {
    let scene = Scene::start().await.signed_in().await;
    scene.keyfob.run(&["refresh", "s"]).await.ok();
    assert_eq!(scene.authority.journal().refreshes().len(), 1);
    scene.keyfob.run(&["signout", "s"]).await.ok();
    let revoked = scene.authority.journal().of(keyfob_tests::Kind::Revocation);
    assert!(!revoked.is_empty(), "RFC 7009");
    assert!(revoked.iter().all(|r| r.param("client_id") == Some(scene.document_url.as_str())));
    let status = scene.status("s").await;
    assert_eq!(status["state"], "signed-out");
    scene.keyfob.run(&["remove", "s"]).await.ok();
    assert_eq!(scene.keyfob.run(&["list", "--json"]).await.ok().json(), json!([]));
}

/// What could not be done there is said, and what is here goes all the same.
#[tokio::test]
async fn removing_says_what_the_service_did_not_do() {
    let scene = Scene::with(|s| {
        s.authority.cimd = Cimd::Off;
        s.authority.registration_management = true;
    })
    .await
    .signed_in()
    .await;
    let Scene { authority, keyfob, mcp: _mcp, documents: _documents, .. } = scene;
    drop(authority);
    let output = keyfob.run(&["remove", "s"]).await.ok();
    for what in ["refresh token forgotten here", "access token forgotten here", "/oauth/register/"]
    {
        assert!(output.to_string().contains(what), "{what}: {output}");
    }
    assert!(!output.to_string().contains("revoked"), "{output}");
    assert_eq!(keyfob.run(&["list", "--json"]).await.ok().json(), json!([]));
}

/// spec-14b: a secret that has ended is not sent again; the next sign-in registers anew.
#[tokio::test]
async fn a_secret_that_has_ended_means_a_new_registration() {
    let scene = Scene::with(|s| {
        s.authority.cimd = Cimd::Off;
        s.authority.dcr = Dcr::WithSecret;
        s.authority.client_secret_seconds = Some(4);
    })
    .await
    .signed_in()
    .await;
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(scene.authority.journal().registrations().len(), 1, "while it is good it is used");
    let had = scene.status("s").await["registration"]["client_id"].clone();
    tokio::time::sleep(Duration::from_secs(5)).await;
    scene.authority.journal().clear();
    scene.connect("s", Visit::Allow).await.ok();
    let exchanges = scene.authority.journal().exchanges();
    assert_eq!(scene.authority.journal().registrations().len(), 1, "registered anew");
    assert!(exchanges.len() == 1 && exchanges[0].accepted(), "{exchanges:?}");
    assert_ne!(scene.status("s").await["registration"]["client_id"], had);
    scene.echo("s", "with a new secret").await;

    // Where it ends in use, the service's refusal is understood and a sign-in mends it.
    tokio::time::sleep(Duration::from_secs(5)).await;
    scene.authority.expire_access_tokens();
    scene.call("s", "echo", &json!({"text": "x"})).await.expect_code(5);
    assert_eq!(scene.status("s").await["state"], "signed-out");
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "once more").await;
}

#[tokio::test]
async fn removing_deletes_the_registration_where_that_is_possible() {
    let scene = Scene::with(|s| {
        s.authority.cimd = Cimd::Off;
        s.authority.registration_management = true;
    })
    .await
    .signed_in()
    .await;
    assert_eq!(scene.authority.registered(), 1);
    scene.keyfob.run(&["remove", "s"]).await.ok();
    assert_eq!(scene.authority.registered(), 0, "RFC 7592");
}

/// A4c: Customer.io takes a resource indicator at the sign-in and answers 400 to it here.
#[tokio::test]
async fn a_resource_that_is_refused_at_refresh_is_left_out_from_then_on() {
    let scene = Scene::with(|s| {
        s.authority.resource = ResourceRule::Optional;
        s.authority.no_resource_at_refresh = true;
    })
    .await
    .signed_in()
    .await;
    for text in ["a", "b"] {
        scene.authority.expire_access_tokens();
        scene.echo("s", text).await;
    }
    let refreshes = scene.authority.journal().refreshes();
    let with: Vec<bool> = refreshes.iter().map(|r| r.param("resource").is_some()).collect();
    assert_eq!(with, [true, false, false], "once with, then without");
    let trace = scene.keyfob.run(&["trace", "s"]).await.ok();
    assert!(trace.stdout.contains("departs from the MCP specification"), "{trace}");
}

/// Supabase answers a dead client with 422 and a message, without an error code.
#[tokio::test]
async fn refusals_without_a_code_end_in_a_new_sign_in_and_not_in_waiting() {
    let scene = Scene::with(|s| s.authority.cimd = Cimd::Off).await.signed_in().await;
    scene.authority.expire_access_tokens();
    scene.authority.set(|s| s.refresh_status = Some(422));
    scene.call("s", "echo", &json!({"text": "x"})).await.expect_code(3);
    assert_eq!(scene.status("s").await["state"], "offline", "once may be an accident");
    for _ in 0..2 {
        scene.keyfob.run(&["refresh", "s"]).await;
    }
    let status = scene.status("s").await;
    assert_eq!((&status["state"], &status["level"]), (&json!("signed-out"), &json!("red")));
    scene.authority.set(|s| s.refresh_status = None);
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "signed in again").await;
}

/// A4d, K7: access that is refused as soon as it is given is told for what it is, not as "sign in
/// again", which leads in a circle.
#[tokio::test]
async fn access_that_is_refused_as_soon_as_it_is_given_is_told_for_what_it_is() {
    let scene = Scene::with(|s| s.mcp.refuses_all = true).await;
    scene.add("s", &[]).await.ok();
    scene.connect("s", Visit::Allow).await;
    let output = scene.call("s", "echo", &json!({"text": "x"})).await.expect_code(5);
    assert_eq!(output.problem()["code"], "token-not-accepted", "{output}");
    let status = scene.status("s").await;
    assert_eq!((&status["level"], &status["text"]), (&json!("red"), &json!("Access not accepted")));
    scene.mcp.set(|s| s.refuses_all = false);
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "mended").await;
}

/// R5c: a service that has forgotten the registration says so at the refresh; the next sign-in
/// registers anew.
#[tokio::test]
async fn a_purged_registration_ends_the_grant_and_is_made_anew_once() {
    let scene = Scene::with(|s| s.authority.cimd = Cimd::Off).await.signed_in().await;
    let had = scene.status("s").await["registration"]["client_id"].clone();
    scene.authority.forget_registrations();
    scene.authority.expire_access_tokens();
    scene.call("s", "echo", &json!({"text": "x"})).await.expect_code(5);
    let status = scene.status("s").await;
    assert_eq!((&status["state"], &status["level"]), (&json!("signed-out"), &json!("red")));
    assert_eq!(scene.authority.journal().refreshes().len(), 1, "not asked again and again");
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "registered anew").await;
    assert_ne!(scene.status("s").await["registration"]["client_id"], had);
    assert_eq!(scene.authority.journal().registrations().len(), 2);
}
