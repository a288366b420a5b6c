//! The ways to sign in that MCP has as extensions, each behind a setting of the server.

use keyfob_tests::authserver::{AuthorizationServer, ResourceRule, Start, StaticClient, Switches};
use keyfob_tests::{Kind, Scene, Visit};
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

/// A company: its identity provider, and a server at whose service that one vouches.
async fn company() -> (Scene, AuthorizationServer) {
    let client = |id: &str, redirect_uris| StaticClient {
        id: id.into(),
        secret: Some(SECRET.into()),
        redirect_uris,
    };
    let scene = Scene::with(|s| {
        s.authority.static_clients.push(client("at-service", Vec::new()));
    })
    .await;
    let callback = format!("http://127.0.0.1:{}/callback", scene.keyfob.port());
    let switches = Switches {
        resource: ResourceRule::Optional,
        scopes_supported: ["openid", "email", "offline_access"].map(str::to_owned).to_vec(),
        static_clients: vec![client("at-provider", vec![callback])],
        ..Switches::default()
    };
    let provider = AuthorizationServer::start_with(Start { switches, ..Start::default() }).await;
    scene.authority.believe(&provider);
    (scene, provider)
}

/// Puts a server of the company on the list.
async fn employ(scene: &mut Scene, provider: &AuthorizationServer, name: &str) {
    scene.keyfob.set_env("AT_SERVICE", SECRET);
    let way = ["--sign-in", "enterprise", "--client-id", "at-service"];
    let secrets = ["--client-secret-env", "AT_SERVICE", "--idp-client-secret-env", "AT_SERVICE"];
    let there = ["--idp-client-id", "at-provider", "--idp-issuer", provider.issuer()];
    scene.add(name, &[&way[..], &secrets, &there].concat()).await.ok();
}

/// The person is asked once, by the company, and by none of its servers.
#[tokio::test]
async fn the_company_is_asked_once_for_all_its_servers() {
    let (mut scene, provider) = company().await;
    employ(&mut scene, &provider, "one").await;
    scene.connect("one", Visit::Allow).await.ok();
    scene.echo("one", "after a visit").await;
    let visits = provider.journal().authorizations().len();
    assert_eq!((visits, scene.authority.journal().authorizations().len()), (1, 0));

    // Its access ends; what renews it needs nobody.
    let client = scene.client("one").await;
    scene.authority.expire_access_tokens();
    assert_eq!(client.modern_call("echo", json!({"text": "a"})).await.tool_text(), "a");
    employ(&mut scene, &provider, "two").await;
    let second = scene.client("two").await;
    assert_eq!(second.modern_call("echo", json!({"text": "b"})).await.tool_text(), "b");
    assert_eq!(scene.keyfob.links().len(), 1, "no browser was opened again");
    let refreshes = provider.journal().refreshes();
    assert_eq!(refreshes.len(), 2);
    assert!(refreshes.iter().all(keyfob_tests::Entry::accepted), "a rotated token came twice");
    for secret in provider.issued().refresh.iter().chain(&provider.issued().access) {
        assert!(!scene.authority.journal().mentions(secret), "a token of the provider");
    }
}

/// Where the company has ended it, no browser opens for a program's request: its person is told.
#[tokio::test]
async fn a_session_that_the_company_has_ended_waits_for_its_person() {
    let (mut scene, provider) = company().await;
    employ(&mut scene, &provider, "one").await;
    scene.connect("one", Visit::Allow).await.ok();
    provider.revoke_all();
    scene.authority.expire_access_tokens();
    let client = scene.client("one").await;
    let reply = client.modern_call("echo", json!({"text": "a"})).await;
    assert!(reply.text.contains("Sign in to one"), "{}", reply.text);
    assert_eq!(scene.keyfob.links().len(), 1, "a browser went out by itself");
    assert_eq!(scene.status("one").await["state"], "signed-out");
    scene.connect("one", Visit::Allow).await.ok();
    scene.echo("one", "after another visit").await;
    assert_eq!(scene.keyfob.links().len(), 2);
}

/// The last server of the company takes the session with it.
#[tokio::test]
async fn the_session_ends_with_the_last_server_of_the_company() {
    let (mut scene, provider) = company().await;
    employ(&mut scene, &provider, "one").await;
    employ(&mut scene, &provider, "two").await;
    scene.connect("one", Visit::Allow).await.ok();
    scene.keyfob.run(&["remove", "two"]).await.ok();
    assert!(provider.journal().of(Kind::Revocation).is_empty(), "it is still in use");
    scene.keyfob.run(&["remove", "one"]).await.ok();
    let issued = provider.issued();
    let revoked = provider.journal().of(Kind::Revocation);
    let tokens: Vec<_> = revoked.iter().filter_map(|r| r.param("token")).collect();
    assert_eq!(tokens, [issued.refresh[0].as_str(), issued.access[0].as_str()]);

    // Who resets a server is asked again: perhaps they want to be somebody else.
    employ(&mut scene, &provider, "three").await;
    scene.connect("three", Visit::Allow).await.ok();
    scene.connect("three", Visit::Allow).await.ok();
    assert_eq!(scene.keyfob.links().len(), 2, "it is known there");
    scene.keyfob.run(&["reset", "three"]).await.ok();
    scene.connect("three", Visit::Allow).await.ok();
    assert_eq!(scene.keyfob.links().len(), 3);
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
