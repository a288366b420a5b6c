//! What goes wrong on the way to the token endpoint says nothing about the grant: it is kept, the
//! person is told that the service cannot be asked, and the next try is ours.

use std::time::{Duration, Instant};

use keyfob_tests::door::{Door, Way};
use keyfob_tests::world::Stdin;
use keyfob_tests::{DocumentHost, Kind, Scene};
use serde_json::json;

/// Names this as the token endpoint, and signs in.
async fn signed_in_through(scene: Scene, token_endpoint: &str) -> Scene {
    scene.authority.set(|s| {
        for fields in [&mut s.oidc_fields, &mut s.rfc8414_fields] {
            fields.insert("token_endpoint".to_owned(), json!(token_endpoint));
        }
    });
    let scene = scene.signed_in().await;
    scene.echo("s", "before").await;
    scene
}

/// A call for which the token would have to be renewed, while that cannot be.
async fn cannot_renew(scene: &Scene, what: &str) {
    let reached = scene.authority.journal().refreshes().len();
    scene.authority.expire_access_tokens();
    let output = scene.call("s", "echo", &json!({"text": what})).await;
    assert_eq!(output.code, Some(3), "{what}: {output}");
    assert_eq!(output.problem()["code"], "offline", "{what}: {output}");
    assert_eq!(scene.status("s").await["state"], "offline", "{what}");
    assert_eq!(scene.authority.journal().refreshes().len(), reached, "{what}: the fixture");
    let trace = scene.keyfob.run(&["trace", "s"]).await.ok().stdout;
    assert!(trace.contains("later again"), "{what}: {trace}");
}

/// By itself, with the grant that was there before.
async fn comes_back(scene: &Scene, what: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    while scene.call("s", "echo", &json!({"text": "y"})).await.code != Some(0) {
        assert!(Instant::now() < end, "did not come back after {what}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(scene.status("s").await["state"], "ready", "{what}");
    assert_eq!(scene.keyfob.links().len(), 1, "{what}: a browser was opened");
    assert!(scene.authority.journal().of(Kind::Revocation).is_empty(), "{what}");
    assert!(scene.authority.journal().registrations().is_empty(), "{what}");
    assert!(scene.authority.journal().refreshes().iter().all(keyfob_tests::Entry::accepted));
}

fn answer(status: &str, media_type: &str, body: &str) -> Way {
    let length = body.len();
    Way::Says(format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    ))
}

/// 6.2-49: answers that are not the token endpoint's.
#[tokio::test]
async fn answers_of_others_keep_the_grant() {
    const PORTAL: &str = "<html><body>Please log in to the Wi-Fi.</body></html>";
    let scene = Scene::start().await;
    let door = Door::to(scene.authority.origin(), None).await;
    let endpoint = format!("http://127.0.0.1:{}/oauth/token", door.port());
    let scene = signed_in_through(scene, &endpoint).await;
    for (what, way) in [
        ("200 with a page", answer("200 OK", "text/html", PORTAL)),
        ("200 with a page as JSON", answer("200 OK", "application/json", PORTAL)),
        ("200 with other JSON", answer("200 OK", "application/json", "{\"up\":true}")),
        ("403 with a page", answer("403 Forbidden", "text/html", PORTAL)),
        (
            "a way to the portal",
            answer("302 Found\r\nlocation: http://portal.example/", "text/html", ""),
        ),
        ("502 with a page", answer("502 Bad Gateway", "text/html", PORTAL)),
        (
            "503 of its own",
            answer("503 Service Unavailable\r\nretry-after: 1", "application/json", "{}"),
        ),
        (
            "429 with an error code",
            answer(
                "429 Too Many Requests\r\nretry-after: 1",
                "application/json",
                "{\"error\":\"slow_down\"}",
            ),
        ),
        ("an answer that breaks off", Way::Says("HTTP/1.1 200 OK\r\ncontent-le".to_owned())),
    ] {
        door.set(way);
        cannot_renew(&scene, what).await;
        door.set(Way::Open);
        comes_back(&scene, what).await;
    }
}

/// 6.2-49: no answer at all.
#[tokio::test]
async fn connections_that_fail_keep_the_grant() {
    let (scene, machine) = Scene::on_machine(|_| ()).await;
    let tls = Some(scene.documents.tls());
    let door = Door::to(scene.authority.origin(), tls).await;
    let port = door.port();
    // A name that has to be looked up: `localhost` is known.
    let endpoint = format!("https://as.example:{port}/oauth/token");
    let scene = signed_in_through(scene, &endpoint).await;

    door.set(Way::Reset);
    cannot_renew(&scene, "a reset").await;
    door.set(Way::Open);
    comes_back(&scene, "a reset").await;

    machine.set_nameless(true);
    // Whoever is inside needs no name.
    door.set(Way::Open);
    cannot_renew(&scene, "a name that leads nowhere").await;
    machine.set_nameless(false);
    comes_back(&scene, "a name that leads nowhere").await;

    // As long as nobody answers the request is held, and then it is over.
    door.set(Way::Silent);
    scene.authority.expire_access_tokens();
    let held = scene.keyfob.start(&["call", "s", "echo", r#"{"text":"x"}"#], Stdin::Empty);
    tokio::time::sleep(Duration::from_millis(500)).await;
    machine.set_passed(60);
    // Any request wakes who sleeps.
    let end = Instant::now() + Duration::from_secs(5);
    while scene.status("s").await["state"] != "offline" {
        assert!(Instant::now() < end, "waits on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    held.finish(Duration::from_secs(10)).await.expect_code(3);
    door.set(Way::Open);
    comes_back(&scene, "silence").await;

    drop(door);
    cannot_renew(&scene, "a refused connection").await;
    let _door = Door::at(port, scene.authority.origin(), Some(scene.documents.tls())).await;
    comes_back(&scene, "a refused connection").await;
}

/// 6.2-49: a portal in the way, with a certificate of its own. Nothing is told to it.
#[tokio::test]
async fn another_certificate_keeps_the_grant() {
    let scene = Scene::start().await;
    let door = Door::to(scene.authority.origin(), Some(scene.documents.tls())).await;
    let endpoint = format!("https://localhost:{}/oauth/token", door.port());
    let scene = signed_in_through(scene, &endpoint).await;
    let portal = DocumentHost::start().await;
    door.set_tls(portal.tls());
    cannot_renew(&scene, "a foreign certificate").await;
    door.set_tls(scene.documents.tls());
    comes_back(&scene, "a foreign certificate").await;
}
