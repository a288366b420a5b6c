//! What ends with a key and with a sign-in: everything that was under way with it, at once.
#![expect(clippy::expect_used, reason = "test code")]

use std::time::Duration;

use keyfob_tests::raw::{Holding, Raw};
use keyfob_tests::world::Stdin;
use keyfob_tests::{RpcClient, Scene};
use serde_json::json;

/// As long as "at once" takes on a busy machine. Nothing else would end these for minutes.
const AT_ONCE: Duration = Duration::from_secs(4);

async fn with_holding() -> (Scene, Holding) {
    let scene = Scene::start().await;
    let holding = Holding::start().await;
    scene.keyfob.run(&["add", "--name", "h", &holding.url()]).await.ok();
    scene.keyfob.run(&["connect", "h"]).await.ok();
    (scene, holding)
}

/// A request with a key, whatever comes.
fn request(scene: &Scene, method: &str, name: &str, key: &str, tool: &str) -> String {
    let body = match method {
        "GET" => String::new(),
        _ => json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": {"name": tool, "arguments": {}}})
        .to_string(),
    };
    format!(
        "{method} /{name} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {key}\r\n\
         Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        scene.keyfob.port(),
        body.len()
    )
}

/// A stream, an answer that streams, a request without an answer, and a connection at rest.
async fn four(scene: &Scene, key: &str) -> [Raw; 4] {
    let mut four = [const { None::<Raw> }; 4];
    for (at, (method, tool)) in
        [("GET", ""), ("POST", "stream"), ("POST", "hold"), ("POST", "quick")]
            .into_iter()
            .enumerate()
    {
        let mut raw = Raw::connect(scene.keyfob.port()).await;
        raw.send(request(scene, method, "h", key, tool)).await;
        match tool {
            "hold" => {}
            "quick" => drop(raw.until("\"tools\":[]").await),
            _ => assert!(raw.until("hello").await.contains("hello"), "no stream"),
        }
        four[at] = Some(raw);
    }
    four.map(|raw| raw.expect("each was set"))
}

