//! HTTP that two programs could read in two ways is not passed on in either direction.

use std::time::{Duration, Instant};

use keyfob_tests::door::{Door, Way};
use keyfob_tests::raw::{Raw, status};
use keyfob_tests::{Kind, McpServer, RpcClient, Scene};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const BODY: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;

/// A head with this target and `Host`.
fn head(target: &str, host: &str, key: &str, more: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Content-Length: {}\r\n{more}\r\n",
        BODY.len()
    )
}

#[tokio::test]
async fn an_absolute_target_counts_with_our_own_authority_alone() {
    let scene = Scene::start().await.signed_in().await;
    let key = scene.client_key("c", "s").await;
    let own = format!("127.0.0.1:{}", scene.keyfob.port());
    let before = scene.mcp.journal().of(Kind::Mcp).len();
    for target in [
        "http://a.example/s",
        "http://127.0.0.1/s",
        &format!("https://{own}/s"),
        &format!("http://u@{own}/s"),
        &format!("http://a.example:{}/s", scene.keyfob.port()),
    ] {
        for host in [own.as_str(), "a.example"] {
            let mut raw = Raw::connect(scene.keyfob.port()).await;
            let answer = raw.ask(head(target, host, &key, "") + BODY).await;
            assert_eq!(status(&answer), 400, "{target} at {host}: {answer}");
        }
    }
    assert_eq!(scene.mcp.journal().of(Kind::Mcp).len(), before, "it went upstream");
    for target in [format!("http://{own}/s"), format!("http://LOCALHOST:{}/s", scene.keyfob.port())]
    {
        let mut raw = Raw::connect(scene.keyfob.port()).await;
        raw.ask(head(&target, &own, &key, "") + BODY).await;
    }
    assert_eq!(scene.mcp.journal().of(Kind::Mcp).len(), before + 2, "our own did not");
}

#[tokio::test]
async fn a_head_has_64_kib_however_it_arrives() {
    let scene = Scene::start().await.signed_in().await;
    let key = scene.client_key("c", "s").await;
    let own = format!("127.0.0.1:{}", scene.keyfob.port());
    let sized = |size: usize| {
        let room = size - head("/s", &own, &key, "X-Pad: \r\n").len();
        head("/s", &own, &key, &format!("X-Pad: {}\r\n", "x".repeat(room)))
    };
    const LIMIT: usize = 64 * 1024;
    for (size, is_taken) in
        [(LIMIT - 1, true), (LIMIT, true), (LIMIT + 1, false), (LIMIT + 9000, false)]
    {
        for piece in [usize::MAX, 16_384, 1000, 7] {
            if piece == 7 && size != LIMIT {
                continue;
            }
            let head = sized(size);
            assert_eq!(head.len(), size);
            let mut raw = Raw::connect(scene.keyfob.port()).await;
            for part in head.as_bytes().chunks(piece.min(size)) {
                raw.send(part).await;
                if piece > 7 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            if is_taken {
                raw.send(BODY).await;
            }
            let answer = raw.until("\r\n\r\n").await;
            assert_eq!(status(&answer) != 431, is_taken, "{size} in pieces of {piece}: {answer}");
        }
    }
}

#[tokio::test]
async fn segments_that_somebody_reads_otherwise_do_not_pass_up() {
    let scene = Scene::start().await.signed_in().await;
    let key = scene.client_key("c", "s").await;
    let own = format!("127.0.0.1:{}", scene.keyfob.port());
    let before = scene.mcp.journal().entries().len();
    for tail in [
        "..;/admin",
        "..;a=b/admin",
        "%2e%2e;/admin",
        "..%3b/admin",
        "%252e%252e/admin",
        "%252e%252e%252fadmin",
        "%25252e%25252e/admin",
        "a%252fb",
        "%c0%ae%c0%ae/admin",
        "%e0%80%ae%e0%80%ae/admin",
        "%25c0%25ae/admin",
        "a%00",
        "a%2500",
        "..%00/admin",
        "a%zz",
        "%2ewell-known/openid-configuration",
        "%2Ewell%2dknown/oauth-protected-resource",
        "%252ewell-known/openid-configuration",
        ".well-known;x/openid-configuration",
    ] {
        for target in [format!("/s/{tail}"), format!("/k/{key}/s/{tail}")] {
            let mut raw = Raw::connect(scene.keyfob.port()).await;
            let answer = raw.ask(head(&target, &own, &key, "") + BODY).await;
            assert_eq!(status(&answer), 404, "{target}: {answer}");
        }
    }
    assert_eq!(scene.mcp.journal().entries().len(), before, "it went upstream");
}

#[tokio::test]
async fn segments_that_are_only_encoded_pass_up_as_they_are() {
    let scene = Scene::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    scene.keyfob.run(&["add", "--name", "e", &url]).await.ok();
    let key = scene.client_key("c", "e").await;
    let own = format!("127.0.0.1:{}", scene.keyfob.port());
    for tail in ["caf%C3%A9", "a%20b;v=1", "100%25", "https%3A%2B%2Ba.example%3Fq%3D1"] {
        let mut raw = Raw::connect(scene.keyfob.port()).await;
        raw.send(head(&format!("/e/{tail}"), &own, &key, "") + BODY).await;
        let wanted = format!("POST /mcp/{tail} HTTP/1.1\r\n");
        // What the server is asked besides, when it is added, goes to its own path.
        let asked = async || loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            if !request.starts_with("POST /mcp HTTP/1.1\r\n") {
                break request;
            }
        };
        let asked = tokio::time::timeout(Duration::from_secs(20), asked()).await.unwrap();
        assert!(asked.starts_with(&wanted), "{asked}");
    }
}

