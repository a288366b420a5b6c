//! A server that names several authorization servers, or another one than before.

use std::time::Duration;

use keyfob_tests::authserver::{AuthorizationServer, Cimd, Start, StaticClient, Switches};
use keyfob_tests::random::free_port;
use keyfob_tests::world::{PATIENCE, Stdin};
use keyfob_tests::{Kind, Oddity, Scene, Visit};
use serde_json::json;

/// Another authorization server, whose tokens the server takes as well.
async fn another(scene: &Scene, switches: Switches) -> AuthorizationServer {
    let trusted_ca = Some(scene.documents.ca_pem().to_owned());
    let start = Start { trusted_ca, switches, ..Start::default() };
    let other = AuthorizationServer::start_with(start).await;
    scene.mcp.trust(&other);
    other
}

/// From now on the server's metadata names these.
fn name(scene: &Scene, authorities: &[&AuthorizationServer]) {
    let issuers = authorities.iter().map(|a| a.issuer().to_owned()).collect();
    scene.mcp.set(|s| s.authorization_servers = Some(issuers));
}

fn own_client(scene: &Scene) -> StaticClient {
    StaticClient {
        id: "own-id".to_owned(),
        secret: Some("own-secret-7c1".to_owned()),
        redirect_uris: vec![format!("http://127.0.0.1:{}/callback", scene.keyfob.port())],
    }
}

/// a moved or hostile server must not be able to collect the secret.
#[tokio::test]
async fn an_own_client_is_never_shown_to_another_service() {
    let scene = Scene::start().await;
    let own = own_client(&scene);
    scene.authority.set(|s| s.static_clients.push(own.clone()));
    let url = scene.mcp.url();
    let arguments = ["add", "--name", "s", "--client-id", "own-id", "--client-secret-stdin", &url];
    scene.keyfob.run_with(&arguments, Stdin::Text("own-secret-7c1\n"), PATIENCE).await.ok();
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "at the first").await;

    // It would even take it.
    let switches = Switches { static_clients: vec![own], ..Switches::default() };
    let other = another(&scene, switches).await;
    name(&scene, &[&other]);
    scene.keyfob.run(&["signout", "s"]).await.ok();
    let refused = scene.connect("s", Visit::Allow).await.expect_code(4);
    let said = refused.one_sentence().to_owned();
    assert!(said.contains(other.issuer()) && said.contains(scene.authority.issuer()), "{said}");
    let journal = other.journal();
    assert!(!journal.mentions("own-id") && !journal.mentions("own-secret-7c1"));
    assert_eq!((journal.authorizations().len(), journal.registrations().len()), (0, 0));
    assert_eq!(journal.token_requests().len(), 0, "nor in a header");

    // The first one is still good.
    name(&scene, &[&scene.authority]);
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "at the first again").await;
}

/// 6.2-38, R7a: what was registered at one is of no use at another.
#[tokio::test]
async fn a_changed_service_means_a_new_registration_there() {
    let scene = Scene::with(|s| s.authority.cimd = Cimd::Off).await.signed_in().await;
    let had = scene.status("s").await["registration"]["client_id"].clone();
    let had = had.as_str().expect("a client id").to_owned();
    let switches = Switches { cimd: Cimd::Off, ..Switches::default() };
    let other = another(&scene, switches).await;
    name(&scene, &[&other]);
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "at the second").await;
    let card = scene.status("s").await["registration"].clone();
    assert_eq!(card["issuer"], other.issuer());
    assert_eq!(other.journal().registrations().len(), 1);
    assert!(!other.journal().mentions(&had), "{}", other.journal().to_json());
    let issued = scene.authority.issued();
    for secret in issued.access.iter().chain(&issued.refresh) {
        assert!(!other.journal().mentions(secret), "a token of the first service");
    }
    // D-06b: what it replaced is ended where it came from.
    for _ in 0..100 {
        if scene.authority.journal().of(Kind::Revocation).len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let revoked = scene.authority.journal().of(Kind::Revocation);
    let tokens: Vec<_> = revoked.iter().filter_map(|r| r.param("token")).collect();
    assert_eq!(tokens, [issued.refresh[0].as_str(), issued.access[0].as_str()]);
    assert!(other.journal().of(Kind::Revocation).is_empty());
}

