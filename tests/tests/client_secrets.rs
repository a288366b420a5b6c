//! Client secrets that end while Keyfob runs (RFC 7591 section 3.2.1, RFC 7592 section 2.2).

use std::time::Duration;

use keyfob_tests::authserver::{Cimd, Dcr};
use keyfob_tests::{Entry, Kind, Scene, Setup, Visit};
use serde_json::Value;

/// A sign-in service that registers clients with a secret, and lets them renew it or not.
fn secrets(setup: &mut Setup, seconds: Option<u64>, can_be_renewed: bool) {
    setup.authority.cimd = Cimd::Off;
    setup.authority.dcr = Dcr::WithSecret;
    setup.authority.client_secret_seconds = seconds;
    setup.authority.registration_management = can_be_renewed;
}

fn updates(scene: &Scene) -> Vec<Entry> {
    let managed = scene.authority.journal().of(Kind::RegistrationManagement);
    managed.into_iter().filter(|entry| entry.method == "PUT").collect()
}

/// What refreshes authenticated with, and whether that was taken.
fn credentials(scene: &Scene) -> Vec<(String, bool)> {
    let refreshes = scene.authority.journal().refreshes();
    let credential = |entry: &Entry| entry.header("authorization").unwrap_or("none").to_owned();
    refreshes.iter().map(|entry| (credential(entry), entry.accepted())).collect()
}

/// Neither registered nor signed in a second time.
fn nobody_was_troubled(scene: &Scene) {
    assert_eq!(scene.authority.journal().registrations().len(), 1);
    assert_eq!(scene.keyfob.links().len(), 1, "one visit of the browser");
}

#[tokio::test]
async fn a_client_secret_is_renewed_before_it_ends_and_used_from_then_on() {
    let scene = Scene::with(|s| secrets(s, Some(10), true)).await.signed_in().await;
    scene.authority.expire_access_tokens();
    scene.echo("s", "with the first").await;
    // Nobody asks for anything while nine tenths of its life go by.
    tokio::time::sleep(Duration::from_millis(10_500)).await;
    let updates = updates(&scene);
    assert_eq!(updates.len(), 1, "{updates:#?}");
    assert!(updates[0].accepted(), "{updates:#?}");
    scene.authority.expire_access_tokens();
    scene.echo("s", "with the second").await;
    let used = credentials(&scene);
    assert_eq!(used.len(), 2, "{used:?}");
    assert!(used.iter().all(|(_, is_taken)| *is_taken), "{used:?}");
    assert_ne!(used[0].0, used[1].0, "the old secret has ended");
    nobody_was_troubled(&scene);
    let trace = scene.keyfob.run(&["trace", "s"]).await.ok();
    assert!(trace.stdout.contains("client secret renewed"), "{}", trace.stdout);
}

#[tokio::test]
async fn a_secret_that_is_refused_is_renewed_before_anything_is_given_up() {
    let scene = Scene::with(|s| secrets(s, Some(86_400), true)).await.signed_in().await;
    scene.authority.expire_client_secrets();
    scene.authority.expire_access_tokens();
    scene.echo("s", "a").await;
    let taken: Vec<bool> = credentials(&scene).into_iter().map(|(_, is_taken)| is_taken).collect();
    assert_eq!(taken, [false, true], "refused, then with the new one");
    assert_eq!(updates(&scene).len(), 1);
    nobody_was_troubled(&scene);
    scene.authority.expire_client_secrets();
    scene.authority.expire_access_tokens();
    scene.echo("s", "b").await;
    assert_eq!(updates(&scene).len(), 2, "the next time is another time");
}

