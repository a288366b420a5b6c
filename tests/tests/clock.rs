//! Clocks that are wrong, time that passes, and tokens that say nothing about it.
#![expect(clippy::expect_used, clippy::panic, reason = "test code")]

use std::time::Duration;

use keyfob_tests::authserver::Refresh;
use keyfob_tests::world::Stdin;
use keyfob_tests::{BearerSeen, RpcClient, Scene, Visit};
use serde_json::{Value, json};

/// What the server has seen of the tokens of all `echo`es.
fn bearers(scene: &Scene) -> Vec<BearerSeen> {
    scene.mcp.journal().tool_calls("echo").into_iter().filter_map(|c| c.bearer).collect()
}

/// 6.2-51: all that counts is how long a token lasts from now on.
#[tokio::test]
async fn a_clock_that_was_always_wrong_changes_nothing() {
    for ahead in [600, -600] {
        let (scene, machine) = Scene::on_machine(|s| s.authority.access_token_seconds = 300).await;
        machine.set_clock(ahead);
        let scene = scene.signed_in().await;
        for text in ["a", "b"] {
            scene.echo("s", text).await;
        }
        assert_eq!(scene.authority.journal().refreshes().len(), 0, "{ahead}: renewed too early");
        scene.authority.expire_access_tokens();
        scene.echo("s", "c").await;
        scene.echo("s", "d").await;
        assert_eq!(scene.authority.journal().refreshes().len(), 1, "{ahead}");
        assert_eq!(scene.keyfob.links().len(), 1);
    }
}

/// 6.2-51, spec-17: a clock that is set while we run costs one renewal at most.
#[tokio::test]
async fn a_clock_that_is_set_costs_one_renewal() {
    for ahead in [600, -600] {
        let (scene, machine) = Scene::on_machine(|s| s.authority.access_token_seconds = 300).await;
        let scene = scene.signed_in().await;
        scene.echo("s", "before").await;
        machine.set_clock(ahead);
        if ahead < 0 {
            // By our clock it is good for long yet; the server knows better.
            scene.authority.expire_access_tokens();
        }
        for text in ["a", "b", "c"] {
            scene.echo("s", text).await;
        }
        let refreshes = scene.authority.journal().refreshes();
        assert_eq!(refreshes.len(), 1, "{ahead}");
        assert!(refreshes[0].accepted());
        assert_eq!(scene.status("s").await["state"], "ready");
        assert_eq!(scene.keyfob.links().len(), 1, "a browser was opened");
    }
}

/// 6.2-51: what was to be tried again in two seconds is not tried again in ten minutes.
#[tokio::test]
async fn a_clock_that_is_set_back_holds_up_no_second_try() {
    let (scene, machine) = Scene::on_machine(|_| ()).await;
    let scene = scene.signed_in().await;
    scene.authority.expire_access_tokens();
    scene.authority.token_outage(1, 503, 1);
    scene.call("s", "echo", &json!({"text": "x"})).await.expect_code(3);
    machine.set_clock(-600);
    tokio::time::sleep(Duration::from_secs(2)).await;
    scene.echo("s", "soon after").await;
}

/// spec-17: after a night the token is renewed before it is used, by one of many.
#[tokio::test]
async fn after_a_night_the_token_is_renewed_first() {
    let (scene, machine) = Scene::on_machine(|_| ()).await;
    let scene = scene.signed_in().await;
    let client = scene.client("s").await;
    assert_eq!(client.modern_call("echo", json!({"text": "a"})).await.tool_text(), "a");
    // Asleep, only the wall clock goes on.
    machine.set_clock(8 * 3600);
    scene.authority.expire_access_tokens();
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                client.modern_call("echo", json!({"text": "b"})).await.tool_text().to_owned()
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.expect("an answer"), "b");
    }
    assert_eq!(scene.authority.journal().refreshes().len(), 1);
    assert!(bearers(&scene).iter().all(|seen| *seen == BearerSeen::Issued), "one came too late");
}

/// 6.2-45: ahead of the end, and those that were made together are not renewed together.
#[tokio::test]
async fn tokens_are_renewed_ahead_of_their_end_and_not_all_at_once() {
    const SERVERS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let (scene, machine) = Scene::on_machine(|_| ()).await;
    let mut clients = Vec::new();
    for name in SERVERS {
        scene.add(name, &[]).await.ok();
        scene.connect(name, Visit::Allow).await.ok();
        clients.push(scene.client(name).await);
    }
    let mut renewed = Vec::new();
    // An hour's token: five minutes before its end, less up to a tenth.
    for ahead in [3250, 3290, 3305, 3310, 3315, 3320, 3325, 3335, 3360] {
        machine.set_clock(ahead);
        for client in &clients {
            assert_eq!(client.modern_call("echo", json!({"text": "x"})).await.tool_text(), "x");
        }
        renewed.push(scene.authority.journal().refreshes().len());
    }
    assert_eq!(renewed.first(), Some(&0), "too early: {renewed:?}");
    assert_eq!(renewed.last(), Some(&SERVERS.len()), "too late, or twice: {renewed:?}");
    assert!(renewed.iter().any(|n| (1..SERVERS.len()).contains(n)), "all at once: {renewed:?}");
    assert!(bearers(&scene).iter().all(|seen| *seen == BearerSeen::Issued));
}

