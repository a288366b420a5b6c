//! Servers that cannot be reached when the broker starts.

use std::time::Duration;

use keyfob_tests::mcp::Guard;
use keyfob_tests::random::free_port;
use keyfob_tests::{McpServer, Scene, Visit};
use serde_json::json;

/// Comes to this state, and is taken for nothing else that has been found out before it does.
async fn settles(scene: &Scene, name: &str, state: &str) {
    let mut seen = String::new();
    for _ in 0..200 {
        let now = scene.status(name).await["state"].as_str().unwrap_or_default().to_owned();
        assert!(now == state || !matches!(now.as_str(), "open" | "ready"), "{name} is {now}");
        seen = now;
        if seen == state {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(seen, state, "{name}");
}

/// 6.2-40, D-07: down at the start is not taken for "no sign-in needed"; once it is up it is found
/// without anybody's command, and what it wants is seen then.
#[tokio::test]
async fn a_server_that_is_down_at_the_start_is_found_when_it_is_up() {
    let mut scene = Scene::with(|s| s.serve = false).await;
    let (guarded, open) = (free_port(), free_port());
    for (name, port) in [("guarded", guarded), ("open", open)] {
        let url = format!("http://127.0.0.1:{port}/mcp");
        scene.keyfob.run(&["add", "--name", name, &url]).await.ok();
    }
    scene.keyfob.serve().await;
    for name in ["guarded", "open"] {
        settles(&scene, name, "offline").await;
        let call = scene.call(name, "echo", &json!({"text": "nobody"})).await.expect_code(3);
        call.problem();
    }

    let guarded = McpServer::start_at("guarded", &scene.authority, guarded).await;
    let open = McpServer::start_at("open", &scene.authority, open).await;
    open.set(|s| s.guard = Guard::Nothing);
    // Nobody says anything to the product here.
    for server in [&guarded, &open] {
        let heard = |entries: &[keyfob_tests::Entry]| !entries.is_empty();
        let found = server.journal().wait(Duration::from_secs(60), heard).await;
        assert!(found, "{} was not asked again", server.url());
    }
    settles(&scene, "guarded", "signed-out").await;
    settles(&scene, "open", "open").await;
    assert!(scene.keyfob.links().is_empty(), "a browser unasked");
    assert_eq!(scene.authority.journal().authorizations().len(), 0);

    scene.connect("guarded", Visit::Allow).await.ok();
    for name in ["guarded", "open"] {
        scene.echo(name, "up again").await;
    }
}
