//! The sheets on the way to a sign-in that does not go straight.

use keyfob_tests::authserver::{Cimd, Dcr, StaticClient};
use keyfob_tests::desktop::{Desktop, LONG, Tray, answers, until};
use keyfob_tests::keychain;

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn the_waiting_sheet_opens_again_gives_up_and_tries_another_way() {
    let desktop = Desktop::new("waiting").await;
    let (app, window) = desktop.window(&[]).await;
    desktop.scene.add("s", &[]).await.ok();
    window.click("[data-server=s] [data-action=connect]").await;
    desktop.browser.opened(1).await;
    window.click("//button[normalize-space()='Open again']").await;
    desktop.browser.opened(2).await;
    assert_eq!(desktop.scene.authority.registered(), 0, "the same way is gone again");
    window.click("//button[normalize-space()='Cancel']").await;
    window.see("li[data-server=s][data-state=signed-out]").await;
    Tray::of(app.pid()).await.has("Connect: s").await;

    window.click("[data-server=s] [data-action=connect]").await;
    desktop.browser.opened(3).await;
    // Keyfob cannot see what the browser shows; a person whom it refused says so here.
    window.click("//button[normalize-space()='Try another way']").await;
    desktop.browser.opened(4).await;
    assert_eq!(desktop.scene.authority.registered(), 1, "the other way is DCR");
    desktop.browser.allow().await;
    window.see("[data-testid=details] [data-badge=dcr]").await;
    answers(&desktop.client().await, "another way").await;
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn a_client_of_ones_own_is_entered_where_nothing_else_is_let_in() {
    let desktop = Desktop::with("own-client", |s| {
        s.authority.cimd = Cimd::Off;
        s.authority.dcr = Dcr::Off;
    })
    .await;
    let (_app, window) = desktop.window(&[]).await;
    window.click("[data-testid=add-server]").await;
    window.enter("[data-testid=address]", &desktop.scene.mcp.url()).await;
    let way = window.text("[data-testid=way]").await;
    assert!(way.contains("Needs a client of your own"), "{way}");
    assert_eq!(window.text("[data-testid=add-primary]").await, "Continue");
    window.click("[data-testid=add-primary]").await;
    window.see("[data-testid=own-client]").await;
    desktop.picture("form", Some(&window)).await;
    // A person pastes at the provider what the form shows.
    let redirects = window.text("[data-testid=own-client] ul").await;
    let redirect = format!("http://127.0.0.1:{}/callback", desktop.scene.keyfob.port());
    assert!(redirects.contains(&redirect), "{redirects}");
    let secret = keyfob_tests::random::secret("own-secret-");
    desktop.scene.authority.set(|s| {
        s.static_clients.push(StaticClient {
            id: "by-hand".to_owned(),
            secret: Some(secret.clone()),
            redirect_uris: vec![redirect],
        });
    });
    window.enter("#client-id", "by-hand").await;
    window.enter("#client-secret", &secret).await;
    window.click("//button[normalize-space()='Connect']").await;
    desktop.browser.opened(1).await;
    desktop.browser.allow().await;
    window.see("[data-testid=details] [data-state=ready]").await;
    window.see("[data-testid=details] [data-badge=own-client]").await;
    assert!(!window.source().await.contains(&secret), "the secret came back to the page");
    assert!(keychain::contents().contains(&secret), "the secret is not in the keychain");
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn signing_out_and_removing_in_the_window_leave_nothing() {
    let desktop = Desktop::new("remove").await;
    let (_app, window) = desktop.window(&[]).await;
    desktop.sign_in().await;
    let first = desktop.scene.authority.issued().refresh.pop().expect("a refresh token");
    assert!(keychain::contents().contains(&first));
    window.click("[data-row=s]").await;
    window.click("//footer/button[normalize-space()='Sign out']").await;
    window.see("[data-testid=details] [data-state=signed-out]").await;
    gone(&first).await;

    desktop.sign_in_again().await;
    window.see("[data-testid=details] [data-state=ready]").await;
    let second = desktop.scene.authority.issued().refresh.pop().expect("a refresh token");
    window.click("//footer/button[normalize-space()='Remove']").await;
    window.see("//p[@role='alert'][contains(., 'Remove s?')]").await;
    window.click("//footer/button[normalize-space()='Remove']").await;
    window.see("[data-testid=list]").await;
    window.lose("[data-row=s]").await;
    gone(&second).await;
}

/// Waits until the keychain does not hold this token. The state may be told a moment earlier.
async fn gone(token: &str) {
    until("the end of the grant in the keychain", LONG, async || {
        (!keychain::contents().contains(token)).then_some(())
    })
    .await;
}
