//! The local gateway: who may, what goes up, what comes down, and how fast.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "test code")]

use std::time::Duration;

use keyfob_tests::mcp::Era;
use keyfob_tests::{BearerSeen, Keyfob, Kind, McpServer, RpcClient, Scene, Store};
use serde_json::{Value, json};

const JSON: [(&str, &str); 2] =
    [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];

/// A ping that every server answers, as bytes.
fn ping() -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string().into_bytes()
}

#[tokio::test]
async fn only_a_key_for_this_server_opens() {
    let scene = Scene::start().await.signed_in().await;
    scene.add("other", &[]).await.ok();
    let key = scene.client_key("cursor", "s").await;
    assert!(key.starts_with("kf_"), "{key}");
    let url = scene.gateway("s");
    let before = scene.mcp.journal().entries().len();
    let foreign = scene.client_key("cursor", "other").await;
    for client in [
        RpcClient::new(&url),
        RpcClient::new(&url).bearer("kf_wrong"),
        RpcClient::new(&url).bearer(&foreign),
        RpcClient::new(&url).with("authorization", &key),
        RpcClient::new(&format!("http://127.0.0.1:{}/k/kf_wrong/s", scene.keyfob.port())),
        RpcClient::new(&format!("http://127.0.0.1:{}/k/{foreign}/s", scene.keyfob.port())),
        RpcClient::new(&format!("http://127.0.0.1:{}/nobody", scene.keyfob.port())).bearer(&key),
    ] {
        let reply = client.modern("tools/list", json!({})).await;
        assert!(matches!(reply.status, 403 | 404), "{reply:?}");
        assert_eq!(reply.header("www-authenticate"), None, "an invitation to OAuth");
    }
    assert_eq!(RpcClient::new(&url).modern("tools/list", json!({})).await.status, 403);
    assert_eq!(scene.mcp.journal().entries().len(), before, "it went upstream");
    for client in [
        RpcClient::new(&url).bearer(&key),
        RpcClient::new(&format!("http://127.0.0.1:{}/k/{key}/s", scene.keyfob.port())),
    ] {
        assert_eq!(client.modern_call("echo", json!({"text": "in"})).await.tool_text(), "in");
    }
    scene.keyfob.run(&["clients", "revoke", "cursor"]).await.ok();
    let reply = RpcClient::new(&url).bearer(&key).modern("tools/list", json!({})).await;
    assert_eq!(reply.status, 403, "revoked");
}

#[tokio::test]
async fn host_and_origin_have_to_be_ours() {
    let scene = Scene::start().await.signed_in().await;
    let client = scene.client("s").await;
    let before = scene.mcp.journal().of(Kind::Mcp).len();
    let port = scene.keyfob.port();
    let own = format!("http://127.0.0.1:{port}");
    let near = format!("http://127.0.0.1:{}", port + 1);
    for (name, value) in [
        ("host", "attacker.example"),
        ("host", "127.0.0.1"),
        ("host", "127.0.0.1.attacker.example"),
        ("origin", "https://attacker.example"),
        ("origin", "null"),
        ("origin", near.as_str()),
        ("origin", "http://attacker.example:80, http://127.0.0.1"),
    ] {
        let mut headers = JSON.to_vec();
        headers.push((name, value));
        let reply = client.send("POST", &headers, Some(ping())).await.unwrap();
        assert_eq!(reply.status, 403, "{name}: {value}");
        assert!(!reply.headers.iter().any(|(n, _)| n.starts_with("access-control")));
    }
    let preflight = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
    let reply = client.send("OPTIONS", &preflight, None).await.unwrap();
    assert!(reply.status >= 400, "{reply:?}");
    assert_eq!(scene.mcp.journal().of(Kind::Mcp).len(), before, "it went upstream");
    let mut headers = JSON.to_vec();
    headers.push(("origin", &own));
    let reply = client.send("POST", &headers, Some(ping())).await.unwrap();
    assert_ne!(reply.status, 403, "our own origin: {reply:?}");
}

