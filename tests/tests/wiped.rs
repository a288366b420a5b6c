//! What is over is gone from the broker's memory as well.
#![expect(clippy::expect_used, reason = "test code")]

use std::time::{Duration, Instant};

use keyfob_tests::random::secret;
use keyfob_tests::scan::times_in_memory;
use keyfob_tests::{Keyfob, Scene};

/// The usual scene, with a broker whose memory may be looked into.
async fn scene() -> Scene {
    let mut scene = Scene::with(|s| s.serve = false).await;
    scene.keyfob.set_env("KEYFOB_DEBUGGABLE", "1");
    scene.keyfob.serve().await;
    scene
}

/// Waits until none of these is in the broker's memory.
async fn until_gone(keyfob: &Keyfob, secrets: &[(&str, String)]) {
    let pid = keyfob.broker().pid().expect("it runs");
    let began = Instant::now();
    loop {
        let left: Vec<_> = secrets
            .iter()
            .map(|(name, text)| (*name, times_in_memory(pid, text)))
            .filter(|(_, times)| *times > 0)
            .collect();
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "still there: {left:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// attack-B11b: with grants in memory nothing else would keep a token either.
#[tokio::test]
async fn a_token_is_gone_from_memory_after_a_sign_out() {
    let scene = scene().await.signed_in().await;
    let key = scene.client_key("cursor", "s").await;
    let client = reqwest::Client::new();
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let sent = client.post(scene.gateway("s")).bearer_auth(&key).body(ping).send();
    sent.await.expect("an answer").bytes().await.expect("all of it");
    scene.authority.expire_access_tokens();
    scene.echo("s", "x").await;
    scene.keyfob.run(&["refresh", "s"]).await.ok();
    scene.echo("s", "y").await;
    let issued = scene.authority.issued();
    assert!(issued.access.len() >= 3 && issued.refresh.len() >= 2, "{issued:?}");
    let pid = scene.keyfob.broker().pid().expect("it runs");
    for token in [issued.access.last(), issued.refresh.last()] {
        let token = token.expect("a token");
        assert!(times_in_memory(pid, token) > 0, "the scan is blind");
    }
    scene.keyfob.run(&["signout", "s"]).await.ok();
    drop(client);
    // A connection that is kept for the next request has its buffers for as long: a minute.
    let Scene { authority, mcp, keyfob, documents: _, document_url: _ } = scene;
    drop((authority, mcp));
    let named = |name: &'static str, all: Vec<String>| all.into_iter().map(move |one| (name, one));
    let tokens =
        named("an access token", issued.access).chain(named("a refresh token", issued.refresh));
    let secrets: Vec<_> = tokens.chain([("a client key", key)]).collect();
    until_gone(&keyfob, &secrets).await;
}

/// What is told over the control channel, and kept for a server.
#[tokio::test]
async fn a_client_secret_is_gone_from_memory_with_its_server() {
    use keyfob_tests::world::{PATIENCE, Stdin};
    let own = secret("own-secret-");
    let scene = scene().await;
    let url = scene.mcp.url();
    let add = ["add", "--name", "s", "--client-id", "own", "--client-secret-stdin", &url];
    scene.keyfob.run_with(&add, Stdin::Text(&format!("{own}\n")), PATIENCE).await.ok();
    let pid = scene.keyfob.broker().pid().expect("it runs");
    assert!(times_in_memory(pid, &own) > 0, "the scan is blind");
    scene.keyfob.run(&["remove", "s"]).await.ok();
    until_gone(&scene.keyfob, &[("the client secret", own)]).await;
}
