//! What becomes of a registration: refused, odd, purged, or not to be had at all.

use std::time::Duration;

use keyfob_tests::authserver::{Cimd, Dcr, LoopbackNames, LoopbackPorts, Par, StaticClient};
use keyfob_tests::browser::{Choice, visit};
use keyfob_tests::world::{PATIENCE, Stdin, client_binary};
use keyfob_tests::{Kind, Scene, Setup, Visit};
use serde_json::{Value, json};

async fn registration(scene: &Scene) -> Value {
    scene.status("s").await["registration"].clone()
}

/// No client document: the third rung and what lies below it.
fn by_registration(setup: &mut Setup, dcr: Dcr) {
    setup.authority.cimd = Cimd::Off;
    setup.authority.dcr = dcr;
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

/// R3c, R3d, R3e: an answer that is no use ends the sign-in with the reason; nobody is sent to a
/// browser with it, and the next try registers as if nothing had been.
#[tokio::test]
async fn a_registration_that_is_no_use_is_told_and_not_kept() {
    for (dcr, reason) in [
        (Dcr::TooMany, "try again in 30 s"),
        (Dcr::Page, "it is not JSON"),
        (Dcr::OtherRedirect, "it registered another redirect URI"),
    ] {
        let scene = Scene::with(|s| by_registration(s, dcr)).await;
        scene.add("s", &[]).await.ok();
        let output = scene.connect("s", Visit::Allow).await.expect_code(5);
        let said = output.one_sentence();
        assert!(said.contains(reason) && said.contains(scene.authority.issuer()), "{said}");
        let callback = format!("http://127.0.0.1:{}/callback", scene.keyfob.port());
        assert!(said.contains(&callback), "the way out: {said}");
        let journal = scene.authority.journal();
        assert_eq!(journal.registrations().len(), 1, "{dcr:?} in a loop");
        assert_eq!(journal.authorizations().len(), 0);
        assert!(scene.keyfob.links().is_empty());

        scene.authority.set(|s| s.dcr = Dcr::On);
        journal.clear();
        scene.connect("s", Visit::Allow).await.ok();
        scene.echo("s", "registered").await;
        assert_eq!(journal.registrations().len(), 1, "nothing of {dcr:?} was kept");
    }
}

/// R4: a scope that is not known when registering is no reason to do without a registration; it is
/// asked for all the same.
#[tokio::test]
async fn a_registration_that_fails_over_its_scope_is_made_without() {
    let scene = Scene::with(|s| {
        by_registration(s, Dcr::RefusesScopes);
        s.mcp.prm_scopes = vec!["notes:read".to_owned()];
    })
    .await
    .signed_in()
    .await;
    scene.echo("s", "registered without").await;
    let made = scene.authority.journal().registrations();
    let scopes: Vec<_> = made.iter().map(|m| m.param("scope").map(str::to_owned)).collect();
    assert_eq!(scopes, [Some("notes:read".to_owned()), None]);
    let asked = scene.authority.journal().authorizations().pop().expect("a request");
    assert_eq!(asked.param("scope"), Some("notes:read"));
}

/// R3g: a secret that is said to have ended is used as given, for nothing else was given; the
/// registration is not used again for another sign-in, and there is one per sign-in.
#[tokio::test]
async fn a_secret_that_has_ended_on_arrival_serves_once() {
    let scene = Scene::with(|s| by_registration(s, Dcr::WithEndedSecret)).await.signed_in().await;
    let journal = scene.authority.journal();
    assert_eq!(journal.registrations().len(), 1);
    let first = registration(&scene).await["client_id"].clone();
    scene.authority.expire_access_tokens();
    scene.echo("s", "renewed with it").await;
    assert_eq!(journal.refreshes().len(), 1);
    assert!(journal.token_requests().iter().all(keyfob_tests::Entry::accepted));

    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(journal.registrations().len(), 2);
    assert_ne!(registration(&scene).await["client_id"], first);
}

/// R5c: purged, and found out at a refresh: the sign-in is over, nobody registers or opens a
/// browser by themselves, and the next sign-in registers exactly once.
#[tokio::test]
async fn a_registration_that_is_gone_at_refresh_is_made_anew_at_the_next_sign_in() {
    for dcr in [Dcr::On, Dcr::WithSecret] {
        let scene = Scene::with(|s| by_registration(s, dcr)).await.signed_in().await;
        let journal = scene.authority.journal();
        let had = registration(&scene).await["client_id"].clone();
        let links = scene.keyfob.links().len();
        scene.authority.forget_registrations();
        scene.authority.expire_access_tokens();
        let refused = scene.call("s", "echo", &json!({"text": "gone"})).await.expect_code(5);
        assert_eq!(refused.problem()["code"], "grant-expired", "{refused}");
        assert_eq!(scene.status("s").await["state"], "signed-out");
        scene.call("s", "echo", &json!({"text": "still gone"})).await.expect_code(5);
        assert_eq!(journal.refreshes().len(), 1, "it is not asked again and again");
        assert_eq!(journal.registrations().len(), 1, "registered unasked");
        assert_eq!(scene.keyfob.links().len(), links, "a browser unasked");

        journal.clear();
        scene.connect("s", Visit::Allow).await.ok();
        scene.echo("s", "registered anew").await;
        assert_eq!(journal.registrations().len(), 1, "{dcr:?}");
        assert!(!journal.mentions(had.as_str().unwrap()), "{}", journal.to_json());
        scene.connect("s", Visit::Allow).await.ok();
        assert_eq!(journal.registrations().len(), 1, "the new one serves again");
    }
}

/// R5b: the same, found out when the code is redeemed: the person is asked once more.
#[tokio::test]
async fn a_registration_that_is_gone_when_the_code_is_redeemed_is_made_anew_once() {
    let scene = Scene::with(|s| by_registration(s, Dcr::On)).await.signed_in().await;
    let had = registration(&scene).await["client_id"].as_str().map(str::to_owned);
    scene.keyfob.run(&["signout", "s"]).await.ok();
    let journal = scene.authority.journal();
    journal.clear();
    scene.authority.set(|s| s.gone_at_token.clone_from(&had));
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "registered anew").await;
    assert_eq!(journal.registrations().len(), 1);
    assert_eq!((journal.authorizations().len(), journal.exchanges().len()), (2, 2));

    // What is gone as soon as it is made is not made again and again.
    scene.authority.set(|s| s.gone_at_token = Some("dcr-".to_owned()));
    journal.clear();
    scene.connect("s", Visit::Allow).await.expect_code(5).one_sentence();
    assert_eq!(journal.registrations().len(), 1);
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

/// 6.2-15: a redirect URI that the document does not list to the letter, at a service that has no
/// page to say so: its push endpoint knows only `invalid_request` for it (RFC 9126 section 2.3).
#[tokio::test]
async fn a_push_that_refuses_our_redirect_uri_leads_to_registration() {
    for names in [LoopbackNames::Both, LoopbackNames::AddressOnly, LoopbackNames::NameOnly] {
        let scene = Scene::with(|s| {
            s.authority.par = Par::Required;
            s.authority.loopback_ports = LoopbackPorts::Exact;
            s.authority.loopback_names = names;
        })
        .await
        .signed_in()
        .await;
        scene.echo("s", "registered with its port").await;
        let card = registration(&scene).await;
        assert_eq!((&card["kind"], &card["reason"]["code"]), (&json!("dcr"), &json!("refused")));
        let journal = scene.authority.journal();
        assert_eq!(scene.keyfob.links().len(), 1, "one visit: {names:?}");
        assert!(journal.of(Kind::Par).len() <= 4, "{}", journal.to_json());

        journal.clear();
        scene.connect("s", Visit::Allow).await.ok();
        assert_eq!(journal.registrations().len(), 0, "the registration serves again");
    }
}

/// D-20: the user's own client is nobody's registration: another server at the same service does
/// not inherit it, no copy of an old secret comes back, and it can be given up.
#[tokio::test]
async fn an_own_client_leaves_no_copy_behind() {
    let scene = Scene::with(|s| by_registration(s, Dcr::On)).await;
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
