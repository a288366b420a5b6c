//! What the commands print: JSON to the letter, and words for people.
#![expect(clippy::unwrap_used, reason = "test code")]

use keyfob_tests::{Keyfob, Scene, Store, Visit};
use serde_json::{Value, json};

/// RFC 3339 in UTC, or null.
fn is_time(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|t| t.len() >= 20 && t.ends_with('Z') && &t[4..5] == "-" && &t[10..11] == "T")
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn the_list() {
    let scene = Scene::with(|s| s.mcp.challenge_scope = Some("mcp:read".into())).await;
    assert_eq!(scene.keyfob.run(&["list", "--json"]).await.ok().json(), json!([]));
    scene.add("s", &[]).await.ok();
    let list = scene.keyfob.run(&["list", "--json"]).await.ok().json();
    let element = &list[0];
    let mut wanted = [
        "name",
        "url",
        "state",
        "level",
        "text",
        "address",
        "account",
        "scopes",
        "tools",
        "expires_at",
        "registration",
    ];
    wanted.sort_unstable();
    assert_eq!(keys(element), wanted);
    assert_eq!(element["name"], "s");
    assert_eq!(element["url"], scene.mcp.url());
    assert_eq!(element["state"], "signed-out");
    assert_eq!(element["level"], "amber");
    assert_eq!(element["text"], "Sign-in needed");
    assert_eq!(element["address"], scene.gateway("s"));
    for empty in ["account", "tools", "expires_at", "registration"] {
        assert!(element[empty].is_null(), "{empty}: {element}");
    }

    scene.connect("s", Visit::Allow).await.ok();
    scene.keyfob.run(&["tools", "s"]).await.ok();
    let element = scene.status("s").await;
    assert_eq!(element["state"], "ready");
    assert_eq!(element["level"], "green");
    assert!(element["text"].as_str().unwrap().starts_with("Connected"), "{element}");
    assert_eq!(element["scopes"], json!(["mcp:read"]));
    assert_eq!(element["tools"], 6);
    assert!(is_time(&element["expires_at"]), "{element}");
    let card = &element["registration"];
    let mut wanted = ["kind", "client_id", "issuer", "redirect_uri", "registered_at", "reason"];
    wanted.sort_unstable();
    assert_eq!(keys(card), wanted);
    assert!(is_time(&card["registered_at"]), "{card}");
    assert_eq!(keys(&card["reason"]), ["code", "text"]);
    let list = scene.keyfob.run(&["list", "--json"]).await.ok().json();
    assert_eq!(list, json!([element]));
    let plain = scene.keyfob.run(&["list"]).await.ok().stdout;
    assert!(plain.contains("CIMD") || plain.contains("cimd"), "{plain}");
    let plain = scene.keyfob.run(&["status", "s"]).await.ok().stdout;
    assert!(plain.contains(card["reason"]["text"].as_str().unwrap()), "{plain}");
}

#[tokio::test]
async fn the_trace() {
    let scene = Scene::with(|s| {
        s.authority.cimd = keyfob_tests::authserver::Cimd::RefusedByPage;
    })
    .await
    .signed_in()
    .await;
    let trace = scene.keyfob.run(&["trace", "--json", "s"]).await.ok().json();
    let steps = trace.as_array().expect("an array");
    assert!(steps.len() >= 6, "{trace}");
    for step in steps {
        let mut wanted = ["at", "step", "target", "result", "ms", "decision", "reason"];
        wanted.sort_unstable();
        assert_eq!(keys(step), wanted, "{step}");
        assert!(is_time(&step["at"]), "{step}");
        assert!(step["ms"].is_number() || step["ms"].is_null(), "{step}");
        assert!(step["step"].is_string(), "{step}");
    }
    let text = trace.to_string();
    assert!(text.contains("400"), "what came back: {text}");
    let issued = scene.authority.issued().all();
    assert!(issued.iter().all(|secret| !text.contains(secret)));
    assert!(!text.contains("code_verifier="));
    let plain = scene.keyfob.run(&["trace", "s"]).await.ok().stdout;
    assert!(plain.lines().count() >= steps.len(), "{plain}");
}

