//! The notification, when a server needs its person again.

use keyfob_tests::desktop::{Desktop, Notifications, Service, Tray, answers};
use serde_json::json;

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn a_revoked_sign_in_calls_once_and_its_action_signs_in() {
    let desktop = Desktop::new("notice").await;
    let notices = Notifications::watch().await;
    let app = desktop.app(&["--hidden"]).await;
    desktop.sign_in().await;
    let client = desktop.client().await;
    answers(&client, "before").await;

    desktop.scene.authority.revoke_all();
    let refused = client.modern_call("echo", json!({"text": "revoked"})).await;
    assert!(refused.message().get("result").is_none(), "{refused:?}");
    // It comes when the start has settled.
    let shown = notices.next(1).await;
    assert_eq!(shown.title, "Sign in to s again");
    assert!(shown.text.contains("ended your sign-in"), "{shown:?}");
    assert!(shown.actions.contains(&"Sign in".to_owned()), "{shown:?}");
    Notifications::display(1).await;
    desktop.picture("shown", None).await;

    // A call that fails again changes nothing that is shown: the tray says so already.
    let tray = Tray::of(app.pid()).await;
    tray.has("Reconnect: s").await;
    for _ in 0..2 {
        let refused = client.modern_call("echo", json!({"text": "still"})).await;
        assert!(refused.message().get("result").is_none(), "{refused:?}");
        // Whatever it would change is shown before this is.
        desktop.scene.status("s").await;
    }
    assert_eq!(notices.shown().len(), 1, "{:?}", notices.shown());
    assert_eq!(Notifications::displayed(), 1);

    Notifications::act();
    desktop.browser.opened(1).await;
    desktop.browser.allow().await;
    tray.has("s · Connected · 6 tools").await;
    Notifications::display(0).await;
    answers(&client, "after").await;
    assert_eq!(notices.shown().len(), 1, "{:?}", notices.shown());
    assert!(app.pages().is_empty(), "no window was needed");
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn a_sign_in_elsewhere_takes_the_notification_back() {
    let desktop = Desktop::new("notice-solved").await;
    let notices = Notifications::watch().await;
    let app = desktop.app(&["--hidden"]).await;
    desktop.sign_in().await;
    let client = desktop.client().await;
    desktop.scene.authority.revoke_all();
    client.modern_call("echo", json!({"text": "revoked"})).await;
    notices.next(1).await;
    Notifications::display(1).await;
    let closed = notices.closed();
    Tray::of(app.pid()).await.choose("Reconnect: s").await;
    desktop.browser.opened(1).await;
    desktop.browser.allow().await;
    Notifications::display(0).await;
    assert!(notices.closed() > closed, "the daemon was not asked to close it");
    answers(&client, "after").await;
}

#[tokio::test]
#[ignore = "needs the virtual desktop: tests/run/desktop.sh"]
async fn without_its_daemon_the_gateway_serves_and_the_next_need_reaches_a_new_one() {
    let desktop = Desktop::new("notice-daemon").await;
    let notices = Notifications::watch().await;
    let app = desktop.app(&["--hidden"]).await;
    desktop.sign_in().await;
    let client = desktop.client().await;
    // Once it holds one of ours, the daemon dies under it.
    desktop.scene.authority.revoke_all();
    client.modern_call("echo", json!({"text": "revoked"})).await;
    notices.next(1).await;
    Notifications::display(1).await;
    Service::Notifications.kill().await;
    desktop.sign_in_again().await;
    answers(&client, "without a daemon").await;

    Service::Notifications.restore().await;
    desktop.scene.authority.revoke_all();
    client.modern_call("echo", json!({"text": "revoked again"})).await;
    notices.next(2).await;
    Notifications::display(1).await;
    assert!(app.is_alive());
}
