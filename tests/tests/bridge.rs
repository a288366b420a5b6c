//! `keyfob stdio`: the gateway as a child process that speaks lines of JSON.
#![expect(clippy::panic, reason = "test code")]

use std::time::Duration;

use keyfob_tests::Scene;
use keyfob_tests::world::Stdin;
use serde_json::{Value, json};

const WAIT: Duration = Duration::from_secs(15);

fn parsed(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
}

#[tokio::test]
async fn a_session_over_lines() {
    let scene = Scene::start().await.signed_in().await;
    let mut bridge = scene.keyfob.start(&["stdio", "s"], Stdin::Open);
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}}});
    bridge.say(&hello.to_string()).await;
    let lines = parsed(&bridge.lines(1, WAIT).await);
    assert_eq!(lines[0]["result"]["protocolVersion"], "2025-06-18");
    bridge.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    bridge
        .say(r#"{"jsonrpc":"2.0","id":"two","method":"tools/call","params":{"name":"echo","arguments":{"text":"over lines"}}}"#)
        .await;
    for _ in 0..300 {
        let lines = parsed(&bridge.lines(1, WAIT).await);
        if let Some(answer) = lines.iter().find(|l| l["id"] == "two") {
            assert_eq!(answer["result"]["content"][0]["text"], "over lines");
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bridge.hush();
    let output = bridge.finish(Duration::from_secs(5)).await.ok();
    parsed(&output.stdout.lines().map(str::to_owned).collect::<Vec<_>>());
    assert!(output.stdout.contains("over lines"), "{output}");
}

#[tokio::test]
async fn the_newest_revision_gets_its_headers() {
    let scene = Scene::start().await.signed_in().await;
    let mut bridge = scene.keyfob.start(&["stdio", "s"], Stdin::Open);
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}});
    let discover = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover",
        "params": {"_meta": meta}});
    bridge.say(&discover.to_string()).await;
    let lines = parsed(&bridge.lines(1, WAIT).await);
    assert_eq!(lines[0]["result"]["supportedVersions"], json!(["2026-07-28"]), "{lines:?}");
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
        "name": "add", "arguments": {"a": 20, "b": 22}, "_meta": meta}});
    bridge.say(&call.to_string()).await;
    let lines = parsed(&bridge.lines(2, WAIT).await);
    assert_eq!(lines[1]["result"]["content"][0]["text"], "42", "{lines:?}");
    let seen = scene.mcp.journal().tool_calls("add").pop().expect("a call");
    assert_eq!(seen.header("mcp-name"), Some("add"));
    bridge.hush();
    bridge.finish(Duration::from_secs(5)).await.ok();
}

#[tokio::test]
async fn an_unknown_name_is_told_on_stderr_only() {
    let scene = Scene::start().await;
    let output = scene.keyfob.run(&["stdio", "nobody"]).await.expect_code(2);
    assert_eq!(output.stdout, "");
    output.one_sentence();
}
