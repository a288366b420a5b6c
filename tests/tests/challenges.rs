//! What a 401 says, or does not say, about where to sign in.

use keyfob_tests::authserver::Documents;
use keyfob_tests::mcp::{Challenge, Prm};
use keyfob_tests::{Document, Kind, Scene, Visit};
use serde_json::json;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

fn metadata_asked(scene: &Scene) -> Vec<String> {
    let asked = scene.mcp.journal().of(Kind::ResourceMetadata);
    asked.into_iter().map(|entry| entry.path).collect()
}

/// T1a, T1d: without a challenge, or with one that is none, the well-known places are asked, in
/// order.
#[tokio::test]
async fn what_is_no_challenge_leads_to_the_well_known_places() {
    let path = format!("{WELL_KNOWN}/mcp");
    for challenge in [Challenge::Absent, Challenge::BareUrl] {
        for (prm, places) in [
            (Prm::PathForm, vec![path.clone()]),
            (Prm::RootForm, vec![path.clone(), WELL_KNOWN.to_owned()]),
        ] {
            let scene = Scene::with(|s| (s.mcp.challenge, s.mcp.prm) = (challenge, prm)).await;
            let scene = scene.signed_in().await;
            scene.echo("s", "found").await;
            assert_eq!(metadata_asked(&scene), places, "{challenge:?} {prm:?}");
        }
    }
}

/// T1d: an address that stands there alone is not followed: it is no parameter of any scheme.
#[tokio::test]
async fn an_address_without_a_scheme_is_no_challenge() {
    let scene = Scene::with(|s| {
        (s.mcp.challenge, s.mcp.prm) = (Challenge::BareUrl, Prm::HeaderOnly);
    })
    .await;
    scene.add("s", &[]).await.ok();
    scene.connect("s", Visit::Allow).await.expect_code(5).one_sentence();
    assert_eq!(metadata_asked(&scene), [format!("{WELL_KNOWN}/mcp"), WELL_KNOWN.to_owned()]);
    assert!(scene.authority.journal().entries().is_empty());
}

/// T2c: metadata on another host counts where the challenge names it, and nothing else is asked.
#[tokio::test]
async fn metadata_on_another_host_is_used_where_the_challenge_names_it() {
    let scene = Scene::with(|s| s.mcp.prm = Prm::Absent).await;
    let metadata = json!({"resource": scene.mcp.url(),
        "authorization_servers": [scene.authority.issuer()]});
    let bytes = Document::Bytes(metadata.to_string().into_bytes());
    let address = scene.documents.put("/resources/mcp.json", bytes);
    scene.mcp.set(|s| s.claimed_metadata = Some(address));
    let scene = scene.signed_in().await;
    scene.echo("s", "described elsewhere").await;
    assert!(metadata_asked(&scene).is_empty());
    let asked = scene.documents.journal().entries();
    assert!(asked.iter().any(|entry| entry.path == "/resources/mcp.json"));
    assert!(asked.iter().all(|entry| entry.header("authorization").is_none()));

    // About another resource it is of no more use than at home.
    let foreign = json!({"resource": "https://other.example/mcp",
        "authorization_servers": [scene.authority.issuer()]});
    let bytes = Document::Bytes(foreign.to_string().into_bytes());
    scene.documents.put("/resources/mcp.json", bytes);
    scene.authority.journal().clear();
    scene.connect("s", Visit::Allow).await.expect_code(4).one_sentence();
    assert!(scene.authority.journal().entries().is_empty());
}

/// 6.2-36, D-09: the realm is a hint for want of metadata and never counts beside it.
#[tokio::test]
async fn a_wrong_realm_loses_against_the_metadata() {
    let scene = Scene::with(|s| s.mcp.challenge = Challenge::ForeignRealm).await;
    let scene = scene.signed_in().await;
    let issuer = scene.status("s").await["registration"]["issuer"].clone();
    assert_eq!(issuer, scene.authority.issuer());
    let trace = scene.keyfob.run(&["trace", "s"]).await.ok();
    assert!(!trace.stdout.contains("127.0.0.1:9"), "it was asked: {trace}");
}

/// T4c: a sign-in service that describes itself nowhere is told of; its addresses are guessed only
/// where the server names no service at all, and the user has allowed it.
#[tokio::test]
async fn nothing_is_guessed_unasked() {
    for (prm, challenge, allowed) in [
        (Prm::PathForm, Challenge::ResourceMetadata, false),
        (Prm::PathForm, Challenge::ResourceMetadata, true),
        (Prm::Absent, Challenge::Bare, false),
    ] {
        let scene = Scene::with(|s| {
            s.beside = true;
            s.serve = false;
            (s.mcp.prm, s.mcp.challenge) = (prm, challenge);
            s.authority.documents = Documents::Absent;
        })
        .await;
        let client = keyfob_tests::world::client_binary().display().to_string();
        let command = [client.as_str(), "{url}", "echo", r#"{"text":"old"}"#];
        let options: &[&str] = if allowed { &["--allow-legacy"] } else { &[] };
        let output = scene.exec(options, &command).await;
        assert_eq!(output.code, Some(5), "{prm:?} {allowed}: {output}");
        let journal = scene.authority.journal();
        let asked = journal.entries();
        assert!(asked.iter().all(|e| e.kind == Kind::Metadata), "{}", journal.to_json());
        assert!(!asked.is_empty());
    }
}
