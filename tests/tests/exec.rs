//! `keyfob exec`: a command with a server's local address, signed in on demand.
#![expect(clippy::panic, clippy::unwrap_used, reason = "test code")]

use std::time::{Duration, Instant};

use keyfob_tests::authserver::{Cimd, Consent};
use keyfob_tests::mcp::Era;
use keyfob_tests::world::client_binary;
use keyfob_tests::{BearerSeen, Kind, McpServer, Output, Scene};
use serde_json::Value;

async fn quiet() -> Scene {
    Scene::with(|s| s.serve = false).await
}

fn client() -> String {
    client_binary().display().to_string()
}

/// The JSON line in which `exec` tells that the sign-in failed.
fn failure(output: &Output) -> Value {
    let line = output.stderr.lines().rev().find(|l| l.starts_with('{'));
    let line = line.unwrap_or_else(|| panic!("no JSON line:\n{output}"));
    serde_json::from_str(line).unwrap()
}

fn holds_number(value: &Value, wanted: i64) -> bool {
    match value {
        Value::Number(n) => n.as_i64() == Some(wanted),
        Value::String(s) => s.parse() == Ok(wanted),
        Value::Array(list) => list.iter().any(|v| holds_number(v, wanted)),
        Value::Object(map) => map.values().any(|v| holds_number(v, wanted)),
        Value::Null | Value::Bool(_) => false,
    }
}

#[tokio::test]
async fn a_command_is_signed_in_when_it_meets_a_challenge() {
    let scene = quiet().await;
    let command = [&client(), "{url}", "echo", r#"{"text":"one"}"#, "whoami", "{}"];
    let output = scene.exec(&[], &command).await.ok();
    assert_eq!(output.stdout, "one\nalice, cimd client\n", "only what the command printed");
    let authority = scene.authority.journal();
    assert_eq!(authority.exchanges().len(), 1);
    assert_eq!(authority.registrations().len(), 0);
    assert!(authority.document_fetches().iter().any(|f| f.accepted()));
}

#[tokio::test]
async fn a_command_of_the_older_era_too() {
    let scene = quiet().await;
    scene.mcp.set(|s| s.era = Era::Legacy);
    let script =
        format!("KEYFOB_TEST_CLIENT=legacy exec {} \"$1\" add '{{\"a\":1,\"b\":2}}'", client());
    let output = scene.exec(&[], &["sh", "-c", &script, "sh", "{url}"]).await.ok();
    assert_eq!(output.stdout, "3\n");
}

#[tokio::test]
async fn nothing_of_its_own_goes_upstream() {
    let scene = quiet().await;
    let output = scene.exec(&[], &["sh", "-c", "echo \"$1\" >/dev/null", "sh", "{url}"]).await;
    output.ok();
    assert_eq!(scene.mcp.journal().entries().len(), 0, "the server heard of us");
    assert_eq!(scene.authority.journal().entries().len(), 0);

    let command = [&client(), "{url}", "echo", r#"{"text":"x"}"#];
    scene.exec(&[], &command).await.ok();
    let requests = scene.mcp.journal().of(Kind::Mcp);
    assert!(requests.iter().all(|r| r.rpc_method() == Some("tools/call")), "{requests:?}");
    assert_eq!(requests.len(), 2, "held at the challenge, replayed after the sign-in");
    assert_eq!(requests[0].raw, requests[1].raw);
    assert_eq!(requests[1].bearer, Some(BearerSeen::Issued));
}

#[tokio::test]
async fn the_address_is_put_in_everywhere_and_into_the_environment() {
    let scene = quiet().await;
    let script = r#"echo "$1"; echo "$2"; echo "$KEYFOB_URL"; echo "$KEYFOB_KEY""#;
    let command = ["sh", "-c", script, "sh", "{url}", "--to={url}/sub?x={url}"];
    let output = scene.exec(&[], &command).await.ok();
    let lines: Vec<&str> = output.stdout.lines().collect();
    let [url, inside, variable, key] = lines[..] else { panic!("{output}") };
    assert!(url.starts_with("http://127.0.0.1:") && url.contains("/k/"), "{url}");
    assert_eq!(inside, format!("--to={url}/sub?x={url}"));
    assert!(variable.starts_with("http://127.0.0.1:"), "{variable}");
    assert!(key.starts_with("kf_") && url.contains(key), "{key} in {url}");
}

#[tokio::test]
async fn without_a_place_for_the_address_it_is_a_usage_error() {
    let scene = quiet().await;
    let output = scene.exec(&[], &["echo", "nothing to put in"]).await.expect_code(2);
    assert_eq!(output.stdout, "");
    output.one_sentence();
}

#[tokio::test]
async fn following_belongs_to_ephemeral_runs() {
    let scene = quiet().await;
    let url = scene.mcp.url();
    let arguments = ["exec", "--browser", "follow", &url, "--", "true", "{url}"];
    scene.keyfob.run(&arguments).await.expect_code(2).one_sentence();
}

#[tokio::test]
async fn the_status_of_the_command_is_the_status() {
    let scene = quiet().await;
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137)]
    {
        let output = scene.exec(&[], &["sh", "-c", script, "sh", "{url}"]).await;
        output.expect_code(code);
    }
    let missing = scene.exec(&[], &["/no/such/command", "{url}"]).await;
    assert!(matches!(missing.code, Some(1 | 2 | 126 | 127)), "{missing}");
    missing.one_sentence();
}