async fn with_door() -> (Scene, McpServer, Door, RpcClient) {
    let scene = Scene::start().await;
    let open = McpServer::start_open("open").await;
    let door = Door::to(open.origin(), None).await;
    let url = format!("http://127.0.0.1:{}/mcp", door.port());
    scene.keyfob.run(&["add", "--name", "o", &url]).await.ok();
    scene.keyfob.run(&["connect", "o"]).await.ok();
    let client = scene.client("o").await;
    (scene, open, door, client)
}

#[tokio::test]
async fn an_answer_that_can_be_read_in_two_ways_is_trouble_of_ours() {
    let (_scene, _open, door, client) = with_door().await;
    const JSON: &str = "Content-Type: application/json\r\n";
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    for (what, answer) in [
        (
            "101",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhi"
                .to_owned(),
        ),
        (
            "length and chunks",
            format!(
                "HTTP/1.1 200 OK\r\n{JSON}Content-Length: 2\r\n{CHUNKED}\r\n2\r\n{{}}\r\n0\r\n\r\n"
            ),
        ),
        (
            "chunks and length",
            format!(
                "HTTP/1.1 200 OK\r\n{JSON}{CHUNKED}Content-Length: 2\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
            ),
        ),
        (
            "length and chunks under an error",
            format!(
                "HTTP/1.1 401 Unauthorized\r\n{JSON}Content-Length: 2\r\n{CHUNKED}\r\n2\r\n{{}}\r\n0\r\n\r\n"
            ),
        ),
        (
            "two codings",
            format!(
                "HTTP/1.1 200 OK\r\n{JSON}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
            ),
        ),
        ("another coding", format!("HTTP/1.1 200 OK\r\n{JSON}Transfer-Encoding: gzip\r\n\r\n{{}}")),
        (
            "two lengths",
            format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}} "),
        ),
        (
            "one length twice",
            format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}"),
        ),
        ("a list of lengths", format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: 2, 2\r\n\r\n{{}}")),
        (
            "a length of letters",
            format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: two\r\n\r\n{{}}"),
        ),
        ("no chunk size", format!("HTTP/1.1 200 OK\r\n{JSON}{CHUNKED}\r\nzz\r\n{{}}\r\n0\r\n\r\n")),
        (
            "a huge chunk size",
            format!("HTTP/1.1 200 OK\r\n{JSON}{CHUNKED}\r\nfffffffffffffffff\r\n{{}}"),
        ),
        ("chunks that end at once", format!("HTTP/1.1 200 OK\r\n{JSON}{CHUNKED}\r\n")),
        ("no HTTP", "hello\r\n\r\n".to_owned()),
    ] {
        door.set(Way::Says(answer));
        let body = Some(BODY.as_bytes().to_vec());
        let reply = client.send("POST", &[("content-type", "application/json")], body).await;
        let reply = reply.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(reply.status, 502, "{what}: {reply:?}");
        let said = reply.message();
        assert_eq!(
            (&said["id"], &said["error"]["data"]["code"]),
            (&json!(7), &json!("unreachable"))
        );
    }
    // What came before it broke has been passed on, so that it can only be cut off.
    let broken = format!("HTTP/1.1 200 OK\r\n{JSON}{CHUNKED}\r\n2\r\n{{}}\r\nzz\r\n");
    door.set(Way::Says(broken));
    let cut = client.send("POST", &[], Some(BODY.as_bytes().to_vec())).await;
    assert!(cut.is_err_and(|error| !error.is_connect()), "a part was taken for the whole");
}

/// The head of a stream waits for no event, and that of another answer not for long.
#[tokio::test]
async fn a_head_comes_down_though_nothing_follows() {
    let mut took = Vec::new();
    for kind in ["text/event-stream", "application/json"] {
        let (scene, _open, _door, client) = with_door().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        scene.keyfob.run(&["add", "--name", "slow", &url]).await.ok();
        let key = scene.client_key("c", "slow").await;
        drop(client);
        let answering = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await.ok();
                held.push(stream);
            }
        });
        let mut raw = Raw::connect(scene.keyfob.port()).await;
        let own = format!("127.0.0.1:{}", scene.keyfob.port());
        let began = Instant::now();
        let answer = raw.ask(head("/slow", &own, &key, "") + BODY).await;
        assert_eq!(status(&answer), 200, "{answer}");
        took.push(began.elapsed());
        answering.abort();
    }
    let (of_events, other) = (took[0], took[1]);
    assert!(of_events < other, "the head of a stream waited: {of_events:?}, {other:?}");
}
