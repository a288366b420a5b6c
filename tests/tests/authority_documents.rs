//! The authorization server fetches client documents as the draft says, and refuses the others.

use keyfob_tests::authserver::{Cimd, Start};
use keyfob_tests::dochost::sample_document;
use keyfob_tests::flow::Flow;
use keyfob_tests::{AuthorizationServer, Document, DocumentHost};
use serde_json::json;

const RESOURCE: &str = "https://mcp.example/mcp";

#[tokio::test]
async fn a_client_document_is_fetched_over_tls_and_checked() {
    let host = DocumentHost::start().await;
    let start = Start { trusted_ca: Some(host.ca_pem().into()), ..Start::default() };
    let authority = AuthorizationServer::start_with(start).await;
    authority.protect(RESOURCE);
    let id = host.put("/good/client.json", Document::Json(sample_document()));
    let flow = Flow::new(&authority, &id, RESOURCE);
    let (access, _) = flow.tokens().await;
    assert!(!access.is_empty());
    assert_eq!(authority.journal().document_fetches()[0].path, id);
    assert_eq!(host.journal().entries()[0].path, "/good/client.json");
    assert_eq!(authority.journal().registrations().len(), 0);

    let mut web = sample_document();
    web["application_type"] = json!("web");
    let mut basic = sample_document();
    basic["token_endpoint_auth_method"] = json!("client_secret_basic");
    let late = std::time::Duration::from_secs(7);
    for (path, document) in [
        ("/missing", Document::Missing),
        ("/html", Document::Html(sample_document())),
        ("/redirect", Document::Redirect("/good/client.json".into())),
        ("/other", Document::WrongClientId(sample_document())),
        ("/secret", Document::WithSecret(sample_document())),
        ("/big", Document::TooBig(sample_document())),
        ("/bytes", Document::Bytes(b"not JSON".to_vec())),
        ("/web", Document::Json(web)),
        ("/basic", Document::Json(basic)),
        ("/slow", Document::Slow(sample_document(), late)),
    ] {
        let id = host.put(path, document);
        let flow = Flow::new(&authority, &id, RESOURCE);
        let got = flow.authorize(&flow.request()).await;
        assert!(got.is_page(), "{path} gave {got:?}");
    }
    let dotted = host.url("/x/../good/client.json");
    let user = host.url("/good/client.json").replace("https://", "https://user@");
    for id in [&dotted, &user, &format!("{id}#f"), &host.url("")] {
        let flow = Flow::new(&authority, id, RESOURCE);
        assert!(flow.authorize(&flow.request()).await.is_page(), "{id}");
    }
}

#[tokio::test]
async fn another_certificate_authority_is_not_trusted() {
    let trusted = DocumentHost::start().await;
    let host = DocumentHost::start().await;
    let start = Start { trusted_ca: Some(trusted.ca_pem().into()), ..Start::default() };
    let authority = AuthorizationServer::start_with(start).await;
    authority.protect(RESOURCE);
    let id = host.put("/client.json", Document::Json(sample_document()));
    let flow = Flow::new(&authority, &id, RESOURCE);
    assert!(flow.authorize(&flow.request()).await.is_page());
    assert_eq!(host.journal().entries().len(), 0, "nothing was sent before the handshake failed");
}

#[tokio::test]
async fn refusals_of_client_documents() {
    let host = DocumentHost::start().await;
    let start = Start { trusted_ca: Some(host.ca_pem().into()), ..Start::default() };
    let authority = AuthorizationServer::start_with(start).await;
    authority.protect(RESOURCE);
    let id = host.put("/client.json", Document::Json(sample_document()));
    let flow = Flow::new(&authority, &id, RESOURCE);
    for cimd in [Cimd::Off, Cimd::RefusedByPage] {
        authority.set(|s| s.cimd = cimd);
        assert!(flow.authorize(&flow.request()).await.is_page());
    }
    assert_eq!(authority.journal().document_fetches().len(), 0);
    authority.set(|s| s.cimd = Cimd::RefusedInCallback("invalid_client".into()));
    let got = flow.authorize(&flow.request()).await;
    assert_eq!(got.in_redirect("error").as_deref(), Some("invalid_client"));
    authority.set(|s| s.cimd = Cimd::RefusedAtToken);
    let code = flow.code().await;
    let got = flow.post("token", &flow.exchange(&code)).await;
    assert_eq!((got.status, got.error().as_str()), (401, "invalid_client"));
}
