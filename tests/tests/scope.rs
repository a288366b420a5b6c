//! More access for one tool: asked for once, by a person, and no more often than makes sense.
#![expect(clippy::panic, reason = "test code")]

use std::time::Duration;

use keyfob_tests::authserver::{Cimd, Consent};
use keyfob_tests::world::Stdin;
use keyfob_tests::{Scene, Visit};
use serde_json::json;

const TEXT: &str = r#"{"text":"x"}"#;

async fn comes_to(scene: &Scene, state: &str) {
    for _ in 0..100 {
        if scene.status("s").await["state"] == state {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not {state}, but {}", scene.status("s").await);
}

/// U1b: the request waits, others are served meanwhile, and a person allows it.
#[tokio::test]
async fn a_request_for_more_access_waits_for_its_person_and_others_do_not() {
    let scene = Scene::with(|s| s.mcp.challenge_scope = Some("basic".to_owned())).await;
    let scene = scene.signed_in().await;
    let held = scene.keyfob.start(&["call", "s", "secret_write", TEXT], Stdin::Empty);
    comes_to(&scene, "needs-scope").await;
    scene.echo("s", "served meanwhile").await;
    assert!(held.prints("waits until you allow it", Duration::from_secs(10)).await, "in silence");
    scene.connect("s", Visit::Allow).await.ok();
    held.finish(Duration::from_secs(10)).await.ok();
    let asked = scene.authority.journal().authorizations().pop().expect("a request");
    assert_eq!(asked.param("scope"), Some("basic secrets:write"), "the union of had and wanted");
    assert_eq!(scene.status("s").await["state"], "ready");
}

/// A client may ask only for what it registered with (RFC 7591 section 2), so more access can take
/// another registration; once there is one, it is used again.
#[tokio::test]
async fn more_access_than_was_registered_for_takes_another_registration() {
    let scene = Scene::with(|s| {
        s.mcp.challenge_scope = Some("basic".to_owned());
        s.authority.cimd = Cimd::Off;
        s.authority.scopes_as_registered = true;
    })
    .await
    .signed_in()
    .await;
    let held = scene.keyfob.start(&["call", "s", "secret_write", TEXT], Stdin::Empty);
    comes_to(&scene, "needs-scope").await;
    scene.connect("s", Visit::Allow).await.ok();
    held.finish(Duration::from_secs(10)).await.ok();
    let registered = scene.authority.journal().registrations();
    assert_eq!(registered.len(), 2);
    assert_eq!(registered[1].param("scope"), Some("basic secrets:write"));
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(scene.authority.journal().registrations().len(), 2, "it is used again");
}

/// 6.2-62: what was granted and is demanded again is a plain refusal.
#[tokio::test]
async fn a_scope_that_is_demanded_again_is_a_plain_refusal() {
    let scene = Scene::with(|s| s.mcp.never_enough = true).await.signed_in().await;
    let held = scene.keyfob.start(&["call", "s", "secret_write", TEXT], Stdin::Empty);
    comes_to(&scene, "needs-scope").await;
    scene.connect("s", Visit::Allow).await.ok();
    let output = held.finish(Duration::from_secs(10)).await;
    assert!(output.code.is_some_and(|code| code != 0) && !output.late, "{output}");
    scene.authority.journal().clear();
    let again = scene.call("s", "secret_write", &json!({"text": "x"})).await;
    assert!(again.code != Some(0) && again.took < Duration::from_secs(5), "no loop: {again}");
    assert!(scene.authority.journal().authorizations().is_empty());
    assert_eq!(scene.status("s").await["state"], "ready", "the rest is as good as before");
    scene.echo("s", "still served").await;
}

/// 6.2-62: a person who says no leaves what there was, and the client hears of it.
#[tokio::test]
async fn a_person_who_denies_more_access_leaves_what_there_was() {
    let scene = Scene::with(|s| {
        s.mcp.challenge_scope = Some("basic".to_owned());
        s.authority.consent = Consent::Page;
    })
    .await
    .signed_in()
    .await;
    let client = scene.client("s").await;
    let asking = client.clone();
    let held =
        tokio::spawn(async move { asking.modern_call("secret_write", json!({"text": "x"})).await });
    comes_to(&scene, "needs-scope").await;
    assert_eq!(scene.keyfob.links().len(), 1, "a browser was opened unasked");
    scene.connect("s", Visit::Deny).await.expect_code(5);
    let reply = held.await.expect("an answer");
    assert!(reply.header("www-authenticate").is_none(), "{reply:?}");
    assert_eq!(reply.message()["error"]["data"]["code"], "scope-needed", "{reply:?}");
    assert_eq!(scene.status("s").await["state"], "ready");
    assert_eq!(scene.authority.journal().token_requests().len(), 1, "the first sign-in's");
    assert_eq!(
        client.modern_call("echo", json!({"text": "as before"})).await.tool_text(),
        "as before"
    );
}

/// 6.2-62: a server that wants something else each time is not followed for ever.
#[tokio::test]
async fn more_and_more_access_comes_to_an_end() {
    let scene = Scene::with(|s| s.mcp.challenge_scope = Some("basic".to_owned())).await;
    let scene = scene.signed_in().await;
    for round in 0..3 {
        let wanted = format!("more:{round}");
        scene.mcp.set(|s| drop(s.tool_scopes.insert("secret_write".to_owned(), wanted)));
        let held = scene.keyfob.start(&["call", "s", "secret_write", TEXT], Stdin::Empty);
        comes_to(&scene, "needs-scope").await;
        scene.connect("s", Visit::Allow).await.ok();
        held.finish(Duration::from_secs(10)).await.ok();
    }
    let asked = scene.authority.journal().authorizations().pop();
    let asked = asked.as_ref().and_then(|a| a.param("scope"));
    assert_eq!(asked, Some("basic more:0 more:1 more:2"));
    scene.mcp.set(|s| drop(s.tool_scopes.insert("secret_write".to_owned(), "more:3".to_owned())));
    let output = scene.call("s", "secret_write", &json!({"text": "x"})).await;
    assert!(output.code != Some(0) && output.took < Duration::from_secs(5), "{output}");
    assert_eq!(scene.status("s").await["state"], "ready");
    scene.echo("s", "the rest is served").await;
}

/// U1c: nobody can ask for what is not named.
#[tokio::test]
async fn a_refusal_that_names_no_scope_is_a_plain_refusal() {
    let scene = Scene::with(|s| s.mcp.names_scope = false).await.signed_in().await;
    let output = scene.call("s", "secret_write", &json!({"text": "x"})).await;
    assert!(output.code != Some(0) && output.took < Duration::from_secs(5), "{output}");
    assert_eq!(scene.status("s").await["state"], "ready");
    scene.echo("s", "still served").await;
}
