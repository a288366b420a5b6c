//! A desktop whose parts go and come: the gateway serves on, and the app says what is missing.

use std::time::Duration;

use keyfob_tests::desktop::{
    Desktop, LONG, Service, TRAY_ICON, Tray, answers, click_at, until, windows_named,
};

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn a_tray_host_that_dies_gets_the_item_again() {
    let desktop = Desktop::new("panel-dies").await;
    let app = desktop.app(&["--hidden"]).await;
    let tray = Tray::of(app.pid()).await;
    tray.registered().await;
    desktop.sign_in().await;
    let client = desktop.client().await;
    Service::Panel.kill().await;
    app.says("the desktop shows no tray icons").await;
    answers(&client, "without a panel").await;
    Service::Panel.start().await;
    tray.registered().await;
    tray.has("s · Connected · 6 tools").await;
    answers(&client, "with a panel").await;
    assert!(app.pages().is_empty(), "no window was asked for");
    // The new panel shows it where it can be clicked.
    until("a window after a click in the new panel", LONG, async || {
        click_at(TRAY_ICON.0, TRAY_ICON.1, 1);
        tokio::time::sleep(Duration::from_millis(500)).await;
        (app.paintings() > 0).then_some(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn without_a_tray_host_the_window_opens_and_says_so() {
    let desktop = Desktop::new("no-panel").await;
    Service::Panel.kill().await;
    let (app, window) = desktop.window(&["--hidden"]).await;
    let note = "//p[contains(., 'shows no tray icon')]";
    window.see(note).await;
    desktop.picture("said", Some(&window)).await;
    assert!(!Service::Panel.is_there().await);
    Service::Panel.start().await;
    Tray::of(app.pid()).await.registered().await;
    window.lose(note).await;
    assert_eq!(windows_named("Keyfob").len(), 1, "the window stays");
}
