//! Grants in the real keychain. The harness starts a Secret Service in a private session, unlocks
//! it, sets `KEYFOB_TEST_KEYCHAIN=1`, and runs these with `--run-ignored all`.
//!
//! They are marked as ignored so that a run without a keychain counts them as skipped and not as
//! passed; once they run, a missing keychain is a failure.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "test code")]

use std::time::Duration;

use keyfob_tests::authserver::{Cimd, Dcr};
use keyfob_tests::keychain::{contents, demand_keychain, kinds};
use keyfob_tests::random::secret;
use keyfob_tests::scan::{Arguments, Planted, holder};
use keyfob_tests::world::{PATIENCE, Stdin, files_below};
use keyfob_tests::{BearerSeen, Keyfob, Kind, Scene, Setup, Store, Visit};

async fn scene(change: impl FnOnce(&mut Setup)) -> Scene {
    demand_keychain();
    Scene::with(|s| {
        s.store = Store::Keychain;
        change(s);
    })
    .await
}

/// Restart, wait past expiry, call: one refresh with the right id, and no browser.
async fn survives(change: impl FnOnce(&mut Setup), by_document: bool) {
    let mut scene = scene(|s| {
        s.authority.access_token_seconds = 2;
        change(s);
    })
    .await
    .signed_in()
    .await;
    let id = scene.status("s").await["registration"]["client_id"].as_str().unwrap().to_owned();
    assert_eq!(id == scene.document_url, by_document, "{id}");
    scene.keyfob.stop().await;
    scene.authority.set(|s| s.access_token_seconds = 3600);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    scene.authority.journal().clear();
    scene.mcp.journal().clear();
    let links = scene.keyfob.links().len();
    scene.keyfob.serve().await;
    scene.echo("s", "after the restart").await;
    let refreshes = scene.authority.journal().refreshes();
    assert_eq!(refreshes.len(), 1);
    assert_eq!(refreshes[0].param("client_id"), Some(id.as_str()));
    assert_eq!(refreshes[0].param("resource"), Some(scene.mcp.resource().as_str()));
    assert_eq!(scene.authority.journal().authorizations().len(), 0);
    assert_eq!(scene.authority.journal().registrations().len(), 0);
    assert_eq!(scene.keyfob.links().len(), links, "a browser was opened");
    let call = scene.mcp.journal().tool_calls("echo").pop().expect("a call");
    assert_eq!(call.bearer, Some(BearerSeen::Issued));
    let status = scene.status("s").await;
    assert_eq!(status["registration"]["client_id"], id, "the card survives, too");
    scene.keyfob.run(&["remove", "s"]).await.ok();
}

#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn a_restart_refreshes_with_the_document_url() {
    survives(|_| (), true).await;
}

#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn a_restart_after_a_step_down_refreshes_with_the_registered_id() {
    survives(|s| s.authority.cimd = Cimd::RefusedByPage, false).await;
}

#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn a_restart_without_expiry_needs_nothing() {
    let mut scene = scene(|_| ()).await.signed_in().await;
    scene.keyfob.stop().await;
    scene.authority.journal().clear();
    scene.keyfob.serve().await;
    scene.echo("s", "still here").await;
    assert_eq!(scene.authority.journal().token_requests().len(), 0);
    scene.keyfob.run(&["remove", "s"]).await.ok();
}

#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn a_restart_after_a_change_is_still_signed_in() {
    let mut scene = scene(|_| ()).await.signed_in().await;
    let change = ["set", "--name", "notes", "--header", "X-Tenant", "--parameter", "a=b", "s"];
    scene.keyfob.run_with(&change, Stdin::Text("blue 7\n"), PATIENCE).await.ok();
    scene
        .keyfob
        .run_with(&["set", "--header", "X-Team", "notes"], Stdin::Text("red\n"), PATIENCE)
        .await
        .ok();
    scene.keyfob.stop().await;
    scene.authority.journal().clear();
    scene.keyfob.serve().await;
    scene.echo("notes", "still here").await;
    assert_eq!(scene.authority.journal().token_requests().len(), 0);
    let seen = scene.mcp.journal().tool_calls("echo").pop().expect("a call");
    assert_eq!((seen.header("x-tenant"), seen.header("x-team")), (Some("blue 7"), Some("red")));
    let files = files_below(&scene.keyfob.home());
    assert!(files.iter().all(|(_, bytes)| !String::from_utf8_lossy(bytes).contains("blue 7")));
    scene.keyfob.run(&["remove", "notes"]).await.ok();
}

