//! The callback on our own port, and the link that is opened.
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "test code")]

use std::time::Duration;

use keyfob_tests::browser::{Choice, Ending, visit};
use keyfob_tests::call::with_query;
use keyfob_tests::world::{Running, Stdin};
use keyfob_tests::{RpcClient, Scene, Visit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

/// A sign-in that waits for its browser: the command, and the true link.
async fn waiting(scene: &Scene) -> (Running, String) {
    waiting_for(scene, "25").await
}

async fn waiting_for(scene: &Scene, seconds: &str) -> (Running, String) {
    scene.add("s", &[]).await.ok();
    let browser = scene.keyfob.browser(Visit::Ignore).display().to_string();
    let arguments = ["connect", "--browser", &browser, "--deadline", seconds, "s"];
    let running = scene.keyfob.start(&arguments, Stdin::Empty);
    for _ in 0..200 {
        if let Some(link) = scene.keyfob.links().pop() {
            let reply = RpcClient::new(&link).send("GET", &[], None).await.unwrap();
            assert!((300..400).contains(&reply.status), "{link}: {reply:?}");
            return (running, reply.header("location").expect("a link").to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no browser was opened:\n{}", running.printed());
}

fn parameter(link: &str, name: &str) -> String {
    let url = Url::parse(link).unwrap();
    let found = url.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned());
    found.unwrap_or_else(|| panic!("no {name} in {link}"))
}

#[tokio::test]
async fn what_is_opened_tells_nothing_and_works_once() {
    let scene = Scene::start().await;
    let (running, link) = waiting(&scene).await;
    let opened = scene.keyfob.links().pop().unwrap();
    let prefix = format!("http://127.0.0.1:{}/go/", scene.keyfob.port());
    assert!(opened.starts_with(&prefix), "{opened}");
    assert!(!opened.contains('?') && !opened.contains("state"), "{opened}");
    assert!(link.starts_with(&scene.authority.endpoint("authorize")), "{link}");
    let again = RpcClient::new(&opened).send("GET", &[], None).await.unwrap();
    assert!(again.status >= 400, "the link works twice: {again:?}");
    let ending = visit(&link, Choice::Allow).await.unwrap();
    assert!(matches!(ending, Ending::Code(200, _)), "{ending:?}");
    running.finish(Duration::from_secs(10)).await.ok();
}

/// Where the browser runs elsewhere, its last address is carried over by hand.
#[tokio::test]
async fn a_pasted_address_ends_the_sign_in_and_a_foreign_one_changes_nothing() {
    let scene = Scene::start().await;
    let paste = async |address: &str| {
        let patience = Duration::from_secs(10);
        scene.keyfob.run_with(&["paste", "s"], Stdin::Text(&format!("{address}\n")), patience).await
    };
    let (running, link) = waiting(&scene).await;
    let callback = parameter(&link, "redirect_uri");
    for foreign in ["", "nonsense", &callback, &format!("{callback}?code=c&state=made-up")] {
        let refused = paste(foreign).await.expect_code(5);
        assert!(refused.one_sentence().contains("not the address"), "{refused}");
    }
    let reply = RpcClient::new(&link).send("GET", &[], None).await.unwrap();
    let address = reply.header("location").expect("an address").to_owned();
    assert!(address.contains("code="), "{address}");
    paste(&address).await.ok();
    running.finish(Duration::from_secs(10)).await.ok();
    scene.echo("s", "pasted").await;
    paste(&address).await.expect_code(2);
    scene.keyfob.run(&["another-way", "s"]).await.expect_code(2);
}

#[tokio::test]
async fn what_is_not_ours_changes_nothing() {
    let scene = Scene::start().await;
    let (running, link) = waiting(&scene).await;
    let callback = parameter(&link, "redirect_uri");
    let state = parameter(&link, "state");
    let issuer = scene.authority.issuer();
    for query in [
        vec![("code", "stolen"), ("state", "made-up"), ("iss", issuer)],
        vec![("error", "access_denied"), ("state", "made-up")],
        vec![("error", "access_denied")],
        vec![("code", "stolen")],
        vec![],
        vec![("code", "a"), ("code", "b"), ("state", &state), ("iss", issuer)],
        vec![("code", "a"), ("state", &state), ("state", &state), ("iss", issuer)],
    ] {
        let url = with_query(&callback, query.iter().copied());
        let reply = RpcClient::new(&url).send("GET", &[], None).await.unwrap();
        assert!(reply.status >= 400, "{query:?}: {reply:?}");
    }
    let good = with_query(&callback, [("code", "a"), ("state", state.as_str()), ("iss", issuer)]);
    let head = RpcClient::new(&good).send("HEAD", &[], None).await.unwrap();
    assert!(head.status != 303, "HEAD consumed the state");
    let foreign = [("host", "attacker.example")];
    let reply = RpcClient::new(&good).send("GET", &foreign, None).await.unwrap();
    assert!(reply.status >= 400, "a foreign Host: {reply:?}");
    let moved = good.replace("/callback", "/callback/more");
    assert!(RpcClient::new(&moved).send("GET", &[], None).await.unwrap().status >= 400);
    assert_eq!(scene.authority.journal().token_requests().len(), 0);

    // 6.2-25: it is logged, and nothing of what it says.
    let log = scene.keyfob.broker().printed();
    let lines: Vec<_> = log.lines().filter(|l| l.contains("no sign-in waits for")).collect();
    assert!(lines.len() >= 7 && lines.iter().all(|l| l.contains("INFO")), "{log}");
    assert!(!log.contains("made-up") && !log.contains("stolen"), "{log}");

    let ending = visit(&link, Choice::Allow).await.unwrap();
    assert!(matches!(ending, Ending::Code(200, _)), "{ending:?}");
    running.finish(Duration::from_secs(10)).await.ok();
}

/// 6.2-30, A3e: who only looks ahead spends nothing, neither the answer nor the link.
#[tokio::test]
async fn looking_ahead_spends_nothing() {
    let scene = Scene::start().await;
    let (running, link) = waiting(&scene).await;
    let hop = RpcClient::new(&link).send("GET", &[], None).await.unwrap();
    let callback = hop.header("location").expect("a redirect").to_owned();
    for ahead in
        [("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch"), ("x-moz", "prefetch")]
    {
        let reply = RpcClient::new(&callback).send("GET", &[ahead], None).await.unwrap();
        assert_eq!(reply.status, 204, "{ahead:?}: {reply:?}");
    }
    for method in ["HEAD", "OPTIONS"] {
        let reply = RpcClient::new(&callback).send(method, &[], None).await.unwrap();
        assert!(reply.status != 303 && reply.header("location").is_none(), "{method}: {reply:?}");
    }
    let icon = format!("http://127.0.0.1:{}/favicon.ico", scene.keyfob.port());
    assert!(RpcClient::new(&icon).send("GET", &[], None).await.unwrap().status >= 400);
    assert_eq!(scene.authority.journal().token_requests().len(), 0);
    let reply = RpcClient::new(&callback).send("GET", &[], None).await.unwrap();
    assert_eq!(reply.status, 303, "it is still good");
    running.finish(Duration::from_secs(10)).await.ok();
}

/// 6.2-27: the exchange is its own task, not the tab's.
#[tokio::test]
async fn a_tab_that_is_closed_before_the_exchange_ends_changes_nothing() {
    let scene = Scene::with(|s| s.authority.token_pause = Duration::from_secs(2)).await;
    let (running, link) = waiting(&scene).await;
    let hop = RpcClient::new(&link).send("GET", &[], None).await.unwrap();
    let callback = Url::parse(hop.header("location").expect("a redirect")).unwrap();
    let path = format!("{}?{}", callback.path(), callback.query().unwrap_or_default());
    let arrived = tab(&scene, &path).await.expect("it answers at once");
    assert!(arrived.starts_with("HTTP/1.1 303"), "{arrived}");
    let location = arrived.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    // It waits for its page, and closes before that comes.
    let page = Url::parse(location.trim()).unwrap();
    let closed = tokio::time::timeout(Duration::from_millis(500), tab(&scene, page.path())).await;
    assert!(closed.is_err(), "the page was there before the exchange: {closed:?}");
    let exchanges = scene.authority.journal().exchanges();
    assert!(exchanges.len() == 1 && exchanges[0].status.is_none(), "{exchanges:?}");
    running.finish(Duration::from_secs(10)).await.ok();
    assert_eq!(scene.authority.journal().exchanges().len(), 1);
    scene.echo("s", "signed in").await;
}

/// What a tab of its own reads of this path first.
async fn tab(scene: &Scene, path: &str) -> Option<String> {
    let authority = format!("127.0.0.1:{}", scene.keyfob.port());
    let mut tab = tokio::net::TcpStream::connect(&authority).await.ok()?;
    let asked = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n\r\n");
    tab.write_all(asked.as_bytes()).await.ok()?;
    let mut bytes = vec![0; 4096];
    let length = tab.read(&mut bytes).await.ok()?;
    Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

/// 6.2-31, A3b: after the time is up, after Ctrl-C, and after a crash and a restart.
#[tokio::test]
async fn an_answer_that_comes_too_late_changes_nothing() {
    for end in ["time", "ctrl-c", "crash"] {
        let mut scene = Scene::start().await;
        let (running, link) = waiting_for(&scene, if end == "time" { "2" } else { "25" }).await;
        let hop = RpcClient::new(&link).send("GET", &[], None).await.unwrap();
        let callback = hop.header("location").expect("a redirect").to_owned();
        match end {
            "time" => drop(running.finish(Duration::from_secs(40)).await.expect_code(6)),
            "ctrl-c" => {
                running.interrupt();
                let output = running.finish(Duration::from_secs(10)).await;
                assert!(!output.late && output.code != Some(0), "{output}");
            }
            _ => {
                scene.keyfob.crash().await;
                scene.keyfob.serve().await;
            }
        }
        let mut status = 0;
        for _ in 0..50 {
            let state = scene.status("s").await["state"].clone();
            if state != "signing-in" {
                status = RpcClient::new(&callback).send("GET", &[], None).await.unwrap().status;
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(status, 404, "{end}");
        assert_eq!(scene.authority.journal().token_requests().len(), 0, "{end}");
    }
}

#[tokio::test]
async fn the_callback_is_not_there_while_nothing_is_pending() {
    let scene = Scene::start().await.signed_in().await;
    let url = format!("http://127.0.0.1:{}/callback?code=a&state=b", scene.keyfob.port());
    let reply = RpcClient::new(&url).send("GET", &[], None).await.unwrap();
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn the_code_is_gone_from_the_page_that_stays() {
    let scene = Scene::start().await;
    let (running, link) = waiting(&scene).await;
    let hop = RpcClient::new(&link).send("GET", &[], None).await.unwrap();
    let callback = hop.header("location").expect("a redirect").to_owned();
    let reply = RpcClient::new(&callback).send("GET", &[], None).await.unwrap();
    assert_eq!(reply.status, 303);
    let next = Url::parse(&callback).unwrap().join(reply.header("location").unwrap()).unwrap();
    assert!(!next.as_str().contains("code="), "{next}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let page = RpcClient::new(next.as_str()).send("GET", &[], None).await.unwrap();
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").is_some_and(|t| t.starts_with("text/html")));
    assert!(!page.text.contains("<script"), "{}", page.text);
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    running.finish(Duration::from_secs(10)).await.ok();
    let replay = RpcClient::new(&callback).send("GET", &[], None).await.unwrap();
    assert_eq!(replay.status, 404, "a callback works once");
    assert_eq!(scene.authority.journal().exchanges().len(), 1);
}

#[tokio::test]
async fn two_sign_ins_at_once() {
    let scene = Scene::start().await;
    scene.add("a", &[]).await.ok();
    scene.add("b", &[]).await.ok();
    let (a, b) = tokio::join!(scene.connect("a", Visit::Allow), scene.connect("b", Visit::Allow));
    a.ok();
    b.ok();
    scene.echo("a", "one").await;
    scene.echo("b", "two").await;
}

#[tokio::test]
async fn a_link_to_copy_is_printed_without_a_browser() {
    let scene = Scene::start().await;
    scene.add("s", &[]).await.ok();
    let arguments = ["connect", "--browser", "none", "--deadline", "20", "s"];
    let running = scene.keyfob.start(&arguments, Stdin::Empty);
    // With its query: the trace names the endpoint alone.
    let wanted = format!("{}?", scene.authority.endpoint("authorize"));
    assert!(running.prints(&wanted, Duration::from_secs(10)).await, "{}", running.printed());
    let printed = running.printed();
    let link = printed.split_whitespace().find(|w| w.starts_with(&wanted)).unwrap();
    visit(link, Choice::Allow).await.unwrap();
    running.finish(Duration::from_secs(10)).await.ok();
    scene.echo("s", "by hand").await;
}