/// 6.2-38, spec-13: the first that validates, in the server's order; one that does not learns
/// nothing of us but that its metadata was asked for.
#[tokio::test]
async fn the_second_service_serves_where_the_first_is_broken() {
    for oddity in [Oddity::Status(500), Oddity::Status(404), Oddity::Page, Oddity::Oversized] {
        second_serves(|s| {
            s.oidc_oddity = Some(oddity.clone());
            s.rfc8414_oddity = Some(oddity);
        })
        .await;
    }
    second_serves(|s| s.claimed_issuer = Some("https://elsewhere.example".to_owned())).await;
    second_serves(|s| drop(s.rfc8414_fields.insert("token_endpoint".into(), json!(null)))).await;
}

async fn second_serves(broken: impl FnOnce(&mut Switches)) {
    let scene = Scene::start().await;
    let other = another(&scene, Switches::default()).await;
    scene.authority.set(broken);
    name(&scene, &[&scene.authority, &other]);
    let scene = scene.signed_in().await;
    scene.echo("s", "at the second").await;
    assert_eq!(scene.status("s").await["registration"]["issuer"], other.issuer());
    let asked = scene.authority.journal().entries();
    assert!(!asked.is_empty(), "the server's order counts");
    assert!(asked.iter().all(|entry| entry.kind == Kind::Metadata), "{asked:?}");
}

/// 6.2-38: where nobody listens at the first, and where both are out of order.
#[tokio::test]
async fn a_service_that_is_down_is_passed_over_unless_it_is_the_last() {
    let scene = Scene::start().await;
    let down = format!("http://127.0.0.1:{}", free_port());
    let issuers = vec![down.clone(), scene.authority.issuer().to_owned()];
    scene.mcp.set(|s| s.authorization_servers = Some(issuers));
    let scene = scene.signed_in().await;
    scene.echo("s", "at the second").await;

    let scene = Scene::with(|s| s.authority.rfc8414_oddity = Some(Oddity::Status(503))).await;
    let issuers = vec![down.clone(), scene.authority.issuer().to_owned()];
    scene.mcp.set(|s| s.authorization_servers = Some(issuers));
    scene.add("s", &[]).await.ok();
    let output = scene.connect("s", Visit::Allow).await.expect_code(3);
    assert!(output.one_sentence().contains(&down), "the first failure is told: {output}");
    assert!(scene.keyfob.links().is_empty());
}

/// 6.2-38, T5: the person may choose another one of several, and the choice is kept.
#[tokio::test]
async fn the_person_may_choose_among_several_and_the_choice_is_kept() {
    let scene = Scene::start().await;
    let other = another(&scene, Switches::default()).await;
    name(&scene, &[&scene.authority, &other]);
    let scene = scene.signed_in().await;
    let issuer = async || scene.status("s").await["registration"]["issuer"].clone();
    assert_eq!(issuer().await, scene.authority.issuer(), "the first in the server's order");

    let browser = scene.keyfob.browser(Visit::Allow).display().to_string();
    let choose = ["connect", "--browser", &browser, "--issuer", other.issuer(), "s"];
    scene.keyfob.run(&choose).await.ok();
    assert_eq!(issuer().await, other.issuer());
    scene.keyfob.run(&["signout", "s"]).await.ok();
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(issuer().await, other.issuer(), "it is kept");
    scene.echo("s", "at the second").await;

    // No longer on the list: the other one, with a word about it.
    name(&scene, &[&scene.authority]);
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(issuer().await, scene.authority.issuer());
    let trace = scene.keyfob.run(&["trace", "s"]).await.ok();
    assert!(trace.stdout.contains("no longer named"), "{trace}");

    scene.keyfob.run(&["connect", "--issuer", "http://as.example", "s"]).await.expect_code(2);
}
