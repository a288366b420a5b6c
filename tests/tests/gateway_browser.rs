//! No server gets a page at the gateway's own origin, where it would find the keys of others.
//! `tests/tests/desktop/origin.rs` shows the same in real browsers.

use keyfob_tests::door::{Door, Way};
use keyfob_tests::rpc::Reply;
use keyfob_tests::{Kind, McpServer, RpcClient, Scene};
use serde_json::json;

/// What only a browser sends.
const BROWSERS: [&[(&str, &str)]; 9] = [
    &[("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate"), ("sec-fetch-site", "none")],
    &[("sec-fetch-dest", "iframe"), ("sec-fetch-site", "cross-site")],
    &[("sec-fetch-dest", "script"), ("sec-fetch-site", "same-origin")],
    &[("sec-fetch-dest", "image"), ("sec-fetch-site", "none")],
    &[("sec-fetch-dest", "serviceworker"), ("service-worker", "script")],
    &[("sec-fetch-dest", "empty"), ("sec-fetch-site", "same-origin")],
    &[("sec-fetch-dest", "empty"), ("sec-fetch-site", "cross-site")],
    &[("sec-fetch-dest", "what-comes-next")],
    &[("service-worker", "script")],
];

/// What keeps an answer for programs from being anything to a browser.
fn is_no_page(reply: &Reply) {
    let policy = reply.header("content-security-policy").unwrap_or_default();
    assert_eq!(policy, "sandbox; default-src 'none'", "{reply:?}");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{reply:?}");
    assert_eq!(reply.header("cross-origin-resource-policy"), Some("same-origin"), "{reply:?}");
}

#[tokio::test]
async fn what_a_browser_sends_goes_to_no_server() {
    let scene = Scene::start().await.signed_in().await;
    let key = scene.client_key("c", "s").await;
    let own = format!("http://127.0.0.1:{}", scene.keyfob.port());
    let clients = [
        RpcClient::new(&format!("{own}/k/{key}/s")),
        RpcClient::new(&format!("{own}/k/{key}/s/sw.js")),
        RpcClient::new(&scene.gateway("s")).bearer(&key),
        // Neither do those without a key learn more.
        RpcClient::new(&scene.gateway("s")),
        RpcClient::new(&scene.gateway("nobody")),
    ];
    let before = scene.mcp.journal().of(Kind::Mcp).len();
    for headers in BROWSERS {
        for client in &clients {
            for method in ["GET", "POST"] {
                let reply = client.send(method, headers, None).await.unwrap();
                assert_eq!(reply.status, 403, "{method} {headers:?}: {reply:?}");
                let shown = reply.header("content-type").is_some_and(|t| t.contains("text/html"));
                let is_navigation = matches!(headers[0].1, "document" | "iframe");
                assert_eq!(shown, is_navigation, "{headers:?}: {reply:?}");
                if is_navigation {
                    assert_eq!(reply.text.matches("<p>").count(), 1, "{}", reply.text);
                    assert!(reply.text.contains("This address is for MCP clients"));
                    assert!(!reply.text.contains("<script") && !reply.text.contains(&key));
                    let policy = reply.header("content-security-policy").unwrap_or_default();
                    assert!(policy.contains("default-src 'none'"), "{policy}");
                } else {
                    is_no_page(&reply);
                }
            }
        }
    }
    assert_eq!(scene.mcp.journal().of(Kind::Mcp).len(), before, "it went upstream");
    for headers in [
        &[] as &[_],
        &[("sec-fetch-mode", "cors")],
        &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "empty"), ("sec-fetch-site", "none")],
    ] {
        let mut client = RpcClient::new(&scene.gateway("s")).bearer(&key);
        for (name, value) in headers {
            client = client.with(name, value);
        }
        let reply = client.modern_call("echo", json!({"text": "a program"})).await;
        assert_eq!(reply.tool_text(), "a program", "{headers:?}");
        is_no_page(&reply);
    }
}

#[tokio::test]
async fn answers_of_our_own_are_no_pages_either() {
    let scene = Scene::start().await;
    scene.add("s", &[]).await.ok();
    let key = scene.client_key("c", "s").await;
    let own = format!("http://127.0.0.1:{}", scene.keyfob.port());
    for (status, path) in [(503, "s"), (403, "nobody"), (404, "token"), (404, "s/../x")] {
        let client = RpcClient::new(&format!("{own}/{path}")).bearer(&key);
        let reply = client.send("POST", &[], None).await.unwrap();
        assert!(matches!(reply.status, s if s == status || path.contains("..")), "{reply:?}");
        is_no_page(&reply);
    }
    let reply = RpcClient::new(&format!("{own}/callback?code=a&state=b"));
    let reply = reply.send("GET", &[("sec-fetch-dest", "document")], None).await.unwrap();
    assert_eq!(reply.status, 404);
    assert_eq!(reply.header("cross-origin-resource-policy"), Some("same-origin"));
    assert!(reply.header("content-security-policy").unwrap().contains("default-src 'none'"));
}

/// A server that is opened in a browser all the same (one that says nothing of where it was
/// sent from) gets no worker, no policy and no report out of it.
#[tokio::test]
async fn nothing_that_acts_on_a_browser_is_passed_down() {
    let scene = Scene::start().await;
    let open = McpServer::start_open("open").await;
    let door = Door::to(open.origin(), None).await;
    let url = format!("http://127.0.0.1:{}/mcp", door.port());
    scene.keyfob.run(&["add", "--name", "o", &url]).await.ok();
    scene.keyfob.run(&["connect", "o"]).await.ok();
    let client = scene.client("o").await;
    let acting = [
        "Service-Worker-Allowed: /",
        "Clear-Site-Data: \"*\"",
        "Refresh: 0; url=https://a.example",
        "Link: <https://a.example/x.js>; rel=preload",
        "Report-To: {}",
        "Reporting-Endpoints: a=\"https://a.example\"",
        "NEL: {}",
        "Referrer-Policy: unsafe-url",
        "Content-Security-Policy: default-src *",
        "Content-Security-Policy-Report-Only: default-src *",
        "Permissions-Policy: camera=*",
        "Strict-Transport-Security: max-age=1",
        "Cross-Origin-Resource-Policy: cross-origin",
        "Cross-Origin-Opener-Policy: unsafe-none",
        "Access-Control-Allow-Origin: *",
        "Accept-CH: Sec-CH-UA",
        "SourceMap: /x",
        "X-Content-Type-Options: sniff",
        "Set-Cookie: a=b",
    ];
    for status in ["200 OK", "404 Not Found", "500 Internal Server Error"] {
        door.set(Way::Says(format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\
             X-Kept: yes\r\n{}\r\n\r\nhi",
            acting.join("\r\n")
        )));
        let reply = client.send("GET", &[("accept", "*/*")], None).await.unwrap();
        assert_eq!((reply.text.as_str(), reply.header("x-kept")), ("hi", Some("yes")), "{reply:?}");
        is_no_page(&reply);
        for line in acting {
            let (name, value) = line.split_once(": ").unwrap();
            let name = name.to_ascii_lowercase();
            let found = reply.headers.iter().any(|(n, v)| *n == name && v == value);
            assert!(!found, "{line} came down");
        }
    }
}
