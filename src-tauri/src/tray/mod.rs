//! The tray icon: what it shows as plain data, and one renderer for each kind of desktop.

mod glyphs;
pub(crate) mod menu;

#[cfg(target_os = "linux")]
#[path = "ksni.rs"]
mod renderer;
#[cfg(not(target_os = "linux"))]
#[path = "native.rs"]
mod renderer;

use tauri::AppHandle;

use self::menu::Look;
use crate::desk::Desk;

/// The tray icon. Redundant updates are not sent.
pub(crate) struct Tray {
    renderer: renderer::Renderer,
    shown: Option<Look>,
}

impl Tray {
    /// Puts the icon up, as soon as the desktop has a place for it.
    pub(crate) fn new(app: &AppHandle, desk: &Desk) -> Self {
        Self { renderer: renderer::Renderer::new(app, desk), shown: None }
    }

    /// Shows this.
    pub(crate) fn show(&mut self, look: Look) {
        if self.shown.as_ref() != Some(&look) {
            self.renderer.show(&look);
            self.shown = Some(look);
        }
    }
}
