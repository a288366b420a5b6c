//! `keyfob stdio`: the gateway as a child process that speaks lines of JSON.
#![expect(clippy::panic, reason = "test code")]

use std::time::{Duration, Instant};

use keyfob_tests::Scene;
use keyfob_tests::mcp::{McpServer, Switches};
use keyfob_tests::world::{Output, Running, Stdin, Visit};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const WAIT: Duration = Duration::from_secs(15);

const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

fn initialize() -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}}})
    .to_string()
}

fn echo(id: u64, text: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": "echo", "arguments": {"text": text}}})
    .to_string()
}

/// Waits for a line that answers this request.
async fn answer(bridge: &Running, id: u64) -> Value {
    for _ in 0..750 {
        let lines = bridge.stdout();
        let whole = lines.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let whole: Vec<String> = whole.map(str::to_owned).collect();
        if let Some(found) = parsed(&whole).into_iter().find(|line| line["id"] == id) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no answer to {id}:\n{}", bridge.printed());
}

/// Waits until the server has had this many requests of that HTTP method, answered well.
async fn until_had(mcp: &McpServer, method: &str, count: usize) {
    for _ in 0..750 {
        let entries = mcp.journal().entries();
        let had = entries.iter().filter(|e| e.method == method && e.path == "/mcp");
        if had.filter(|e| e.accepted()).count() >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no {count} {method} requests:\n{}", mcp.journal().to_json());
}

/// What a script gets that says all of this at once.
async fn piped(scene: &Scene, name: &str, lines: &[String]) -> Output {
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    scene.keyfob.run_with(&["stdio", name], Stdin::Text(&text), WAIT).await.ok()
}

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

#[tokio::test]
async fn what_was_asked_before_the_end_of_input_is_answered() {
    let scene = Scene::start().await.signed_in().await;
    let output = piped(&scene, "s", &[initialize()]).await;
    let lines = parsed(&output.stdout.lines().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(lines[0]["result"]["protocolVersion"], "2025-06-18", "{output}");
    // The session is ended behind the answer.
    until_had(&scene.mcp, "DELETE", 1).await;
}

#[tokio::test]
async fn lines_right_behind_initialize_wait_for_the_session() {
    let scene = Scene::start().await.signed_in().await;
    let mut lines = vec![initialize(), INITIALIZED.to_owned()];
    lines.extend((2..8).map(|id| echo(id, &format!("text {id}"))));
    let output = piped(&scene, "s", &lines).await;
    let told = parsed(&output.stdout.lines().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(told[0]["id"], 1, "{output}");
    for id in 2..8_u64 {
        let answer = told.iter().find(|line| line["id"] == id);
        let answer = answer.unwrap_or_else(|| panic!("no answer to {id}: {output}"));
        assert_eq!(answer["result"]["content"][0]["text"], format!("text {id}"), "{output}");
    }
    let mcp = scene.mcp.journal().entries();
    let methods: Vec<&str> = mcp.iter().filter_map(|e| e.rpc_method()).collect();
    let at = |method| methods.iter().rposition(|m| *m == method);
    let first_call = methods.iter().position(|m| *m == "tools/call");
    assert!(at("initialize") < at("notifications/initialized"), "{methods:?}");
    assert!(at("notifications/initialized") < first_call, "{methods:?}");
}

#[tokio::test]
async fn a_removed_server_answers_no_more() {
    let scene = Scene::start().await.signed_in().await;
    let mut bridge = scene.keyfob.start(&["stdio", "s"], Stdin::Open);
    bridge.say(&initialize()).await;
    answer(&bridge, 1).await;
    bridge.say(INITIALIZED).await;
    bridge.say(&echo(2, "still here")).await;
    assert_eq!(answer(&bridge, 2).await["result"]["content"][0]["text"], "still here");
    scene.keyfob.run(&["remove", "s"]).await.ok();
    let had = scene.mcp.journal().tool_calls("echo").len();
    bridge.say(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#).await;
    bridge.say(&echo(3, "gone")).await;
    let refusal = answer(&bridge, 3).await;
    assert_eq!(refusal["error"]["data"]["code"], "unknown-server", "{refusal}");
    assert_eq!(scene.mcp.journal().tool_calls("echo").len(), had);
    bridge.hush();
    let output = bridge.finish(Duration::from_secs(5)).await.ok();
    // A notification is answered by nothing, a refusal least of all.
    assert!(!output.stdout.contains(r#""id":null"#), "{output}");
}

#[tokio::test]
async fn a_forgotten_session_is_opened_again() {
    let scene = Scene::start().await.signed_in().await;
    let mut bridge = scene.keyfob.start(&["stdio", "s"], Stdin::Open);
    bridge.say(&initialize()).await;
    answer(&bridge, 1).await;
    bridge.say(INITIALIZED).await;
    until_had(&scene.mcp, "GET", 1).await;
    scene.mcp.forget_sessions();
    let before = scene.mcp.journal().rpc("initialize").len();
    for id in 2..6 {
        bridge.say(&echo(id, "after")).await;
    }
    for id in 2..6 {
        assert_eq!(answer(&bridge, id).await["result"]["content"][0]["text"], "after");
    }
    let after = scene.mcp.journal().rpc("initialize").len();
    assert_eq!(after, before + 1, "one new session for all that noticed");
    until_had(&scene.mcp, "GET", 2).await;
    bridge.hush();
    let output = bridge.finish(Duration::from_secs(5)).await.ok();
    let told = parsed(&output.stdout.lines().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(told.iter().filter(|line| line["id"] == 1).count(), 1, "{output}");
}

#[tokio::test]
async fn a_stream_that_finds_its_session_forgotten_opens_it_again() {
    let short = Switches { stream_life: Some(Duration::from_secs(1)), ..Switches::default() };
    let scene = Scene::with(|setup| setup.mcp = short).await.signed_in().await;
    let mut bridge = scene.keyfob.start(&["stdio", "s"], Stdin::Open);
    bridge.say(&initialize()).await;
    answer(&bridge, 1).await;
    bridge.say(INITIALIZED).await;
    until_had(&scene.mcp, "GET", 1).await;
    let before = scene.mcp.journal().rpc("initialize").len();
    scene.mcp.forget_sessions();
    until_had(&scene.mcp, "GET", 2).await;
    assert_eq!(scene.mcp.journal().rpc("initialize").len(), before + 1);
    bridge.hush();
    bridge.finish(Duration::from_secs(5)).await.ok();
}

/// Answers requests, and leaves notifications without any answer at all.
async fn reticent(stream: TcpStream) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        while {
            line.clear();
            stream.read_line(&mut line).await.ok()? > 2
        } {
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        if message["method"].is_string() && message["id"].is_null() {
            std::future::pending::<()>().await;
        }
        let said = json!({"jsonrpc": "2.0", "id": message["id"], "result": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "serverInfo": {"name": "reticent", "version": "1"}}});
        let said = said.to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
        let answer = format!("{head} {}\r\n\r\n{said}", said.len());
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

#[tokio::test]
async fn a_notification_without_an_answer_holds_up_neither_the_rest_nor_the_end() {
    let scene = Scene::start().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap_or_else(|e| panic!("{e}"));
    let port = listener.local_addr().unwrap_or_else(|e| panic!("{e}")).port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(reticent(stream));
        }
    });
    let url = format!("http://127.0.0.1:{port}/mcp");
    scene.keyfob.run(&["add", "--name", "r", &url]).await.ok();
    let mut bridge = scene.keyfob.start(&["stdio", "r"], Stdin::Open);
    bridge.say(&initialize()).await;
    answer(&bridge, 1).await;
    let note = r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#;
    bridge.say(note).await;
    bridge.say(note).await;
    let asked = Instant::now();
    bridge.say(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#).await;
    answer(&bridge, 2).await;
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    bridge.hush();
    bridge.finish(Duration::from_secs(6)).await.ok();
}

#[tokio::test]
async fn the_first_message_waits_for_a_sign_in_and_starts_none() {
    let scene = Scene::start().await;
    scene.add("s", &[]).await.ok();
    let mut bridge = scene.keyfob.start(&["stdio", "s"], Stdin::Open);
    bridge.say(&initialize()).await;
    bridge.say(&echo(2, "behind")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bridge.stdout(), "");
    assert!(scene.keyfob.links().is_empty());
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(answer(&bridge, 1).await["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(answer(&bridge, 2).await["result"]["content"][0]["text"], "behind");
    bridge.hush();
    bridge.finish(Duration::from_secs(5)).await.ok();
}
