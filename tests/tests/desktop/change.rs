//! Changing a server, its sign-in service and the client document in the real window.

use keyfob_tests::RpcClient;
use keyfob_tests::authserver::{AuthorizationServer, Consent, Start, Switches};
use keyfob_tests::desktop::{Desktop, Session, Tray};
use serde_json::json;

/// Opens the sheet of a server from the list.
async fn open(window: &Session, name: &str) {
    window.click(&format!("li[data-server={name}] button.open")).await;
    window.see("[data-testid=details]").await;
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn a_new_name_and_a_header_keep_the_sign_in() {
    let desktop = Desktop::new("change-name").await;
    let (app, window) = desktop.window(&[]).await;
    desktop.sign_in().await;
    let key = desktop.scene.client_key("tests", "s").await;
    let tray = Tray::of(app.pid()).await;
    open(&window, "s").await;
    window.click("//button[normalize-space()='Change…']").await;
    window.see("[data-testid=edit]").await;
    window.enter("#name", "-notes").await;
    window.click("//button[normalize-space()='Add a header']").await;
    window.enter("//input[@type='password']", "blue 7").await;
    window.enter("//input[@type='password']/preceding::input[1]", "X-Tenant").await;
    let said = window.text("[data-testid=edit] main").await;
    assert!(said.contains("have to be set up again"), "{said}");
    desktop.picture("edit", Some(&window)).await;
    window.click("//button[normalize-space()='Save']").await;
    window.see("[data-testid=details] [data-state=ready]").await;
    tray.has("s-notes · Connected · 6 tools").await;
    let source = window.source().await;
    assert!(source.contains("/s-notes") && !source.contains("blue 7"), "the value is in the page");
    let client = RpcClient::new(&desktop.scene.gateway("s-notes")).bearer(&key);
    assert_eq!(client.modern_call("echo", json!({"text": "a"})).await.tool_text(), "a");
    let seen = desktop.scene.mcp.journal().tool_calls("echo").pop().expect("a call");
    assert_eq!(seen.header("x-tenant"), Some("blue 7"));
    assert!(desktop.scene.authority.journal().refreshes().is_empty());
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn another_address_is_asked_about_before_it_signs_out() {
    let desktop = Desktop::new("change-address").await;
    let (_app, window) = desktop.window(&[]).await;
    desktop.sign_in().await;
    open(&window, "s").await;
    window.click("//button[normalize-space()='Change…']").await;
    window.enter("#address", "?team=blue").await;
    window.click("//button[normalize-space()='Save']").await;
    let question = window.text("[data-testid=edit] footer [role=alert]").await;
    assert!(question.contains("signs you out of s"), "{question}");
    desktop.picture("question", Some(&window)).await;
    window.click("//button[normalize-space()='Keep as it is']").await;
    assert_eq!(desktop.scene.status("s").await["state"], "ready");
    window.click("//button[normalize-space()='Save']").await;
    window.click("//button[normalize-space()='Sign out and change']").await;
    window.see("[data-testid=details] [data-state=signed-out]").await;
    let status = desktop.scene.status("s").await;
    assert_eq!(status["url"], format!("{}?team=blue", desktop.scene.mcp.url()));
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn another_of_several_services_is_signed_in_to_from_the_details() {
    let desktop = Desktop::new("services").await;
    let scene = &desktop.scene;
    let switches = Switches { consent: Consent::Page, ..Switches::default() };
    let trusted_ca = Some(scene.documents.ca_pem().to_owned());
    let start = Start { trusted_ca, switches, ..Start::default() };
    let other = AuthorizationServer::start_with(start).await;
    scene.mcp.trust(&other);
    let issuers = [&scene.authority, &other].map(|a| a.issuer().to_owned()).to_vec();
    scene.mcp.set(|s| s.authorization_servers = Some(issuers));
    let (_app, window) = desktop.window(&[]).await;
    desktop.sign_in().await;
    open(&window, "s").await;
    window.see("[data-testid=services]").await;
    desktop.picture("several", Some(&window)).await;
    window.click("//button[normalize-space()='Sign in here']").await;
    window.see("[data-testid=waiting]").await;
    desktop.browser.allow().await;
    window.see("[data-testid=details] [data-state=ready]").await;
    assert_eq!(scene.status("s").await["registration"]["issuer"], other.issuer());
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn a_client_document_is_checked_and_put_to_use() {
    let desktop = Desktop::new("client-document").await;
    let ca_file = desktop.scene.documents.ca_file().display().to_string();
    desktop.scene.keyfob.configure(&[("ca_file", &ca_file), ("browser", "system")]);
    let (_app, window) = desktop.window(&[]).await;
    window.click("//button[normalize-space()='Client document']").await;
    let said = window.text("[data-testid=identity]").await;
    assert!(said.contains("Keyfob registers itself"), "{said}");
    window.enter("#document-url", &format!("{}x", desktop.scene.document_url)).await;
    window.click("//button[normalize-space()='Check and use']").await;
    window.see("//button[normalize-space()='Use it all the same']").await;
    desktop.picture("not-there", Some(&window)).await;
    window.enter("#document-url", "\u{e003}").await;
    window.click("//button[normalize-space()='Check and use']").await;
    window.see("//p[contains(., 'in use from your next sign-in on')]").await;
    desktop.picture("in-use", Some(&window)).await;
    let file = desktop.scene.keyfob.home().join("config/config.toml");
    let kept = std::fs::read_to_string(file).expect("the settings");
    assert!(kept.contains(&desktop.scene.document_url), "{kept}");
    desktop.sign_in().await;
    assert_eq!(desktop.scene.status("s").await["registration"]["kind"], "cimd");
}
