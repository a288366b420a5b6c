//! Keychains that are locked, gone, or changed by somebody else. Each test but the last two has a
//! session bus and a Secret Service of its own. See `keychain.rs` for why they are ignored.
#![expect(clippy::expect_used, reason = "test code")]

use std::time::Duration;

use keyfob_tests::authserver::Refresh;
use keyfob_tests::keychain::{Session, demand_keychain};
use keyfob_tests::{Keyfob, Kind, Scene, Setup, Store, Visit};
use serde_json::json;

/// The usual scene, with its grants in the keychain of a session of its own.
async fn scene(session: &Session, change: impl FnOnce(&mut Setup)) -> Scene {
    demand_keychain();
    let mut scene = Scene::with(|s| {
        s.store = Store::Keychain;
        s.serve = false;
        change(s);
    })
    .await;
    session.under(&mut scene.keyfob);
    scene.keyfob.serve().await;
    scene
}

/// 6.2-54: locked is a state that one can leave, and nothing is lost in it.
#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn a_locked_keychain_is_said_and_nothing_is_lost() {
    let session = Session::start();
    let mut scene = scene(&session, |_| ()).await.signed_in().await;
    session.lock().await;
    scene.echo("s", "what is in hand serves on").await;

    scene.keyfob.stop().await;
    scene.keyfob.serve().await;
    let output = scene.call("s", "echo", &json!({"text": "x"})).await.expect_code(7);
    assert_eq!(output.problem()["code"], "vault-locked", "{output}");
    let status = scene.status("s").await;
    assert_eq!((&status["state"], &status["level"]), (&json!("vault-blocked"), &json!("amber")));
    assert_eq!(scene.keyfob.links().len(), 1, "a browser was opened");
    assert!(scene.authority.journal().of(Kind::Revocation).is_empty());

    session.unlock().await;
    scene.echo("s", "as if nothing had been").await;
    assert_eq!(scene.status("s").await["state"], "ready");

    // A rotated token that cannot be kept serves from memory, and is kept before we end.
    session.lock().await;
    scene.authority.expire_access_tokens();
    scene.echo("s", "renewed").await;
    assert_eq!(scene.status("s").await["state"], "vault-blocked", "it is said");
    session.unlock().await;
    scene.keyfob.stop().await;
    scene.keyfob.serve().await;
    scene.authority.expire_access_tokens();
    scene.echo("s", "renewed again").await;
    let refreshes = scene.authority.journal().refreshes();
    assert_eq!(refreshes.len(), 2);
    assert!(refreshes.iter().all(keyfob_tests::Entry::accepted), "an old token was used");
    assert_eq!(scene.authority.journal().exchanges().len(), 1, "signed in once");
}

/// attack-B4: what does not answer is not called locked, and is read as soon as it answers.
#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn a_keychain_that_does_not_answer_is_not_called_locked() {
    let session = Session::start();
    let mut scene = scene(&session, |_| ()).await.signed_in().await;
    scene.keyfob.stop().await;
    let paused = session.pause().await;
    scene.keyfob.serve().await;
    let output = scene.call("s", "echo", &json!({"text": "x"})).await.expect_code(7);
    assert_eq!(output.problem()["code"], "vault-slow", "{output}");
    let status = scene.status("s").await;
    assert_eq!(status["state"], "vault-blocked");
    assert_eq!(status["text"], "Keychain does not answer", "{status}");
    drop(paused);
    let began = std::time::Instant::now();
    while scene.status("s").await["state"] != "ready" {
        assert!(began.elapsed() < Duration::from_secs(60), "it was not read again");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    scene.echo("s", "as if nothing had been").await;
    assert_eq!(scene.keyfob.links().len(), 1, "a browser was opened");
}

/// 6.2-54: what the person has deleted is gone, and a sign-in brings it back.
#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn an_entry_that_was_deleted_means_a_new_sign_in() {
    let session = Session::start();
    let mut scene = scene(&session, |_| ()).await.signed_in().await;
    session.clear();
    scene.echo("s", "what is in hand serves on").await;
    scene.keyfob.stop().await;
    scene.keyfob.serve().await;
    let output = scene.call("s", "echo", &json!({"text": "x"})).await.expect_code(5);
    assert!(output.problem()["code"].as_str().is_some_and(|c| c != "internal"), "{output}");
    assert_eq!(scene.status("s").await["state"], "signed-out");
    assert_eq!(scene.keyfob.links().len(), 1, "a browser was opened unasked");
    scene.connect("s", Visit::Allow).await.ok();
    scene.keyfob.stop().await;
    scene.keyfob.serve().await;
    scene.echo("s", "kept again").await;
}

