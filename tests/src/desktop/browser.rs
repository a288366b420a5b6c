//! A real browser as the registered handler of links. The tests never hand it an address: it gets
//! the link from the desktop, and is only clicked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::app::{program, report};
use super::processes::end_all_told;
use super::webdriver::Driver;
use super::{LONG, until};
use crate::Keyfob;
use crate::random::free_port;

/// The handler of `http` links in a home.
pub struct Browser {
    port: u16,
    log: PathBuf,
    profile: PathBuf,
    /// What it has complained of.
    said: PathBuf,
    environment: BTreeMap<String, String>,
    clicks: AtomicUsize,
}

impl Browser {
    /// Registers Chromium behind a script that notes each link.
    pub(super) fn register(keyfob: &Keyfob) -> Self {
        let port = free_port();
        let at = keyfob.scratch();
        let log = at.join("handler-links");
        let profile = at.join("chromium");
        let said = at.join("chromium.log");
        let script = at.join("bin/browser");
        program(
            &script,
            &format!(
                "#!/bin/sh\nprintf '%s\\n' \"$1\" >>'{}'\nexec chromium --no-sandbox \
                 --remote-debugging-port={port} --user-data-dir='{}' --no-first-run --disable-gpu \
                 --disable-dev-shm-usage --disable-background-networking \
                 --disable-component-update --disable-sync --disable-quic --test-type \
                 --password-store=basic --window-size=620,560 --window-position=470,60 \"$1\" \
                 >/dev/null 2>>'{}'\n",
                log.display(),
                profile.display(),
                said.display()
            ),
        );
        let user = keyfob.user_home();
        let applications = user.join(".local/share/applications");
        for folder in [&applications, &user.join(".config")] {
            std::fs::create_dir_all(folder).expect("a folder");
        }
        let entry = format!(
            "[Desktop Entry]\nType=Application\nName=Browser\nExec={} %u\n\
             MimeType=x-scheme-handler/http;\n",
            script.display()
        );
        std::fs::write(applications.join("browser.desktop"), entry).expect("a desktop entry");
        let default = "[Default Applications]\nx-scheme-handler/http=browser.desktop\n";
        std::fs::write(user.join(".config/mimeapps.list"), default).expect("a default");
        let environment = keyfob.environment().clone();
        Self { port, log, profile, said, environment, clicks: AtomicUsize::new(0) }
    }

    /// The links that the desktop has opened, in order.
    pub fn links(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until so many links were opened in all; gives the last of them.
    pub async fn opened(&self, count: usize) -> String {
        until(&format!("{count} links at the handler"), LONG, async || {
            self.links().into_iter().nth(count - 1)
        })
        .await
    }

    /// Clicks *Allow* on the consent page that the browser has opened last, and waits until the browser was
    /// sent back.
    pub async fn allow(&self) {
        let address = format!("127.0.0.1:{}", self.port);
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        until("a browser is open", LONG, async || {
            http.get(format!("http://{address}/json/version")).send().await.ok().map(drop)
        })
        .await;
        let driver = Driver::start("chromedriver", &self.environment).await;
        let options = json!({"goog:chromeOptions": {"debuggerAddress": address}});
        let session = driver.session(&options).await;
        until("a consent page", LONG, async || {
            session.turn_to_newest("/oauth/authorize", self.links().len()).await
        })
        .await;
        session.click("button[value=allow]").await;
        self.clicks.fetch_add(session.clicks(), Ordering::Relaxed);
        until("the browser was sent back", LONG, async || {
            let is_there = session.has("button[value=allow]").await;
            (!is_there).then_some(())
        })
        .await;
        session.close().await;
    }

    /// How often something was clicked in it.
    pub fn clicks(&self) -> usize {
        self.clicks.load(Ordering::Relaxed)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            report("the browser", &std::fs::read_to_string(&self.said).unwrap_or_default());
        }
        // It hides its environment, by which everything else of a test is found.
        end_all_told(&format!("user-data-dir={}", self.profile.display()));
    }
}
