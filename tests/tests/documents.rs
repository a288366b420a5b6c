//! Metadata documents that are broken, hostile or merely unusual, wherever one may stand.

use std::time::{Duration, Instant};

use keyfob_tests::authserver::{Cimd, CimdFlag, Documents};
use keyfob_tests::mcp::{Challenge, Prm};
use keyfob_tests::world::Stdin;
use keyfob_tests::{Document, Kind, Oddity, Output, Scene, Setup, Visit};
use serde_json::{Value, json};

async fn trace(scene: &Scene) -> String {
    scene.keyfob.run(&["trace", "s"]).await.ok().stdout
}

fn paths(entries: Vec<keyfob_tests::Entry>) -> Vec<String> {
    entries.into_iter().map(|entry| entry.path).collect()
}

/// 6.2-44, T2f: what means no harm is read as if nothing were odd about it.
#[tokio::test]
async fn unusual_documents_are_read() {
    let text = Some(Oddity::MediaType("text/plain"));
    let mark = Some(Oddity::ByteOrderMark);
    let own = Some(Oddity::MediaType("application/oauth+json"));
    for oddity in [text, mark, own] {
        let scene = Scene::with(|s| {
            s.mcp.prm_oddity.clone_from(&oddity);
            s.authority.rfc8414_oddity.clone_from(&oddity);
            s.authority.oidc_oddity.clone_from(&oddity);
            // In the second document alone, so that this one is read too.
            s.authority.cimd_flag = CimdFlag::OidcOnly;
        })
        .await
        .signed_in()
        .await;
        scene.echo("s", "read").await;
        assert_eq!(scene.status("s").await["registration"]["kind"], "cimd", "{oddity:?}");
        let said = trace(&scene).await.contains("it came as plain text");
        assert_eq!(said, oddity == Some(Oddity::MediaType("text/plain")));
    }
}

/// 6.2-44: of a member that stands twice the last counts, for every document alike.
#[tokio::test]
async fn of_a_member_that_stands_twice_the_last_counts() {
    let nobody = "http://127.0.0.1:9/nobody";
    let scene = Scene::with(|s| {
        s.mcp.prm_oddity = Some(Oddity::Twice("authorization_servers", json!([nobody])));
        s.authority.rfc8414_oddity = Some(Oddity::Twice("token_endpoint", json!(nobody)));
        s.authority.oidc_oddity = Some(Oddity::Twice("issuer", json!(nobody)));
        s.authority.cimd_flag = CimdFlag::OidcOnly;
    })
    .await
    .signed_in()
    .await;
    assert_eq!(scene.status("s").await["registration"]["kind"], "cimd");
    assert_eq!(scene.authority.journal().exchanges().len(), 1);

    // The other way round it is a document about something else.
    let scene = Scene::start().await;
    let right = json!(scene.authority.issuer());
    scene.authority.set(|s| {
        s.claimed_issuer = Some(nobody.to_owned());
        s.rfc8414_oddity = Some(Oddity::Twice("issuer", right));
    });
    scene.add("s", &[]).await.ok();
    scene.connect("s", Visit::Allow).await.expect_code(4).one_sentence();
    assert_eq!(scene.authority.journal().authorizations().len(), 0);
}

/// Metadata at the root of the origin, and this where it is looked for first.
fn only_at_the_root(setup: &mut Setup, elsewhere: Oddity) {
    setup.mcp.challenge = Challenge::Bare;
    setup.mcp.prm = Prm::RootForm;
    setup.mcp.elsewhere = Some(elsewhere);
}

/// T2d, T2e, T2f, 6.2-42: no document means that it is not here.
#[tokio::test]
async fn what_is_no_resource_metadata_leads_to_the_next_place() {
    let statuses = [401, 403, 404, 410, 502].map(Oddity::Status);
    let others = [Oddity::Page, Oddity::MediaType("text/html"), Oddity::Redirect("/x".to_owned())];
    for oddity in statuses.into_iter().chain(others) {
        let scene = Scene::with(|s| only_at_the_root(s, oddity.clone())).await.signed_in().await;
        let exchange = scene.authority.journal().exchanges().pop();
        let resource = exchange.as_ref().and_then(|e| e.param("resource"));
        assert_eq!(resource, Some(scene.mcp.origin()), "{oddity:?}");
        let asked = paths(scene.mcp.journal().of(Kind::ResourceMetadata));
        let root = "/.well-known/oauth-protected-resource";
        assert_eq!(asked, [format!("{root}/mcp"), root.to_owned()], "{oddity:?}");
        assert!(scene.mcp.journal().of(Kind::Other).is_empty(), "a redirect was followed");
    }
}

