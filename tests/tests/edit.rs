//! Changing a server that is on the list: what does not concern the sign-in keeps it, and what
//! does ends it where that is wished.

use std::time::Duration;

use keyfob_tests::authserver::{Cimd, StaticClient};
use keyfob_tests::world::{PATIENCE, Stdin};
use keyfob_tests::{BearerSeen, Kind, McpServer, RpcClient, Scene, Visit};
use serde_json::{Value, json};

/// 6.2-55, D-16: no sign-in, no refresh and no other grant for a name and headers.
#[tokio::test]
async fn a_new_name_and_headers_keep_the_sign_in() {
    let scene = Scene::start().await.signed_in().await;
    let sign_ins = scene.authority.journal().authorizations().len();
    let client = scene.client("s").await;
    client.modern_call("echo", json!({"text": "before"})).await.tool_text();
    let key = scene.client_key("one", "s").await;

    let change = ["set", "--name", "notes", "--header", "X-Tenant", "--scope", "files:read", "s"];
    let told = scene.keyfob.run_with(&change, Stdin::Text("blue 7\n"), PATIENCE).await.ok();
    assert!(told.stdout.contains(&scene.gateway("notes")), "the new address: {told}");
    assert!(told.stdout.contains("from the next sign-in on"), "{told}");
    assert_eq!(scene.status("notes").await["state"], "ready");
    scene.echo("notes", "after").await;
    let renamed = RpcClient::new(&scene.gateway("notes")).bearer(&key);
    renamed.modern_call("echo", json!({"text": "with its key"})).await.tool_text();
    let lost = client.modern_call("echo", json!({"text": "at the address before"})).await;
    assert_eq!(lost.status, 403, "{}", lost.text);
    let seen = scene.mcp.journal().tool_calls("echo").pop().expect("a call");
    assert_eq!((seen.header("x-tenant"), seen.bearer), (Some("blue 7"), Some(BearerSeen::Issued)));
    assert_eq!(scene.authority.journal().authorizations().len(), sign_ins);
    assert!(scene.authority.journal().refreshes().is_empty());

    scene.keyfob.run(&["status", "s"]).await.expect_code(2);

    scene.connect("notes", Visit::Allow).await.ok();
    let asked = scene.authority.journal().authorizations().pop().expect("a sign-in");
    assert!(asked.param("scope").is_some_and(|scope| scope.contains("files:read")), "{asked:?}");

    scene.keyfob.run(&["set", "--no-header", "x-tenant", "notes"]).await.ok();
    scene.echo("notes", "without").await;
    let seen = scene.mcp.journal().tool_calls("echo").pop().expect("a call");
    assert_eq!(seen.header("x-tenant"), None);
}

/// A grant is never sent to another server than its own.
#[tokio::test]
async fn another_address_ends_the_sign_in_where_that_is_wished() {
    let scene = Scene::start().await.signed_in().await;
    scene.echo("s", "at the first").await;
    let elsewhere = McpServer::start_open("elsewhere").await;
    let refused = scene.keyfob.run(&["set", "--url", &elsewhere.url(), "s"]).await.expect_code(2);
    assert!(refused.stderr.contains("--sign-out"), "{refused}");
    scene.echo("s", "still at the first").await;
    assert!(elsewhere.journal().entries().is_empty());

    let change = ["set", "--url", &elsewhere.url(), "--sign-out", "s"];
    let client = scene.client("s").await;
    scene.keyfob.run(&change).await.ok();
    let moved = client.modern_call("echo", json!({"text": "with its key"})).await;
    assert_eq!(moved.tool_text(), "with its key");
    let status = scene.status("s").await;
    assert_eq!((&status["state"], &status["url"]), (&json!("open"), &json!(elsewhere.url())));
    scene.echo("s", "at the second").await;
    let issued = scene.authority.issued();
    let seen = elsewhere.journal();
    assert!(!seen.tool_calls("echo").is_empty());
    assert!(issued.access.iter().all(|token| !seen.mentions(token)), "the old token went there");
    let revoked = scene.authority.journal().of(Kind::Revocation);
    let tokens: Vec<_> = revoked.iter().filter_map(|r| r.param("token")).collect();
    assert_eq!(tokens, [issued.refresh[0].as_str(), issued.access[0].as_str()]);
    let trace = scene.keyfob.run(&["trace", "s"]).await.ok();
    assert!(!trace.stdout.contains("sign-in service"), "of the server before: {trace}");
}

