//! The app on a desktop: its window through WebDriver, its tray item and its notifications on the
//! bus, and a real browser as the handler of links.
//!
//! All of it needs the virtual desktop of `tests/run/virtual-desktop.sh`. It ends panels and
//! notification daemons, and so refuses to run on anybody's own desktop.

mod app;
mod browser;
mod notifications;
mod processes;
mod screen;
mod tray;
mod webdriver;

use std::time::{Duration, Instant};

use crate::{RpcClient, Scene, Setup, Store};
pub use app::App;
pub use browser::Browser;
pub use notifications::{Notifications, Shown};
pub use processes::{Service, alive, end, of_display};
pub use screen::{
    TRAY_ICON, click_at, close_window, figure, press, shoot, windows_named, windows_of_class,
};
pub use tray::{MenuLine, Tray};
pub use webdriver::{Driver, Session};

/// How long anything on a desktop may take; the machine may be busy with others.
pub const LONG: Duration = Duration::from_secs(40);

/// A scene on the virtual desktop.
pub struct Desktop {
    /// Its servers, and the home of the product.
    pub scene: Scene,
    /// The handler of links.
    pub browser: Browser,
    name: String,
}

impl Desktop {
    /// An empty home with a consent page at the authorization server and a browser that waits to
    /// be clicked. Nothing of the product runs yet.
    pub async fn new(name: &str) -> Self {
        Self::with(name, |_| ()).await
    }

    /// The same with changes.
    pub async fn with(name: &str, change: impl FnOnce(&mut Setup)) -> Self {
        assert_eq!(
            std::env::var("KEYFOB_TEST_DESKTOP").as_deref(),
            Ok("1"),
            "these tests end panels and daemons: run them with tests/run/desktop.sh"
        );
        Service::restore_all().await;
        screen::park_pointer();
        let mut scene = Scene::with(|setup| {
            setup.serve = false;
            setup.store = Store::Keychain;
            setup.authority.consent = crate::authserver::Consent::Page;
            change(setup);
        })
        .await;
        for name in ["DISPLAY", "NO_AT_BRIDGE"] {
            if let Ok(value) = std::env::var(name) {
                scene.keyfob.set_env(name, &value);
            }
        }
        scene.keyfob.configure(&[
            ("ca_file", &scene.documents.ca_file().display().to_string()),
            ("client_metadata_url", &scene.document_url),
            ("browser", "system"),
        ]);
        let browser = Browser::register(&scene.keyfob);
        Self { scene, browser, name: name.to_owned() }
    }

    /// Starts the app as a session would.
    pub fn start(&self, arguments: &[&str]) -> App {
        App::start(&self.name, &self.scene.keyfob, arguments)
    }

    /// Starts the app and waits until its gateway listens.
    pub async fn app(&self, arguments: &[&str]) -> App {
        let app = self.start(arguments);
        app.says("gateway listening").await;
        app
    }

    /// Starts the app with its window under WebDriver.
    pub async fn window(&self, arguments: &[&str]) -> (App, Session) {
        App::driven(&self.name, &self.scene.keyfob, arguments).await
    }

    /// Puts the server on the list as `s` and signs in, with nothing of the desktop in use.
    pub async fn sign_in(&self) {
        self.scene.add("s", &[]).await.ok();
        self.sign_in_again().await;
    }

    /// Signs in to `s` again in the same way.
    pub async fn sign_in_again(&self) {
        self.scene.connect("s", crate::Visit::Allow).await.ok();
    }

    /// A client of `s` that calls through the gateway, and never starts a broker of its own.
    pub async fn client(&self) -> RpcClient {
        self.scene.client("s").await
    }

    /// Takes a picture of the screen now, or when this window has painted what it has.
    pub async fn picture(&self, what: &str, window: Option<&Session>) {
        if let Some(window) = window {
            window.frame().await;
        }
        shoot(&format!("{}-{what}", self.name));
    }
}

/// Demands that the gateway answers a call of this client.
pub async fn answers(client: &RpcClient, text: &str) {
    let reply = client.modern_call("echo", serde_json::json!({"text": text})).await;
    assert_eq!(reply.tool_text(), text, "the gateway does not serve");
}

/// Looks until there is something; fails when `patience` is over.
pub async fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "not within {patience:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
