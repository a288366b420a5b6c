//! The tray item: its menu on the bus, and by a real click in a real tray host.

use keyfob_tests::desktop::{
    Desktop, LONG, TRAY_ICON, Tray, answers, click_at, press, until, windows_of_class,
};

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn connect_in_the_menu_signs_in_with_no_window_open() {
    let desktop = Desktop::new("tray-menu").await;
    let app = desktop.app(&["--hidden"]).await;
    let tray = Tray::of(app.pid()).await;
    tray.registered().await;
    tray.has("No servers yet").await;
    let idle = tray.icon().await;
    desktop.scene.add("s", &[]).await.ok();
    tray.has("Connect: s").await;
    assert_eq!(tray.tooltip().await, "s needs you");
    tray.choose("Connect: s").await;
    desktop.browser.opened(1).await;
    tray.has("Cancel sign-in").await;
    desktop.browser.allow().await;
    tray.has("s · Connected · 6 tools").await;
    let client = desktop.client().await;
    answers(&client, "from the tray").await;
    assert_ne!(tray.icon().await, idle);
    assert!(app.pages().is_empty(), "a page was made");
    assert_eq!(app.paintings(), 0, "a window was opened");

    tray.choose("Sign out").await;
    tray.has("Connect: s").await;
    let refused = client.modern_call("echo", serde_json::json!({"text": "out"})).await;
    assert!(refused.message().get("result").is_none(), "{refused:?}");
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn a_real_click_in_the_tray_begins_the_sign_in() {
    let desktop = Desktop::new("tray-click").await;
    let app = desktop.app(&["--hidden"]).await;
    let tray = Tray::of(app.pid()).await;
    tray.registered().await;
    desktop.scene.add("s", &[]).await.ok();
    tray.has("Connect: s").await;
    // The tray is a process of its own beside the panel.
    let panel = windows_of_class("wrapper-2.0").len();
    until("a menu of the panel", LONG, async || {
        click_at(TRAY_ICON.0, TRAY_ICON.1, 3);
        until_or_not(async || windows_of_class("wrapper-2.0").len() > panel).await.then_some(())
    })
    .await;
    desktop.picture("menu", None).await;
    // The first line is what needs its person most.
    press("Down");
    press("Return");
    desktop.browser.opened(1).await;
    desktop.browser.allow().await;
    tray.has("s · Connected · 6 tools").await;

    // A click with the other button opens the window.
    click_at(TRAY_ICON.0, TRAY_ICON.1, 1);
    app.painted(1).await;
}

/// Whether it comes true within two seconds.
async fn until_or_not(mut is_it: impl AsyncFnMut() -> bool) -> bool {
    for _ in 0..20 {
        if is_it().await {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    false
}