/// What was under way for the server before belongs to it, and not to the one in its place: no
/// token of the new one goes to the old one, and no answer of the old one counts for the new one.
#[tokio::test]
async fn a_request_under_way_never_meets_the_server_that_takes_its_place() {
    let scene = Scene::start().await.signed_in().await;
    let client = scene.client("s").await;
    let other = McpServer::start("other", &scene.authority).await;
    scene.authority.expire_access_tokens();
    scene.mcp.set(|s| s.answer_pause = Duration::from_secs(2));
    let waits =
        tokio::spawn(
            async move { client.modern_call("echo", json!({"text": "late"})).await.status },
        );
    assert!(
        scene
            .mcp
            .journal()
            .wait(PATIENCE, |all| !all.is_empty()
                && all.iter().any(
                    |entry| entry.bearer == Some(BearerSeen::Expired) || entry.status.is_none()
                ))
            .await
    );
    scene.keyfob.run(&["set", "--url", &other.url(), "--sign-out", "s"]).await.ok();
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "at the other").await;
    let newest = scene.authority.issued().access.pop().expect("a token");
    let status = waits.await.expect("an end");
    assert!(status >= 500, "HTTP {status}");
    assert!(!scene.mcp.journal().mentions(&newest), "the new token went to the old server");
    assert_eq!(scene.status("s").await["state"], "ready");
}

/// A header's value was meant for whom it was given for.
#[tokio::test]
async fn headers_do_not_go_along_to_another_place_unasked() {
    let scene = Scene::start().await;
    let add = ["add", "--name", "s", "--header", "X-Api-Key", &scene.mcp.url()];
    scene.keyfob.run_with(&add, Stdin::Text("key-of-the-first-1f\n"), PATIENCE).await.ok();
    let other = McpServer::start_open("other").await;
    let url = other.url();
    let refused = scene.keyfob.run(&["set", "--url", &url, "s"]).await.expect_code(2);
    assert!(refused.stderr.contains("--no-header X-Api-Key"), "{refused}");
    assert!(other.journal().entries().is_empty());
    let anew = ["set", "--url", &url, "--header", "X-Api-Key", "s"];
    scene.keyfob.run_with(&anew, Stdin::Text("key-of-the-second-2e\n"), PATIENCE).await.ok();
    scene.echo("s", "at the other").await;
    assert!(!other.journal().mentions("key-of-the-first-1f"));
    let seen = other.journal().tool_calls("echo").pop().expect("a call");
    assert_eq!(seen.header("x-api-key"), Some("key-of-the-second-2e"));
    let both = ["set", "--header", "X-A", "--no-header", "X-A", "s"];
    scene.keyfob.run_with(&both, Stdin::Text("v\n"), PATIENCE).await.expect_code(2);
}