/// 6.2-54: where there is none that is said before anybody is sent to a browser for something that
/// could not be kept.
#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn without_a_keychain_no_sign_in_is_begun() {
    demand_keychain();
    let mut scene = Scene::with(|s| {
        s.store = Store::Keychain;
        s.serve = false;
    })
    .await;
    scene.keyfob.set_env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
    scene.keyfob.serve().await;
    scene.add("s", &[]).await.ok();
    let output = scene.connect("s", Visit::Allow).await.expect_code(7);
    assert!(output.one_sentence().contains("keychain"), "{output}");
    assert!(output.stderr.contains("--store memory"), "the way out: {output}");
    assert!(scene.keyfob.links().is_empty(), "a browser was opened");
    assert!(scene.authority.issued().all().is_empty());
}

/// A second broker of the same profile, as a home that was copied, or synchronised, makes one.
async fn twin(scene: &Scene) -> Keyfob {
    let mut twin = Keyfob::new(Store::Keychain);
    let facts = "state/remembered.json";
    std::fs::create_dir_all(twin.home().join("state")).expect("a folder");
    std::fs::copy(scene.keyfob.home().join(facts), twin.home().join(facts)).expect("copied");
    let settings = scene.keyfob.home().join("config/config.toml");
    let settings = std::fs::read_to_string(settings).expect("settings");
    let (own, other) =
        (format!("port = {}", scene.keyfob.port()), format!("port = {}", twin.port()));
    let settings = settings.replace(&own, &other);
    std::fs::write(twin.home().join("config/config.toml"), settings).expect("written");
    twin.serve().await;
    twin
}

async fn echo(keyfob: &Keyfob, text: &str) {
    let arguments = json!({"text": text}).to_string();
    let output = keyfob.run(&["call", "--json", "s", "echo", &arguments]).await.ok();
    assert_eq!(output.json()["content"][0]["text"], text);
}

/// 6.2-59, spec-2b: a refresh token that another process has used is not used again; at a strict
/// service that would end the grant for both.
#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn two_brokers_with_one_grant_do_not_lose_it() {
    demand_keychain();
    let scene = Scene::with(|s| s.store = Store::Keychain).await.signed_in().await;
    let twin = twin(&scene).await;
    for text in ["a", "b", "c"] {
        scene.authority.expire_access_tokens();
        scene.echo("s", text).await;
        echo(&twin, text).await;
        scene.authority.expire_access_tokens();
        echo(&twin, text).await;
        scene.echo("s", text).await;
    }
    let refreshes = scene.authority.journal().refreshes();
    assert_eq!(refreshes.len(), 6, "one for both, each time");
    assert!(refreshes.iter().all(keyfob_tests::Entry::accepted), "a token was used twice");
    assert_eq!(scene.keyfob.links().len() + twin.links().len(), 1, "a browser was opened");
    scene.keyfob.run(&["remove", "s"]).await.ok();
}

/// spec-2b: who finds out only by the refusal looks at what the quicker one has stored.
#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn who_comes_second_with_a_refresh_token_uses_what_the_first_one_got() {
    demand_keychain();
    let scene = Scene::with(|s| {
        s.store = Store::Keychain;
        s.authority.refresh = Refresh::RotateMildly;
    })
    .await
    .signed_in()
    .await;
    let twin = twin(&scene).await;
    scene.authority.expire_access_tokens();
    scene.authority.set(|s| s.token_pause = Duration::from_secs(3));
    let slow = async {
        echo(&twin, "second").await;
    };
    let quick = async {
        let asked = |entries: &[keyfob_tests::Entry]| {
            entries.iter().any(|e| e.param("grant_type") == Some("refresh_token"))
        };
        assert!(scene.authority.journal().wait(Duration::from_secs(10), asked).await);
        scene.authority.set(|s| s.token_pause = Duration::ZERO);
        scene.echo("s", "first").await;
    };
    tokio::join!(slow, quick);
    let refreshes = scene.authority.journal().refreshes();
    let accepted: Vec<bool> = refreshes.iter().map(keyfob_tests::Entry::accepted).collect();
    assert_eq!(accepted, [false, true], "the fixture");
    for text in ["a", "b"] {
        scene.authority.expire_access_tokens();
        scene.echo("s", text).await;
        echo(&twin, text).await;
    }
    assert_eq!(scene.keyfob.links().len() + twin.links().len(), 1, "a browser was opened");
    scene.keyfob.run(&["remove", "s"]).await.ok();
}
