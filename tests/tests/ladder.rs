//! The registration ladder: pre-registered, client document, dynamic registration.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "test code")]

use std::time::Duration;

use keyfob_tests::authserver::{
    Cimd, CimdFlag, Dcr, LoopbackNames, LoopbackPorts, Par, StaticClient,
};
use keyfob_tests::browser::{Choice, visit};
use keyfob_tests::world::{PATIENCE, Stdin};
use keyfob_tests::{BearerSeen, Scene, Visit};
use serde_json::{Value, json};

/// The one tool call that came with an issued token.
async fn works(scene: &Scene, text: &str) {
    scene.echo("s", text).await;
    let calls = scene.mcp.journal().tool_calls("echo");
    let last = calls.last().expect("a tool call");
    assert_eq!(last.bearer, Some(BearerSeen::Issued));
}

async fn registration(scene: &Scene) -> Value {
    scene.status("s").await["registration"].clone()
}

#[tokio::test]
async fn advertised_means_the_document_url_is_the_client_id() {
    let scene = Scene::start().await.signed_in().await;
    let journal = scene.authority.journal();
    let url = scene.document_url.as_str();
    assert!(!journal.authorizations().is_empty());
    for request in journal.authorizations() {
        assert_eq!(request.param("client_id"), Some(url));
        assert_eq!(request.param("code_challenge_method"), Some("S256"));
        assert_eq!(request.param("code_challenge").map(str::len), Some(43));
        assert_eq!(request.param("resource"), Some(scene.mcp.resource().as_str()));
        assert!(request.param("state").is_some_and(|s| s.len() >= 22), "state is short");
    }
    let exchanges = journal.exchanges();
    assert_eq!(exchanges.len(), 1, "the code of a preflight is never redeemed");
    assert_eq!(exchanges[0].param("client_id"), Some(url));
    assert_eq!(exchanges[0].header("authorization"), None);
    assert_eq!(exchanges[0].param("client_secret"), None);
    assert_eq!(journal.registrations().len(), 0);
    assert!(journal.document_fetches().iter().any(|f| f.accepted()));
    works(&scene, "by document").await;

    let registration = registration(&scene).await;
    assert_eq!(registration["kind"], "cimd");
    assert_eq!(registration["client_id"], url);
    assert_eq!(registration["issuer"], scene.authority.issuer());
    assert_eq!(registration["reason"]["code"], "offered-and-accepted");
    let redirect = format!("http://127.0.0.1:{}/callback", scene.keyfob.port());
    assert_eq!(registration["redirect_uri"], redirect);
}

#[tokio::test]
async fn a_preflight_and_the_sign_in_share_neither_state_nor_challenge() {
    let scene = Scene::start().await.signed_in().await;
    let requests = scene.authority.journal().authorizations();
    let mut states: Vec<_> = requests.iter().filter_map(|r| r.param("state")).collect();
    let mut challenges: Vec<_> =
        requests.iter().filter_map(|r| r.param("code_challenge")).collect();
    states.sort_unstable();
    challenges.sort_unstable();
    let (all_states, all_challenges) = (states.len(), challenges.len());
    states.dedup();
    challenges.dedup();
    assert_eq!((states.len(), challenges.len()), (all_states, all_challenges));
    // Once the document has been accepted here there is nothing left to find out.
    scene.authority.journal().clear();
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(scene.authority.journal().authorizations().len(), 1);
}

#[tokio::test]
async fn not_advertised_means_one_registration_and_no_word_of_the_document() {
    let scene = Scene::with(|s| s.authority.cimd = Cimd::Off).await.signed_in().await;
    let journal = scene.authority.journal();
    assert_eq!(journal.registrations().len(), 1);
    let asked = journal.registrations()[0].json.clone().expect("JSON");
    assert_eq!(asked["application_type"], "native");
    assert_eq!(asked["token_endpoint_auth_method"], "none");
    assert!(!journal.mentions(&scene.document_url), "{}", journal.to_json());
    assert!(!scene.mcp.journal().mentions(&scene.document_url));
    assert_eq!(scene.documents.journal().entries().len(), 0);
    works(&scene, "by registration").await;
    let registration = registration(&scene).await;
    assert_eq!(registration["kind"], "dcr");
    assert_eq!(registration["reason"]["code"], "not-offered");
    let id = registration["client_id"].as_str().unwrap();
    for request in journal.authorizations().iter().chain(&journal.token_requests()) {
        assert_eq!(request.param("client_id"), Some(id));
    }
}