/// 6.2-55: another client of one's own is another sign-in; its new secret alone is not.
#[tokio::test]
async fn another_client_is_asked_about_and_its_secret_is_not() {
    let scene = Scene::with(|s| s.authority.cimd = Cimd::Off).await.signed_in().await;
    let own = StaticClient {
        id: "own-id".to_owned(),
        secret: Some("second-secret-9d2".to_owned()),
        redirect_uris: vec![format!("http://127.0.0.1:{}/callback", scene.keyfob.port())],
    };
    scene.authority.set(|s| s.static_clients.push(own));
    let change = ["set", "--client-id", "own-id", "--client-secret-stdin", "s"];
    let set = async |more: &[&str], secret: &str| {
        let change: Vec<_> = change.iter().chain(more).copied().collect();
        scene.keyfob.run_with(&change, Stdin::Text(secret), PATIENCE).await
    };
    set(&[], "first-secret-1\n").await.expect_code(2);
    scene.echo("s", "as before").await;
    let told = set(&["--sign-out"], "first-secret-1\n").await.ok();
    assert!(told.stdout.contains("keyfob connect s"), "{told}");
    assert_eq!(scene.status("s").await["state"], "signed-out");

    // Mistyped, and put right without a word about the sign-in.
    scene.connect("s", Visit::Allow).await.expect_code(5);
    set(&[], "second-secret-9d2\n").await.ok();
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(scene.status("s").await["registration"]["client_id"], "own-id");
    let secret = ["set", "--client-secret-stdin", "s"];
    scene.authority.set(|s| s.static_clients[0].secret = Some("third-secret-e4".to_owned()));
    scene.keyfob.run_with(&secret, Stdin::Text("third-secret-e4\n"), PATIENCE).await.ok();
    scene.authority.expire_access_tokens();
    scene.echo("s", "renewed with the third").await;
    assert_eq!(scene.authority.journal().authorizations().len(), 3);
}

/// What is off, or was not asked yet, may be signed in all the same.
#[tokio::test]
async fn a_server_that_is_off_is_asked_about_too() {
    let mut scene = Scene::start().await.signed_in().await;
    let file = scene.keyfob.home().join("config/config.toml");
    let text = std::fs::read_to_string(&file).expect("the settings");
    scene.keyfob.stop().await;
    std::fs::write(&file, text + "enabled = false\n").expect("written");
    scene.keyfob.serve().await;
    assert_eq!(scene.status("s").await["state"], "off");
    let elsewhere = McpServer::start_open("elsewhere").await;
    let change = ["set", "--url", &elsewhere.url(), "s"];
    let refused = scene.keyfob.run(&change).await.expect_code(2);
    assert!(refused.stderr.contains("--sign-out"), "{refused}");
    let service = ["set", "--issuer", scene.authority.issuer(), "s"];
    scene.keyfob.run(&service).await.ok();
    scene.keyfob.run(&["set", "--url", &elsewhere.url(), "--sign-out", "s"]).await.ok();
    assert_eq!(scene.status("s").await["url"], elsewhere.url());
    assert!(elsewhere.journal().entries().is_empty(), "it is still off");
}

/// Nothing changes where something about it cannot be.
#[tokio::test]
async fn a_change_that_cannot_be_changes_nothing() {
    let scene = Scene::start().await.signed_in().await;
    scene.add("other", &[]).await.ok();
    let before: Value = scene.keyfob.run(&["list", "--json"]).await.ok().json();
    for wrong in [
        &["--name", "other"][..],
        &["--name", "K"],
        &["--name", "new", "--url", "http://example.com/mcp"],
        &["--name", "new", "--issuer", "nowhere"],
        &["--name", "new", "--no-header", "x-none"],
        &["--name", "new", "--no-parameter", "none"],
        &["--name", "new", "--parameter", "state=x"],
        &["--name", "new", "--header", "Host"],
        &["--name", "new", "--client-secret-stdin"],
        &[],
    ] {
        let change: Vec<_> = ["set", "s"].iter().chain(wrong).copied().collect();
        let said = scene.keyfob.run_with(&change, Stdin::Text("x\n"), PATIENCE).await;
        let said = said.expect_code(2);
        assert!(!said.stderr.is_empty(), "{wrong:?}");
        assert_eq!(scene.keyfob.run(&["list", "--json"]).await.ok().json(), before, "{wrong:?}");
    }
    scene.keyfob.run(&["set", "--name", "new", "none"]).await.expect_code(2);
    scene.echo("s", "as before").await;
}
