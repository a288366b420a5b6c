//! Starts and ends of the app beside other Keyfobs.

use std::time::{Duration, Instant};

use keyfob_tests::RpcClient;
use keyfob_tests::desktop::{Desktop, LONG, Tray, answers, figure, until};
use keyfob_tests::mcp::MODERN_VERSION;
use serde_json::json;

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn the_app_takes_over_from_a_headless_one_with_an_open_stream() {
    let mut desktop = Desktop::new("takeover").await;
    desktop.scene.keyfob.serve().await;
    desktop.sign_in().await;
    let client = desktop.client().await;
    answers(&client, "before").await;
    let streaming = client.clone();
    let stream = tokio::spawn(async move { counts(&streaming).await });
    streams(&desktop).await;

    let began = Instant::now();
    let app = desktop.start(&["--hidden"]);
    app.says("gateway listening").await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    answers(&client, "after").await;
    // The one before has ended by itself, and told its stream.
    let broker = desktop.scene.keyfob.stop().await;
    assert!(broker.code == Some(0), "{broker}");
    let ended = tokio::time::timeout(Duration::from_secs(5), stream).await;
    ended.expect("the stream of the old one is still open").unwrap();
    figure(&format!(
        "taken over from a headless one, with an open stream: {} ms",
        took.as_millis()
    ));
    Tray::of(app.pid()).await.has("s · Connected · 6 tools").await;
}

/// Waits until the server answers such a call.
async fn streams(desktop: &Desktop) {
    until("an open stream", LONG, async || {
        let calls = desktop.scene.mcp.journal().tool_calls("slow_count");
        calls.last().is_some_and(|call| call.status == Some(200)).then_some(())
    })
    .await;
}

/// A call that is answered by events for half a minute; gives how many came until it ended.
async fn counts(client: &RpcClient) -> Option<usize> {
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {
        "name": "slow_count", "arguments": {"to": 100}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": MODERN_VERSION,
            "io.modelcontextprotocol/clientInfo": {"name": "keyfob-tests", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {}}}});
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", MODERN_VERSION),
        ("mcp-method", "tools/call"),
        ("mcp-name", "slow_count"),
    ];
    let reply = client.send("POST", &headers, Some(call.to_string().into_bytes())).await.ok()?;
    Some(reply.messages.len())
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn a_second_start_shows_the_window_of_the_first() {
    let desktop = Desktop::new("second-start").await;
    let first = desktop.app(&["--hidden"]).await;
    desktop.sign_in().await;
    assert!(first.pages().is_empty(), "it has a window already");
    let mut second = desktop.start(&[]);
    assert_eq!(second.ended(LONG).await, Some(0));
    first.painted(1).await;
    assert_eq!(second.paintings(), 0, "{}", second.log());
    answers(&desktop.client().await, "by the first").await;
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn quit_ends_it_at_once_where_nobody_is_connected() {
    let desktop = Desktop::new("quit").await;
    let mut app = desktop.app(&["--hidden"]).await;
    let tray = Tray::of(app.pid()).await;
    desktop.sign_in().await;
    tray.has("s · Connected · 6 tools").await;
    assert!(app.pages().is_empty(), "it has a window");
    tray.choose("Quit").await;
    assert_eq!(app.ended(LONG).await, Some(0));
    assert_eq!(app.paintings(), 0, "it asked, with nobody connected");
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn quit_asks_first_while_a_program_is_connected() {
    let desktop = Desktop::new("quit-asks").await;
    let (mut app, window) = desktop.window(&[]).await;
    desktop.sign_in().await;
    let client = desktop.client().await;
    let streaming = client.clone();
    let stream = tokio::spawn(async move { counts(&streaming).await });
    streams(&desktop).await;
    let tray = Tray::of(app.pid()).await;
    tray.choose("Quit").await;
    window.see("[data-testid=quit]").await;
    let asked = window.text("[data-testid=quit] main").await;
    assert!(asked.contains("through Keyfob at the moment"), "{asked}");
    desktop.picture("asked", Some(&window)).await;
    window.click("//button[normalize-space()='Keep running']").await;
    window.see("[data-testid=list]").await;
    answers(&client, "still there").await;
    tray.choose("Quit").await;
    window.click("//button[normalize-space()='Quit']").await;
    app.ended(LONG).await;
    assert!(!app.is_alive());
    assert!(client.send("GET", &[], None).await.is_err(), "the gateway outlives the app");
    tokio::time::timeout(LONG, stream).await.expect("the stream ends with it").ok();
}
