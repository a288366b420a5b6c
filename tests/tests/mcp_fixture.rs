//! The MCP server of the testkit: both eras, challenges, and what it notes.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::time::Duration;

use keyfob_tests::authserver::{CimdFlag, Documents};
use keyfob_tests::flow::{Flow, bent};
use keyfob_tests::mcp::{Challenge, Era, Guard, Prm};
use keyfob_tests::{AuthorizationServer, BearerSeen, McpServer, RpcClient};
use serde_json::{Value, json};

async fn get(url: &str) -> (u16, Value) {
    let reply = RpcClient::new(url).send("GET", &[], None).await.unwrap();
    (reply.status, serde_json::from_str(&reply.text).unwrap_or(Value::Null))
}

#[tokio::test]
async fn sessions_of_the_old_revisions() {
    let mcp = McpServer::start_open("open").await;
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut client = RpcClient::new(&mcp.url());
        let hello = client.initialize(version).await;
        assert_eq!(hello.message()["result"]["protocolVersion"], version);
        assert!(client.session().is_some());
        let reply = client.legacy_call("add", json!({"a": 2, "b": 3})).await;
        assert_eq!(reply.tool_text(), "5");
    }
    let mut client = RpcClient::new(&mcp.url());
    let without = client.legacy_call("add", json!({})).await;
    assert_eq!(without.status, 400, "no session");
    client.initialize("2025-11-25").await;
    mcp.forget_sessions();
    assert_eq!(client.legacy_call("add", json!({})).await.status, 404);
}

#[tokio::test]
async fn the_stand_alone_stream_and_its_end() {
    let mcp = McpServer::start_open("open").await;
    mcp.set(|s| s.stream_life = Some(Duration::from_millis(500)));
    let mut client = RpcClient::new(&mcp.url());
    client.initialize("2025-06-18").await;
    let session = client.session().unwrap().to_owned();
    let headers = [("mcp-session-id", session.as_str()), ("accept", "text/event-stream")];
    let stream = client.send("GET", &headers, None).await.unwrap();
    assert_eq!(stream.message()["method"], "notifications/message");
    assert_eq!(client.send("DELETE", &headers, None).await.unwrap().status, 204);
    assert_eq!(client.send("DELETE", &headers, None).await.unwrap().status, 404);
}

#[tokio::test]
async fn the_stateless_revision_checks_its_headers() {
    let mcp = McpServer::start_open("open").await;
    let client = RpcClient::new(&mcp.url());
    let found = client.modern("server/discover", json!({})).await;
    assert_eq!(found.message()["result"]["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(client.modern_call("echo", json!({"text": "hi"})).await.tool_text(), "hi");
    let unknown = client.modern("no/such", json!({})).await;
    assert_eq!((unknown.status, unknown.message()["error"]["code"].as_i64()), (404, Some(-32601)));

    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "add", "arguments": {"a": 1, "b": 1}, "_meta": meta}});
    let right = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "add"),
    ];
    let send = async |headers: &[(&str, &str)], body: &Value| {
        client.send("POST", headers, Some(body.to_string().into_bytes())).await.unwrap()
    };
    assert_eq!(send(&right, &call).await.status, 200);
    for gone in ["mcp-protocol-version", "mcp-method", "mcp-name"] {
        let some: Vec<_> = right.into_iter().filter(|(n, _)| *n != gone).collect();
        let reply = send(&some, &call).await;
        let code = reply.message()["error"]["code"].as_i64();
        assert_eq!((reply.status, code), (400, Some(-32020)), "without {gone}");
    }
    let mut newer = call.clone();
    newer["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2031-01-01");
    let mut headers = right;
    headers[2].1 = "2031-01-01";
    let reply = send(&headers, &newer).await;
    assert_eq!(reply.message()["error"]["code"], -32022);
    assert_eq!(reply.message()["error"]["data"]["supported"], json!(["2026-07-28"]));
}