/// Advertised, refused in this way: steps down, works, and does not offend again.
async fn steps_down(cimd: Cimd) {
    let scene = Scene::with(|s| s.authority.cimd = cimd).await.signed_in().await;
    let journal = scene.authority.journal();
    assert_eq!(journal.registrations().len(), 1);
    works(&scene, "after the refusal").await;
    let card = registration(&scene).await;
    assert_eq!(card["kind"], "dcr");
    assert_eq!(card["reason"]["code"], "refused");
    let said = card["reason"]["text"].as_str().unwrap();
    assert!(said.contains("refused"), "{said}");
    let id = card["client_id"].as_str().unwrap().to_owned();
    let last = journal.exchanges().pop().expect("an exchange");
    assert_eq!(last.param("client_id"), Some(id.as_str()));

    scene.keyfob.run(&["signout", "s"]).await.ok();
    journal.clear();
    scene.connect("s", Visit::Allow).await.ok();
    assert!(!journal.mentions(&scene.document_url), "tried again: {}", journal.to_json());
    assert_eq!(journal.registrations().len(), 0, "the live registration serves again");
    assert!(journal.authorizations().iter().all(|a| a.param("client_id") == Some(&id)));
    works(&scene, "again").await;
    assert_eq!(registration(&scene).await["reason"]["code"], "refused");
}

#[tokio::test]
async fn refused_by_a_page_means_registration() {
    steps_down(Cimd::RefusedByPage).await;
}

#[tokio::test]
async fn refused_in_the_callback_means_registration() {
    steps_down(Cimd::RefusedInCallback("invalid_client".to_owned())).await;
}

#[tokio::test]
async fn unauthorized_in_the_callback_means_registration() {
    steps_down(Cimd::RefusedInCallback("unauthorized_client".to_owned())).await;
}

#[tokio::test]
async fn refused_at_the_token_endpoint_means_registration() {
    steps_down(Cimd::RefusedAtToken).await;
}

