//! The `resource` parameter (RFC 8707): what the metadata calls the server, and what a sign-in
//! service takes.

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

/// T3a, T3b: a name that covers the server is used byte for byte, and the person can see that it is
/// not the server's own.
#[tokio::test]
async fn a_resource_that_covers_the_server_is_used_as_it_stands() {
    for suffix in ["/mcp/", "/", ""] {
        let scene = Scene::start().await;
        let named = format!("{}{suffix}", scene.mcp.origin());
        scene.mcp.set(|s| s.claimed_resource = Some(named.clone()));
        let scene = scene.signed_in().await;
        scene.authority.expire_access_tokens();
        scene.echo("s", "covered").await;
        let journal = scene.authority.journal();
        let mut asked = journal.authorizations();
        asked.extend(journal.token_requests());
        assert!(resources(&asked).iter().all(|r| *r == Some(named.as_str())), "{named}");
        let trace = scene.keyfob.run(&["trace", "s"]).await.ok();
        let said = "covers this server without being its exact name";
        assert!(trace.stdout.contains(said), "{trace}");
    }
}

/// T3b, T3c, T3d: one that does not is refused before anybody is asked for anything.
#[tokio::test]
async fn a_resource_that_does_not_cover_the_server_is_refused() {
    let scene = Scene::start().await;
    scene.add("s", &[]).await.ok();
    let (origin, url) = (scene.mcp.origin().to_owned(), scene.mcp.url());
    for named in [
        format!("{origin}/mc"),
        format!("{origin}/mcp2"),
        format!("{origin}/mcp/below"),
        format!("{url}?tenant=one"),
        origin.replace("127.0.0.1", "localhost"),
        "http://127.0.0.1:9/mcp".to_owned(),
    ] {
        scene.mcp.set(|s| s.claimed_resource = Some(named.clone()));
        let output = scene.connect("s", Visit::Allow).await.expect_code(4);
        assert!(output.one_sentence().contains("about another server"), "{named}: {output}");
        assert!(scene.authority.journal().entries().is_empty(), "{named}");
        assert!(scene.keyfob.links().is_empty());
    }
}
