//! Where nothing offers itself: an own client, another way, and what the person has to allow.

use std::time::Duration;

use keyfob_tests::authserver::{Cimd, Dcr, LoopbackPorts, Par, StaticClient};
use keyfob_tests::browser::{Choice, visit};
use keyfob_tests::world::{PATIENCE, Stdin, client_binary};
use keyfob_tests::{Scene, Visit};
use serde_json::{Value, json};

async fn registration(scene: &Scene) -> Value {
    scene.status("s").await["registration"].clone()
}

fn own_client(id: &str, secret: Option<&str>, redirect_uri: &str) -> StaticClient {
    StaticClient {
        id: id.to_owned(),
        secret: secret.map(str::to_owned),
        redirect_uris: vec![redirect_uri.to_owned()],
    }
}

/// 6.2-16, R6: where there is no way to be known, the person is told what to register, and with
/// exactly that it works.
#[tokio::test]
async fn what_is_said_is_to_be_registered_is_what_works() {
    for (cimd, dcr) in
        [(Cimd::Off, Dcr::Off), (Cimd::Off, Dcr::Forbidden), (Cimd::RefusedByPage, Dcr::Off)]
    {
        let scene = Scene::with(|s| {
            s.authority.cimd = cimd.clone();
            s.authority.dcr = dcr;
        })
        .await;
        scene.add("s", &[]).await.ok();
        let output = scene.connect("s", Visit::Allow).await.expect_code(5);
        let said = output.one_sentence().to_owned();
        assert!(said.contains(scene.authority.issuer()), "at whom: {said}");
        let refused = cimd == Cimd::RefusedByPage;
        assert_eq!(said.contains("refused Keyfob's own document"), refused, "{said}");
        let redirect_uri = said.split_whitespace().find(|word| word.contains("/callback"));
        let redirect_uri = redirect_uri.expect("a redirect address").trim_end_matches('.');
        assert!(scene.keyfob.links().is_empty(), "nobody is sent to a browser for this");

        let own = own_client("by hand", None, redirect_uri);
        scene.authority.set(|s| s.static_clients.push(own));
        scene.keyfob.run(&["remove", "s"]).await.ok();
        scene.add("s", &["--client-id", "by hand"]).await.ok();
        scene.connect("s", Visit::Allow).await.ok();
        scene.echo("s", "by hand").await;
        assert_eq!(registration(&scene).await["kind"], "pre-registered");
    }
}

/// 6.2-16: who leaves the last way there is, at a page or where requests are pushed, is told what
/// to register; that somebody left is not held against the document.
#[tokio::test]
async fn below_the_last_way_there_is_only_a_client_of_ones_own() {
    let scene = Scene::with(|s| s.authority.dcr = Dcr::Off).await;
    scene.add("s", &[]).await.ok();
    let ignoring = scene.keyfob.browser(Visit::Ignore).display().to_string();
    let arguments = ["connect", "--browser", &ignoring, "s"];
    let running = scene.keyfob.start(&arguments, Stdin::Empty);
    assert!(running.prints("Waiting for your browser", PATIENCE).await, "{}", running.printed());
    scene.keyfob.run(&["another-way", "s"]).await.ok();
    let callback = format!("http://127.0.0.1:{}/callback", scene.keyfob.port());
    let output = running.finish(PATIENCE).await.expect_code(5);
    assert!(output.one_sentence().contains(&callback), "{output}");
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(registration(&scene).await["kind"], "cimd");

    let scene = Scene::with(|s| {
        s.authority.par = Par::Required;
        s.authority.cimd = Cimd::RefusedByPage;
        s.authority.dcr = Dcr::Off;
    })
    .await;
    scene.add("s", &[]).await.ok();
    let output = scene.connect("s", Visit::Allow).await.expect_code(5);
    let said = output.one_sentence();
    let callback = format!("http://127.0.0.1:{}/callback", scene.keyfob.port());
    assert!(said.contains(&callback) && said.contains("invalid_client"), "{said}");
    assert!(scene.keyfob.links().is_empty());
}

