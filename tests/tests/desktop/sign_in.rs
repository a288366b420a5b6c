//! Signing in through the real window and a real browser.

use keyfob_tests::authserver::Cimd;
use keyfob_tests::desktop::{App, Desktop, Session, Tray, answers};
use keyfob_tests::keychain;

/// Clicks *Connect* in the list and *Allow* in the browser; the app is then signed in everywhere
/// that shows it.
async fn connects_by_its_button(desktop: &Desktop) -> (App, Session) {
    let (app, window) = desktop.window(&[]).await;
    desktop.scene.add("s", &[]).await.ok();
    let tray = Tray::of(app.pid()).await;
    window.see("li[data-server=s][data-state=signed-out]").await;
    tray.has("Connect: s").await;
    let without = tray.icon().await;

    window.click("[data-server=s] [data-action=connect]").await;
    window.see("[data-testid=waiting]").await;
    let link = desktop.browser.opened(1).await;
    let go = format!("http://127.0.0.1:{}/go/", desktop.scene.keyfob.port());
    assert!(link.starts_with(&go), "{link}");
    tray.has("Open again: s").await;
    window.see("//button[contains(., 'Copy link')]").await;
    desktop.picture("waiting", Some(&window)).await;
    desktop.browser.allow().await;

    // The sheet of a fresh sign-in says so; the list is one step behind it.
    window.see("[data-testid=details]").await;
    desktop.picture("connected", Some(&window)).await;
    window.click("//button[@aria-label='Back' or normalize-space()='Back']").await;
    window.see("li[data-server=s][data-state=ready]").await;
    let line = tray.has("s · Connected · 6 tools").await;
    assert!(line.texts().contains(&"Sign out".to_owned()), "{line:?}");
    assert_ne!(tray.icon().await, without, "the icon shows no difference");
    assert_eq!(tray.tooltip().await, "All servers connected");
    let newest = desktop.scene.authority.issued().refresh.pop().expect("a refresh token");
    assert!(keychain::contents().contains(&newest), "the grant is not in the keychain");
    assert_eq!(desktop.browser.links().len(), 1, "one link, opened once");
    answers(&desktop.client().await, "signed in by hand").await;
    (app, window)
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn connect_in_the_window_ends_with_cimd_and_its_reason() {
    let desktop = Desktop::new("connect-cimd").await;
    let (_app, window) = connects_by_its_button(&desktop).await;
    let badge = "[data-server=s] [data-badge=cimd]";
    assert_eq!(window.text(badge).await, "CIMD");
    let why = window.attribute(badge, "title").await;
    assert!(why.contains("accepted Keyfob's document"), "{why}");
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn connect_where_the_document_is_refused_ends_with_dcr_and_its_reason() {
    let desktop = Desktop::with("connect-dcr", |s| s.authority.cimd = Cimd::RefusedByPage).await;
    let (_app, window) = connects_by_its_button(&desktop).await;
    let badge = "[data-server=s] [data-badge=dcr]";
    assert_eq!(window.text(badge).await, "DCR");
    let why = window.attribute(badge, "title").await;
    assert!(why.starts_with("CIMD was refused"), "{why}");
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn three_clicks_lead_from_nothing_to_a_connected_server() {
    let desktop = Desktop::new("three-clicks").await;
    let (_app, window) = desktop.window(&[]).await;
    window.click("[data-testid=add-server]").await;
    window.enter("[data-testid=address]", &desktop.scene.mcp.url()).await;
    window.see("[data-testid=found] [data-testid=way] [data-badge=cimd]").await;
    let found = window.text("[data-testid=way]").await;
    assert!(found.contains("shows its own document"), "{found}");
    assert_eq!(window.text("[data-testid=add-primary]").await, "Connect");
    assert_eq!(desktop.scene.authority.journal().authorizations().len(), 0, "not asked yet");
    desktop.picture("found", Some(&window)).await;
    window.click("[data-testid=add-primary]").await;
    window.see("[data-testid=waiting]").await;
    desktop.browser.allow().await;
    window.see("[data-testid=details] [data-state=ready]").await;
    assert_eq!(window.clicks() + desktop.browser.clicks(), 3);
}
