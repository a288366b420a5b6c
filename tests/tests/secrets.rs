//! Secrets stay where they belong: not in files, logs, arguments, links or answers.

use keyfob_tests::authserver::{Cimd, Dcr};
use keyfob_tests::random::secret;
use keyfob_tests::scan::{Arguments, Planted, holder};
use keyfob_tests::world::files_below;
use keyfob_tests::{Scene, Visit};
use serde_json::json;

#[tokio::test]
async fn tokens_turn_up_nowhere() {
    let scene = Scene::with(|s| {
        s.authority.cimd = Cimd::Off;
        s.authority.dcr = Dcr::WithSecret;
        s.authority.registration_management = true;
    })
    .await;
    let arguments = Arguments::watch();
    let scene = scene.signed_in().await;
    let key = scene.client_key("cursor", "s").await;
    scene.echo("s", "x").await;
    scene.authority.expire_access_tokens();
    scene.echo("s", "y").await;
    for command in [
        vec!["list"],
        vec!["list", "--json"],
        vec!["status", "s"],
        vec!["trace", "s"],
        vec!["trace", "--json", "s"],
        vec!["doctor"],
        vec!["clients", "list"],
    ] {
        scene.keyfob.run(&command).await;
    }
    scene.authority.revoke_all();
    scene.call("s", "echo", &json!({"text": "z"})).await;
    scene.connect("s", Visit::Deny).await;

    // The scan has to find what is there before it may say that something is not.
    let marker = secret("marker-");
    std::fs::write(scene.keyfob.home().join("planted"), &marker).unwrap();
    let _planted = Planted::start(&marker);
    let files = files_below(scene.keyfob.scratch());
    assert!(holder(&files, &marker).is_some(), "the scan of files is blind");
    assert!(arguments.contain(&marker), "the scan of arguments is blind");
    let printed = scene.keyfob.printed();
    assert!(printed.contains("signed-out") || printed.contains("ready"), "nothing was printed");

    let issued = scene.authority.issued();
    assert!(issued.access.len() >= 2 && issued.refresh.len() >= 2, "{issued:?}");
    assert!(issued.registration.len() >= 2);
    let links = scene.keyfob.links().join("\n");
    for token in issued.all() {
        assert_eq!(holder(&files, &token), None, "a token stands in a file");
        assert!(!printed.contains(&token), "a token was printed or logged");
        assert!(!arguments.contain(&token), "a token was an argument");
        assert!(!links.contains(&token), "a token was in a link");
    }
    assert_eq!(holder(&files, &key), None, "a client key stands in a file");
    assert!(!arguments.contain(&key));
    let log = scene.keyfob.broker().printed();
    assert!(!log.contains(&key), "a client key was logged");
    for request in scene.authority.journal().authorizations() {
        let state = request.param("state").unwrap().to_owned();
        assert!(!arguments.contain(&state), "the true link was an argument");
    }
}

#[tokio::test]
async fn nothing_is_written_outside_its_home() {
    let scene = Scene::start().await.signed_in().await;
    scene.echo("s", "x").await;
    let strays = files_below(&scene.keyfob.user_home());
    let strays: Vec<_> = strays.into_iter().map(|(name, _)| name).collect();
    assert!(strays.is_empty(), "{strays:?}");
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::start().await.signed_in().await;
    scene.client_key("c", "s").await;
    let config = scene.keyfob.home().join("config/config.toml");
    for (name, _) in files_below(&scene.keyfob.home()) {
        // The settings were written by the test, with the permissions of the test.
        if std::path::Path::new(&name) == config {
            continue;
        }
        let mode = std::fs::metadata(&name).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
    }
}