#[tokio::test]
async fn tools_and_calls() {
    let scene = Scene::start().await.signed_in().await;
    let tools = scene.keyfob.run(&["tools", "--json", "s"]).await.ok().json();
    let names: Vec<_> =
        tools.as_array().unwrap().iter().filter_map(|t| t["name"].as_str()).collect();
    assert_eq!(names, ["echo", "add", "whoami", "slow_count", "secret_write", "fail"]);
    assert!(tools[0]["inputSchema"].is_object());
    let plain = scene.keyfob.run(&["tools", "s"]).await.ok().stdout;
    assert!(names.iter().all(|n| plain.contains(n)), "{plain}");
    let result = scene.call("s", "add", &json!({"a": 1, "b": 2})).await.ok().json();
    assert_eq!(result["content"][0]["text"], "3");
    let plain = scene.keyfob.run(&["call", "s", "add", r#"{"a":1,"b":2}"#]).await.ok().stdout;
    assert!(plain.contains('3'), "{plain}");
    let slow = scene.call("s", "slow_count", &json!({"to": 2})).await.ok().json();
    assert_eq!(slow["content"][0]["text"], "counted to 2");
}

#[tokio::test]
async fn client_keys() {
    let scene = Scene::start().await.signed_in().await;
    let added = scene.keyfob.run(&["clients", "add", "--json", "cursor", "s"]).await.ok().json();
    assert_eq!(keys(&added), ["header", "key", "name"]);
    let key = added["key"].as_str().unwrap();
    assert!(key.starts_with("kf_") && key.len() >= 35, "{key}");
    assert!(added["header"].as_str().unwrap().contains(key));
    let listed = scene.keyfob.run(&["clients", "list"]).await.ok().stdout;
    assert!(listed.contains("cursor") && !listed.contains(key), "{listed}");
    let files = keyfob_tests::world::files_below(&scene.keyfob.home());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(files.iter().all(|(_, bytes)| !text(bytes).contains(key)), "stored as a hash only");
    scene.keyfob.run(&["clients", "revoke", "cursor"]).await.ok();
    let listed = scene.keyfob.run(&["clients", "list"]).await.ok().stdout;
    assert!(!listed.contains("cursor"), "{listed}");
}

#[tokio::test]
async fn our_own_document() {
    let scene = Scene::start().await;
    let url = "https://app.example/oauth/client.json";
    let printed = scene.keyfob.run(&["identity", "print", "--url", url]).await.ok();
    let document = printed.json();
    assert_eq!(document["client_id"], url);
    assert_eq!(document["application_type"], "native");
    assert_eq!(document["token_endpoint_auth_method"], "none");
    assert_eq!(document["token_endpoint_auth_methods_supported"], json!(["none"]));
    assert_eq!(document["response_types"], json!(["code"]));
    let redirects: Vec<_> = document["redirect_uris"].as_array().unwrap().iter().collect();
    for host in ["127.0.0.1", "localhost"] {
        for port in ["", ":15393", ":25393", ":31393"] {
            let uri = json!(format!("http://{host}{port}/callback"));
            assert!(redirects.contains(&&uri), "{uri} is missing");
        }
    }
    assert!(printed.stdout.len() < 5 * 1024);
    assert!(document.get("client_secret").is_none());
    scene
        .keyfob
        .run(&["identity", "print", "--url", "http://plain.example/c"])
        .await
        .expect_code(2);
}

#[tokio::test]
async fn our_own_document_is_checked_where_it_stands() {
    use keyfob_tests::Document;
    let scene = Scene::start().await;
    scene.keyfob.run(&["identity", "check"]).await.ok();
    let good = scene.keyfob.run(&["identity", "print", "--url", &scene.document_url]).await.ok();
    let good = good.json();
    let mut fewer = good.clone();
    fewer["redirect_uris"] = json!(["http://127.0.0.1/callback"]);
    for document in [
        Document::Missing,
        Document::Html(good.clone()),
        Document::Redirect("/elsewhere.json".into()),
        Document::WrongClientId(good.clone()),
        Document::TooBig(good.clone()),
        Document::Json(fewer),
    ] {
        let label = format!("{document:?}");
        scene.documents.put("/oauth/client.json", document);
        let output = scene.keyfob.run(&["identity", "check"]).await;
        assert!(matches!(output.code, Some(1 | 3)), "{label}\n{output}");
        output.one_sentence();
    }
}

#[tokio::test]
async fn version_help_and_doctor() {
    let keyfob = Keyfob::new(Store::Memory);
    let version = keyfob.run(&["--version"]).await.ok();
    assert!(version.stdout.starts_with("keyfob "), "{version}");
    let help = keyfob.run(&["--help"]).await.ok().stdout;
    for command in [
        "add", "connect", "list", "status", "trace", "refresh", "signout", "remove", "tools",
        "call", "serve", "stdio", "exec", "clients", "identity", "doctor",
    ] {
        assert!(help.contains(command), "{command} is not in the help");
    }
    let doctor = keyfob.run(&["doctor"]).await;
    assert!(doctor.code.is_some() && !doctor.late, "{doctor}");
    assert!(!doctor.stdout.is_empty(), "{doctor}");
}

#[tokio::test]
async fn a_name_is_made_up_where_none_is_given() {
    let scene = Scene::start().await;
    let url = scene.mcp.url();
    scene.keyfob.run(&["add", &url]).await.ok();
    scene.keyfob.run(&["add", &url]).await.ok();
    let list = scene.keyfob.run(&["list", "--json"]).await.ok().json();
    let names: Vec<_> = list.as_array().unwrap().iter().map(|s| s["name"].clone()).collect();
    assert_eq!(names.len(), 2, "two accounts on one URL are two servers");
    assert_ne!(names[0], names[1]);
}

/// Runs a script in which `$KEYFOB` is the product.
fn sh(keyfob: &Keyfob, script: &str) -> std::process::Output {
    std::process::Command::new("sh")
        .args(["-c", script])
        .env_clear()
        .envs(keyfob.environment())
        .env("KEYFOB", keyfob_tests::world::keyfob_binary())
        .output()
        .unwrap()
}

#[tokio::test]
async fn many_commands_at_once_take_turns() {
    let keyfob = Keyfob::new(Store::Memory);
    let commands: Vec<_> = (0..30)
        .map(|_| keyfob.start(&["list", "--json"], keyfob_tests::world::Stdin::Empty))
        .collect();
    for command in commands {
        assert_eq!(command.finish(keyfob_tests::world::PATIENCE).await.ok().json(), json!([]));
    }
}

#[tokio::test]
async fn nobody_needs_to_read_on() {
    let keyfob = Keyfob::new(Store::Memory);
    // The pipe is closed before anything is written into it.
    let piped = |command: &str| {
        format!("{{ sleep 0.2; \"$KEYFOB\" {command}; echo \"status $?\" >&2; }} | true")
    };
    for command in ["list", "list --json", "doctor --json", "--help"] {
        let output = sh(&keyfob, &piped(command));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{command}: {said}");
        // What doctor finds is another matter.
        let is_fine = said == "status 0\n" || command.starts_with("doctor");
        assert!(is_fine, "{command}: {said}");
    }
}

#[tokio::test]
async fn output_that_is_lost_is_no_success() {
    let keyfob = Keyfob::new(Store::Memory);
    let output = sh(&keyfob, "\"$KEYFOB\" list >/dev/full");
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stderr.is_empty());
}

#[tokio::test]
async fn a_wrong_command_line_is_told_as_it_was_asked_for() {
    let keyfob = Keyfob::new(Store::Memory);
    for command in [
        vec!["list", "--json", "--no-such-option"],
        vec!["status", "--json"],
        vec!["call", "--json", "s"],
        vec!["serve", "--json", "--store", "paper"],
        vec!["clients", "add", "--json", "cursor"],
    ] {
        let output = keyfob.run(&command).await.expect_code(2);
        let problem = output.problem();
        assert_eq!(problem["code"], "usage", "{output}");
        assert_eq!(output.stderr.lines().count(), 1, "{output}");
        let message = problem["message"].as_str().unwrap();
        assert!(message.len() > 10 && !message.starts_with("error"), "{message}");
    }
    let plain = keyfob.run(&["list", "--no-such-option"]).await.expect_code(2);
    assert!(plain.stderr.contains("Usage:") && !plain.stderr.contains('{'), "{plain}");
    // What comes after -- is not ours.
    let command = ["exec", "--no-such-option", "http://127.0.0.1:1/", "--", "echo", "--json"];
    let foreign = keyfob.run(&command).await.expect_code(2);
    assert!(foreign.stderr.contains("Usage:"), "{foreign}");
}

#[tokio::test]
async fn clients_without_keys() {
    let keyfob = Keyfob::new(Store::Memory);
    let listed = keyfob.run(&["clients", "list"]).await.ok();
    assert_eq!(listed.stdout, "No client has a key yet.\n");
    keyfob.run(&["add", "--name", "s", "http://127.0.0.1:1/mcp"]).await.ok();
    let added = keyfob.run(&["clients", "add", "cursor", "s"]).await.ok();
    assert!(added.stdout.contains("keyfob serve"), "{added}");
}

#[tokio::test]
async fn doctor_writes_nothing_and_sees_settings_that_slipped() {
    let keyfob = Keyfob::new(Store::Memory);
    let file = keyfob.home().join("config/config.toml");
    let before = keyfob_tests::world::files_below(&keyfob.home());
    keyfob.run(&["doctor"]).await;
    assert_eq!(keyfob_tests::world::files_below(&keyfob.home()), before);
    keyfob.run(&["add", "--name", "s", "http://127.0.0.1:1/mcp"]).await.ok();
    let mut text = std::fs::read_to_string(&file).unwrap();
    assert!(keyfob.run(&["doctor"]).await.stdout.contains("1 server\n"));
    text.push_str("client_metadata_url = \"https://app.example/client.json\"\n");
    std::fs::write(&file, text).unwrap();
    let doctor = keyfob.run(&["doctor", "--json"]).await.expect_code(1).json();
    let is_it = |line: &&Value| line["what"] == "settings" && line["ok"] == false;
    let line = doctor.as_array().unwrap().iter().find(is_it).unwrap();
    let said = line["text"].as_str().unwrap();
    assert!(said.contains("client_metadata_url") && said.contains("[[servers]]"), "{said}");
}

#[tokio::test]
async fn a_document_that_there_is_not() {
    let keyfob = Keyfob::new(Store::Memory);
    let output = keyfob.run(&["identity", "check", "--json"]).await.expect_code(1);
    assert_eq!(output.problem()["code"], "no-client-document");
    keyfob.configure(&[("client_metadata_url", "https://127.0.0.1:1/client.json")]);
    let output = keyfob.run(&["identity", "check", "--json"]).await.expect_code(3);
    assert_eq!(output.problem()["code"], "unreachable");
}