#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn a_crash_straight_after_a_refresh_loses_nothing() {
    let mut scene = scene(|_| ()).await.signed_in().await;
    for round in 0..3 {
        scene.authority.expire_access_tokens();
        scene.echo("s", "before the crash").await;
        scene.keyfob.crash().await;
        scene.keyfob.serve().await;
        scene.echo("s", "after the crash").await;
        let refreshes = scene.authority.journal().refreshes();
        assert_eq!(refreshes.len(), round + 1);
        assert!(refreshes.iter().all(keyfob_tests::Entry::accepted), "an old token was used");
    }
    scene.keyfob.run(&["remove", "s"]).await.ok();
}

/// D-18: the old secret is dead, and the new one is nowhere but in the keychain.
#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn a_crash_straight_after_a_client_secret_was_renewed_loses_nothing() {
    let mut scene = scene(|s| {
        s.authority.cimd = Cimd::Off;
        s.authority.dcr = Dcr::WithSecret;
        s.authority.registration_management = true;
        s.authority.client_secret_seconds = Some(86_400);
    })
    .await
    .signed_in()
    .await;
    for round in 1..=2 {
        scene.authority.expire_client_secrets();
        scene.authority.expire_access_tokens();
        scene.echo("s", "before the crash").await;
        scene.keyfob.crash().await;
        scene.keyfob.serve().await;
        scene.authority.expire_access_tokens();
        scene.echo("s", "after the crash").await;
        let managed = scene.authority.journal().of(Kind::RegistrationManagement);
        assert_eq!(
            managed.len(),
            round,
            "renewed once, with the management token of the last time"
        );
        assert!(managed.iter().all(keyfob_tests::Entry::accepted));
        let taken: Vec<bool> = scene
            .authority
            .journal()
            .refreshes()
            .iter()
            .map(keyfob_tests::Entry::accepted)
            .collect();
        assert_eq!(taken, [false, true, true].repeat(round), "an old secret was used");
    }
    assert_eq!(scene.authority.journal().registrations().len(), 1);
    scene.keyfob.run(&["remove", "s"]).await.ok();
    assert_eq!(scene.authority.registered(), 0, "the newest management token deletes it");
}

#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn the_grant_is_in_the_keychain_and_nowhere_else() {
    let arguments = Arguments::watch();
    let scene = scene(|_| ()).await.signed_in().await;
    scene.echo("s", "x").await;
    scene.authority.expire_access_tokens();
    scene.echo("s", "y").await;
    let issued = scene.authority.issued();
    let newest = issued.refresh.last().expect("a refresh token").clone();
    let found = contents();
    assert!(found.contains("dev.keyfob"), "nothing under service dev.keyfob:\n{found}");
    assert!(found.contains(&newest), "the newest refresh token is not in the keychain");

    let marker = secret("marker-");
    std::fs::write(scene.keyfob.home().join("planted"), &marker).unwrap();
    let _planted = Planted::start(&marker);
    let files = files_below(&scene.keyfob.home());
    assert!(holder(&files, &marker).is_some(), "the scan of files is blind");
    assert!(arguments.contain(&marker), "the scan of arguments is blind");
    for token in issued.all() {
        assert_eq!(holder(&files, &token), None, "a token stands in a file");
        assert!(!arguments.contain(&token), "a token was an argument");
        assert!(!scene.keyfob.printed().contains(&token), "a token was printed");
    }

    scene.keyfob.run(&["remove", "s"]).await.ok();
    assert!(!contents().contains(&newest), "the grant outlives its server");
}

