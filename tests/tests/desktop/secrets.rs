//! No token turns up in the app's log, files, arguments or page.

use keyfob_tests::desktop::{Desktop, Tray, answers};
use keyfob_tests::random::secret;
use keyfob_tests::scan::{Arguments, Planted, holder};
use keyfob_tests::world::files_below;
use serde_json::json;

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn tokens_turn_up_in_no_log_argument_file_or_page() {
    let desktop = Desktop::new("canary").await;
    let arguments = Arguments::watch();
    let (app, window) = desktop.window(&[]).await;
    desktop.scene.add("s", &[]).await.ok();
    let tray = Tray::of(app.pid()).await;
    let mut pages = Vec::new();
    window.click("[data-server=s] [data-action=connect]").await;
    desktop.browser.opened(1).await;
    window.see("//button[contains(., 'Copy link')]").await;
    pages.push(window.source().await);
    desktop.browser.allow().await;
    window.see("[data-testid=details] [data-state=ready]").await;
    let client = desktop.client().await;
    desktop.scene.authority.expire_access_tokens();
    answers(&client, "refreshed").await;
    window.click("button[aria-label='Copy setup']").await;
    pages.push(window.source().await);
    desktop.scene.authority.revoke_all();
    client.modern_call("echo", json!({"text": "revoked"})).await;
    tray.has("Reconnect: s").await;
    pages.push(window.source().await);
    let menu = tray.menu().await.texts().join("\n");

    // The scan has to find what is there before it may say that something is not.
    let marker = secret("marker-");
    std::fs::write(desktop.scene.keyfob.home().join("planted"), &marker).unwrap();
    window.script(&format!("document.body.title = '{marker}'; return ''")).await;
    pages.push(window.source().await);
    let _planted = Planted::start(&marker);
    let files = files_below(desktop.scene.keyfob.scratch());
    assert!(holder(&files, &marker).is_some(), "the scan of files is blind");
    assert!(arguments.contain(&marker), "the scan of arguments is blind");
    let pages = pages.join("\n");
    assert!(pages.contains(&marker), "the scan of pages is blind");
    assert!(app.log().contains("gateway listening"), "the scan of the log is blind");

    let issued = desktop.scene.authority.issued();
    assert!(issued.access.len() >= 2 && issued.refresh.len() >= 2, "{issued:?}");
    for token in issued.all() {
        assert_eq!(holder(&files, &token), None, "a token stands in a file or log");
        assert!(!pages.contains(&token), "a token was in the page");
        assert!(!menu.contains(&token), "a token was in the tray menu");
        assert!(!arguments.contain(&token), "a token was an argument");
    }
    for request in desktop.scene.authority.journal().authorizations() {
        let state = request.param("state").unwrap().to_owned();
        assert!(!arguments.contain(&state), "the true link was an argument");
        assert!(!app.log().contains(&state), "the true link was logged");
    }
    assert!(!pages.contains("kf_"), "a client key was in the page");
}
