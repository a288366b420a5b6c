//! The ways to sign in that MCP has as extensions, each behind a setting of the server.

use keyfob_tests::authserver::StaticClient;
use keyfob_tests::{Scene, Visit};
use serde_json::json;

const SECRET: &str = "s3cret-of-the-robot";

/// A server whose sign-in service knows a client for programs.
async fn scene() -> Scene {
    Scene::with(|s| {
        s.authority.static_clients.push(StaticClient {
            id: "robot".into(),
            secret: Some(SECRET.into()),
            redirect_uris: Vec::new(),
        });
    })
    .await
}

async fn add(scene: &mut Scene, secret: &str) {
    scene.keyfob.set_env("ROBOT", secret);
    let way = ["--sign-in", "client-credentials", "--client-id", "robot"];
    let secret = ["--client-secret-env", "ROBOT"];
    scene.add("s", &[&way[..], &secret].concat()).await.ok();
}

#[tokio::test]
async fn a_client_of_ones_own_needs_nobody() {
    let mut scene = scene().await;
    add(&mut scene, SECRET).await;
    let client = scene.client("s").await;
    assert_eq!(client.modern_call("echo", json!({"text": "a"})).await.tool_text(), "a");
    let journal = scene.authority.journal();
    assert_eq!(journal.client_credentials().len(), 1);
    assert!(journal.authorizations().is_empty() && scene.keyfob.links().is_empty());
    let status = scene.status("s").await;
    assert_eq!(
        (&status["state"], &status["registration"]["client_id"]),
        (&json!("ready"), &json!("robot"))
    );
    // A new token is the same request once more, one for all.
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
    let asked = scene.authority.journal().client_credentials();
    assert_eq!(asked.len(), 2);
    let resource = scene.mcp.resource();
    assert!(asked.iter().all(|entry| entry.param("resource") == Some(resource.as_str())));
    assert!(scene.authority.journal().refreshes().is_empty());
    scene.keyfob.run(&["refresh", "s"]).await.ok();
    assert_eq!(scene.authority.journal().client_credentials().len(), 3);
}

#[tokio::test]
async fn a_refused_client_is_not_tried_at_every_request() {
    let mut scene = scene().await;
    add(&mut scene, "wr0ng-secret").await;
    let client = scene.client("s").await;
    for _ in 0..5 {
        client.modern_call("echo", json!({"text": "a"})).await;
    }
    assert_eq!(scene.authority.journal().client_credentials().len(), 1);
    let refused = scene.connect("s", Visit::Allow).await.expect_code(5);
    assert!(!refused.stderr.contains("wr0ng") && !refused.stdout.contains("wr0ng"), "{refused:?}");
    assert!(scene.keyfob.links().is_empty());
}

#[tokio::test]
async fn what_a_way_lacks_is_said_when_the_server_is_added() {
    let scene = scene().await;
    let lacking: [&[&str]; 4] = [
        &["--sign-in", "client-credentials"],
        &["--sign-in", "client-credentials", "--client-id", "robot"],
        &["--sign-in", "enterprise", "--client-id", "robot"],
        &["--sign-in", "magic"],
    ];
    for options in lacking {
        scene.add("s", options).await.expect_code(2);
    }
    let listed = scene.keyfob.run(&["list", "--json"]).await.ok().json();
    assert_eq!(listed, json!([]));
}