/// 6.2-52: what does not say when it ends is used until it is refused.
#[tokio::test]
async fn a_token_without_an_end_is_used_until_it_is_refused() {
    let (scene, machine) = Scene::on_machine(|s| s.authority.tells_expiry = false).await;
    let scene = scene.signed_in().await;
    assert_eq!(scene.status("s").await["expires_at"], Value::Null);
    let client = scene.client("s").await;
    let echo =
        async || client.modern_call("echo", json!({"text": "x"})).await.tool_text().to_owned();
    assert_eq!(echo().await, "x");
    machine.set_clock(7 * 24 * 3600);
    assert_eq!(echo().await, "x");
    assert_eq!(scene.authority.journal().refreshes().len(), 0, "renewed for no reason");
    scene.authority.expire_access_tokens();
    assert_eq!(echo().await, "x");
    assert_eq!(scene.authority.journal().refreshes().len(), 1);
    let seen = [BearerSeen::Issued, BearerSeen::Issued, BearerSeen::Expired, BearerSeen::Issued];
    assert_eq!(bearers(&scene), seen);
}

/// 6.2-53: the person hears at the sign-in what is to come.
#[tokio::test]
async fn without_a_refresh_token_the_end_is_said_beforehand() {
    let (scene, machine) = Scene::on_machine(|s| s.authority.refresh = Refresh::Never).await;
    scene.add("s", &[]).await.ok();
    let output = scene.connect("s", Visit::Allow).await.ok();
    assert!(output.stdout.contains("the server will ask again when it ends"), "{output}");
    assert!(output.stdout.contains("access until"), "{output}");
    assert!(scene.status("s").await["expires_at"].is_string());
    machine.set_clock(3590);
    scene.echo("s", "to its end").await;
    machine.set_clock(3610);
    scene.authority.expire_access_tokens();
    let output = scene.call("s", "echo", &json!({"text": "x"})).await.expect_code(5);
    assert_eq!(output.problem()["code"], "grant-expired", "{output}");
    let status = scene.status("s").await;
    assert_eq!((&status["state"], &status["level"]), (&json!("signed-out"), &json!("red")));
    assert_eq!(scene.authority.journal().refreshes().len(), 0);
    assert_eq!(scene.keyfob.links().len(), 1, "a browser was opened unasked");
}

/// A sign-in whose browser is the test: the command, and the answer that a person would bring.
async fn answer_in_hand(scene: &Scene) -> (keyfob_tests::world::Running, String) {
    scene.add("s", &[]).await.ok();
    let browser = scene.keyfob.browser(Visit::Ignore).display().to_string();
    let running = scene.keyfob.start(&["connect", "--browser", &browser, "s"], Stdin::Empty);
    for _ in 0..200 {
        if let Some(link) = scene.keyfob.links().pop() {
            let go = RpcClient::new(&link).send("GET", &[], None).await.expect("an answer");
            let link = go.header("location").expect("a link").to_owned();
            let hop = RpcClient::new(&link).send("GET", &[], None).await.expect("an answer");
            return (running, hop.header("location").expect("a redirect").to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no browser was opened:\n{}", running.printed());
}

/// A6c: a person may take eight minutes.
#[tokio::test]
async fn a_person_may_take_eight_minutes() {
    let (scene, machine) = Scene::on_machine(|_| ()).await;
    let (running, callback) = answer_in_hand(&scene).await;
    machine.set_passed(8 * 60);
    assert_eq!(scene.status("s").await["state"], "signing-in");
    let reply = RpcClient::new(&callback).send("GET", &[], None).await.expect("an answer");
    assert_eq!(reply.status, 303, "{reply:?}");
    running.finish(Duration::from_secs(10)).await.ok();
    scene.echo("s", "in time").await;
}

/// 6.2-31: and not eleven; what comes then changes nothing.
#[tokio::test]
async fn after_ten_minutes_it_is_over() {
    let (scene, machine) = Scene::on_machine(|_| ()).await;
    let (running, callback) = answer_in_hand(&scene).await;
    machine.set_passed(11 * 60);
    let mut state = Value::Null;
    for _ in 0..50 {
        state = scene.status("s").await["state"].take();
        if state != "signing-in" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(state, "signed-out");
    let output = running.finish(Duration::from_secs(10)).await.expect_code(5);
    output.one_sentence();
    let reply = RpcClient::new(&callback).send("GET", &[], None).await.expect("an answer");
    assert_eq!(reply.status, 404);
    assert_eq!(scene.authority.journal().token_requests().len(), 0);
}
