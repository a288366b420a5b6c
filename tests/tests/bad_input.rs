//! Bad input and bad luck: one clear sentence, the right status, and nothing stored changes.

use std::time::{Duration, Instant};

use keyfob_tests::host::{Host, Later, Site};
use keyfob_tests::journal::Journal;
use keyfob_tests::world::{PATIENCE, Stdin};
use keyfob_tests::{Keyfob, Kind, Scene, Store, Visit};
use std::sync::Arc;

use keyfob_tests::call::{Answer, Call};

/// Answers everything with the same page, as a captive portal does.
struct Portal(Journal);

impl Site for Portal {
    fn claims(&self, _path: &str) -> bool {
        true
    }
    fn kind(&self, _call: &Call) -> Kind {
        Kind::Other
    }
    fn journal(&self) -> &Journal {
        &self.0
    }
    fn answer(self: Arc<Self>, _call: Call) -> Later<Answer> {
        Box::pin(async { Answer::page(200, "Welcome", "Please log in to the Wi-Fi.", "portal") })
    }
}

/// 6.2-6: a secret says nothing without the client it belongs to.
#[tokio::test]
async fn a_secret_without_its_client_id() {
    let scene = Scene::start().await;
    let url = scene.mcp.url();
    let before = scene.stored().await;
    for id in [None, Some(""), Some(" "), Some("one\ntwo")] {
        let mut arguments = vec!["add", "--name", "s", "--client-secret-stdin"];
        arguments.extend(id.iter().flat_map(|id| ["--client-id", id]));
        arguments.push(&url);
        let output = scene.keyfob.run_with(&arguments, Stdin::Text("hush\n"), PATIENCE).await;
        let output = output.expect_code(2);
        assert!(output.one_sentence().contains("client id"), "{id:?}: {output}");
        assert_eq!(scene.stored().await, before);
    }
}

/// The same for a run of its own, and for a broker that would use it for all servers.
#[tokio::test]
async fn a_secret_without_its_client_id_for_one_run() {
    let mut scene = Scene::with(|s| s.serve = false).await;
    scene.keyfob.set_env("THE_SECRET", "hush");
    let command = ["sh", "-c", "echo ran", "sh", "{url}"];
    let output = scene.exec(&["--client-secret-env", "THE_SECRET"], &command).await;
    let output = output.expect_code(2);
    assert!(output.one_sentence().contains("client id"), "what is missing: {output}");
    assert_eq!(output.stdout, "", "nothing was run");

    let arguments = ["serve", "--store", "memory", "--client-secret-env", "THE_SECRET"];
    let output = scene.keyfob.run_with(&arguments, Stdin::Empty, Duration::from_secs(5)).await;
    let output = output.expect_code(2);
    assert!(output.one_sentence().contains("client id"), "what is missing: {output}");
}

/// A server whose own header satisfies it is never signed in to.
#[tokio::test]
async fn a_header_of_ones_own_that_satisfies_the_server_needs_no_sign_in() {
    let key = ("x-api-key".to_owned(), "key-7e41".to_owned());
    let scene = Scene::with(|s| s.mcp.own_header = Some(key)).await;
    let url = scene.mcp.url();
    let arguments = ["add", "--name", "s", "--header", "X-Api-Key", &url];
    scene.keyfob.run_with(&arguments, Stdin::Text("key-7e41\n"), PATIENCE).await.ok();
    assert_eq!(scene.status("s").await["state"], "open");
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "by header").await;
    assert!(scene.authority.journal().entries().is_empty(), "nobody was asked for a token");
}

/// 6.2-22: no port to come back to.
#[tokio::test]
async fn port_nought_is_no_setting() {
    let keyfob = Keyfob::new(Store::Memory);
    std::fs::write(keyfob.home().join("config/config.toml"), "port = 0\n").expect("a file");
    let output = keyfob.run(&["list"]).await.expect_code(1);
    assert!(output.one_sentence().contains("port = 0"), "{output}");
}

#[tokio::test]
async fn an_address_where_nobody_answers() {
    let scene = Scene::start().await;
    let port = keyfob_tests::random::free_port();
    let url = format!("http://127.0.0.1:{port}/mcp");
    scene.keyfob.run(&["add", "--name", "gone", &url]).await.ok();
    let before = scene.stored().await;
    let output = scene.keyfob.run(&["connect", "gone"]).await.expect_code(3);
    let said = output.one_sentence();
    assert!(said.contains("127.0.0.1") || said.contains("gone"), "{said}");
    assert_eq!(scene.stored().await.0, before.0);
    assert!(scene.keyfob.links().is_empty());
    let state = scene.status("gone").await["state"].clone();
    assert_eq!(state, "offline", "nobody knows whether it wants a sign-in");
    let call = scene.keyfob.run(&["call", "--json", "gone", "echo"]).await;
    assert_ne!(call.code, Some(0));
    call.problem();
}