/// A sign-in that waits for somebody who sees an error page, and what `keyfob another-way` makes
/// of it.
async fn left_for_another_way(scene: &Scene) {
    let ignoring = scene.keyfob.browser(Visit::Ignore).display().to_string();
    let before = scene.keyfob.links().len();
    let arguments = ["connect", "--browser", &ignoring, "--deadline", "25", "s"];
    let running = scene.keyfob.start(&arguments, Stdin::Empty);
    assert!(running.prints("Waiting for your browser", PATIENCE).await, "{}", running.printed());
    scene.keyfob.run(&["another-way", "s"]).await.ok();
    for _ in 0..100 {
        if scene.keyfob.links().len() > before + 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let link = scene.keyfob.links().pop().expect("a link");
    visit(&link, Choice::Allow).await.expect("a page");
    running.finish(PATIENCE).await.ok();
}

/// R5c, 6.2-14: a purged registration shows at the sign-in page as an error, which nobody tells us.
#[tokio::test]
async fn another_way_below_a_purged_registration_registers_anew() {
    let scene = Scene::with(|s| s.authority.cimd = Cimd::Off).await.signed_in().await;
    let had = registration(&scene).await["client_id"].clone();
    scene.keyfob.run(&["signout", "s"]).await.ok();
    scene.authority.forget_registrations();
    left_for_another_way(&scene).await;
    works(&scene, "registered anew").await;
    assert_ne!(registration(&scene).await["client_id"], had);
    assert_eq!(scene.authority.journal().registrations().len(), 2);
}

/// D-02, 6.2-20: accepted once, refused by a page later. The person leaves it once; after that it
/// is found out beforehand.
#[tokio::test]
async fn a_document_that_is_refused_later_is_tried_out_again() {
    let scene = Scene::start().await.signed_in().await;
    scene.authority.set(|s| s.cimd = Cimd::RefusedByPage);
    let ignoring = scene.keyfob.browser(Visit::Ignore).display().to_string();
    let arguments = ["connect", "--browser", &ignoring, "--deadline", "1", "s"];
    scene.keyfob.run(&arguments).await.expect_code(6);
    scene.connect("s", Visit::Allow).await.ok();
    let card = registration(&scene).await;
    assert_eq!((&card["kind"], &card["reason"]["code"]), (&json!("dcr"), &json!("refused")));
    works(&scene, "stepped down").await;

    // What was refused can be reset.
    scene.authority.set(|s| s.cimd = Cimd::On);
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(registration(&scene).await["kind"], "dcr", "it is remembered");
    scene.keyfob.run(&["reset", "s"]).await.ok();
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(registration(&scene).await["kind"], "cimd");
}

/// 6.2-20: the ladder is climbed anew at each sign-in.
#[tokio::test]
async fn a_server_that_starts_or_stops_to_offer_documents_is_believed() {
    let scene = Scene::with(|s| s.authority.cimd = Cimd::Off).await.signed_in().await;
    scene.authority.set(|s| s.cimd = Cimd::On);
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(registration(&scene).await["kind"], "cimd");
    scene.authority.set(|s| s.cimd = Cimd::Off);
    scene.connect("s", Visit::Allow).await.ok();
    let card = registration(&scene).await;
    assert_eq!((&card["kind"], &card["reason"]["code"]), (&json!("dcr"), &json!("not-offered")));
}

#[tokio::test]
async fn every_other_error_surfaces_without_a_registration() {
    for error in ["access_denied", "invalid_request", "invalid_scope", "server_error"] {
        let scene = Scene::with(|s| s.authority.front_error = Some(error.to_owned())).await;
        scene.add("s", &[]).await.ok();
        let output = scene.connect("s", Visit::Allow).await.expect_code(5);
        output.one_sentence();
        assert_eq!(scene.authority.journal().registrations().len(), 0, "{error}");
    }
}

#[tokio::test]
async fn refused_with_nothing_below_asks_for_an_own_client_and_remembers_nothing() {
    let scene = Scene::with(|s| {
        s.authority.cimd = Cimd::RefusedByPage;
        s.authority.dcr = Dcr::Off;
    })
    .await;
    scene.add("s", &[]).await.ok();
    let refused = scene.connect("s", Visit::Allow).await.expect_code(5);
    let said = refused.stderr.as_str();
    let redirect = format!("http://127.0.0.1:{}/callback", scene.keyfob.port());
    assert!(said.contains(&redirect), "what to register: {said}");
    assert!(registration(&scene).await.is_null());
    scene.authority.set(|s| s.cimd = Cimd::On);
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(registration(&scene).await["kind"], "cimd");
}

#[tokio::test]
async fn a_closed_registration_is_told_with_the_way_out() {
    for dcr in [Dcr::Forbidden, Dcr::TooMany] {
        let scene = Scene::with(|s| {
            s.authority.cimd = Cimd::Off;
            s.authority.dcr = dcr;
        })
        .await;
        scene.add("s", &[]).await.ok();
        let output = scene.connect("s", Visit::Allow).await.expect_code(5);
        output.one_sentence();
        let waits = output.stderr.contains("try again in 30 s");
        assert_eq!(waits, dcr == Dcr::TooMany, "R3c: {output}");
        assert!(scene.authority.journal().registrations().len() <= 2, "{dcr:?} in a loop");
    }
}

#[tokio::test]
async fn the_flag_counts_only_as_the_boolean_true() {
    for value in [json!("true"), json!(1), Value::Null, json!(false)] {
        let scene = Scene::with(|s| s.authority.cimd_flag = CimdFlag::Value(value.clone())).await;
        let scene = scene.signed_in().await;
        let card = registration(&scene).await;
        assert_eq!(card["kind"], "dcr", "{value}");
        assert_eq!(card["reason"]["code"], "not-offered", "{value}");
    }
}

#[tokio::test]
async fn without_a_document_of_our_own_there_is_registration() {
    let scene = Scene::with(|s| s.document = false).await.signed_in().await;
    let card = registration(&scene).await;
    assert_eq!(card["kind"], "dcr");
    assert_eq!(card["reason"]["code"], "no-document");
}

#[tokio::test]
async fn an_authority_without_public_clients_gets_a_secret_holder() {
    let scene = Scene::with(|s| {
        s.authority.auth_methods = Some(vec!["client_secret_basic".to_owned()]);
    })
    .await
    .signed_in()
    .await;
    let card = registration(&scene).await;
    assert_eq!(card["kind"], "dcr");
    assert_eq!(card["reason"]["code"], "no-public-clients");
    works(&scene, "with a secret").await;
}

#[tokio::test]
async fn what_the_registration_answers_is_what_is_used() {
    for dcr in [Dcr::Answers200, Dcr::WithSecret] {
        let scene = Scene::with(|s| {
            s.authority.cimd = Cimd::Off;
            s.authority.dcr = dcr;
        })
        .await
        .signed_in()
        .await;
        works(&scene, "as registered").await;
        let exchange = scene.authority.journal().exchanges().pop().expect("an exchange");
        assert_eq!(exchange.header("authorization").is_some(), dcr == Dcr::WithSecret, "{dcr:?}");
    }
}

#[tokio::test]
async fn an_own_client_comes_first() {
    let scene = Scene::start().await;
    let redirect = format!("http://127.0.0.1:{}/callback", scene.keyfob.port());
    for (name, secret) in [("s", None), ("t", Some("s:e c/r+e%t"))] {
        scene.authority.set(|s| {
            s.static_clients.push(StaticClient {
                id: format!("own {name}"),
                secret: secret.map(str::to_owned),
                redirect_uris: vec![redirect.clone()],
            });
        });
        let id = format!("own {name}");
        let url = scene.mcp.url();
        let mut arguments = vec!["add", "--name", name, "--client-id", &id];
        if secret.is_some() {
            arguments.push("--client-secret-stdin");
        }
        arguments.push(&url);
        let line = secret.map(|s| format!("{s}\n"));
        let stdin = line.as_deref().map_or(Stdin::Empty, Stdin::Text);
        scene.keyfob.run_with(&arguments, stdin, PATIENCE).await.ok();
        scene.connect(name, Visit::Allow).await.ok();
        scene.echo(name, "own").await;
        let card = scene.status(name).await["registration"].clone();
        assert_eq!(card["kind"], "pre-registered");
        assert_eq!(card["client_id"], id);
        assert_eq!(card["reason"]["code"], "own-client");
    }
    assert_eq!(scene.authority.journal().registrations().len(), 0);
    assert!(!scene.authority.journal().mentions(&scene.document_url));
}

#[tokio::test]
async fn the_own_ports_stand_in_the_document_to_the_letter() {
    let scene = Scene::with(|s| {
        s.authority.loopback_ports = LoopbackPorts::Exact;
        s.told_port = false;
    })
    .await;
    assert!([15393, 25393, 31393].contains(&scene.keyfob.port()), "{}", scene.keyfob.port());
    let scene = scene.signed_in().await;
    assert_eq!(registration(&scene).await["kind"], "cimd");
    works(&scene, "at an exact server").await;
}

/// R2c: a server that takes only `localhost` is retried with it, and it is remembered.
#[tokio::test]
async fn a_server_that_takes_only_the_name_gets_the_name() {
    for (cimd, par) in [(Cimd::Off, Par::Off), (Cimd::On, Par::Off), (Cimd::Off, Par::Required)] {
        let scene = Scene::with(|s| {
            s.authority.loopback_names = LoopbackNames::NameOnly;
            s.authority.cimd = cimd.clone();
            s.authority.par = par;
        })
        .await
        .signed_in()
        .await;
        works(&scene, "by name").await;
        let card = registration(&scene).await;
        let by_name = format!("http://localhost:{}/callback", scene.keyfob.port());
        assert_eq!(card["redirect_uri"], by_name, "{cimd:?} {par:?}");
        let journal = scene.authority.journal();
        journal.clear();
        scene.keyfob.run(&["signout", "s"]).await.ok();
        scene.connect("s", Visit::Allow).await.ok();
        let address = format!("http://127.0.0.1:{}/callback", scene.keyfob.port());
        assert!(!journal.mentions(&address), "asked again: {}", journal.to_json());
        assert_eq!(journal.registrations().len(), 0);
    }
}

#[tokio::test]
async fn a_server_that_takes_only_the_address_gets_the_address() {
    let scene = Scene::with(|s| s.authority.loopback_names = LoopbackNames::AddressOnly).await;
    let scene = scene.signed_in().await;
    assert!(!scene.authority.journal().mentions("http://localhost"), "never without cause");
    assert_eq!(registration(&scene).await["kind"], "cimd");
}

/// 6.2-15: a redirect URI that the document does not list to the letter.
#[tokio::test]
async fn a_port_of_ones_own_at_an_exact_server_leads_to_registration() {
    let scene = Scene::with(|s| s.authority.loopback_ports = LoopbackPorts::Exact).await;
    let scene = scene.signed_in().await;
    let card = registration(&scene).await;
    assert_eq!((&card["kind"], &card["reason"]["code"]), (&json!("dcr"), &json!("refused")));
    works(&scene, "registered with its port").await;
    // 6.2-22: and it is said beforehand.
    let doctor = scene.keyfob.run(&["doctor"]).await;
    assert!(doctor.stdout.contains("will refuse CIMD"), "{doctor}");
}

/// Design 5: the preflight can be switched off for a service that takes it amiss.
#[tokio::test]
async fn without_a_preflight_the_browser_comes_first() {
    let mut scene = Scene::with(|s| s.serve = false).await;
    let file = scene.keyfob.home().join("config/config.toml");
    let settings = std::fs::read_to_string(&file).expect("a file");
    let line = format!("no_preflight = [\"{}\"]\n", scene.authority.issuer());
    std::fs::write(&file, format!("{settings}{line}")).expect("a file");
    scene.keyfob.serve().await;
    let scene = scene.signed_in().await;
    let asked = scene.authority.journal().authorizations();
    assert_eq!(asked.len(), 1, "the browser's own");
    assert_eq!(registration(&scene).await["kind"], "cimd");
    let doctor = scene.keyfob.run(&["doctor"]).await;
    assert!(!doctor.stdout.contains("no_preflight"), "it is a known setting: {doctor}");
}
