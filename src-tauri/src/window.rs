//! The one window: made when it is needed, gone when it is closed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use keyfob_core::view::page::{Place, Snapshot};
use tauri::{AppHandle, Emitter, Manager, Theme, WebviewUrl, WebviewWindowBuilder};

use crate::desk::{Ask, Desk};

const LABEL: &str = "main";

/// What it looks like before the page has painted, so that nothing flashes.
const LIGHT: tauri::utils::config::Color = tauri::utils::config::Color(0xf7, 0xf7, 0xf5, 0xff);
const DARK: tauri::utils::config::Color = tauri::utils::config::Color(0x1b, 0x1c, 0x1a, 0xff);

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Window {
    app: AppHandle,
    desk: Desk,
    asked_at: Arc<Mutex<Option<Instant>>>,
    /// A window that is on its way out cannot be shown again; a new one waits for its end.
    is_wanted: Arc<AtomicBool>,
}

impl Window {
    pub(crate) fn new(app: AppHandle, desk: Desk) -> Self {
        Self { app, desk, asked_at: Arc::default(), is_wanted: Arc::default() }
    }

    /// Whether there is one.
    pub(crate) fn is_open(&self) -> bool {
        self.app.get_webview_window(LABEL).is_some()
    }

    /// Opens it there, or brings it there and to the front.
    pub(crate) fn show(&self, place: Place) {
        self.desk.set_place(place.clone());
        if let Some(open) = self.app.get_webview_window(LABEL) {
            let is_leaving = open.emit("show", &place).is_err() || open.show().is_err();
            let _ = open.unminimize();
            let _ = open.set_focus();
            self.is_wanted.store(is_leaving, Ordering::Relaxed);
            return;
        }
        *lock(&self.asked_at) = Some(Instant::now());
        let this = self.clone();
        let built = self.app.run_on_main_thread(move || {
            if let Err(error) = this.build() {
                tracing::error!(%error, "no window");
                this.is_wanted.store(true, Ordering::Relaxed);
            }
        });
        if let Err(error) = built {
            tracing::error!(%error, "no window");
        }
    }

    fn build(&self) -> tauri::Result<()> {
        let builder = WebviewWindowBuilder::new(&self.app, LABEL, WebviewUrl::default())
            .title("Keyfob")
            .inner_size(420.0, 640.0)
            .min_inner_size(360.0, 480.0)
            .background_color(LIGHT)
            .focused(true);
        let window = builder.build()?;
        if window.theme().is_ok_and(|theme| theme == Theme::Dark) {
            let _ = window.set_background_color(Some(DARK));
        }
        #[cfg(target_os = "linux")]
        self.watch_page(&window);
        Ok(())
    }

    /// The page runs in a process of its own, which may be killed under us.
    #[cfg(target_os = "linux")]
    fn watch_page(&self, window: &tauri::WebviewWindow) {
        use webkit2gtk::WebViewExt;
        let desk = self.desk.clone();
        let watched = window.with_webview(move |webview| {
            webview.inner().connect_web_process_terminated(move |_, reason| {
                tracing::warn!(?reason, "the page's process is gone");
                desk.ask(Ask::PageDied);
            });
        });
        if let Err(error) = watched {
            tracing::debug!(%error, "the page is not watched");
        }
    }

    /// Makes a new one in place of one whose page has died.
    pub(crate) fn replace(&self) {
        self.is_wanted.store(true, Ordering::Relaxed);
        if let Some(open) = self.app.get_webview_window(LABEL) {
            let _ = open.destroy();
        }
    }

    /// It is gone; where one is wanted meanwhile, it opens now.
    pub(crate) fn gone(&self) {
        if self.is_wanted.swap(false, Ordering::Relaxed) {
            self.show(self.desk.place());
        } else {
            self.desk.set_place(Place::List);
        }
    }

    /// Sends it what there is to show.
    pub(crate) fn tell(&self, snapshot: &Snapshot) {
        if self.is_open()
            && let Err(error) = self.app.emit_to(LABEL, "state-changed", snapshot)
        {
            tracing::debug!(%error, "the window did not hear");
        }
    }

    /// The page has painted its first content.
    pub(crate) fn painted(&self) {
        if let Some(asked_at) = lock(&self.asked_at).take() {
            let ms = asked_at.elapsed().as_millis();
            tracing::info!(ms, "window painted");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