/// A sign-in that comes to nothing because something is out of order: told with its address, no
/// browser, and good again as soon as that is.
async fn waits_for_better_times(scene: &Scene, address: &str, repair: impl FnOnce(&Scene)) {
    scene.add("s", &[]).await.ok();
    let output = scene.connect("s", Visit::Allow).await.expect_code(3);
    let said = output.one_sentence();
    assert!(said.contains(address), "it names what is out of order: {said}");
    assert!(scene.keyfob.links().is_empty(), "a browser was opened");
    assert_eq!(scene.authority.journal().registrations().len(), 0);
    repair(scene);
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "in order").await;
}

/// T2d, spec-7, 6.2-44: what cannot be told is no "not here"; nobody else is asked in its place.
#[tokio::test]
async fn resource_metadata_that_is_out_of_order_ends_the_search() {
    for oddity in [Oddity::Status(500), Oddity::Status(503), Oddity::Status(429), Oddity::Oversized]
    {
        let scene = Scene::with(|s| only_at_the_root(s, oddity.clone())).await;
        let address = format!("{}/.well-known/oauth-protected-resource/mcp", scene.mcp.origin());
        waits_for_better_times(&scene, &address, |scene| {
            assert_eq!(scene.mcp.journal().of(Kind::ResourceMetadata).len(), 1, "{oddity:?}");
            assert!(scene.authority.journal().entries().is_empty(), "{oddity:?}");
            scene.mcp.set(|s| s.elsewhere = None);
        })
        .await;
    }
}

/// T2e, spec-7, 6.2-42: the same for the sign-in service's own metadata.
#[tokio::test]
async fn what_is_no_server_metadata_leads_to_the_other_form() {
    let statuses = [401, 403, 404, 410].map(Oddity::Status);
    let others = [Oddity::Page, Oddity::MediaType("text/html"), Oddity::Redirect(String::new())];
    for oddity in statuses.into_iter().chain(others) {
        let scene = Scene::start().await;
        // A good document, but on another host.
        let elsewhere = json!({"issuer": scene.authority.issuer(),
            "authorization_endpoint": "http://127.0.0.1:9/a", "token_endpoint": "http://127.0.0.1:9/t",
            "code_challenge_methods_supported": ["S256"]});
        let moved = Document::Bytes(elsewhere.to_string().into_bytes());
        let moved = scene.documents.put("/moved.json", moved);
        scene.authority.set(|s| {
            s.rfc8414_oddity = Some(match oddity.clone() {
                Oddity::Redirect(_) => Oddity::Redirect(moved),
                other => other,
            });
        });
        let scene = scene.signed_in().await;
        scene.echo("s", "by the other form").await;
        assert_eq!(scene.status("s").await["registration"]["kind"], "cimd", "{oddity:?}");
        let asked = paths(scene.documents.journal().entries());
        assert!(!asked.contains(&"/moved.json".to_owned()), "a redirect was followed");
    }
}

#[tokio::test]
async fn server_metadata_that_is_out_of_order_ends_the_search() {
    for oddity in [Oddity::Status(500), Oddity::Status(429), Oddity::Oversized] {
        let scene = Scene::with(|s| s.authority.rfc8414_oddity = Some(oddity.clone())).await;
        let address =
            format!("{}/.well-known/oauth-authorization-server", scene.authority.issuer());
        waits_for_better_times(&scene, &address, |scene| {
            let asked = paths(scene.authority.journal().entries());
            assert_eq!(asked, ["/.well-known/oauth-authorization-server"], "{oddity:?}");
            scene.authority.set(|s| s.rfc8414_oddity = None);
        })
        .await;
    }
}

/// 6.2-4, 6.2-44: the second document is a help where it is good, and no harm where it is not.
#[tokio::test]
async fn a_second_document_that_is_of_no_use_never_fails_the_sign_in() {
    for oddity in [
        Oddity::Status(500),
        Oddity::Page,
        Oddity::Oversized,
        Oddity::Redirect("/x".to_owned()),
        Oddity::MediaType("text/html"),
    ] {
        let scene = Scene::with(|s| {
            s.authority.oidc_oddity = Some(oddity.clone());
            // So that there is something to look for in it.
            s.authority.rfc8414_fields.insert("revocation_endpoint".into(), Value::Null);
        })
        .await
        .signed_in()
        .await;
        assert_eq!(scene.status("s").await["registration"]["kind"], "cimd", "{oddity:?}");
        let asked = paths(scene.authority.journal().of(Kind::Metadata));
        assert_eq!(asked.last().map(String::as_str), Some("/.well-known/openid-configuration"));
        assert!(trace(&scene).await.contains("left aside"), "{oddity:?}");
    }
}

/// 6.2-4: somebody's mistake, or an attempt: it is said in the trace and in the log.
#[tokio::test]
async fn a_second_document_of_another_issuer_is_warned_about() {
    let scene = Scene::with(|s| {
        s.authority.cimd_flag = CimdFlag::OidcOnly;
        s.authority.oidc_fields.insert("issuer".into(), json!("https://other.example"));
    })
    .await
    .signed_in()
    .await;
    assert_eq!(scene.status("s").await["registration"]["kind"], "dcr", "its flag does not count");
    assert!(!scene.authority.journal().mentions(&scene.document_url));
    let said = "it calls its issuer https://other.example";
    assert!(trace(&scene).await.contains(said));
    let printed = scene.keyfob.printed();
    let warning = printed.lines().find(|line| line.contains("WARN") && line.contains(said));
    assert!(warning.is_some(), "{printed}");
}

