//! The port of our own: in foreign hands that is told, and nothing moves to another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::time::Duration;

use keyfob_tests::authserver::LoopbackNames;
use keyfob_tests::world::{Stdin, files_below};
use keyfob_tests::{Keyfob, RpcClient, Scene, Store, Visit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// 6.2-21, 6.2-28, D-05, D-13: whoever listens on either family could be sent our codes.
#[tokio::test]
async fn a_foreign_listener_on_either_family_is_told_before_any_browser_opens() {
    for address in LOOPBACK {
        let mut scene = Scene::with(|s| s.serve = false).await;
        scene.add("s", &[]).await.ok();
        let port = scene.keyfob.port();
        let foreign = TcpListener::bind((address, port)).expect("a machine with both families");
        let before = files_below(&scene.keyfob.home().join("config"));
        let output = scene.keyfob.run(&["serve", "--json", "--store", "memory"]).await;
        let problem = output.expect_code(1).problem();
        assert_eq!(problem["code"], "port-taken", "{address}");
        assert_eq!(problem["params"]["port"], port.to_string());
        let remedy = problem["remedy"].as_str().unwrap_or_default();
        assert!(remedy.contains("End that program") && remedy.contains("config.toml"), "{remedy}");
        // Neither does a command that wants to sign in start a broker elsewhere.
        let browser = scene.keyfob.browser(Visit::Allow).display().to_string();
        let output = scene.keyfob.run(&["connect", "--browser", &browser, "s"]).await;
        assert!(output.expect_code(1).one_sentence().contains(&port.to_string()));
        assert!(scene.keyfob.links().is_empty(), "a browser was opened");
        assert!(scene.authority.journal().authorizations().is_empty());
        assert_eq!(files_below(&scene.keyfob.home().join("config")), before, "it has moved");
        drop(foreign);
        scene.keyfob.serve().await;
        assert_eq!(scene.keyfob.port(), port);
    }
}

/// D-05: the port that was chosen at the first start is the port from then on.
#[tokio::test]
async fn a_chosen_port_that_is_taken_later_is_told_and_not_left() {
    let mut keyfob = Keyfob::new(Store::Memory);
    keyfob.forget_port();
    keyfob.serve().await;
    let port = keyfob.port();
    keyfob.stop().await;
    // Where another test has been quicker, that is as foreign.
    let _foreign = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let before = files_below(&keyfob.home().join("config"));
    let output = keyfob.run(&["serve", "--json", "--store", "memory"]).await.expect_code(1);
    let problem = output.problem();
    assert_eq!(problem["code"], "port-taken");
    assert_eq!(problem["params"]["port"], port.to_string());
    assert_eq!(files_below(&keyfob.home().join("config")), before);
}

/// Three users of the machine have a Keyfob each. The fourth has a port of its own, in a network
/// namespace where nobody else takes part.
#[tokio::test]
async fn a_fourth_broker_finds_a_port_says_what_it_costs_and_keeps_it() {
    let keyfob = Keyfob::new(Store::Memory);
    let script = r#"
        ip link set lo up || exit 9
        serve() { KEYFOB_HOME="$1/$2" exec "$0" serve --store memory; }
        for home in 1 2 3 4; do
          serve "$1" $home >"$1/said-$home" 2>"$1/aside-$home" & pids="$pids $!"
          for i in $(seq 200); do grep -q answers "$1/said-$home" && break; sleep 0.05; done
        done
        kill $pids; wait
        serve "$1" 4 >"$1/again" 2>"$1/aside-again" & pid=$!
        for i in $(seq 200); do grep -q answers "$1/again" && break; sleep 0.05; done
        kill $pid; wait
        KEYFOB_HOME="$1/4" "$0" doctor >"$1/doctor"
        true
    "#;
    let program = keyfob.program().display().to_string();
    let folder = keyfob.scratch().display().to_string();
    let arguments = ["-rn", "bash", "-c", script, &program, &folder];
    let ran = keyfob.start_as(0, std::path::Path::new("unshare"), &arguments);
    ran.finish(Duration::from_secs(60)).await.expect_code(0);
    let read = |name: &str| {
        std::fs::read_to_string(keyfob.scratch().join(name))
            .unwrap_or_else(|e| panic!("{name}: {e}"))
    };
    let port = |name: &str| {
        let said = read(name);
        let (_, rest) = said.split_once("127.0.0.1:").unwrap_or_else(|| panic!("{name}: {said}"));
        rest.split('.').next().and_then(|port| port.parse::<u16>().ok()).expect("a port")
    };
    assert_eq!(["said-1", "said-2", "said-3"].map(port), [15393, 25393, 31393]);
    let fourth = port("said-4");
    assert!(![15393, 25393, 31393].contains(&fourth), "{fourth}");
    let aside = read("aside-4");
    assert!(aside.contains(&fourth.to_string()) && aside.contains("CIMD"), "{aside}");
    assert!(!read("aside-3").contains("CIMD"), "{}", read("aside-3"));
    assert!(read("4/config/config.toml").contains(&format!("port = {fourth}")));
    assert_eq!(port("again"), fourth, "it is kept");
    assert!(!read("aside-again").contains("CIMD"), "it was said");
    let doctor = read("doctor");
    assert!(doctor.contains(&format!("{fourth} is a port of your own")), "{doctor}");
}

/// 6.2-28: `localhost` is ::1 to many browsers, and the answer arrives there as well.
#[tokio::test]
async fn an_answer_arrives_on_either_family() {
    for address in LOOPBACK {
        let scene = Scene::with(|s| s.authority.loopback_names = LoopbackNames::NameOnly).await;
        scene.add("s", &[]).await.ok();
        let browser = scene.keyfob.browser(Visit::Ignore).display().to_string();
        let arguments = ["connect", "--browser", &browser, "--deadline", "25", "s"];
        let running = scene.keyfob.start(&arguments, Stdin::Empty);
        let mut callback = None;
        for _ in 0..200 {
            // The first link is to the page that refuses the address; the last one counts.
            if let Some(link) = scene.keyfob.links().last() {
                let go = RpcClient::new(link).send("GET", &[], None).await.expect("an answer");
                let link = go.header("location").expect("a link").to_owned();
                let hop = RpcClient::new(&link).send("GET", &[], None).await.expect("an answer");
                callback = hop.header("location").map(str::to_owned);
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let callback = Url::parse(&callback.expect("an answer for us")).expect("a URL");
        let host = format!("localhost:{}", scene.keyfob.port());
        assert_eq!(callback.authority(), host);
        let mut stream = TcpStream::connect((address, scene.keyfob.port())).await.expect("ours");
        let path = format!("{}?{}", callback.path(), callback.query().unwrap_or_default());
        let asked = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(asked.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 303"), "{address}: {answer}");
        running.finish(Duration::from_secs(10)).await.ok();
        scene.echo("s", "signed in").await;
    }
}

/// D-05: two at once, each with a port of its own, and neither is in the other's way.
#[tokio::test]
async fn sign_ins_of_two_homes_do_not_collide() {
    let (one, two) = tokio::join!(Scene::start(), Scene::start());
    one.add("s", &[]).await.ok();
    two.add("s", &[]).await.ok();
    let (a, b) = tokio::join!(one.connect("s", Visit::Allow), two.connect("s", Visit::Allow));
    a.ok();
    b.ok();
    for scene in [&one, &two] {
        let asked = scene.authority.journal().exchanges().pop().expect("an exchange");
        let own = format!("http://127.0.0.1:{}/callback", scene.keyfob.port());
        assert_eq!(asked.param("redirect_uri"), Some(own.as_str()));
        scene.echo("s", "each its own").await;
    }
}
