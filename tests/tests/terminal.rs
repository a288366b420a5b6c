//! A sign-in at a terminal: what is typed while it waits for the browser.
#![expect(clippy::expect_used, reason = "test code")]

use std::time::Duration;

use keyfob_tests::world::Running;
use keyfob_tests::{RpcClient, Scene};
use url::Url;

const PATIENCE: Duration = Duration::from_secs(10);

/// The `count`th link that was printed.
async fn link(running: &Running, count: usize) -> Url {
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let printed = running.stdout();
        let whole = printed.rfind('\n').map_or("", |at| &printed[..at]);
        let links = whole.lines().filter(|line| line.contains("code_challenge="));
        if let Some(link) = links.map(str::trim).nth(count - 1) {
            return link.parse().expect("a link");
        }
        assert!(std::time::Instant::now() < end, "no link {count}:\n{printed}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn client_id(link: &Url) -> String {
    let (_, id) = link.query_pairs().find(|(name, _)| name == "client_id").expect("a client id");
    id.into_owned()
}

/// The reader of an error page is the only one who can tell, and has no second terminal.
#[tokio::test]
async fn another_way_and_the_address_of_a_browser_elsewhere_are_typed() {
    let scene = Scene::start().await;
    scene.add("s", &[]).await.ok();
    let mut running = scene.keyfob.start_at_terminal(&["connect", "--browser", "none", "s"]);
    let first = link(&running, 1).await;
    assert_eq!(client_id(&first), scene.document_url);
    running.say("what now").await;
    assert!(running.prints("neither a nor an address", PATIENCE).await, "{}", running.printed());

    running.say("a").await;
    let second = link(&running, 2).await;
    assert_ne!(client_id(&second), scene.document_url, "the next rung is a registration");
    assert_eq!(scene.authority.journal().registrations().len(), 1);

    running.say("https://elsewhere.example/?code=x&state=y").await;
    assert!(running.prints("not the address", PATIENCE).await, "{}", running.printed());
    let reply = RpcClient::new(second.as_str()).send("GET", &[], None).await.expect("an answer");
    let address = reply.header("location").expect("where the browser ends").to_owned();
    running.say(&address).await;
    running.finish(PATIENCE).await.ok();
    assert_eq!(scene.status("s").await["registration"]["kind"], "dcr");
    scene.echo("s", "typed").await;
}

/// What is no terminal is not read: a script's input is not taken for a wish.
#[tokio::test]
async fn without_a_terminal_nothing_is_read() {
    let scene = Scene::start().await;
    scene.add("s", &[]).await.ok();
    let typed = keyfob_tests::world::Stdin::Text("a\n");
    let command = ["connect", "--browser", "none", "--deadline", "1", "s"];
    let running = scene.keyfob.start(&command, typed);
    link(&running, 1).await;
    let ended = running.finish(PATIENCE).await.expect_code(6);
    assert_eq!(ended.stdout.matches("code_challenge=").count(), 1, "{ended}");
    assert!(scene.authority.journal().registrations().is_empty());
}

/// Types a wish at a terminal where the command has only one of its streams; nobody may heed it.
async fn is_not_heard(before: &str, behind: &str) {
    let scene = Scene::start().await;
    scene.add("s", &[]).await.ok();
    let command = ["connect", "--browser", "none", "--deadline", "3", "s"];
    let mut running = scene.keyfob.start_at_terminal_between(before, &command, behind);
    // Not before it waits for the browser: nothing would come of a wish either way.
    link(&running, 1).await;
    running.say("a").await;
    let ended = running.finish(PATIENCE).await;
    assert!(!ended.late, "{ended}");
    assert_eq!(ended.stdout.matches("code_challenge=").count(), 1, "{ended}");
    assert!(!ended.stdout.contains("press Enter"), "it offers what it does not do: {ended}");
    assert!(scene.authority.journal().registrations().is_empty(), "{ended}");
}

#[tokio::test]
async fn what_comes_through_a_pipe_is_not_read_though_the_answer_goes_to_a_terminal() {
    // One line of the terminal, so that the pipe ends by itself.
    is_not_heard("head -n 1 |", "").await;
}

#[tokio::test]
async fn what_is_typed_is_not_read_where_the_answer_goes_into_a_pipe() {
    is_not_heard("", "| cat").await;
}
