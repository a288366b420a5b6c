//! Whoever has no key takes nothing from those who have one: neither descriptors nor memory.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::time::Duration;

use keyfob_tests::desktop::until;
use keyfob_tests::raw::{Raw, status};
use keyfob_tests::{Keyfob, Scene};
use serde_json::json;

/// Longer than a connection may stay without a request.
const STAY: Duration = Duration::from_secs(20);

/// How many files the broker has open.
fn open_files(keyfob: &Keyfob) -> usize {
    let pid = keyfob.broker().pid().unwrap();
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn ping(scene: &Scene, key: &str) -> String {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    format!(
        "POST /s HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Content-Length: {}\r\n\r\n{body}",
        scene.keyfob.port(),
        body.len()
    )
}

async fn limited(descriptors: usize) -> (Scene, String) {
    let mut scene = Scene::with(|s| s.serve = false).await;
    scene.keyfob.limit_descriptors(descriptors);
    scene.keyfob.serve().await;
    let scene = scene.signed_in().await;
    let key = scene.client_key("c", "s").await;
    (scene, key)
}

/// Three thousand of them, with nothing, with half a head, and with a key that is none.
async fn strangers(port: u16, key: &str) -> Vec<Raw> {
    let mut all = Vec::new();
    for number in 0..3000 {
        let mut raw = Raw::connect(port).await;
        match number % 3 {
            0 => {}
            1 => raw.send("POST /s HTTP/1.1\r\nHost: 127").await,
            _ => {
                let wrong = format!(
                    "GET /s HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
                                     Authorization: Bearer {key}x\r\n\r\n"
                );
                raw.send(wrong).await;
            }
        }
        all.push(raw);
    }
    all
}

#[tokio::test]
async fn with_few_descriptors_everybody_with_a_key_is_served_among_strangers() {
    let (scene, key) = limited(256).await;
    let port = scene.keyfob.port();
    let before = open_files(&scene.keyfob);
    let mut early = Raw::connect(port).await;
    let answer = early.ask(ping(&scene, &key)).await;
    assert_ne!(status(&answer), 403, "{answer}");
    let strangers = strangers(port, &key).await;
    let held = open_files(&scene.keyfob) - before;
    assert!((32..80).contains(&held), "{held} of 256 descriptors are with strangers");
    let answer = early.ask(ping(&scene, &key)).await;
    assert_ne!(status(&answer), 403, "who came first with a key: {answer}");
    let mut answers = Vec::new();
    for _ in 0..40 {
        let (request, mut raw) = (ping(&scene, &key), Raw::connect(port).await);
        answers.push(tokio::spawn(async move { raw.ask(request).await }));
    }
    for answer in answers {
        let answer = answer.await.unwrap();
        assert!(matches!(status(&answer), 200 | 400 | 404), "{answer}");
    }
    // They stay where they are, and are given back all the same.
    drop(early);
    // Connections to the server are kept for a while, at most one for each request.
    let given_back = async || (open_files(&scene.keyfob) <= before + 44).then_some(());
    until("the descriptors of those who say nothing", STAY, given_back).await;
    drop(strangers);
}

/// A crowd of clients that connect all at once is not taken for one of strangers.
#[tokio::test]
async fn many_clients_that_connect_before_any_asks_are_all_served() {
    let scene = Scene::start().await.signed_in().await;
    let key = scene.client_key("c", "s").await;
    let mut connected = Vec::new();
    for _ in 0..600 {
        connected.push(Raw::connect(scene.keyfob.port()).await);
    }
    for raw in &mut connected {
        raw.send(ping(&scene, &key)).await;
    }
    for raw in &mut connected {
        let answer = raw.until("\r\n\r\n").await;
        assert!(matches!(status(&answer), 200 | 400 | 404), "{answer}");
    }
}
