//! What a server or its sign-in service says is text: it acts on no terminal, forges no line and
//! has a bound, and one odd word in it ends nothing.

use std::time::Duration;

use keyfob_tests::authserver::{Cimd, Refresh};
use keyfob_tests::world::files_below;
use keyfob_tests::{Scene, Visit};
use serde_json::{Map, Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

/// Clears the screen, writes to the clipboard, rings, turns the direction of the text, and forges a
/// line.
const ACTS: &str = "a\u{1b}[2Jb\u{1b}]52;c;Zm9yZ2Vk\u{7}c\u{9b}31md\u{202e}e\u{200b}f";

/// Whether a terminal would do anything but show this and go to the next line.
fn acts(printed: &str) -> bool {
    let is_hidden = |c: char| matches!(c, '\u{200b}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    printed.chars().any(|c| is_hidden(c) || (c.is_control() && !matches!(c, '\n' | '\r' | '\t')))
}

/// What the commands that show a server print, and what is kept of it.
async fn assert_shown_without_harm(scene: &Scene) {
    for command in [
        vec!["list"],
        vec!["list", "--json"],
        vec!["status", "s"],
        vec!["status", "--json", "s"],
        vec!["trace", "s"],
        vec!["trace", "--json", "s"],
    ] {
        let output = scene.keyfob.run(&command).await.ok();
        assert!(!acts(&output.stdout), "{command:?}: {:?}", output.stdout);
        assert!(!output.stdout.lines().any(|line| line.starts_with("● forged")), "{output}");
    }
    for (name, content) in files_below(&scene.keyfob.home()) {
        let kept = String::from_utf8_lossy(&content);
        assert!(!acts(&kept) && !kept.contains("\\u001b"), "{name} keeps what acts");
    }
}

/// attack-B3: RFC 6749 appendix A.1.
#[tokio::test]
async fn a_client_id_that_acts_is_refused_and_forges_no_row() {
    let long = "c".repeat(5000);
    for client_id in [ACTS, "c\n● forged  Connected · 3 tools", "c\u{85}d", "ü", &long] {
        let scene = Scene::with(|s| {
            s.authority.cimd = Cimd::Off;
            s.authority.registration_fields.insert("client_id".to_owned(), json!(client_id));
        })
        .await;
        scene.add("s", &[]).await.ok();
        let output = scene.connect("s", Visit::Allow).await.expect_code(5);
        assert!(!acts(&output.to_string()), "{output:?}");
        assert!(output.one_sentence().contains("client_id"), "{output}");
        assert!(scene.keyfob.links().is_empty(), "nobody is sent to a browser with it");
        assert_shown_without_harm(&scene).await;

        scene.authority.set(|s| s.registration_fields = Map::new());
        scene.connect("s", Visit::Allow).await.ok();
        scene.echo("s", "nothing of it was kept").await;
    }
}

/// attack-B3: RFC 6749 appendix A.4. The sign-in goes on with the scopes that are some.
#[tokio::test]
async fn scopes_that_act_are_left_out_and_the_trace_says_so() {
    let scene = Scene::with(|s| {
        let listed = ["notes:read", ACTS, "a\"b", "two\nlines"];
        s.mcp.prm_scopes = listed.map(str::to_owned).to_vec();
        let granted = format!("notes:read {ACTS} extra");
        s.authority.token_fields.insert("scope".to_owned(), json!(granted));
    })
    .await;
    scene.add("s", &[]).await.ok();
    let output = scene.connect("s", Visit::Allow).await.ok();
    assert!(!acts(&output.stdout), "{:?}", output.stdout);
    let asked = scene.authority.journal().authorizations().pop().unwrap();
    assert_eq!(asked.param("scope"), Some("notes:read"), "what is none is not asked for");
    assert_eq!(scene.status("s").await["scopes"], json!(["notes:read", "extra"]));
    let trace = scene.keyfob.run(&["trace", "s"]).await.ok().stdout;
    assert!(trace.contains("3 left out") && trace.contains("1 left out"), "{trace}");
    assert_shown_without_harm(&scene).await;
    scene.echo("s", "it works").await;
}

/// attack-B3: what a tool says reaches a program as it is, and a terminal as text.
#[tokio::test]
async fn a_tools_text_acts_on_no_terminal_and_reaches_a_program_as_it_is() {
    let scene = Scene::start().await.signed_in().await;
    let said = format!("{ACTS}\n\tnext line ü 👩\u{200d}👧");
    let arguments = json!({"text": said}).to_string();
    let piped = scene.keyfob.run(&["call", "s", "echo", &arguments]).await.ok();
    assert_eq!(piped.stdout, format!("{said}\n"), "byte for byte");
    let as_json = scene.keyfob.run(&["call", "--json", "s", "echo", &arguments]).await.ok();
    assert!(!acts(&as_json.stdout), "{:?}", as_json.stdout);
    assert_eq!(as_json.json()["content"][0]["text"], said, "it has the same meaning");

    // The shell takes the text in escapes.
    let escaped: String = said.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let arguments = format!("'{{\"text\":\"{escaped}\"}}'");
    let running = scene.keyfob.start_at_terminal(&["call", "s", "echo", &arguments]);
    let shown = running.finish(PATIENCE).await.ok().stdout;
    assert!(!acts(&shown), "{shown:?}");
    let lines: Vec<_> = shown.lines().map(|line| line.trim_end_matches('\r')).collect();
    assert_eq!(lines, ["abcdef", "\tnext line ü 👩\u{200d}👧"]);
}

/// attack-B4: RFC 6749 appendices A.12 and A.17.
#[tokio::test]
async fn a_token_without_measure_is_the_services_fault() {
    for (member, token) in [
        ("access_token", "t".repeat(400_000)),
        ("access_token", "two words".to_owned()),
        ("access_token", ACTS.to_owned()),
        ("refresh_token", "t".repeat(17_000)),
        ("scope", "read ".repeat(1000)),
    ] {
        let scene = Scene::with(|s| {
            s.authority.token_fields.insert(member.to_owned(), json!(token));
        })
        .await;
        scene.add("s", &[]).await.ok();
        let output = scene.connect("s", Visit::Allow).await.expect_code(5);
        let said = output.one_sentence();
        let word = member.split('_').next().unwrap();
        assert!(said.contains(word) && said.contains(scene.authority.issuer()), "{said}");
        assert!(!acts(&output.to_string()), "{output:?}");
        assert_shown_without_harm(&scene).await;
        scene.authority.set(|s| s.token_fields = Map::new());
        scene.connect("s", Visit::Allow).await.ok();
        scene.echo("s", "nothing of it was kept").await;
    }
}

/// attack-B4: a real token holds `!`, `*` and `|`, and may have 16 kB.
#[tokio::test]
async fn a_bad_answer_at_a_refresh_costs_nothing_that_there_was() {
    let scene = Scene::with(|s| s.authority.refresh = Refresh::Keep).await.signed_in().await;
    for (member, token) in
        [("access_token", "t".repeat(400_000)), ("refresh_token", "a\u{1b}[2J".to_owned())]
    {
        scene.authority.set(|s| {
            s.token_fields = Map::from_iter([(member.to_owned(), Value::from(token))]);
        });
        let output = scene.keyfob.run(&["refresh", "s"]).await;
        assert_ne!(output.code, Some(0), "{output}");
        scene.echo("s", "the old token serves on").await;
        assert_shown_without_harm(&scene).await;
        scene.authority.set(|s| s.token_fields = Map::new());
        let end = std::time::Instant::now() + PATIENCE;
        while scene.keyfob.run(&["refresh", "s"]).await.code != Some(0) {
            assert!(std::time::Instant::now() < end, "the old refresh token is gone");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        scene.echo("s", "the old refresh token is still there").await;
    }
}

/// attack-B6: of a list the first twenty are looked at, and one line says that there were more.
#[tokio::test]
async fn lists_without_an_end_are_looked_at_up_to_a_bound() {
    let scene = Scene::with(|s| {
        let many: Vec<_> = (0..5000).map(|n| format!("http://plain.example/{n}")).collect();
        s.mcp.prm_fields.insert("authorization_servers".to_owned(), json!(many));
        s.mcp.prm_fields.insert("scopes_supported".to_owned(), json!(many));
    })
    .await;
    scene.add("s", &[]).await.ok();
    let output = scene.connect("s", Visit::Allow).await.expect_code(5);
    let lines = output.stdout.lines().count();
    assert!(lines < 40, "{lines} lines");
    let more = "authorization_servers has 5000, scopes_supported has 5000";
    assert_eq!(output.stdout.matches(more).count(), 1, "{output}");
    assert_eq!(output.stdout.matches("not asked").count(), 20, "{output}");
}

/// attack-B6: a command that has ended is not undone by a crash of the broker.
#[tokio::test]
async fn what_a_command_has_changed_is_on_the_disk_when_it_has_ended() {
    let mut scene = Scene::start().await;
    scene.add("s", &[]).await.ok();
    let key = scene.client_key("mine", "s").await;
    scene.client_key("other", "s").await;
    scene.keyfob.run(&["clients", "revoke", "other"]).await.ok();
    scene.keyfob.crash().await;
    scene.keyfob.serve().await;
    let clients = scene.keyfob.run(&["clients", "list"]).await.ok().stdout;
    assert!(clients.contains("mine") && !clients.contains("other"), "{clients}");
    assert!(!key.is_empty());
}
