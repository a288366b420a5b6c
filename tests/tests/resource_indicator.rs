//! The `resource` parameter (RFC 8707) where a sign-in service does not take it as it is named.

use keyfob_tests::authserver::ResourceRule;
use keyfob_tests::{Entry, Scene, Visit};

fn resources(entries: &[Entry]) -> Vec<Option<&str>> {
    entries.iter().map(|entry| entry.param("resource")).collect()
}

/// 6.2-63, A4a: refused, it is left out of all three requests, as a deviation that is said; over a
/// restart, and for this server at this service alone.
#[tokio::test]
async fn a_refused_resource_is_left_out_of_all_three_requests() {
    let mut scene =
        Scene::with(|s| s.authority.resource = ResourceRule::Refused).await.signed_in().await;
    scene.authority.expire_access_tokens();
    scene.echo("s", "without a resource").await;
    let journal = scene.authority.journal().clone();
    let named = scene.mcp.resource();
    let asked = journal.authorizations();
    let asked = resources(&asked);
    assert_eq!(asked.first(), Some(&Some(named.as_str())), "as the specification wants it");
    assert_eq!(asked.last(), Some(&None));
    assert_eq!(resources(&journal.exchanges()), [None]);
    assert_eq!(resources(&journal.refreshes()), [None]);
    let trace = scene.keyfob.run(&["trace", "s"]).await.ok();
    assert!(trace.stdout.contains("departs from the MCP specification"), "{trace}");

    scene.keyfob.stop().await;
    scene.keyfob.serve().await;
    journal.clear();
    scene.connect("s", Visit::Allow).await.ok();
    assert!(!journal.mentions(&named), "asked again: {}", journal.to_json());

    scene.add("t", &[]).await.ok();
    scene.connect("t", Visit::Allow).await.ok();
    assert!(journal.mentions(&named), "what one server's sign-in met is not another's");
}

/// A4c: before it is left out it is tried without the slash at its end.
#[tokio::test]
async fn a_refused_resource_is_first_tried_without_its_slash() {
    let scene = Scene::start().await;
    let bare = scene.mcp.url();
    scene.mcp.set(|s| s.claimed_resource = Some(format!("{bare}/")));
    scene.authority.set(|s| s.resource = ResourceRule::WithoutSlash);
    let scene = scene.signed_in().await;
    scene.authority.expire_access_tokens();
    scene.echo("s", "without its slash").await;
    let journal = scene.authority.journal();
    let asked = journal.authorizations();
    assert_eq!(asked.last().expect("a request").param("resource"), Some(bare.as_str()));
    assert_eq!(resources(&journal.exchanges()), [Some(bare.as_str())]);
    assert_eq!(resources(&journal.refreshes()), [Some(bare.as_str())]);
    journal.clear();
    scene.connect("s", Visit::Allow).await.ok();
    assert_eq!(resources(&journal.authorizations()), [Some(bare.as_str())], "it is remembered");
}