#[tokio::test]
async fn a_server_of_one_era_refuses_the_other() {
    let mcp = McpServer::start_open("open").await;
    mcp.set(|s| s.era = Era::Legacy);
    let reply = RpcClient::new(&mcp.url()).modern("server/discover", json!({})).await;
    assert_eq!((reply.status, reply.message()["error"]["code"].as_i64()), (400, Some(-32000)));
    mcp.set(|s| s.era = Era::Modern);
    let reply = RpcClient::new(&mcp.url()).initialize("2025-11-25").await;
    assert_eq!((reply.status, reply.message()["error"]["code"].as_i64()), (400, Some(-32022)));
    let reply = RpcClient::new(&mcp.url()).send("GET", &[], None).await.unwrap();
    assert_eq!(reply.status, 405);
}

#[tokio::test]
async fn events_come_one_by_one() {
    let mcp = McpServer::start_open("open").await;
    let client = RpcClient::new(&mcp.url());
    let reply = client.modern_call("slow_count", json!({"to": 3})).await;
    assert_eq!(reply.messages.len(), 4, "{}", reply.text);
    assert_eq!(reply.tool_text(), "counted to 3");
    let spread = reply.messages[3].0 - reply.messages[0].0;
    assert!(spread > Duration::from_millis(600), "{spread:?}");
}

#[tokio::test]
async fn a_token_is_wanted_and_seen() {
    let authority = AuthorizationServer::start().await;
    let mcp = McpServer::start("guarded", &authority).await;
    let bare = RpcClient::new(&mcp.url());
    let reply = bare.modern("tools/list", json!({})).await;
    assert_eq!(reply.status, 401);
    let place = format!("{}/.well-known/oauth-protected-resource/mcp", mcp.origin());
    assert!(reply.header("www-authenticate").unwrap().contains(&place));
    let (status, document) = get(&place).await;
    assert_eq!((status, &document["resource"]), (200, &json!(mcp.url())));

    let flow = Flow::register(&authority, &mcp.resource()).await;
    let (access, _) = flow.tokens().await;
    let client = RpcClient::new(&mcp.url()).bearer(&access);
    let who = client.modern_call("whoami", json!({})).await;
    assert_eq!(who.tool_text(), "alice, dcr client");
    let said = &who.message()["result"]["structuredContent"];
    assert_eq!(said["client_id"], flow.client_id);
    authority.expire_access_tokens();
    assert_eq!(client.modern("tools/list", json!({})).await.status, 401);
    let made_up = RpcClient::new(&mcp.url()).bearer("made-up");
    assert_eq!(made_up.modern("tools/list", json!({})).await.status, 401);
    let seen: Vec<_> = mcp.journal().of(keyfob_tests::Kind::Mcp);
    let seen: Vec<_> = seen.iter().filter_map(|e| e.bearer).collect();
    use BearerSeen::{Absent, Expired, Issued, Unknown};
    assert_eq!(seen, [Absent, Issued, Expired, Unknown]);

    let other = McpServer::start("other", &authority).await;
    let flow = Flow::register(&authority, &other.resource()).await;
    let (access, _) = flow.tokens().await;
    let reply = RpcClient::new(&mcp.url()).bearer(&access).modern("tools/list", json!({})).await;
    assert_eq!(reply.status, 401, "a token for another resource");
}

#[tokio::test]
async fn a_tool_can_want_more_scope() {
    let authority = AuthorizationServer::start().await;
    let mcp = McpServer::start("guarded", &authority).await;
    let flow = Flow::register(&authority, &mcp.resource()).await;
    let (access, _) = flow.tokens().await;
    let client = RpcClient::new(&mcp.url()).bearer(&access);
    let reply = client.modern_call("secret_write", json!({"text": "x"})).await;
    assert_eq!(reply.status, 403);
    let header = reply.header("www-authenticate").unwrap();
    assert!(header.contains("insufficient_scope") && header.contains("secrets:write"));
    let asked = bent(&flow.request(), "scope", "secrets:write");
    let code = flow.authorize(&asked).await.in_redirect("code").unwrap();
    let got = flow.post("token", &flow.exchange(&code)).await.json();
    assert_eq!(got["scope"], "secrets:write");
    let client = RpcClient::new(&mcp.url()).bearer(got["access_token"].as_str().unwrap());
    assert_eq!(client.modern_call("secret_write", json!({"text": "x"})).await.status, 200);
}

