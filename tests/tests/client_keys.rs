//! Client keys over their life: their last use, their end, and new ones in their place.
#![expect(clippy::expect_used, reason = "test code")]

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, SystemTime};

use keyfob_tests::{Keyfob, McpServer, RpcClient, Store};
use serde_json::{Value, json};

/// A broker with two open servers on its list.
async fn with_servers() -> (Keyfob, [McpServer; 2]) {
    let mut keyfob = Keyfob::new(Store::Memory);
    keyfob.serve().await;
    let servers = [McpServer::start_open("a").await, McpServer::start_open("b").await];
    for (name, server) in ["a", "b"].into_iter().zip(&servers) {
        keyfob.run(&["add", "--name", name, &server.url()]).await.ok();
    }
    (keyfob, servers)
}

async fn key(keyfob: &Keyfob, arguments: &[&str]) -> String {
    let told = keyfob.run(&[&["clients", "add", "--json"], arguments].concat()).await.ok().json();
    told["key"].as_str().expect("a key").to_owned()
}

/// The status and body of a tool call with this key.
async fn call(keyfob: &Keyfob, server: &str, key: &str) -> (u16, String) {
    let client = RpcClient::new(&format!("http://127.0.0.1:{}/{server}", keyfob.port()));
    let reply = client.bearer(key).modern_call("echo", json!({"text": "x"})).await;
    (reply.status, reply.text)
}

async fn listed(keyfob: &Keyfob) -> Vec<Value> {
    let told = keyfob.run(&["clients", "list", "--json"]).await.ok().json();
    told.as_array().expect("a list").clone()
}

#[tokio::test]
async fn the_last_use_is_shown_outlives_a_restart_and_costs_no_writing() {
    let (mut keyfob, _servers) = with_servers().await;
    let key = key(&keyfob, &["cursor", "a"]).await;
    let plain = keyfob.run(&["clients", "list"]).await.ok().stdout;
    assert!(plain.contains("not used yet"), "{plain}");
    // What is learnt of a server that answers for the first time is written down.
    call(&keyfob, "a", "kf_wrong").await;
    assert_eq!(listed(&keyfob).await[0]["last_used_at"], Value::Null, "a wrong key is no use");
    assert_eq!(call(&keyfob, "a", &key).await.0, 200);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let file = keyfob.home().join("state/remembered.json");
    let written = || std::fs::metadata(&file).and_then(|file| file.modified()).expect("a file");
    let before: SystemTime = written();
    for _ in 0..20 {
        assert_eq!(call(&keyfob, "a", &key).await.0, 200);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(written(), before, "a request is no reason to write");
    let used = listed(&keyfob).await[0]["last_used_at"].clone();
    assert!(used.as_str().is_some_and(|used| used.starts_with("20")), "{used}");
    keyfob.stop().await;
    keyfob.serve().await;
    assert_eq!(listed(&keyfob).await[0]["last_used_at"], used);
    let plain = keyfob.run(&["clients", "list"]).await.ok().stdout;
    assert!(plain.contains("last used 20"), "{plain}");
}

#[tokio::test]
async fn a_key_with_an_end_is_refused_after_it_with_a_sentence() {
    let (keyfob, servers) = with_servers().await;
    let key = key(&keyfob, &["--expires", "2s", "cursor", "a"]).await;
    assert_eq!(call(&keyfob, "a", &key).await.0, 200);
    let end = listed(&keyfob).await[0]["expires_at"].clone();
    assert!(end.as_str().is_some_and(|end| end.starts_with("20")), "{end}");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let before = servers[0].journal().entries().len();
    let (status, body) = call(&keyfob, "a", &key).await;
    let said: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &said["error"]["data"]["code"]), (403, &json!("key-ended")), "{body}");
    let message = said["error"]["message"].as_str().expect("a sentence");
    assert!(message.contains("cursor") && message.contains("clients rotate cursor"), "{message}");
    assert_eq!(servers[0].journal().entries().len(), before, "it went upstream");
    // Where the key was good for nothing, nobody is told that it was good elsewhere.
    let (status, body) = call(&keyfob, "b", &key).await;
    assert!(status == 403 && !body.contains("key-ended"), "{body}");
    // The new one lives as long again.
    let told = keyfob.run(&["clients", "rotate", "--json", "cursor"]).await.ok().json();
    assert!(told[0]["expires_at"].is_string(), "{told}");
    let new = told[0]["key"].as_str().expect("a key");
    assert_eq!(call(&keyfob, "a", new).await.0, 200);
    for end in ["yesterday", "0d", "2020-01-01", "30"] {
        let arguments = ["clients", "add", "--expires", end, "zed", "a"];
        let output = keyfob.run(&arguments).await.expect_code(2);
        assert!(output.one_sentence().contains("30d"), "{output}");
    }
    assert_eq!(listed(&keyfob).await.len(), 1, "nothing was made");
}