#[tokio::test]
async fn the_command_inherits_its_streams() {
    let scene = quiet().await;
    let ca_file = scene.documents.ca_file().display().to_string();
    let url = scene.mcp.url();
    let arguments = [
        "exec",
        "--ephemeral",
        "--browser",
        "follow",
        "--ca-file",
        &ca_file,
        &url,
        "--",
        "sh",
        "-c",
        "cat; echo to stderr >&2",
        "sh",
        "{url}",
    ];
    let stdin = keyfob_tests::world::Stdin::Text("through and through\n");
    let patience = Duration::from_secs(20);
    let output = scene.keyfob.run_with(&arguments, stdin, patience).await.ok();
    assert_eq!(output.stdout, "through and through\n");
    assert!(output.stderr.contains("to stderr"));
}

#[tokio::test]
async fn a_deadline_ends_the_command_and_its_children() {
    let scene = quiet().await;
    let marker = format!("60.{}", scene.keyfob.port());
    let script = format!("sleep {marker} & echo started; wait");
    let started = Instant::now();
    let output = scene.exec(&["--deadline", "2"], &["sh", "-c", &script, "sh", "{url}"]).await;
    let output = output.expect_code(6);
    assert!(started.elapsed() < Duration::from_secs(10), "{output}");
    assert_eq!(output.stdout, "started\n");
    let mut alive = true;
    for _ in 0..50 {
        alive = running(&marker);
        if !alive {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!alive, "a child of the command lives on");
}

#[tokio::test]
async fn a_signal_ends_the_command_and_is_the_status() {
    let scene = quiet().await;
    let url = scene.mcp.url();
    for (signal, status) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let script = format!("kill -{signal} $PPID; sleep 20");
        let command = ["exec", "--ephemeral", &url, "--", "sh", "-c", &script, "sh", "{url}"];
        let output = scene.keyfob.run(&command).await.expect_code(status);
        assert!(output.took < Duration::from_secs(10), "{output}");
    }
}