#[tokio::test]
async fn metadata_in_every_place() {
    let authority = AuthorizationServer::start().await;
    let mcp = McpServer::start("guarded", &authority).await;
    let known = "/.well-known/oauth-protected-resource";
    for (prm, at, resource) in [
        (Prm::PathForm, format!("{known}/mcp"), mcp.url()),
        (Prm::RootForm, known.to_owned(), mcp.origin().to_owned()),
        (Prm::HeaderOnly, "/about/this-resource.json".to_owned(), mcp.url()),
    ] {
        mcp.set(|s| s.prm = prm);
        let (status, document) = get(&format!("{}{at}", mcp.origin())).await;
        assert_eq!((status, &document["resource"]), (200, &json!(resource)), "{prm:?}");
        for elsewhere in [format!("{known}/mcp"), known.to_owned()] {
            if elsewhere != at {
                assert_eq!(get(&format!("{}{elsewhere}", mcp.origin())).await.0, 404, "{prm:?}");
            }
        }
    }
    mcp.set(|s| {
        s.prm = Prm::Absent;
        s.challenge = Challenge::Realm;
    });
    let reply = RpcClient::new(&mcp.url()).modern("tools/list", json!({})).await;
    let realm = format!("Bearer realm=\"{}\"", authority.issuer());
    assert_eq!(reply.header("www-authenticate"), Some(realm.as_str()));
    mcp.set(|s| s.guard = Guard::ToolCalls);
    assert_eq!(RpcClient::new(&mcp.url()).modern("tools/list", json!({})).await.status, 200);
    assert_eq!(RpcClient::new(&mcp.url()).modern_call("add", json!({})).await.status, 401);
}

#[tokio::test]
async fn authorization_server_metadata_in_every_form() {
    let start =
        keyfob_tests::authserver::Start { issuer_path: "/tenant1".into(), ..Default::default() };
    let authority = AuthorizationServer::start_with(start).await;
    let inserted = format!("{}/.well-known/oauth-authorization-server/tenant1", authority.origin());
    let appended = format!("{}/.well-known/openid-configuration", authority.issuer());
    let flag = "client_id_metadata_document_supported";
    for (documents, cimd_flag, first, second) in [
        (Documents::Both, CimdFlag::Everywhere, Some(json!(true)), Some(json!(true))),
        (Documents::Both, CimdFlag::OidcOnly, Some(Value::Null), Some(json!(true))),
        (Documents::Both, CimdFlag::Rfc8414Only, Some(json!(true)), Some(Value::Null)),
        (Documents::OidcOnly, CimdFlag::Everywhere, None, Some(json!(true))),
        (Documents::Rfc8414Only, CimdFlag::Value(json!("true")), Some(json!("true")), None),
        (Documents::Absent, CimdFlag::Everywhere, None, None),
    ] {
        authority.set(|s| (s.documents, s.cimd_flag) = (documents, cimd_flag.clone()));
        for (url, wanted) in [(&inserted, first), (&appended, second)] {
            let (status, document) = get(url).await;
            assert_eq!(status == 200, wanted.is_some(), "{documents:?} {url}");
            if let Some(wanted) = wanted {
                assert_eq!(document["issuer"], authority.issuer());
                assert_eq!(document[flag], wanted, "{documents:?} {url}");
            }
        }
    }
    let root = format!("{}/.well-known/oauth-authorization-server", authority.origin());
    assert_eq!(get(&root).await.0, 404);
}