#[tokio::test]
async fn two_servers_with_one_registration_share_its_renewal() {
    let scene = Scene::with(|s| secrets(s, Some(86_400), true)).await.signed_in().await;
    scene.add("t", &[]).await.ok();
    scene.connect("t", Visit::Allow).await.ok();
    assert_eq!(scene.authority.journal().registrations().len(), 1, "they share it");
    let (s, t) = (scene.client("s").await, scene.client("t").await);
    // Who is refused first is chance.
    for round in 1..=5 {
        scene.authority.journal().clear();
        scene.authority.expire_client_secrets();
        scene.authority.expire_access_tokens();
        let text = |text: &str| serde_json::json!({ "text": text });
        let (a, b) =
            tokio::join!(s.modern_call("echo", text("a")), t.modern_call("echo", text("b")));
        assert_eq!((a.tool_text(), b.tool_text()), ("a", "b"));
        assert_eq!(updates(&scene).len(), 1, "one renewal for both, in round {round}");
        let (refused, taken): (Vec<_>, Vec<_>) =
            credentials(&scene).into_iter().partition(|(_, is_taken)| !is_taken);
        assert_eq!(taken.len(), 2, "{taken:?}");
        assert_eq!(taken[0].0, taken[1].0, "with the same new secret");
        assert!(refused.len() <= 2, "{refused:?}");
        assert!(scene.authority.journal().registrations().is_empty());
    }
}

/// An outage of the registration service ends nothing.
#[tokio::test]
async fn a_secret_that_cannot_be_renewed_today_ends_nothing() {
    let scene = Scene::with(|s| secrets(s, Some(86_400), true)).await.signed_in().await;
    scene.authority.set(|s| s.registration_update_status = Some(503));
    scene.authority.expire_client_secrets();
    scene.authority.expire_access_tokens();
    let client = scene.client("s").await;
    let call = || client.modern_call("echo", serde_json::json!({"text": "a"}));
    assert_eq!(call().await.status, 503);
    assert_eq!(call().await.status, 503);
    assert_eq!(updates(&scene).len(), 1, "it is not asked again at once");
    let status = scene.status("s").await;
    assert_ne!(status["state"], "signed-out", "{status}");
    assert_eq!(status["registration"]["kind"], "dcr");
    assert_eq!(scene.authority.journal().registrations().len(), 1);
}

/// Where the means to renew turn out to be none, it ends as it would have without.
#[tokio::test]
async fn a_management_token_that_is_refused_means_sign_in_again() {
    let scene = Scene::with(|s| secrets(s, Some(86_400), true)).await.signed_in().await;
    scene.authority.set(|s| s.registration_update_status = Some(403));
    scene.authority.expire_client_secrets();
    scene.authority.expire_access_tokens();
    let client = scene.client("s").await;
    let reply = client.modern_call("echo", serde_json::json!({"text": "a"})).await;
    assert_eq!(reply.status, 200, "a JSON-RPC error: {reply:?}");
    assert_eq!(scene.status("s").await["text"], "Sign in again");
    scene.authority.set(|s| s.registration_update_status = None);
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(scene.authority.journal().registrations().len(), 2, "registered anew, once");
    scene.echo("s", "b").await;
}

/// Ahead of the end it is the same, but that there is time to tell.
#[tokio::test]
async fn a_renewal_that_the_service_refuses_is_tried_once_and_then_told() {
    let scene = Scene::with(|s| secrets(s, Some(8), true)).await.signed_in().await;
    scene.authority.set(|s| s.registration_update_status = Some(403));
    let mut status = Value::Null;
    for _ in 0..90 {
        status = scene.status("s").await;
        if status["level"] != "green" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(status["text"], "Connected · sign in again soon");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(updates(&scene).len(), 1, "it has said no");
    scene.echo("s", "what there is serves on").await;
}

#[tokio::test]
async fn a_secret_that_only_the_person_can_replace_is_told_beforehand() {
    let scene = Scene::with(|s| secrets(s, Some(20), false)).await.signed_in().await;
    let shown = |status: &Value| (status["level"].clone(), status["text"].clone());
    let before = scene.status("s").await;
    assert_eq!(before["level"], "green", "{before}");
    // From half its life on, since that is less than a day.
    tokio::time::sleep(Duration::from_millis(10_200)).await;
    let (level, text) = shown(&scene.status("s").await);
    assert_eq!((level, text), ("amber".into(), "Connected · sign in again soon".into()));
    let trace = scene.keyfob.run(&["trace", "s"]).await.ok().stdout;
    assert_eq!(trace.matches("the client secret ends soon").count(), 1, "{trace}");
    scene.authority.set(|s| s.client_secret_seconds = None);
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(scene.authority.journal().registrations().len(), 2, "a new secret");
    assert_eq!(scene.status("s").await["level"], "green");
    scene.authority.expire_access_tokens();
    scene.echo("s", "with the new one").await;
}