/// 6.2-14, D-02: where the preflight does not see it, the person who looks at an error page has a
/// way out that leads to DCR at once, and it is told.
#[tokio::test]
async fn another_way_leads_on_from_a_page_that_refuses_our_document() {
    let mut scene = Scene::with(|s| {
        s.serve = false;
        s.authority.cimd = Cimd::RefusedByPage;
    })
    .await;
    let file = scene.keyfob.home().join("config/config.toml");
    let settings = std::fs::read_to_string(&file).expect("a file");
    let line = format!("no_preflight = [\"{}\"]\n", scene.authority.issuer());
    std::fs::write(&file, format!("{settings}{line}")).expect("a file");
    scene.keyfob.serve().await;
    scene.add("s", &[]).await.ok();
    let ignoring = scene.keyfob.browser(Visit::Ignore).display().to_string();
    let arguments = ["connect", "--browser", &ignoring, "--deadline", "60", "s"];
    let running = scene.keyfob.start(&arguments, Stdin::Empty);
    assert!(running.prints("Waiting for your browser", PATIENCE).await, "{}", running.printed());
    let hint = "If the page shows an error, try another way";
    assert!(running.prints(hint, PATIENCE).await, "{}", running.printed());
    let link = scene.keyfob.links().pop().expect("a link");
    let seen = visit(&link, Choice::Allow).await.expect("a page");
    assert!(matches!(seen, keyfob_tests::browser::Ending::DeadEnd(400, _)), "{seen:?}");

    scene.keyfob.run(&["another-way", "s"]).await.ok();
    for _ in 0..100 {
        if scene.keyfob.links().len() > 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let link = scene.keyfob.links().pop().expect("another link");
    visit(&link, Choice::Allow).await.expect("a page");
    running.finish(PATIENCE).await.ok();
    scene.echo("s", "by another way").await;
    assert_eq!(scene.authority.journal().registrations().len(), 1);
    let card = registration(&scene).await;
    assert_eq!((&card["kind"], &card["reason"]["code"]), (&json!("dcr"), &json!("refused")));

    // It worked, so it is remembered, and the document is not shown again.
    scene.authority.journal().clear();
    scene.connect("s", Visit::Allow).await.ok();
    assert!(!scene.authority.journal().mentions(&scene.document_url));
}

/// D-20: the user's own client is nobody's registration: another server at the same service does
/// not inherit it, no copy of an old secret comes back, and it can be given up.
#[tokio::test]
async fn an_own_client_leaves_no_copy_behind() {
    let scene = Scene::with(|s| s.authority.cimd = Cimd::Off).await;
    let redirect_uri = format!("http://127.0.0.1:{}/callback", scene.keyfob.port());
    let journal = scene.authority.journal();
    let add = async |secret: &str| {
        let own = own_client("own-id", Some(secret), &redirect_uri);
        scene.authority.set(|s| s.static_clients = vec![own]);
        let url = scene.mcp.url();
        let arguments =
            ["add", "--name", "s", "--client-id", "own-id", "--client-secret-stdin", &url];
        let line = format!("{secret}\n");
        scene.keyfob.run_with(&arguments, Stdin::Text(&line), PATIENCE).await.ok();
        scene.connect("s", Visit::Allow).await.ok();
        scene.authority.expire_access_tokens();
        scene.echo("s", secret).await;
        assert!(journal.token_requests().iter().all(keyfob_tests::Entry::accepted), "{secret}");
        assert_eq!(registration(&scene).await["kind"], "pre-registered");
    };
    add("first-secret").await;

    scene.add("t", &[]).await.ok();
    scene.connect("t", Visit::Allow).await.ok();
    let card = scene.status("t").await["registration"].clone();
    assert_eq!(card["kind"], "dcr");
    assert_ne!(card["client_id"], "own-id");
    assert_eq!(journal.registrations().len(), 1);

    // A strict service takes the new secret alone.
    scene.keyfob.run(&["remove", "s"]).await.ok();
    journal.clear();
    add("second-secret").await;

    scene.keyfob.run(&["reset", "s"]).await.ok();
    journal.clear();
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(registration(&scene).await["kind"], "dcr");
    assert_eq!(journal.registrations().len(), 1);
    let mut asked = journal.authorizations();
    asked.extend(journal.exchanges());
    assert!(asked.iter().all(|a| a.param("client_id") != Some("own-id")));
}

/// 6.2-22: without a port of its own the document serves through its entry without a port, and
/// where a service compares to the letter a registration takes its place.
#[tokio::test]
async fn a_port_for_one_run_goes_with_the_document_only_where_any_port_does() {
    for (ports, kind) in [(LoopbackPorts::Any, "cimd"), (LoopbackPorts::Exact, "dcr")] {
        let scene = Scene::with(|s| {
            s.serve = false;
            s.authority.loopback_ports = ports;
        })
        .await;
        let client = client_binary().display().to_string();
        let output = scene.exec(&[], &[&client, "{url}", "whoami", "{}"]).await.ok();
        assert_eq!(output.stdout, format!("alice, {kind} client\n"));
        let journal = scene.authority.journal();
        assert_eq!(journal.registrations().len(), usize::from(kind == "dcr"));
        let exchange = journal.exchanges().pop().expect("an exchange");
        let redirect_uri = exchange.param("redirect_uri").unwrap_or_default();
        assert!(redirect_uri.starts_with("http://127.0.0.1:"), "{redirect_uri}");
        assert!(!redirect_uri.contains(":0/"), "{redirect_uri}");
    }
}

/// 6.2-8, D-12: no PKCE, no sign-in, however we would be known; unless the user wants it so.
#[tokio::test]
async fn without_s256_no_way_of_being_known_helps() {
    for (cimd, own) in [(Cimd::On, false), (Cimd::Off, false), (Cimd::Off, true)] {
        let mut scene = Scene::with(|s| {
            s.authority.cimd = cimd.clone();
            s.authority.advertises_s256 = false;
        })
        .await;
        let redirect_uri = format!("http://127.0.0.1:{}/callback", scene.keyfob.port());
        let client = own_client("own-id", None, &redirect_uri);
        scene.authority.set(|s| s.static_clients.push(client));
        let more: &[&str] = if own { &["--client-id", "own-id"] } else { &[] };
        scene.add("s", more).await.ok();
        let output = scene.connect("s", Visit::Allow).await.expect_code(4);
        assert!(output.one_sentence().contains("allow_unadvertised_pkce"), "{output}");
        let journal = scene.authority.journal();
        assert_eq!((journal.authorizations().len(), journal.registrations().len()), (0, 0));
        assert!(scene.keyfob.links().is_empty());

        scene.keyfob.stop().await;
        let file = scene.keyfob.home().join("config/config.toml");
        let settings = std::fs::read_to_string(&file).expect("a file");
        let allowed = settings.replacen("\nurl =", "\nallow_unadvertised_pkce = true\nurl =", 1);
        assert_ne!(allowed, settings);
        std::fs::write(&file, allowed).expect("a file");
        scene.keyfob.serve().await;
        scene.connect("s", Visit::Allow).await.ok();
        let asked = journal.authorizations();
        assert!(asked.iter().all(|a| a.param("code_challenge_method") == Some("S256")));
        scene.echo("s", "as set").await;
    }
}
