//! `keyfob-pictures FOLDER`: pictures of the real app in the virtual desktop, in every state, light
//! and dark. `make pictures` runs it.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    reason = "a command for the people who keep the README"
)]

mod camera;
mod street;

use std::path::PathBuf;
use std::time::Duration;

use keyfob_tests::desktop::{App, Desktop, Notifications, Session, Tray, until};

use camera::Camera;
use street::Street;

/// What the page waits for is painted soon after.
const PAINT: Duration = Duration::from_millis(600);

#[tokio::main]
async fn main() {
    let folder = std::env::args().nth(1).expect("the folder for the pictures");
    let cameras = ["light", "dark"].map(|theme| Camera::new(PathBuf::from(&folder), theme));
    for camera in &cameras {
        empty_and_troubled(camera).await;
        everything(camera).await;
    }
    // Last: nothing of this session unlocks the keychain again.
    locked(&cameras).await;
    println!("pictures are in {folder}");
}

async fn desktop(camera: &Camera) -> Desktop {
    let mut desktop = Desktop::new("pictures").await;
    for (name, value) in camera.environment() {
        desktop.scene.keyfob.set_env(name, value);
    }
    desktop
}

/// The first start, and a start with the port in foreign hands.
async fn empty_and_troubled(camera: &Camera) {
    let desktop = desktop(camera).await;
    let (app, window) = desktop.window(&[]).await;
    window.see("[data-testid=add-server]").await;
    camera.take("empty", &window).await;
    drop((window, app));

    let port = desktop.scene.keyfob.port();
    // The app that has just been ended gives it up in its own time.
    let _foreign = until("the port", PAINT * 20, async || {
        std::net::TcpListener::bind(("127.0.0.1", port)).ok()
    })
    .await;
    let app = desktop.start(&[]);
    app.painted(1).await;
    tokio::time::sleep(PAINT * 3).await;
    camera.shoot("trouble");
}

/// One server in each state, and each sheet.
async fn everything(camera: &Camera) {
    let desktop = desktop(camera).await;
    let street = Street::build(&desktop).await;
    let notifications = Notifications::watch().await;
    let (app, window) = desktop.window(&[]).await;
    street.disturb(&desktop).await;
    window.see("li[data-server=mail][data-state=needs-scope]").await;
    window.see("li[data-server=calendar] [data-action=reconnect]").await;
    window.see("li[data-server=intranet][data-state=offline]").await;
    camera.take("list", &window).await;
    sheets(camera, &desktop, &window, &street).await;
    // Panel and notifications have a theme of their own.
    if camera.is_light() {
        outside(camera, &app, &notifications).await;
    }
}

async fn sheets(camera: &Camera, desktop: &Desktop, window: &Session, street: &Street) {
    let back = "//button[@aria-label='Back' or normalize-space()='Back']";
    window.click("[data-row=notes]").await;
    window.see("[data-testid=registration]").await;
    camera.take("details", window).await;
    window
        .script("document.querySelector('[data-testid=trace]').scrollIntoView({block: 'end'})")
        .await;
    camera.take("trace", window).await;
    window.click("//footer//button[contains(., 'Change')]").await;
    window.see("[data-testid=edit] [data-testid=headers]").await;
    camera.take("edit", window).await;
    window.click(back).await;
    window.click(back).await;

    window.click("//button[normalize-space()='Client document']").await;
    window.see("[data-testid=document]").await;
    camera.take("client-document", window).await;
    window.click(back).await;

    window.click("[data-row=mail]").await;
    window.see("//button[contains(., 'Allow more access')]").await;
    camera.take("more-access", window).await;
    window.click(back).await;

    window.click("[data-row=tickets]").await;
    window.see("[data-badge=dcr]").await;
    camera.take("details-dcr", window).await;
    window.click(back).await;

    window.click("[data-testid=add-server]").await;
    window.enter("[data-testid=address]", &street.new_url()).await;
    window.see("[data-testid=found] [data-badge=cimd]").await;
    camera.take("add", window).await;
    window.click(back).await;

    window.click("[data-row=metrics]").await;
    window.click("//button[contains(., 'Use my own client')]").await;
    window.see("[data-testid=own-client]").await;
    camera.take("own-client", window).await;
    window.click(back).await;
    window.click(back).await;

    window.click("[data-server=metrics] [data-action=connect]").await;
    desktop.browser.opened(1).await;
    window.see("//button[contains(., 'Copy link')]").await;
    // The browser would stand in front.
    camera::without("remote-debugging-port");
    camera.take("waiting", window).await;
    window.click("//footer//button[contains(., 'Cancel')]").await;
    window.see("[data-testid=list]").await;
}

/// What is seen without the window.
async fn outside(camera: &Camera, app: &App, notifications: &Notifications) {
    // Nobody is called in the first twelve seconds.
    notifications.next(2).await;
    camera.aside();
    tokio::time::sleep(PAINT).await;
    camera.crop("notification", "334x160+762+24");
    let tray = Tray::of(app.pid()).await;
    tray.has("Servers").await;
    camera.menu("tray-menu").await;
}

/// A keychain that is locked.
async fn locked(cameras: &[Camera]) {
    let mut desktop = Desktop::new("pictures").await;
    desktop.sign_in().await;
    camera::lock_keychain();
    for camera in cameras {
        for (name, value) in camera.environment() {
            desktop.scene.keyfob.set_env(name, value);
        }
        let (_app, window) = desktop.window(&[]).await;
        window.see("li[data-server=s][data-state=vault-blocked]").await;
        // The keychain's own window asks for the password.
        camera::without("gcr-prompter");
        camera.take("keychain", &window).await;
    }
}
