//! Who gets what is allowed at a sign-in service, where that is somebody else than the service.
#![cfg(target_os = "linux")]

use std::time::Duration;

use keyfob_tests::network::{Network, PUBLIC};
use keyfob_tests::{Document, Scene, Visit};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(10);
const AUTHORITY: &str = "https://as.example:8443";

/// Two servers of two sites at one sign-in service of a third. The first is signed in to.
async fn scene(network: &mut Network) -> Scene {
    network.name(&["mcp.example", "other.example", "as.example"].map(|name| (PUBLIC, name)));
    let mut scene = Scene::with(|s| {
        s.serve = false;
        s.document = false;
        s.authority_origin = Some(AUTHORITY.to_owned());
    })
    .await;
    for (name, path) in [("mcp.example", "/mcp"), ("other.example", "/other")] {
        let server = format!("https://{name}{path}");
        scene.authority.protect(&server);
        scene.documents.put(path, Document::Challenge("Bearer".to_owned()));
        let resource = json!({"resource": server, "authorization_servers": [AUTHORITY]});
        let resource = Document::Bytes(resource.to_string().into_bytes());
        scene.documents.put(&format!("/.well-known/oauth-protected-resource{path}"), resource);
    }
    network.forward((PUBLIC, 443), scene.documents.port()).await;
    network.publish((PUBLIC, 8443), scene.documents.tls(), scene.authority.port()).await;
    let ca_file = scene.documents.ca_file().display().to_string();
    let browser = scene.keyfob.browser(Visit::Allow).display().to_string();
    scene.keyfob.configure(&[("ca_file", &ca_file), ("browser", &browser)]);
    scene.keyfob.set_env("SSL_CERT_FILE", &ca_file);
    scene.keyfob.serve().await;
    scene.keyfob.run(&["add", "--name", "one", "https://mcp.example/mcp"]).await.ok();
    scene.keyfob.run(&["add", "--name", "two", "https://other.example/other"]).await.ok();
    let output = scene.connect("one", Visit::Allow).await.ok();
    let notice = "What you allow at as.example will be used by mcp.example.";
    assert_eq!(output.stdout.lines().filter(|line| *line == notice).count(), 1, "{output}");
    scene
}

/// attack-B10: without a terminal it is refused until it is said that it is wanted; that is said
/// once for each service.
#[tokio::test]
async fn a_service_of_another_server_is_used_only_with_a_yes() {
    let Some(mut network) = Network::inside("a_service_of_another_server_is_used_only_with_a_yes")
    else {
        return;
    };
    let scene = scene(&mut network).await;
    let links = scene.keyfob.links().len();
    for options in
        [&[][..], &["--accept", "https://as.example"], &["--accept", "https://mcp.example"]]
    {
        let command = [&["connect"][..], options, &["two"]].concat();
        let output = scene.keyfob.run(&command).await.expect_code(4);
        let said = output.one_sentence();
        for part in ["as.example", "where one signs in", "used by other.example", AUTHORITY] {
            assert!(said.contains(part), "{part}: {output}");
        }
    }
    scene.keyfob.run(&["connect", "--accept", "nonsense", "two"]).await.expect_code(2);
    assert_eq!(scene.keyfob.links().len(), links, "the browser was opened");

    let output = scene.keyfob.run(&["connect", "--accept", AUTHORITY, "two"]).await.ok();
    assert!(output.stdout.contains("at as.example will be used by other.example."), "{output}");
    assert_eq!(scene.keyfob.links().len(), links + 1);
    for name in ["one", "two"] {
        scene.keyfob.run(&["signout", name]).await.ok();
        scene.connect(name, Visit::Allow).await.ok();
    }
    scene.keyfob.run(&["remove", "two"]).await.ok();
    scene.keyfob.run(&["add", "--name", "two", "https://other.example/other"]).await.ok();
    scene.connect("two", Visit::Allow).await.expect_code(4);
    // Of a service that nobody uses any more it is not asked.
    scene.keyfob.run(&["remove", "one"]).await.ok();
    scene.connect("two", Visit::Allow).await.ok();
}

/// attack-B10: at a terminal it is asked, and only a yes is one.
#[tokio::test]
async fn at_a_terminal_it_is_asked() {
    let Some(mut network) = Network::inside("at_a_terminal_it_is_asked") else { return };
    let scene = scene(&mut network).await;
    let links = scene.keyfob.links().len();
    for (answer, code) in [("", 4), ("n", 4), ("y", 0)] {
        assert_eq!(scene.keyfob.links().len(), links, "the browser was opened");
        let mut running = scene.keyfob.start_at_terminal(&["connect", "two"]);
        assert!(running.prints("[y/N]", PATIENCE).await, "{}", running.printed());
        assert!(running.printed().contains("used by other.example"), "{}", running.printed());
        running.say(answer).await;
        running.finish(PATIENCE).await.expect_code(code);
    }
    assert_eq!(scene.keyfob.links().len(), links + 1);
}

/// attack-B10: server and service of one site are one party, and so is this machine.
#[tokio::test]
async fn within_one_site_nothing_is_said_or_asked() {
    let scene = Scene::start().await;
    for name in ["one", "two"] {
        scene.add(name, &[]).await.ok();
        let output = scene.connect(name, Visit::Allow).await.ok();
        assert!(!output.stdout.contains("will be used by"), "{output}");
    }
}