#[tokio::test]
async fn an_address_that_is_no_mcp_server() {
    let scene = Scene::start().await;
    let portal = Host::start(None).await;
    portal.add(Arc::new(Portal(Journal::default())));
    let url = format!("http://127.0.0.1:{}/", portal.port());
    scene.keyfob.run(&["add", "--name", "portal", &url]).await.ok();
    let before = scene.stored().await;
    let output = scene.keyfob.run(&["connect", "portal"]).await;
    assert!(matches!(output.code, Some(1 | 3)), "{output}");
    output.one_sentence();
    assert_eq!(scene.stored().await.0, before.0);
    let state = scene.status("portal").await["state"].clone();
    assert_ne!(state, "open", "a page with 200 is no open server");
    assert_ne!(state, "ready");
}

#[tokio::test]
async fn an_address_that_is_none() {
    let scene = Scene::start().await;
    let before = scene.stored().await;
    for url in
        ["not a url", "mcp.example", "ftp://mcp.example/", "javascript:alert(1)", "http://", ""]
    {
        let output = scene.keyfob.run(&["add", url]).await.expect_code(2);
        output.one_sentence();
    }
    assert_eq!(scene.stored().await, before);
}

/// attack-B2: a server there would be asked in circles.
#[tokio::test]
async fn our_own_address_is_no_server_in_any_spelling() {
    let scene = Scene::start().await;
    let before = scene.stored().await;
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "127.1",
        "127.0.0.1.",
        "2130706433",
        "0x7f.1",
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "localhost.",
        "x.localhost",
        "LocalHost",
    ] {
        let url = format!("http://{host}:{}/s", scene.keyfob.port());
        let output = scene.keyfob.run(&["add", &url]).await.expect_code(2);
        assert!(output.one_sentence().contains("Keyfob's own address"), "{host}: {output}");
    }
    assert_eq!(scene.stored().await, before);
}

#[tokio::test]
async fn names_that_cannot_be() {
    let scene = Scene::start().await;
    let before = scene.stored().await;
    let url = scene.mcp.url();
    for name in
        ["callback", "k", "go", "authorize", "token", "register", ".hidden", "..", "a/b", ""]
    {
        let output = scene.keyfob.run(&["add", "--name", name, &url]).await.expect_code(2);
        output.one_sentence();
    }
    for command in [
        vec!["connect", "nobody"],
        vec!["status", "nobody"],
        vec!["trace", "nobody"],
        vec!["refresh", "nobody"],
        vec!["signout", "nobody"],
        vec!["remove", "nobody"],
        vec!["tools", "nobody"],
        vec!["call", "nobody", "echo"],
        vec!["clients", "add", "cursor", "nobody"],
    ] {
        scene.keyfob.run(&command).await.expect_code(2).one_sentence();
    }
    assert_eq!(scene.stored().await, before);
}

#[tokio::test]
async fn usage_errors() {
    let keyfob = Keyfob::new(Store::Memory);
    for command in [
        vec!["no-such-command"],
        vec!["add"],
        vec!["list", "--no-such-option"],
        vec!["serve", "--store", "paper"],
        vec!["serve", "--browser", "follow"],
        vec!["identity", "print"],
    ] {
        let output = keyfob.run(&command).await.expect_code(2);
        assert!(!output.stderr.is_empty(), "{output}");
        assert_eq!(output.stdout, "", "{output}");
    }
}

