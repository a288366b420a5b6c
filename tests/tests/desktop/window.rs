//! The window: it comes and goes without the gateway, and is used by keys as by clicks.

use std::time::Duration;

use keyfob_tests::desktop::{
    App, Desktop, LONG, Tray, answers, close_window, end, figure, until, windows_named,
};

/// Closes the window as its frame does, and waits until nothing of its page is left.
async fn closes(app: &App) {
    let window = until("the window on the screen", LONG, async || windows_named("Keyfob").pop());
    close_window(&window.await);
    let gone = async || app.pages().is_empty().then_some(());
    until("the end of the page's process", Duration::from_secs(5), gone).await;
    assert!(app.is_alive(), "closing the window is not quitting");
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn a_closed_window_leaves_no_page_and_comes_back() {
    let desktop = Desktop::new("window").await;
    let app = desktop.app(&[]).await;
    let first = app.painted(1).await;
    assert_eq!(app.pages().len(), 1);
    desktop.sign_in().await;
    let client = desktop.client().await;
    closes(&app).await;
    answers(&client, "with no window").await;

    Tray::of(app.pid()).await.activate().await;
    let second = app.painted(2).await;
    closes(&app).await;
    Tray::of(app.pid()).await.choose("Open Keyfob").await;
    let third = app.painted(3).await;
    desktop.picture("again", None).await;
    answers(&client, "with a window").await;
    figure(&format!("window painted: {first} ms at the start, then {second} and {third} ms"));
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn a_page_that_dies_is_replaced_while_the_gateway_serves() {
    let desktop = Desktop::new("window-page-dies").await;
    let app = desktop.app(&[]).await;
    app.painted(1).await;
    desktop.sign_in().await;
    let client = desktop.client().await;
    for round in 1..3 {
        let pages = app.pages();
        assert_eq!(pages.len(), 1, "{pages:?}");
        end(pages[0]);
        answers(&client, "under a dead page").await;
        app.painted(1 + round).await;
        assert_ne!(app.pages(), pages);
    }
    answers(&client, "under a new page").await;
    assert_eq!(windows_named("Keyfob").len(), 1);
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn the_tray_opens_the_window_where_it_was_asked_to() {
    let desktop = Desktop::new("window-places").await;
    let (app, window) = desktop.window(&[]).await;
    desktop.scene.add("s", &[]).await.ok();
    let tray = Tray::of(app.pid()).await;
    tray.choose("Add server…").await;
    window.see("[data-testid=add]").await;
    tray.choose("Details").await;
    window.see("[data-testid=details]").await;
    tray.choose("Open Keyfob").await;
    window.see("[data-testid=list]").await;
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn keys_alone_open_a_server_and_lead_back() {
    const TAB: char = '\u{e004}';
    const ENTER: char = '\u{e007}';
    const ESCAPE: char = '\u{e00c}';
    let desktop = Desktop::new("keyboard").await;
    let (_app, window) = desktop.window(&[]).await;
    desktop.scene.add("s", &[]).await.ok();
    window.see("[data-row=s]").await;
    let focused = "return document.activeElement.dataset.row ?? ''";
    let mut presses = 0;
    while window.script(focused).await != "s" {
        presses += 1;
        assert!(presses < 6, "Tab does not reach the row");
        window.press(TAB).await;
    }
    desktop.picture("focus", Some(&window)).await;
    window.press(ENTER).await;
    window.see("[data-testid=details]").await;
    window.press(ESCAPE).await;
    window.see("[data-testid=list]").await;
    assert_eq!(window.script(focused).await, "s", "the focus is where it was");
    // The primary action of the list needs no focus of its own.
    window.press(TAB).await;
    window.press(ENTER).await;
    window.see("[data-testid=waiting]").await;
    desktop.browser.opened(1).await;
    window.see("//button[contains(., 'Copy link')]").await;
    window.press(ESCAPE).await;
    window.see("li[data-server=s][data-state=signing-in]").await;
    desktop.browser.allow().await;
    window.see("li[data-server=s][data-state=ready]").await;
}