#[tokio::test]
async fn a_link_that_no_browser_got_is_told_beside_the_output() {
    let scene = quiet().await;
    let url = scene.mcp.url();
    let ca_file = scene.documents.ca_file().display().to_string();
    let options =
        ["exec", "--ephemeral", "--browser", "none", "--deadline", "4", "--ca-file", &ca_file];
    let client = client();
    let command = [&url, "--", &client, "{url}", "echo", r#"{"text":"x"}"#];
    let output = scene.keyfob.run(&[&options[..], &command[..]].concat()).await.expect_code(6);
    assert!(output.stderr.contains("Open this link in a browser: http"), "{output}");
    assert_eq!(output.stdout, "");
}

#[tokio::test]
async fn a_server_that_came_on_the_list_is_told_once() {
    let scene = Scene::start().await;
    let url = scene.mcp.url();
    let command = ["exec", &url, "--", "echo", "{url}"];
    let first = scene.keyfob.run(&command).await.ok();
    assert!(first.stderr.contains("keyfob remove"), "{first}");
    assert_eq!(first.stderr.lines().count(), 1, "{first}");
    let second = scene.keyfob.run(&command).await.ok();
    assert_eq!(second.stderr, "");
}

#[tokio::test]
async fn a_link_is_told_over_a_running_broker_as_well() {
    let scene = Scene::start().await;
    scene.add("s", &[]).await.ok();
    let url = scene.mcp.url();
    let client = client();
    let options = ["exec", "--browser", "none", "--deadline", "4"];
    let command = [&url, "--", &client, "{url}", "echo", r#"{"text":"x"}"#];
    let output = scene.keyfob.run(&[&options[..], &command[..]].concat()).await.expect_code(6);
    assert!(output.stderr.contains("Open this link in a browser: http"), "{output}");
}

fn running(argument: &str) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes.flatten().any(|p| {
        std::fs::read(p.path().join("cmdline"))
            .is_ok_and(|line| line.split(|b| *b == 0).any(|a| a == argument.as_bytes()))
    })
}

#[tokio::test]
async fn a_failed_sign_in_is_told_with_the_status_of_the_command() {
    let scene = quiet().await;
    scene.authority.set(|s| s.consent = Consent::Deny);
    let command = [&client(), "{url}", "echo", r#"{"text":"x"}"#];
    let output = scene.exec(&[], &command).await.expect_code(5);
    let answered = output.stdout.starts_with("503 ") || output.stdout.starts_with("200 ");
    assert!(answered && output.stdout.contains("\"error\""), "the held request: {output}");
    let line = failure(&output);
    assert!(line["code"].is_string(), "{line}");
    assert!(holds_number(&line, 1), "the command's status 1 is not in {line}");
}

#[tokio::test]
async fn a_refusal_for_security_has_its_own_status() {
    let scene = quiet().await;
    scene.authority.set(|s| s.iss = keyfob_tests::authserver::Iss::Wrong);
    let command = [&client(), "{url}", "echo", r#"{"text":"x"}"#];
    scene.exec(&[], &command).await.expect_code(4);
    assert_eq!(scene.authority.journal().token_requests().len(), 0);
}

#[tokio::test]
async fn a_server_that_needs_no_sign_in_is_just_used() {
    let scene = quiet().await;
    let open = McpServer::start_open("open").await;
    let command = [&client(), "{url}", "add", r#"{"a":20,"b":22}"#];
    let output = scene.exec_at(&open.url(), &[], &command).await.ok();
    assert_eq!(output.stdout, "42\n");
    assert!(open.journal().entries().iter().all(|e| e.header("authorization").is_none()));
}

#[tokio::test]
async fn more_scope_is_had_when_a_tool_wants_it() {
    let scene = quiet().await;
    scene.mcp.set(|s| s.challenge_scope = Some("mcp:read".into()));
    let command =
        [&client(), "{url}", "echo", r#"{"text":"first"}"#, "secret_write", r#"{"text":"x"}"#];
    let output = scene.exec(&[], &command).await.ok();
    assert_eq!(output.stdout, "first\nwritten\n");
    let asked: Vec<_> = scene.authority.journal().authorizations();
    let last = asked.last().and_then(|a| a.param("scope")).unwrap_or_default();
    let mut scopes: Vec<&str> = last.split(' ').collect();
    scopes.sort_unstable();
    assert_eq!(scopes, ["mcp:read", "secrets:write"], "the union of had and wanted");
    let calls = scene.mcp.journal().tool_calls("secret_write");
    let statuses: Vec<_> = calls.iter().filter_map(|c| c.status).collect();
    assert_eq!(statuses, [403, 200]);
}

#[tokio::test]
async fn scope_that_is_never_enough_ends_as_a_refusal() {
    let scene = quiet().await;
    scene.authority.set(|s| s.known_scopes = vec!["mcp:read".into()]);
    scene.mcp.set(|s| s.challenge_scope = Some("mcp:read".into()));
    let command = [&client(), "{url}", "secret_write", r#"{"text":"x"}"#];
    let output = scene.exec(&[], &command).await;
    assert!(!output.late && output.code != Some(0), "{output}");
    assert!(scene.authority.journal().authorizations().len() <= 5, "in a loop");
}

#[tokio::test]
async fn many_runs_at_once_do_not_meet() {
    let scene = quiet().await;
    let command = [&client(), "{url}", "echo", r#"{"text":"x"}"#];
    let (a, b, c) = tokio::join!(
        scene.exec(&[], &command),
        scene.exec(&[], &command),
        scene.exec(&[], &command)
    );
    for output in [a, b, c] {
        assert_eq!(output.ok().stdout, "x\n");
    }
}

#[tokio::test]
async fn stepping_down_works_here_too() {
    for cimd in [
        Cimd::Off,
        Cimd::RefusedByPage,
        Cimd::RefusedInCallback("invalid_client".into()),
        Cimd::RefusedAtToken,
    ] {
        let scene = quiet().await;
        scene.authority.set(|s| s.cimd = cimd.clone());
        let output = scene.exec(&[], &[&client(), "{url}", "whoami", "{}"]).await.ok();
        assert_eq!(output.stdout, "alice, dcr client\n", "{cimd:?}");
        assert_eq!(scene.authority.journal().registrations().len(), 1);
    }
}
