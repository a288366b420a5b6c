//! Servers whose answers do not end: what Keyfob keeps has a bound, what it passes on has none.
#![expect(clippy::expect_used, clippy::panic, reason = "test code")]

use std::time::{Duration, Instant};

use keyfob_tests::flood::{Endless, Flood};
use keyfob_tests::scan::peak_memory;
use keyfob_tests::world::{Running, Stdin};
use keyfob_tests::{Scene, Setup};
use serde_json::{Value, json};

/// Much more than the largest message and its copies; much less than a second of a flood.
const MOST: u64 = 200 * 1024 * 1024;

async fn scene(endless: Endless) -> (Scene, Flood) {
    let scene = Scene::with(|_: &mut Setup| ()).await;
    let flood = Flood::start(endless).await;
    scene.keyfob.run(&["add", "--name", "f", &flood.url()]).await.ok();
    (scene, flood)
}

fn peak(scene: &Scene) -> u64 {
    peak_memory(scene.keyfob.broker().pid().expect("it runs"))
}

/// attack-B5: the list of tools, in every form that has no end.
#[tokio::test]
async fn a_list_without_an_end_is_given_up_and_told() {
    for (endless, said) in [
        (Endless::Line, "one message has more than 16 MiB"),
        (Endless::Event, "one message has more than 16 MiB"),
        (Endless::Json, "one message has more than 16 MiB"),
        (Endless::Values, "one answer has more than 200000 values"),
        (Endless::ValuePages, "one answer has more than 200000 values"),
        (Endless::Pages, "one answer has more than 8 MiB"),
        (Endless::SmallPages, "one list has more than 100 pages"),
        (Endless::Notifications, "one answer has more than 200000 values"),
    ] {
        let (scene, _flood) = scene(endless).await;
        let began = Instant::now();
        let output = scene.keyfob.run(&["tools", "--json", "f"]).await;
        println!("{endless:?}: {} kB at most, {:?}", peak(&scene) / 1024, began.elapsed());
        let problem = output.expect_code(1).problem();
        assert_eq!(problem["code"], "too-much", "{endless:?}: {problem}");
        let message = problem["message"].as_str().unwrap_or_default();
        assert_eq!(message, format!("f sends more than Keyfob keeps: {said}."));
        assert!(peak(&scene) < MOST, "{endless:?}: {} bytes", peak(&scene));
    }
}

#[tokio::test]
async fn a_list_that_leads_back_to_its_first_page_ends_there() {
    let (scene, _flood) = scene(Endless::Circle).await;
    let tools = scene.keyfob.run(&["tools", "--json", "f"]).await.ok().json();
    assert_eq!(tools.as_array().map(Vec::len), Some(2), "{tools}");
}

/// Waits for the line that answers this request.
async fn answer(bridge: &Running, id: u64) -> Value {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        let lines = bridge.stdout();
        let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(found) = lines.into_iter().find(|line| line["id"] == id) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no answer to {id}:\n{}", bridge.printed());
}

async fn initialized(scene: &Scene) -> Running {
    let mut bridge = scene.keyfob.start(&["stdio", "f"], Stdin::Open);
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}});
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    bridge.say(&hello.to_string()).await;
    answer(&bridge, 1).await;
    bridge.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    bridge
}

/// attack-B5: the same through the bridge. The client learns what happened, and goes on.
#[tokio::test]
async fn the_bridge_gives_up_a_message_without_an_end_and_says_so() {
    for endless in [Endless::Line, Endless::Event, Endless::Json] {
        let (scene, _flood) = scene(endless).await;
        let mut bridge = initialized(&scene).await;
        for id in 2..5 {
            let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
                "params": {"name": "x", "arguments": {}}});
            bridge.say(&call.to_string()).await;
        }
        for id in 2..5 {
            let told = answer(&bridge, id).await;
            assert_eq!(told["error"]["data"]["code"], "too-much", "{endless:?}: {told}");
        }
        println!("{endless:?}: {} kB at most", peak(&scene) / 1024);
        assert!(peak(&scene) < 2 * MOST, "{endless:?}: {} bytes", peak(&scene));
        bridge.hush();
        bridge.finish(Duration::from_secs(10)).await.ok();
    }
}

/// attack-B5: a stream that is over at once and asks to be taken up again without a pause.
#[tokio::test]
async fn a_stream_that_wants_no_pause_is_not_asked_for_without_one() {
    let (scene, flood) = scene(Endless::Retry).await;
    let mut bridge = initialized(&scene).await;
    let seconds = 5;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let asked = flood.streams();
    println!("asked {asked} times in {seconds} s");
    assert!((2..=4).contains(&asked), "asked {asked} times in {seconds} s");
    bridge.hush();
    bridge.finish(Duration::from_secs(10)).await.ok();
}

/// What is only passed on is not kept, and so needs no bound.
#[tokio::test]
async fn what_goes_through_the_gateway_has_no_limit() {
    let (scene, _flood) = scene(Endless::Line).await;
    let key = scene.client_key("c", "f").await;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "x", "arguments": {}}});
    let client = reqwest::Client::new();
    let sent = client.post(scene.gateway("f")).bearer_auth(key).body(call.to_string()).send();
    let mut answer = sent.await.expect("an answer");
    let (mut read, before) = (0, peak(&scene));
    while read < 64 * 1024 * 1024 {
        read += answer.chunk().await.expect("it goes on").expect("it has no end").len();
    }
    let grown = peak(&scene) - before;
    println!("{} kB more for 64 MiB passed on", grown / 1024);
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes more");
}