/// T4e: a document that calls itself nothing is nobody's, and no other one is fished for.
#[tokio::test]
async fn server_metadata_without_what_it_must_have_is_not_used() {
    for member in ["issuer", "authorization_endpoint", "token_endpoint"] {
        let scene = Scene::with(|s| {
            s.authority.rfc8414_fields.insert(member.to_owned(), Value::Null);
        })
        .await;
        scene.add("s", &[]).await.ok();
        let output = scene.connect("s", Visit::Allow).await.expect_code(5);
        let said = output.one_sentence();
        assert!(said.contains(member) && said.contains(scene.authority.issuer()), "{said}");
        let asked = paths(scene.authority.journal().entries());
        assert_eq!(asked, ["/.well-known/oauth-authorization-server"], "without {member}");
        assert!(scene.keyfob.links().is_empty());
    }
}

/// T4a, T4b, 6.2-39: an issuer with a path has three places, asked in order and one at a time; what
/// lies at the root is another issuer's.
#[tokio::test]
async fn an_issuer_with_a_path_has_three_places() {
    let places = [
        "/.well-known/oauth-authorization-server/tenant1",
        "/.well-known/openid-configuration/tenant1",
        "/tenant1/.well-known/openid-configuration",
    ];
    for (documents, wanted) in [
        (Documents::OidcBeforePath, &places[..2]),
        (Documents::OidcOnly, &places[..]),
        (Documents::Absent, &places[..]),
    ] {
        let scene = Scene::with(|s| {
            s.issuer_path = "/tenant1".to_owned();
            s.authority.documents = documents;
        })
        .await;
        scene.add("s", &[]).await.ok();
        let output = scene.connect("s", Visit::Allow).await;
        let has_signed_in = documents != Documents::Absent;
        let output = output.expect_code(if has_signed_in { 0 } else { 5 });
        let mut asked = paths(scene.authority.journal().entries());
        asked.retain(|path| path.contains(".well-known"));
        assert_eq!(asked, wanted, "{documents:?}");
        if !has_signed_in {
            assert!(output.one_sentence().contains(scene.authority.issuer()), "{output}");
        }
    }
}

/// T7a, T7b: a list that says nothing is no list: nothing is asked for, nothing is registered.
#[tokio::test]
async fn a_list_of_scopes_that_says_nothing_asks_for_nothing() {
    for list in [Value::Null, json!([]), json!("all"), json!({}), json!([7])] {
        for cimd in [Cimd::On, Cimd::Off] {
            let scene = Scene::with(|s| {
                s.mcp.prm_fields.insert("scopes_supported".into(), list.clone());
                s.authority.oidc_fields.insert("scopes_supported".into(), list.clone());
                s.authority.cimd = cimd;
            })
            .await
            .signed_in()
            .await;
            let journal = scene.authority.journal();
            let asked = journal.authorizations();
            assert!(!asked.is_empty());
            assert!(asked.iter().all(|a| !a.query.iter().any(|(name, _)| name == "scope")));
            for made in journal.registrations() {
                assert!(made.json.is_some_and(|json| json.get("scope").is_none()), "{list}");
            }
        }
    }
}

async fn patient_connect(scene: &Scene) -> Output {
    scene.add("s", &[]).await.ok();
    let browser = scene.keyfob.browser(Visit::Allow).display().to_string();
    let arguments = ["connect", "--browser", &browser, "s"];
    scene.keyfob.run_with(&arguments, Stdin::Empty, Duration::from_secs(60)).await
}

/// 6.2-44, spec-7: whoever trickles along is not waited for much longer than half a minute.
#[tokio::test]
async fn documents_without_an_end_are_not_waited_for() {
    let endless = Some(Oddity::Endless);
    let first = Scene::with(|s| s.mcp.prm_oddity.clone_from(&endless)).await;
    let second = Scene::with(|s| {
        s.authority.oidc_oddity.clone_from(&endless);
        s.authority.rfc8414_fields.insert("revocation_endpoint".into(), Value::Null);
    })
    .await;
    let started = Instant::now();
    let (failed, signed_in) = tokio::join!(patient_connect(&first), patient_connect(&second));
    assert!(started.elapsed() < Duration::from_secs(45), "{:?}", started.elapsed());
    let failed = failed.expect_code(3);
    assert!(failed.one_sentence().contains(first.mcp.origin()), "{failed}");
    assert!(first.keyfob.links().is_empty());
    signed_in.ok();
    second.echo("s", "without the second document").await;
    assert!(trace(&second).await.contains("left aside"));
}