#[tokio::test]
async fn a_revoked_key_ends_its_streams_its_requests_and_its_connections() {
    let (scene, holding) = with_holding().await;
    let gone = scene.client_key("gone", "h").await;
    let stays = scene.client_key("stays", "h").await;
    let ending = four(&scene, &gone).await;
    let going_on = four(&scene, &stays).await;
    holding.holds(6).await;
    scene.keyfob.run(&["clients", "revoke", "gone"]).await.ok();
    for (at, mut raw) in ending.into_iter().enumerate() {
        assert!(raw.ends_within(AT_ONCE).await, "{at} goes on with a revoked key");
    }
    holding.holds(3).await;
    let [stream, streaming, waiting, mut rest] = going_on;
    for (at, mut raw) in [stream, streaming, waiting].into_iter().enumerate() {
        assert!(!raw.ends_within(Duration::from_millis(300)).await, "{at} of another key ended");
    }
    let answer = rest.ask(request(&scene, "POST", "h", &stays, "quick")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_key_with_an_end_ends_its_streams_its_requests_and_its_connections() {
    let (scene, holding) = with_holding().await;
    let adding = ["clients", "add", "--json", "--expires", "6s", "brief", "h"];
    let made = scene.keyfob.run(&adding).await.ok().json();
    let key = made["key"].as_str().expect("a key").to_owned();
    let ending = four(&scene, &key).await;
    holding.holds(3).await;
    for (at, mut raw) in ending.into_iter().enumerate() {
        assert!(raw.ends_within(Duration::from_secs(6) + AT_ONCE).await, "{at} goes on");
    }
    holding.holds(0).await;
}

#[tokio::test]
async fn a_key_ends_with_its_session_and_what_was_under_way_with_it() {
    let (scene, holding) = with_holding().await;
    // The request is left behind by the command that the session was for.
    let script = "setsid curl -sN \"$1\" >/dev/null 2>&1 & sleep 1.5";
    let url = holding.url();
    let command = ["exec", &url, "--", "sh", "-c", script, "sh", "{url}"];
    let running = scene.keyfob.start(&command, Stdin::Empty);
    holding.holds(1).await;
    running.finish(Duration::from_secs(30)).await;
    tokio::time::timeout(AT_ONCE, holding.holds(0)).await.expect("the session's stream goes on");
}

#[tokio::test]
async fn signing_out_and_removing_end_what_is_under_way_with_the_server() {
    for command in ["signout", "remove"] {
        let (scene, holding) = with_holding().await;
        let other = Holding::start().await;
        scene.keyfob.run(&["add", "--name", "other", &other.url()]).await.ok();
        let others_key = scene.client_key("c", "other").await;
        let mut of_other = Raw::connect(scene.keyfob.port()).await;
        of_other.send(request(&scene, "GET", "other", &others_key, "")).await;
        of_other.until("hello").await;
        let key = scene.client_key("c", "h").await;
        let [mut stream, mut streaming, mut waiting, _rest] = four(&scene, &key).await;
        holding.holds(3).await;
        scene.keyfob.run(&[command, "h"]).await.ok();
        assert!(stream.ends_within(AT_ONCE).await, "{command}: the stream goes on");
        assert!(streaming.ends_within(AT_ONCE).await, "{command}: an answer goes on");
        // What was not answered yet is: with the reason.
        let told = tokio::time::timeout(AT_ONCE, waiting.until("\"error\"")).await;
        let told = told.unwrap_or_else(|_| panic!("{command}: nothing is said"));
        assert!(told.contains("\"id\":7") || told.contains("503"), "{command}: {told}");
        holding.holds(0).await;
        assert!(!of_other.ends_within(Duration::from_millis(300)).await, "{command}: another's");
        assert_eq!(other.held(), 1, "{command}");
    }
}

#[tokio::test]
async fn another_address_or_name_ends_what_is_under_way_with_the_former() {
    let next = Holding::start().await;
    for change in [["--sign-out", "--url", &next.url()], ["--sign-out", "--name", "renamed"]] {
        let (scene, holding) = with_holding().await;
        let key = scene.client_key("c", "h").await;
        let mut stream = Raw::connect(scene.keyfob.port()).await;
        stream.send(request(&scene, "GET", "h", &key, "")).await;
        stream.until("hello").await;
        let mut arguments = vec!["set"];
        arguments.extend(change);
        arguments.push("h");
        scene.keyfob.run(&arguments).await.ok();
        assert!(stream.ends_within(AT_ONCE).await, "{change:?}: the stream goes on");
        holding.holds(0).await;
    }
}

/// The same with a token, and a stream of a session.
#[tokio::test]
async fn signing_out_ends_the_streams_that_a_token_has_opened() {
    let scene = Scene::start().await.signed_in().await;
    let key = scene.client_key("c", "s").await;
    let mut client = RpcClient::new(&scene.gateway("s")).bearer(&key);
    client.initialize("2025-06-18").await;
    let session = client.session().expect("a session").to_owned();
    let mut stream = Raw::connect(scene.keyfob.port()).await;
    let head = request(&scene, "GET", "s", &key, "");
    let head = head.replacen("\r\n", &format!("\r\nMcp-Session-Id: {session}\r\n"), 1);
    let head = stream.ask(head).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(!stream.ends_within(Duration::from_millis(300)).await, "it is no stream");
    scene.keyfob.run(&["signout", "s"]).await.ok();
    assert!(stream.ends_within(AT_ONCE).await, "the stream goes on without a sign-in");
}

#[tokio::test]
async fn signing_out_ends_the_streams_of_a_bridge() {
    let (scene, holding) = with_holding().await;
    let mut bridge = scene.keyfob.start(&["stdio", "h"], Stdin::Open);
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}}});
    bridge.say(&hello.to_string()).await;
    bridge.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    holding.holds(1).await;
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": {"name": "hold", "arguments": {}}});
    bridge.say(&call.to_string()).await;
    holding.holds(2).await;
    scene.keyfob.run(&["remove", "h"]).await.ok();
    tokio::time::timeout(AT_ONCE, holding.holds(0)).await.expect("the bridge's streams go on");
    assert!(bridge.prints("\"id\":2", AT_ONCE).await, "nobody answers: {}", bridge.printed());
}
