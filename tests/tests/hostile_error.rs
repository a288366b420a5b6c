//! What an authorization server writes beside an error is not for our page, nor for any other
//! place of ours. The code, where it is a known one, is told in our own words.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::time::Duration;

use keyfob_tests::scan::holder;
use keyfob_tests::world::{Stdin, files_below};
use keyfob_tests::{RpcClient, Scene, Visit};
use url::Url;

const CANARY: &str = "canary-5c1f";
const HOSTILE: &str = "<script>alert('canary-5c1f')</script>\u{1b}[31m\" onload=\"canary-5c1f";

/// Where our own page stands once the browser has brought this answer.
async fn page_after(callback: &str) -> (String, String) {
    let reply = RpcClient::new(callback).send("GET", &[], None).await.unwrap();
    assert_eq!(reply.status, 303, "{reply:?}");
    let next = Url::parse(callback).unwrap().join(reply.header("location").unwrap()).unwrap();
    let page = RpcClient::new(next.as_str()).send("GET", &[], None).await.unwrap();
    (next.to_string(), page.text)
}

/// 6.2-29, A2a, A2b.
#[tokio::test]
async fn the_text_beside_an_error_turns_up_nowhere() {
    for (error, description) in [
        ("access_denied", HOSTILE),
        ("server_error", HOSTILE),
        ("temporarily_unavailable", ""),
        ("access_denied", ""),
        (HOSTILE, HOSTILE),
    ] {
        let scene = Scene::with(|s| {
            s.authority.front_error = Some(error.to_owned());
            s.authority.front_description = Some(description.to_owned());
        })
        .await;
        scene.add("s", &[]).await.ok();
        let browser = scene.keyfob.browser(Visit::Ignore).display().to_string();
        let arguments = ["connect", "--browser", &browser, "--deadline", "20", "s"];
        let running = scene.keyfob.start(&arguments, Stdin::Empty);
        let mut opened = None;
        for _ in 0..200 {
            opened = scene.keyfob.links().pop();
            if opened.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let Some(opened) = opened else { panic!("no browser:\n{}", running.printed()) };
        let go = RpcClient::new(&opened).send("GET", &[], None).await.unwrap();
        let link = go.header("location").expect("a link").to_owned();
        let hop = RpcClient::new(&link).send("GET", &[], None).await.unwrap();
        let callback = hop.header("location").expect("a redirect").to_owned();
        let is_told = callback.contains("error_description");
        assert_eq!(is_told, !description.is_empty(), "the fixture: {callback}");

        let (address, page) = page_after(&callback).await;
        assert!(!address.contains("error") && !address.contains(CANARY), "{address}");
        assert!(!page.contains(CANARY) && !page.contains("<script"), "{error}: {page}");
        assert!(page.contains("did not work") || page.contains("s:"), "what became of it: {page}");
        let output = running.finish(Duration::from_secs(10)).await.expect_code(5);
        output.one_sentence();
        assert!(!output.to_string().contains(CANARY), "{output}");
        for command in [
            vec!["trace", "s"],
            vec!["trace", "--json", "s"],
            vec!["status", "s"],
            vec!["list", "--json"],
        ] {
            let output = scene.keyfob.run(&command).await.ok();
            assert!(!output.to_string().contains(CANARY), "{output}");
        }
        assert!(!scene.keyfob.printed().contains(CANARY), "it was logged");
        assert_eq!(holder(&files_below(&scene.keyfob.home()), CANARY), None, "it was kept");
        assert_eq!(scene.authority.journal().token_requests().len(), 0);
        // What is known is told: the trace names the code that came.
        let trace = scene.keyfob.run(&["trace", "s"]).await.ok().stdout;
        assert!(error == HOSTILE || trace.contains(error), "{trace}");
    }
}