#[tokio::test]
async fn failures_as_json() {
    let scene = Scene::start().await;
    let output = scene.keyfob.run(&["status", "--json", "nobody"]).await.expect_code(2);
    let problem = output.problem();
    assert!(
        problem["code"]
            .as_str()
            .is_some_and(|c| c.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
    );
    assert!(problem["message"].as_str().is_some_and(|m| m.contains("nobody")), "{problem}");
    assert_eq!(output.stdout, "");
}

#[tokio::test]
async fn a_port_in_foreign_hands() {
    let mut keyfob = Keyfob::new(Store::Memory);
    let foreign = std::net::TcpListener::bind(("127.0.0.1", keyfob.port())).unwrap();
    let before = keyfob_tests::world::files_below(&keyfob.home().join("config"));
    let output = keyfob.run(&["serve", "--json", "--store", "memory"]).await.expect_code(1);
    let problem = output.problem();
    assert_eq!(problem["code"], "port-taken");
    let said = problem["message"].as_str().unwrap();
    assert!(said.contains(&keyfob.port().to_string()), "{said}");
    assert_eq!(output.stdout, "");
    let plain = keyfob.run(&["serve", "--store", "memory"]).await.expect_code(1);
    plain.one_sentence();
    assert_eq!(keyfob_tests::world::files_below(&keyfob.home().join("config")), before);
    drop(foreign);
    keyfob.serve().await;
}

#[tokio::test]
async fn a_second_broker_is_refused() {
    let mut keyfob = Keyfob::new(Store::Memory);
    keyfob.serve().await;
    let output = keyfob.run(&["serve", "--json", "--store", "memory"]).await.expect_code(1);
    output.problem();
    keyfob.run(&["list", "--json"]).await.ok();
}

#[tokio::test]
async fn a_setting_that_makes_no_sense() {
    let keyfob = Keyfob::new(Store::Memory);
    let file = keyfob.home().join("config/config.toml");
    for text in ["port = \"many\"\n", "port = 70000\n", "this is no TOML"] {
        std::fs::write(&file, text).unwrap();
        let output = keyfob.run(&["serve", "--store", "memory"]).await.expect_code(1);
        let said = output.one_sentence();
        assert!(said.contains("config.toml"), "{said}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "rewritten");
    }
}

#[tokio::test]
async fn consent_denied() {
    let scene =
        Scene::with(|s| s.authority.consent = keyfob_tests::authserver::Consent::Page).await;
    scene.add("s", &[]).await.ok();
    let before = scene.stored().await;
    let output = scene.connect("s", Visit::Deny).await.expect_code(5);
    output.one_sentence();
    assert_eq!(scene.stored().await, before);
    assert_eq!(scene.authority.journal().token_requests().len(), 0);
    assert_eq!(scene.authority.journal().registrations().len(), 0, "a denial is no refusal of us");
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "after all").await;
}

#[tokio::test]
async fn denied_while_an_old_grant_still_works() {
    let scene =
        Scene::with(|s| s.authority.consent = keyfob_tests::authserver::Consent::Page).await;
    let scene = scene.signed_in().await;
    let before = scene.status("s").await["registration"].clone();
    scene.connect("s", Visit::Deny).await.expect_code(5);
    scene.echo("s", "the old grant is kept").await;
    assert_eq!(scene.status("s").await["registration"], before);
}

#[tokio::test]
async fn a_browser_that_never_comes_back() {
    let scene = Scene::start().await;
    scene.add("s", &[]).await.ok();
    let before = scene.stored().await;
    let browser = scene.keyfob.browser(Visit::Ignore).display().to_string();
    let started = Instant::now();
    let arguments = ["connect", "--browser", &browser, "--deadline", "2", "s"];
    let output = scene.keyfob.run(&arguments).await;
    assert!(matches!(output.code, Some(5 | 6)), "{output}");
    assert!(started.elapsed() < Duration::from_secs(10));
    output.one_sentence();
    assert_eq!(scene.stored().await, before);
    assert_eq!(scene.authority.journal().registrations().len(), 0);
    scene.connect("s", Visit::Allow).await.ok();
}

#[tokio::test]
async fn a_browser_that_is_none() {
    let scene = Scene::start().await;
    scene.add("s", &[]).await.ok();
    let before = scene.stored().await;
    let arguments = ["connect", "--browser", "/no/such/browser", "--deadline", "5", "s"];
    let output = scene.keyfob.run(&arguments).await;
    assert!(matches!(output.code, Some(1 | 2 | 5)), "{output}");
    output.one_sentence();
    assert_eq!(scene.stored().await, before);
}

#[tokio::test]
async fn a_tool_that_fails_and_arguments_that_are_none() {
    let scene = Scene::start().await.signed_in().await;
    let output = scene.keyfob.run(&["call", "--json", "s", "fail"]).await.expect_code(1);
    assert_eq!(output.json()["isError"], true);
    scene.keyfob.run(&["call", "s", "echo", "not JSON"]).await.expect_code(2).one_sentence();
    scene.keyfob.run(&["call", "s", "no_such_tool"]).await.expect_code(1).one_sentence();
}

#[tokio::test]
async fn a_connect_in_memory_needs_a_broker() {
    let scene = Scene::with(|s| s.serve = false).await;
    scene.add("s", &[]).await.ok();
    let list = scene.keyfob.run(&["list", "--json"]).await.ok().json();
    assert_eq!(list[0]["state"], "signed-out");
    let output = scene.keyfob.run_with(&["list"], Stdin::Empty, PATIENCE).await.ok();
    assert!(output.stdout.contains('s'));
}