#[tokio::test]
async fn places_where_clients_look_for_oauth_are_bare() {
    let scene = Scene::start().await.signed_in().await;
    let key = scene.client_key("c", "s").await;
    let base = format!("http://127.0.0.1:{}", scene.keyfob.port());
    let before = scene.mcp.journal().entries().len();
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/s",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/authorize",
        "/token",
        "/register",
        "/s/.well-known/oauth-protected-resource",
        "/s/.well-known/openid-configuration",
        &format!("/k/{key}/s/.well-known/openid-configuration"),
    ] {
        for method in ["GET", "POST"] {
            let client = RpcClient::new(&format!("{base}{path}")).bearer(&key);
            let reply = client.send(method, &[], None).await.unwrap();
            assert_eq!((reply.status, reply.text.as_str()), (404, ""), "{method} {path}");
        }
    }
    assert_eq!(scene.mcp.journal().entries().len(), before, "it went upstream");
}

#[tokio::test]
async fn what_goes_up_and_what_comes_down() {
    let scene = Scene::start().await.signed_in().await;
    scene.mcp.set(|s| s.leaky_headers = true);
    let key = scene.client_key("c", "s").await;
    let own = format!("http://127.0.0.1:{}", scene.keyfob.port());
    let client = RpcClient::new(&scene.gateway("s"))
        .bearer(&key)
        .with("cookie", "mine=1")
        .with("origin", &own)
        .with("referer", &own)
        .with("sec-fetch-mode", "cors")
        .with("forwarded", "for=10.0.0.1")
        .with("x-forwarded-for", "10.0.0.1")
        .with("proxy-authorization", "Basic eA==")
        .with("user-agent", "some-client/1")
        .with("mcp-param-region", "=?base64?eA==?=")
        .with("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .with("x-unknown", "kept");
    let reply = client.modern_call("echo", json!({"text": "x"})).await;
    assert_eq!(reply.tool_text(), "x");
    assert_eq!(reply.header("set-cookie"), None);
    assert_eq!(reply.header("www-authenticate"), None);
    let seen = scene.mcp.journal().tool_calls("echo").pop().expect("a call");
    assert_eq!(seen.bearer, Some(BearerSeen::Issued));
    assert!(!seen.headers.iter().any(|(_, v)| v.contains(&key)), "{:?}", seen.headers);
    for gone in [
        "cookie",
        "origin",
        "referer",
        "sec-fetch-mode",
        "forwarded",
        "x-forwarded-for",
        "proxy-authorization",
    ] {
        assert_eq!(seen.header(gone), None, "{gone} went upstream");
    }
    for (name, value) in [
        ("user-agent", "some-client/1"),
        ("mcp-param-region", "=?base64?eA==?="),
        ("x-unknown", "kept"),
        ("mcp-method", "tools/call"),
        ("accept", "application/json, text/event-stream"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    let host = scene.mcp.origin().trim_start_matches("http://");
    assert_eq!(seen.header("host"), Some(host));
}

#[tokio::test]
async fn bytes_are_passed_as_they_come() {
    let scene = Scene::start().await.signed_in().await;
    let client = scene.client("s").await;
    let odd = br#"{ "jsonrpc":"2.0","id":1e0 , "method":"tools/call","params":{"name":"add",
        "arguments":{"a":42.0,"b":1.00},"_meta":{"io.modelcontextprotocol/protocolVersion":
        "2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},"z":"\u00e9"}}"#;
    let mut headers = JSON.to_vec();
    headers.extend([("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call")]);
    headers.push(("mcp-name", "add"));
    let reply = client.send("POST", &headers, Some(odd.to_vec())).await.unwrap();
    assert_eq!(reply.tool_text(), "43");
    let seen = scene.mcp.journal().tool_calls("add").pop().expect("a call");
    assert_eq!(&seen.raw[..], odd);

    let long = "x".repeat(8 * 1024 * 1024);
    let reply = client.modern_call("echo", json!({"text": long})).await;
    assert_eq!(reply.tool_text().len(), long.len());
}

#[tokio::test]
async fn errors_of_the_server_are_passed_with_their_bodies() {
    let scene = Scene::start().await.signed_in().await;
    scene.mcp.set(|s| s.era = Era::Modern);
    let mut client = scene.client("s").await;
    let reply = client.initialize("2025-11-25").await;
    assert_eq!((reply.status, reply.message()["error"]["code"].as_i64()), (400, Some(-32022)));
    let reply = client.modern("no/such", json!({})).await;
    assert_eq!((reply.status, reply.message()["error"]["code"].as_i64()), (404, Some(-32601)));
    assert_eq!(client.send("GET", &JSON, None).await.unwrap().status, 405);
    scene.mcp.set(|s| s.era = Era::Both);
    client.initialize("2025-11-25").await;
    scene.mcp.forget_sessions();
    let reply = client.legacy_call("add", json!({})).await;
    assert_eq!((reply.status, reply.message()["error"]["code"].as_i64()), (404, Some(-32001)));
}

/// The first event is there long before the last.
fn streams(reply: &keyfob_tests::rpc::Reply) {
    assert_eq!(reply.messages.len(), 5, "{}", reply.text);
    let (first, last) = (reply.messages[0].0, reply.messages[4].0);
    assert!(first + Duration::from_millis(700) < last, "first {first:?}, last {last:?}");
}

#[tokio::test]
async fn events_arrive_as_they_are_sent() {
    let scene = Scene::start().await.signed_in().await;
    let mut client = scene.client("s").await;
    streams(&client.modern_call("slow_count", json!({"to": 4})).await);
    client.initialize("2025-11-25").await;
    streams(&client.legacy_call("slow_count", json!({"to": 4})).await);
}

#[tokio::test]
async fn sessions_streams_and_their_end() {
    let scene = Scene::start().await.signed_in().await;
    scene.mcp.set(|s| s.stream_life = Some(Duration::from_millis(1500)));
    let mut client = scene.client("s").await;
    let hello = client.initialize("2025-06-18").await;
    assert_eq!(hello.message()["result"]["protocolVersion"], "2025-06-18");
    let session = client.session().expect("a session").to_owned();
    let headers = [("mcp-session-id", session.as_str()), ("accept", "text/event-stream")];
    let stream = client.send("GET", &headers, None).await.unwrap();
    assert!(stream.messages[0].0 < Duration::from_millis(800), "held back: {stream:?}");
    assert!(stream.text.contains(": still here"), "comments are passed");
    assert_eq!(client.send("DELETE", &headers, None).await.unwrap().status, 204);
    let methods: Vec<_> = scene.mcp.journal().of(Kind::Mcp).into_iter().map(|e| e.method).collect();
    assert!(methods.contains(&"DELETE".to_owned()));
}

/// An error of the gateway's own: no era signal, no invitation to OAuth, the id echoed.
fn own_error(reply: &keyfob_tests::rpc::Reply) {
    assert!((502..=504).contains(&reply.status), "{reply:?}");
    assert_eq!(reply.header("www-authenticate"), None);
    let body = reply.message();
    assert_eq!(body["jsonrpc"], "2.0");
    assert_eq!(body["id"], 7, "the id of the request");
    let code = body["error"]["code"].as_i64().expect("a code");
    assert!(!(-32099..=-32020).contains(&code), "{code} is reserved");
    let sentence = body["error"]["message"].as_str().expect("a message");
    assert!(sentence.len() > 15 && sentence.contains(' '), "{sentence}");
    assert!(body["error"]["data"]["code"].is_string(), "{body}");
}

#[tokio::test]
async fn a_server_that_is_signed_out_says_so() {
    let scene = Scene::start().await;
    scene.add("s", &[]).await.ok();
    let mut client = scene.client("s").await;
    let reply = client.initialize("2025-11-25").await;
    assert_eq!(reply.status, 503);
    assert!(reply.header("retry-after").is_some());
    let reply = client.modern("resources/list", json!({})).await;
    own_error(&reply);
    assert_eq!(reply.status, 503);
    let reply = client.modern_call("echo", json!({"text": "x"})).await;
    assert!(matches!(reply.status, 200 | 503), "{reply:?}");
    let said = reply.message()["error"]["message"].as_str().unwrap_or_default();
    assert!(said.to_lowercase().contains("sign in"), "{said}");
    assert!(scene.keyfob.links().is_empty(), "a browser was opened unasked");
}

#[tokio::test]
async fn a_server_that_is_gone_is_offline() {
    let scene = Scene::start().await;
    let open = McpServer::start_open("open").await;
    scene.keyfob.run(&["add", "--name", "o", &open.url()]).await.ok();
    scene.keyfob.run(&["connect", "o"]).await.ok();
    let client = scene.client("o").await;
    assert_eq!(client.modern_call("add", json!({"a": 1, "b": 1})).await.tool_text(), "2");
    drop(open);
    own_error(&client.modern_call("add", json!({"a": 1, "b": 1})).await);
}

#[tokio::test]
async fn a_server_without_sign_in_gets_no_credential() {
    let scene = Scene::start().await;
    let open = McpServer::start_open("open").await;
    scene.keyfob.run(&["add", "--name", "o", &open.url()]).await.ok();
    scene.keyfob.run(&["connect", "o"]).await.ok();
    assert_eq!(scene.status("o").await["state"], "open");
    assert!(scene.status("o").await["registration"].is_null());
    let client = scene.client("o").await;
    client.modern_call("echo", json!({"text": "x"})).await;
    assert!(open.journal().entries().iter().all(|e| e.header("authorization").is_none()));
}

#[tokio::test]
async fn paths_stay_below_the_server() {
    let scene = Scene::start().await.signed_in().await;
    let key = scene.client_key("c", "s").await;
    let before = scene.mcp.journal().entries().len();
    for path in ["s/..%2fadmin", "s/%2e%2e/admin", "s//x", "s/a%5cb", "k/x"] {
        let url = format!("127.0.0.1:{}", scene.keyfob.port());
        let raw = raw_request(&url, &format!("/{path}"), &key).await;
        assert!(raw.starts_with("HTTP/1.1 4"), "{path}: {raw}");
    }
    assert_eq!(scene.mcp.journal().entries().len(), before, "it went upstream");
}

/// A request that no URL library has tidied.
async fn raw_request(address: &str, target: &str, key: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok();
    answer
}

#[tokio::test]
async fn it_listens_on_loopback_only() {
    let mut keyfob = Keyfob::new(Store::Memory);
    keyfob.serve().await;
    let inode_table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let wanted = format!(":{:04X} ", keyfob.port());
    let listening: Vec<&str> = inode_table
        .lines()
        .filter_map(|l| l.split_whitespace().nth(1))
        .filter(|local| format!("{local} ").ends_with(&wanted))
        .collect();
    assert!(!listening.is_empty());
    assert!(listening.iter().all(|l| l.starts_with("0100007F")), "{listening:?}");
}

#[tokio::test]
async fn own_headers_of_the_user_go_upstream() {
    let scene = Scene::start().await;
    let open = McpServer::start_open("open").await;
    let url = open.url();
    let stdin = keyfob_tests::world::Stdin::Text("value one\n");
    let arguments = ["add", "--name", "o", "--header", "X-Tenant", &url];
    scene.keyfob.run_with(&arguments, stdin, keyfob_tests::world::PATIENCE).await.ok();
    scene.keyfob.run(&["connect", "o"]).await.ok();
    let client = scene.client("o").await;
    client.modern_call("echo", json!({"text": "x"})).await;
    let seen = open.journal().tool_calls("echo").pop().expect("a call");
    assert_eq!(seen.header("x-tenant"), Some("value one"));
    let listed: Value = scene.keyfob.run(&["list", "--json"]).await.ok().json();
    assert!(!listed.to_string().contains("value one"), "a header value is a secret");
}