#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn two_homes_share_one_keychain() {
    let one = scene(|_| ()).await.signed_in().await;
    let two = scene(|_| ()).await.signed_in().await;
    one.echo("s", "one").await;
    two.echo("s", "two").await;
    one.keyfob.run(&["remove", "s"]).await.ok();
    two.echo("s", "untouched").await;
    let left = contents();
    assert!(left.contains(two.authority.issued().refresh.last().unwrap()));
    two.keyfob.run(&["remove", "s"]).await.ok();
}

#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn calling_starts_a_broker_where_none_runs() {
    let scene = scene(|s| s.serve = false).await;
    scene.add("s", &[]).await.ok();
    scene.connect("s", Visit::Allow).await.ok();
    scene.echo("s", "by a broker of its own").await;
    scene.keyfob.run(&["remove", "s"]).await.ok();
}

#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn a_missing_keychain_is_said() {
    demand_keychain();
    let mut keyfob = Keyfob::new(Store::Keychain);
    keyfob.set_env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
    let output = keyfob.run(&["doctor"]).await;
    let said = format!("{}{}", output.stdout, output.stderr).to_lowercase();
    assert!(said.contains("keychain"), "{output}");
}

/// D-06b: three refreshes and a second sign-in leave one grant, and removing leaves nothing, here
/// and there.
#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn nothing_piles_up_in_the_keychain_and_nothing_is_left_behind() {
    let scene = scene(|s| {
        s.authority.cimd = Cimd::Off;
        s.authority.dcr = Dcr::WithSecret;
        s.authority.registration_management = true;
    })
    .await;
    let url = scene.mcp.url();
    let arguments = ["add", "--name", "s", "--header", "X-Own", &url];
    scene.keyfob.run_with(&arguments, Stdin::Text("own\n"), PATIENCE).await.ok();
    scene.connect("s", Visit::Allow).await.ok();
    for text in ["a", "b", "c"] {
        scene.authority.expire_access_tokens();
        scene.echo("s", text).await;
    }
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(kinds(&scene.keyfob), ["grant", "headers", "registration"]);
    scene.keyfob.run(&["remove", "s"]).await.ok();
    assert_eq!(kinds(&scene.keyfob), Vec::<String>::new());
    let left = contents();
    assert!(scene.authority.issued().all().iter().all(|secret| !left.contains(secret)));
    let revoked = scene.authority.journal().of(Kind::Revocation);
    let tokens: Vec<_> = revoked.iter().filter_map(|r| r.param("token")).collect();
    let issued = scene.authority.issued();
    let last = [issued.refresh.last(), issued.access.last()].map(|t| t.map(String::as_str));
    assert_eq!(tokens.into_iter().map(Some).collect::<Vec<_>>(), last, "RFC 7009");
    assert_eq!(scene.authority.registered(), 0, "RFC 7592");
}

/// Deliver 1: what was found out lies beside the tokens, so a start needs no network.
#[tokio::test]
#[ignore = "needs the keychain of the harness"]
async fn a_start_without_network_is_ready_and_opens_no_browser() {
    let Scene { authority, mcp, documents, mut keyfob, .. } = scene(|_| ()).await.signed_in().await;
    keyfob.stop().await;
    let links = keyfob.links().len();
    // The document host keeps the certificate that the settings name.
    drop((authority, mcp));
    keyfob.serve().await;
    let status = keyfob.run(&["status", "--json", "s"]).await.ok().json();
    assert_eq!(status[0]["state"].as_str().or(status["state"].as_str()), Some("ready"));
    keyfob.run(&["call", "s", "echo", "{}"]).await.expect_code(3);
    let status = keyfob.run(&["status", "--json", "s"]).await.ok().json();
    let state = status[0]["state"].as_str().or(status["state"].as_str());
    assert!(matches!(state, Some("ready" | "offline")), "nothing is lost: {status}");
    assert_eq!(keyfob.links().len(), links, "a browser was opened");
    keyfob.run(&["remove", "s"]).await.ok();
    drop(documents);
}