#[tokio::test]
async fn rotating_makes_new_keys_and_ends_the_old_ones() {
    let (keyfob, _servers) = with_servers().await;
    let old = [key(&keyfob, &["cursor", "a"]).await, key(&keyfob, &["cursor", "b"]).await];
    // A second key of the same client for the same server.
    let again = key(&keyfob, &["cursor", "a"]).await;
    let zed = key(&keyfob, &["zed", "a"]).await;
    keyfob.run(&["clients", "rotate"]).await.expect_code(2);
    keyfob.run(&["clients", "rotate", "--all", "cursor"]).await.expect_code(2);
    keyfob.run(&["clients", "rotate", "nobody"]).await.expect_code(2);
    let told = keyfob.run(&["clients", "rotate", "--json", "cursor"]).await.ok().json();
    let made = told.as_array().expect("a list");
    assert_eq!(made.len(), 2, "one for each server: {told}");
    for (key, server) in [(&old[0], "a"), (&old[1], "b"), (&again, "a")] {
        assert_eq!(call(&keyfob, server, key).await.0, 403);
    }
    for new in made {
        let server = new["server"].as_str().expect("a name");
        assert_eq!(call(&keyfob, server, new["key"].as_str().expect("a key")).await.0, 200);
    }
    assert_eq!(call(&keyfob, "a", &zed).await.0, 200, "another client's stays");
    let plain = keyfob.run(&["clients", "rotate", "--all"]).await.ok().stdout;
    assert_eq!(plain.matches("Authorization: Bearer kf_").count(), 3, "{plain}");
    assert_eq!(call(&keyfob, "a", &zed).await.0, 403);
}

/// Clients send their keys to whoever listens on the port.
#[tokio::test]
async fn keys_that_another_program_may_have_been_sent_are_named_until_they_are_replaced() {
    let (mut keyfob, _servers) = with_servers().await;
    key(&keyfob, &["cursor", "a"]).await;
    let told = async |keyfob: &Keyfob| {
        let list = keyfob.run(&["clients", "list"]).await.ok().stdout;
        let doctor = keyfob.run(&["doctor"]).await.stdout;
        let says = |text: &str| text.contains("may have been sent the keys of cursor");
        let flags: Vec<Value> =
            listed(keyfob).await.iter().map(|key| key["may_be_known"].clone()).collect();
        assert_eq!(says(&list), says(&doctor), "{list}\n{doctor}");
        (says(&list), flags)
    };
    assert_eq!(told(&keyfob).await, (false, vec![json!(false)]));
    keyfob.stop().await;
    let foreign = TcpListener::bind((Ipv4Addr::LOCALHOST, keyfob.port())).expect("it is free");
    keyfob.run(&["serve", "--store", "memory"]).await.expect_code(1);
    let doctor = keyfob.run(&["doctor"]).await.stdout;
    assert!(doctor.contains("may have been sent the keys of cursor"), "{doctor}");
    // One that is made while nobody knows who listens may be known as well.
    key(&keyfob, &["zed", "b"]).await;
    drop(foreign);
    keyfob.serve().await;
    let output = keyfob.stop().await;
    assert!(output.stderr.contains("client keys may be known"), "{output}");
    let running = keyfob.start(&["serve", "--store", "memory"], keyfob_tests::world::Stdin::Empty);
    assert!(running.prints("the keys of cursor, zed", Duration::from_secs(10)).await);
    running.terminate();
    running.finish(Duration::from_secs(10)).await;
    keyfob.serve().await;
    assert_eq!(told(&keyfob).await, (true, vec![json!(true), json!(true)]));
    keyfob.run(&["clients", "rotate", "zed"]).await.ok();
    assert_eq!(told(&keyfob).await.1, [json!(true), json!(false)]);
    keyfob.run(&["clients", "keep"]).await.ok();
    assert_eq!(told(&keyfob).await, (false, vec![json!(false), json!(false)]));
    keyfob.stop().await;
    keyfob.serve().await;
    assert_eq!(told(&keyfob).await, (false, vec![json!(false), json!(false)]));
}
